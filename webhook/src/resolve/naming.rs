//! What the words of a command name: flavours, tags and builders. Pure.

use std::collections::BTreeSet;

use crate::command::Word;

use super::suggest;

/// A builder by both of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name<'a> {
    /// Of the object.
    pub object: &'a str,
    /// That people read.
    pub display: &'a str,
}

/// The words that can be named.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary<'a> {
    /// Builders.
    pub builders: Vec<Name<'a>>,
    /// Flavours.
    pub flavours: BTreeSet<&'a str>,
    /// Tags.
    pub tags: BTreeSet<&'a str>,
}

/// What was named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Flavours.
    pub flavours: BTreeSet<String>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Builders, by the names of their objects.
    pub builders: BTreeSet<String>,
}

/// Words that name nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// As they were written.
    pub words: String,
    /// They are a part of a SHA, or one in the wrong place.
    pub sha: bool,
    /// What may have been meant, as a question.
    pub meant: Option<String>,
}

impl Vocabulary<'_> {
    /// Understands words. Of words that stand next to each other as many as possible are one name, so
    /// that a display name needs no quotes.
    ///
    /// # Errors
    /// The first words that name nothing.
    pub fn understand(&self, words: &[Word]) -> Result<Named, Unknown> {
        let mut named = Named::default();
        let mut rest = words;
        while let Some(first) = rest.first() {
            let taken = match first {
                Word::Tag(tag) => {
                    let known = self
                        .tags
                        .iter()
                        .find(|known| known.eq_ignore_ascii_case(tag));
                    let known = known.ok_or_else(|| self.unknown_tag(tag))?;
                    named.tags.insert((*known).to_owned());
                    1
                }
                Word::Quoted(name) => {
                    if !self.builder(name, &mut named) && !self.flavour(name, &mut named) {
                        return Err(self.unknown(name));
                    }
                    1
                }
                Word::Plain(_) => self.longest(rest, &mut named)?,
            };
            rest = &rest[taken..];
        }
        Ok(named)
    }

    /// The longest name that begins here. How many words it has.
    fn longest(&self, words: &[Word], named: &mut Named) -> Result<usize, Unknown> {
        let plain: Vec<&str> = words
            .iter()
            .map_while(|word| match word {
                Word::Plain(text) => Some(text.as_str()),
                _ => None,
            })
            // A display name has at most 80 characters.
            .take(41)
            .collect();
        for length in (2..=plain.len()).rev() {
            if self.builder(&plain[..length].join(" "), named) {
                return Ok(length);
            }
        }
        let first = words[0].text();
        if self.flavour(first, named) || self.builder(first, named) {
            return Ok(1);
        }
        Err(match plain.len() {
            0 | 1 => self.unknown(first),
            _ => {
                let all = self.unknown(&plain.join(" "));
                match all.meant.is_some() {
                    true => all,
                    false => self.unknown(first),
                }
            }
        })
    }

    fn flavour(&self, word: &str, named: &mut Named) -> bool {
        let mut flavours = self.flavours.iter();
        let known = flavours.find(|known| known.eq_ignore_ascii_case(word));
        if let Some(known) = known {
            named.flavours.insert((*known).to_owned());
        }
        known.is_some()
    }

    /// Two builders can have one display name.
    fn builder(&self, word: &str, named: &mut Named) -> bool {
        let mut found = false;
        for name in &self.builders {
            if name.object.eq_ignore_ascii_case(word) || name.display.eq_ignore_ascii_case(word) {
                named.builders.insert(name.object.to_owned());
                found = true;
            }
        }
        found
    }

    fn unknown(&self, words: &str) -> Unknown {
        let names = self.builders.iter();
        let known = names
            .flat_map(|name| [name.display, name.object])
            .chain(self.flavours.iter().copied());
        let close = suggest::closest(words, known);
        let tagged: Vec<String> = match close.is_empty() {
            false => Vec::new(),
            true => suggest::closest(words, self.tags.iter().copied())
                .into_iter()
                .map(|tag| format!("tag:{tag}"))
                .collect(),
        };
        Unknown {
            words: words.to_owned(),
            sha: words.len() >= 7 && words.bytes().all(|byte| byte.is_ascii_hexdigit()),
            meant: suggest::question(&close).or_else(|| suggest::question(&tagged)),
        }
    }

    fn unknown_tag(&self, tag: &str) -> Unknown {
        let close = suggest::closest(tag, self.tags.iter().copied());
        let close: Vec<String> = close.iter().map(|tag| format!("tag:{tag}")).collect();
        Unknown {
            words: format!("tag:{tag}"),
            sha: false,
            meant: suggest::question(&close),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Prefixes, Says, find};

    fn vocabulary() -> Vocabulary<'static> {
        let name = |object, display| Name { object, display };
        Vocabulary {
            builders: vec![
                name("z13", "s390x Debian"),
                name("z13-lto", "s390x Debian LTO"),
                name("amd64", "AMD64 Debian"),
                name("quick", "A builder called as a flavour"),
                name("twin-a", "Twin"),
                name("twin-b", "Twin"),
            ],
            flavours: ["default", "quick", "refleak"].into(),
            tags: ["linux", "big endian"].into(),
        }
    }

    fn understood(words: &str) -> Result<Named, Unknown> {
        let prefixes = Prefixes {
            command: "/p",
            pattern: "",
        };
        match find(&format!("/p run {words}"), prefixes).remove(0).says {
            Says::Run { what, .. } => vocabulary().understand(&what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flavours_tags_and_builders_are_named_in_any_order_and_case() {
        for (words, flavours, tags, builders) in [
            ("", &[][..], &[][..], &[][..]),
            ("QUICK", &["quick"], &[], &[]),
            ("quick refleak", &["quick", "refleak"], &[], &[]),
            ("tag:linux amd64", &[], &["linux"], &["amd64"]),
            ("tag:\"Big Endian\" quick", &["quick"], &["big endian"], &[]),
            ("s390x Debian", &[], &[], &["z13"]),
            ("s390x debian lto", &[], &[], &["z13-lto"]),
            (
                "s390x Debian LTO amd64 Debian",
                &[],
                &[],
                &["amd64", "z13-lto"],
            ),
            ("z13, amd64", &[], &[], &["amd64", "z13"]),
            ("`s390x Debian` quick", &["quick"], &[], &["z13"]),
            ("`quick`", &[], &[], &["quick"]),
            ("twin", &[], &[], &["twin-a", "twin-b"]),
        ] {
            let named = understood(words).expect(words);
            let owned = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
            let expected = Named {
                flavours: owned(flavours),
                tags: owned(tags),
                builders: owned(builders),
            };
            assert_eq!(named, expected, "{words}");
        }
    }

    #[test]
    fn what_names_nothing_is_told_with_what_may_have_been_meant() {
        for (words, unknown, sha, meant) in [
            ("qiuck", "qiuck", false, Some("`quick`")),
            (
                "s390x debain",
                "s390x debain",
                false,
                Some("`s390x Debian`"),
            ),
            ("amd64 nonsense", "nonsense", false, None),
            ("tag:linus", "tag:linus", false, Some("`tag:linux`")),
            ("linux", "linux", false, Some("`tag:linux`")),
            ("tag:", "tag:", false, None),
            ("``", "", false, None),
            ("0123456", "0123456", true, None),
            ("main", "main", false, None),
            ("\"x y z\" quick", "x y z", false, None),
        ] {
            let found = understood(words).expect_err(words);
            assert_eq!((found.words.as_str(), found.sha), (unknown, sha), "{words}");
            let expected = meant.map(|meant| format!("Did you mean {meant}?"));
            assert_eq!(found.meant, expected, "{words}");
        }
    }
}
