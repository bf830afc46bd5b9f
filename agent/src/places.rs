//! The directories of a run: the checkout, a temporary one, a home.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Where a run takes place; absolute, without links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The checkout: `GITHUB_WORKSPACE`.
    pub workspace: PathBuf,
    /// `RUNNER_TEMP`.
    pub temp: PathBuf,
    /// `HOME`.
    pub home: PathBuf,
}

/// A directory that is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("the directory `{}` of the run is not usable: {source}", path.display())]
pub struct PlaceError {
    path: PathBuf,
    source: io::Error,
}

impl Places {
    /// Makes the directories anew, empty, beneath `root`.
    pub fn make(root: &Path) -> Result<Self, PlaceError> {
        let places = Self::beneath(root)?;
        for path in [&places.workspace, &places.temp, &places.home] {
            anew(path).map_err(|source| PlaceError::new(path, source))?;
        }
        Ok(places)
    }

    /// Finds the directories that [`Places::make`] made.
    pub fn find(root: &Path) -> Result<Self, PlaceError> {
        let places = Self::beneath(root)?;
        for path in [&places.workspace, &places.temp, &places.home] {
            if !is_untouched(path) {
                let error = io::Error::new(io::ErrorKind::NotFound, "there is no such directory");
                return Err(PlaceError::new(path, error));
            }
        }
        Ok(places)
    }

    fn beneath(root: &Path) -> Result<Self, PlaceError> {
        let root = root
            .canonicalize()
            .map_err(|source| PlaceError::new(root, source))?;
        Ok(Self {
            workspace: root.join("src"),
            temp: root.join("tmp"),
            home: root.join("home"),
        })
    }

    /// The directory that a step starts in: beneath the checkout, also when links are followed.
    /// Nothing of the build is alive when this is asked, so the answer holds until the step starts.
    pub fn working_directory(&self, asked: Option<&str>) -> Result<PathBuf, String> {
        if !is_untouched(&self.workspace) {
            return Err("the checkout was moved away by a step before".into());
        }
        let Some(asked) = asked else {
            return Ok(self.workspace.clone());
        };
        match self.workspace.join(asked).canonicalize() {
            Ok(path) if !path.starts_with(&self.workspace) => Err(format!(
                "the directory `{asked}` is outside of the checkout"
            )),
            Ok(path) if path.is_dir() => Ok(path),
            _ => Err(format!("there is no directory `{asked}` in the checkout")),
        }
    }
}

impl PlaceError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}

/// Whether a path is a directory itself, not a link to one.
fn is_untouched(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// An empty directory, whatever was there.
fn anew(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.and_then(|()| std::fs::create_dir(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_working_directory_stays_in_the_checkout_also_through_links() {
        let scratch = Scratch::new();
        let places = Places::make(scratch.root()).unwrap();
        std::fs::create_dir_all(places.workspace.join("a/b")).unwrap();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, places.workspace.join(name)).unwrap();
        };
        link("a/b", "inside");
        link("/", "outside");
        link("../home", "sideways");
        for asked in ["a", "./a/../a/b", "inside", "."] {
            assert!(places.working_directory(Some(asked)).is_ok(), "{asked}");
        }
        for asked in [
            "..",
            "/",
            "/tmp",
            "outside",
            "outside/tmp",
            "sideways",
            "a/../..",
            "../src2",
        ] {
            let refusal = places.working_directory(Some(asked)).unwrap_err();
            assert!(refusal.starts_with("the"), "{asked}: {refusal}");
        }
        assert!(
            places
                .working_directory(Some("none"))
                .unwrap_err()
                .contains("no directory")
        );
    }

    #[test]
    fn a_checkout_that_a_step_replaced_by_a_link_is_noticed() {
        let scratch = Scratch::new();
        let places = Places::make(scratch.root()).unwrap();
        std::fs::remove_dir(&places.workspace).unwrap();
        std::os::unix::fs::symlink("/", &places.workspace).unwrap();
        assert!(places.working_directory(None).is_err());
        assert!(Places::find(scratch.root()).is_err());
        assert!(Places::make(scratch.root()).is_ok());
        assert!(Path::new("/proc").exists());
    }
}
