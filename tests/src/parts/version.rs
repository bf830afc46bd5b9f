//! Versions as programs print them, and which of them fit. Pure.

use std::fmt;

/// A version of a program: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 where a program prints only two.
    pub patch: u32,
}

impl Version {
    /// A version from its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The first version in a text, such as the output of `--version`: two or three numbers with dots
    /// between them, where a word begins, perhaps after a `v`.
    pub fn find(text: &str) -> Option<Self> {
        let words =
            text.split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '(' | ')' | ':'));
        words.filter_map(Self::parse).next()
    }

    /// Reads one word; what follows the numbers (`+dirty`, `~ds1`, `-rc.1`) is not looked at.
    fn parse(word: &str) -> Option<Self> {
        let word = word.strip_prefix("go").unwrap_or(word);
        let word = word.strip_prefix('v').unwrap_or(word);
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.');
        let mut numbers = word[..end.unwrap_or(word.len())].split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let patch = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Some(Self {
            major,
            minor,
            patch,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which versions of a part that is already on the machine are good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Any version of which the call that [`Part`](super::Part) names ends well: every one of the last years would do.
    Any,
    /// This minor version, any patch: parts that must be of one Kubernetes.
    Minor(u32, u32),
    /// One minor version up or down, which is what kubectl promises to its server.
    MinorOrNeighbour(u32, u32),
    /// This version or a later one of the same major version.
    SameMajorFrom(Version),
    /// This version or a later one.
    From(Version),
}

impl Fit {
    /// Whether a version is good enough.
    pub fn accepts(self, found: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Minor(major, minor) => (found.major, found.minor) == (major, minor),
            Self::MinorOrNeighbour(major, minor) => {
                found.major == major && found.minor.abs_diff(minor) <= 1
            }
            Self::SameMajorFrom(from) => found.major == from.major && found >= from,
            Self::From(from) => found >= from,
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "any version"),
            Self::Minor(major, minor) => write!(f, "{major}.{minor}"),
            Self::MinorOrNeighbour(major, minor) => {
                write!(
                    f,
                    "{major}.{} to {major}.{}",
                    minor.saturating_sub(1),
                    minor + 1
                )
            }
            Self::SameMajorFrom(from) => write!(f, "{from} or later, but {}.x", from.major),
            Self::From(from) => write!(f, "{from} or later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_each_program_prints() {
        let prints = [
            ("Kubernetes v1.35.4", (1, 35, 4)),
            (
                "etcd Version: 3.6.5\nGit SHA: Not provided\nGo Version: go1.26.8",
                (3, 6, 5),
            ),
            (
                "Client Version: v1.35.4\nKustomize Version: v5.7.1",
                (1, 35, 4),
            ),
            ("v4.3.1+g1234567", (4, 3, 1)),
            (
                r#"version.BuildInfo{Version:"v4.3.1", GitCommit:""}"#,
                (4, 3, 1),
            ),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1",
                (1, 6, 20),
            ),
            (
                "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+b1\nspec: 1.0.2-dev",
                (1, 1, 5),
            ),
            ("CNI bridge plugin v1.1.1", (1, 1, 1)),
            (
                "BusyBox v1.35.0 (Debian 1:1.35.0-4+b3) multi-call binary.",
                (1, 35, 0),
            ),
            ("cargo-deny 0.20.2", (0, 20, 2)),
            ("go version go1.26.8 linux/amd64", (1, 26, 8)),
            ("git version 2.39", (2, 39, 0)),
        ];
        for (text, (major, minor, patch)) in prints {
            assert_eq!(
                Version::find(text),
                Some(Version::new(major, minor, patch)),
                "{text}"
            );
        }
        assert_eq!(Version::find("no version at all: error 12"), None);
    }

    #[test]
    fn parts_of_another_kubernetes_do_not_fit() {
        let server = Fit::Minor(1, 35);
        assert!(server.accepts(Version::new(1, 35, 0)));
        assert!(!server.accepts(Version::new(1, 34, 9)));
        assert!(!server.accepts(Version::new(2, 35, 0)));
    }

    #[test]
    fn kubectl_may_be_one_minor_version_off() {
        let kubectl = Fit::MinorOrNeighbour(1, 35);
        assert!(
            [34, 35, 36]
                .iter()
                .all(|minor| kubectl.accepts(Version::new(1, *minor, 7)))
        );
        assert!(
            ![33, 37]
                .iter()
                .any(|minor| kubectl.accepts(Version::new(1, *minor, 7)))
        );
        assert_eq!(kubectl.to_string(), "1.34 to 1.36");
    }

    #[test]
    fn a_newer_major_version_fits_only_where_the_table_says_so() {
        let from = Version::new(1, 6, 20);
        assert!(Fit::From(from).accepts(Version::new(2, 0, 0)));
        assert!(!Fit::SameMajorFrom(from).accepts(Version::new(2, 0, 0)));
        assert!(!Fit::From(from).accepts(Version::new(1, 6, 19)));
    }
}
