//! Paths with `*`, `?` and `**`. Pure; matching a name takes at most its length times the pattern's.

/// A path, cut at its slashes.
#[derive(Debug)]
pub struct Glob(Vec<Part>);

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A name.
    Name(String),
    /// A name with `*` or `?` in it.
    Pattern(String),
    /// `**`: any directories, also none.
    Any,
}

impl Glob {
    /// Reads a path. One that leaves its directory matches nothing.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "." | "" if !text.starts_with('/') => {}
                "" | ".." => return Self(Vec::new()),
                "**" if parts.last() == Some(&Part::Any) => {}
                "**" => parts.push(Part::Any),
                part if part.contains(['*', '?']) => parts.push(Part::Pattern(part.to_owned())),
                part => parts.push(Part::Name(part.to_owned())),
            }
        }
        if parts.last() == Some(&Part::Any) {
            parts.push(Part::Pattern("*".to_owned()));
        }
        Self(parts)
    }

    /// Its parts, from left to right.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

impl Part {
    /// Whether a name is meant.
    pub fn is(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Pattern(pattern) => matches(pattern.as_bytes(), name.as_bytes()),
            Self::Any => false,
        }
    }

    /// What is looked for inside of the directory `name`: `parts` begin with this part, `rest` is what
    /// follows it.
    pub fn inside<'a>(
        &self,
        name: &str,
        parts: &'a [Part],
        rest: &'a [Part],
    ) -> Option<&'a [Part]> {
        match self {
            Self::Any => Some(parts),
            part => (!rest.is_empty() && part.is(name)).then_some(rest),
        }
    }
}

/// The usual matching with one place to come back to, the last `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.xml", "a.xml", true),
            ("*.xml", ".xml", true),
            ("*.xml", "a.xml.gz", false),
            ("TEST-*.xml", "TEST-a-b.xml", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
        ] {
            let is = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(is, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let (pattern, name) = ("*a".repeat(120), "a".repeat(254) + "b");
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn a_path_that_leaves_the_checkout_matches_nothing() {
        for text in ["/etc/passwd", "../x", "a/../../x", "a/.."] {
            assert_eq!(Glob::new(text).parts(), [], "{text}");
        }
        let name = |name: &str| Part::Name(name.into());
        assert_eq!(Glob::new("./a//b").parts(), [name("a"), name("b")]);
        let all = [name("a"), Part::Any, Part::Pattern("*".into())];
        assert_eq!(Glob::new("a/**/**").parts(), all);
    }
}
