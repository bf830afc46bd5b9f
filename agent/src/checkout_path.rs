//! Which file of the checkout somebody means who names one in an output.

use std::path::Path;

use protocol::PATH_LIMIT;

use crate::{os::Directory, text::plain};

/// A file as an output names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Named on purpose, by a workflow command: taken as it is when it could be in the checkout.
    Given(String),
    /// Named in passing, in a traceback: taken only if there is such a file.
    Seen(String),
    /// A file of a Go package: `go test` names the package in full and the file without directory.
    Go {
        /// The package, such as `example.org/demo/sub`; empty where it is not known.
        package: String,
        /// The file.
        file: String,
    },
}

/// The checkout, with the directory in it that a step ran in.
#[derive(Debug)]
pub struct Checkout<'a> {
    root: &'a Path,
    directory: String,
    open: Option<Directory>,
}

impl<'a> Checkout<'a> {
    /// The checkout at `root`, for a step that ran in `directory`, an absolute path.
    pub fn new(root: &'a Path, directory: &Path) -> Self {
        let beneath = directory.strip_prefix(root).ok().and_then(Path::to_str);
        Self {
            root,
            directory: beneath.unwrap_or_default().to_owned(),
            open: Directory::open(root).ok(),
        }
    }

    /// The file's path relative to the checkout.
    pub fn locate(&self, place: &Place) -> Option<String> {
        match place {
            Place::Given(path) => {
                let named = self.candidates(path);
                let there = named.iter().find(|path| self.is_file(path));
                // Without a file by that name, GitHub reads it from the root of the repository.
                there.or(named.last()).cloned()
            }
            Place::Seen(path) => self
                .candidates(path)
                .into_iter()
                .find(|path| self.is_file(path)),
            Place::Go { package, file } => {
                let mut beneath = Some(package.as_str());
                while let Some(package) = beneath {
                    let path = format!("{package}/{file}");
                    let found = self
                        .candidates(&path)
                        .into_iter()
                        .find(|path| self.is_file(path));
                    if found.is_some() {
                        return found;
                    }
                    beneath = package.split_once('/').map(|(_, rest)| rest);
                }
                self.candidates(file)
                    .into_iter()
                    .find(|path| self.is_file(path))
            }
        }
    }

    /// What a path can mean: relative to where the step ran, then to the root.
    fn candidates(&self, path: &str) -> Vec<String> {
        let mut bases = vec![self.directory.as_str(), ""];
        let mut path = path;
        if let Ok(beneath) = Path::new(path).strip_prefix(self.root) {
            path = beneath.to_str().unwrap_or_default();
            bases = vec![""];
        }
        if path.starts_with('/') {
            return Vec::new();
        }
        bases.dedup();
        let paths = bases.iter().filter_map(|base| normal(base, path));
        paths
            .filter(|path| path.len() <= PATH_LIMIT && plain(path) == *path)
            .collect()
    }

    fn is_file(&self, path: &str) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|root| root.file_at(path).is_ok())
    }
}

/// A path without `.` and `..`; none if it leaves the checkout or is not one of a file.
fn normal(base: &str, path: &str) -> Option<String> {
    if matches!(path.rsplit('/').next(), None | Some("" | "." | "..")) {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/")).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn given(path: &str) -> Place {
        Place::Given(path.to_owned())
    }

    fn seen(path: &str) -> Place {
        Place::Seen(path.to_owned())
    }

    #[test]
    fn a_file_is_found_however_it_is_named() {
        let scratch = Scratch::new();
        let root = scratch.root();
        std::fs::create_dir_all(root.join("sub/deep")).unwrap();
        std::fs::write(root.join("sub/deep/a.py"), "").unwrap();
        std::fs::write(root.join("top.py"), "").unwrap();
        let checkout = Checkout::new(root, &root.join("sub"));
        let absolute = root.join("sub/deep/a.py").display().to_string();
        for (named, found) in [
            ("deep/a.py", Some("sub/deep/a.py")),
            ("./deep//a.py", Some("sub/deep/a.py")),
            ("sub/deep/a.py", Some("sub/deep/a.py")),
            (absolute.as_str(), Some("sub/deep/a.py")),
            ("../top.py", Some("top.py")),
            ("top.py", Some("top.py")),
            ("none.py", None),
            ("deep", None),
            ("../../etc/passwd", None),
            ("/etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(checkout.locate(&seen(named)).as_deref(), found, "{named}");
        }
        assert_eq!(
            checkout.locate(&given("made/later.c")).as_deref(),
            Some("made/later.c")
        );
        for path in ["/etc/passwd", "../../../x", "a\u{202e}b", "", "."] {
            assert_eq!(checkout.locate(&given(path)), None, "{path}");
        }
    }

    #[test]
    fn a_link_out_of_the_checkout_names_no_file_of_it() {
        let scratch = Scratch::new();
        std::os::unix::fs::symlink("/etc", scratch.path("etc")).unwrap();
        let checkout = Checkout::new(scratch.root(), scratch.root());
        assert_eq!(checkout.locate(&seen("etc/passwd")), None);
    }

    #[test]
    fn a_file_of_a_go_package_is_found_below_its_module() {
        let scratch = Scratch::new();
        std::fs::create_dir_all(scratch.path("go/sub")).unwrap();
        std::fs::write(scratch.path("go/sub/a_test.go"), "").unwrap();
        std::fs::write(scratch.path("go/b_test.go"), "").unwrap();
        let checkout = Checkout::new(scratch.root(), &scratch.path("go"));
        for (package, file, found) in [
            (
                "example.org/demo/sub",
                "a_test.go",
                Some("go/sub/a_test.go"),
            ),
            ("example.org/demo", "b_test.go", Some("go/b_test.go")),
            ("", "b_test.go", Some("go/b_test.go")),
            ("example.org/demo", "c_test.go", None),
        ] {
            let place = Place::Go {
                package: package.to_owned(),
                file: file.to_owned(),
            };
            assert_eq!(
                checkout.locate(&place).as_deref(),
                found,
                "{package} {file}"
            );
        }
    }
}
