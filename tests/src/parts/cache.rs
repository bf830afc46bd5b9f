//! The cache of parts: one directory a part and version, outside of every checkout.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directory in which built parts stay between runs.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of this user: `$PRBUILD_CACHE`, else `$XDG_CACHE_HOME/prbuild`, else
    /// `~/.cache/prbuild`.
    pub fn of_user() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = var("PRBUILD_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            let base = var("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || var("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
            base.unwrap_or_else(|| home().join(".cache"))
                .join("prbuild")
        });
        Self { root }
    }

    /// One in a directory of a test.
    #[cfg(test)]
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where something of a name and version is kept.
    pub fn entry(&self, name: &str, version: &str) -> PathBuf {
        self.root.join(format!("{name}-{version}"))
    }

    /// A directory for work in progress that a later run may continue.
    pub fn work(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.root.join("work").join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Waits until nobody else makes the thing of this name, and keeps others from it until the
    /// returned file is dropped. `waiting` is called once if somebody else is at work.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> io::Result<File> {
        let locks = self.root.join("locks");
        fs::create_dir_all(&locks)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(locks.join(name))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock()?;
        }
        Ok(file)
    }

    /// How long it took last time to make the thing of this name, in any version.
    pub fn last_time(&self, name: &str) -> Option<Duration> {
        let text = fs::read_to_string(self.root.join("times").join(name)).ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Remembers how long it took to make the thing of this name. Only an estimate for people is
    /// lost if it cannot be written.
    pub fn remember_time(&self, name: &str, took: Duration) {
        let times = self.root.join("times");
        let text = took.as_secs().max(1).to_string();
        let _ = fs::create_dir_all(&times).and_then(|()| fs::write(times.join(name), text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_made_by_one_is_waited_for_by_the_other() {
        let root = std::env::temp_dir().join(format!("prbuild-cache-{}", std::process::id()));
        let cache = Cache::at(&root);
        let first = cache
            .lock("kubelet", || panic!("nobody else is at work"))
            .unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        let other = {
            let cache = cache.clone();
            std::thread::spawn(move || cache.lock("kubelet", || told.send(()).unwrap()).is_ok())
        };
        heard.recv().unwrap();
        drop(first);
        assert!(other.join().unwrap());
        fs::remove_dir_all(root).unwrap();
    }
}
