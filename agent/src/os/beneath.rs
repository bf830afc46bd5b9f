//! Directories and files beneath one directory, whatever the code of a pull request put there: one
//! name at a time, never through a link, never waiting for a named pipe.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

/// What a name in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A link, a pipe, a device, or unknown.
    Other,
}

/// An open directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens a directory that is not a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a directory in this one.
    pub fn enter(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = one_name(name)?;
        Ok(Self(rustix::fs::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }

    /// Opens a regular file in this directory for reading.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let name = one_name(name)?;
        let opened = rustix::fs::openat(&self.0, name, OFlags::RDONLY | safe, Mode::empty())?;
        let file = File::from(opened);
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }

    /// Makes a file in this directory for writing, and removes what had its name: a link itself and
    /// not what it points to. A directory stays, and is an error.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let name = one_name(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let make = || rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644));
        let made = match make() {
            Err(Errno::EXIST) => {
                self.remove(name)?;
                make()
            }
            made => made,
        };
        Ok(File::from(made?))
    }

    /// Removes a file or link from this directory.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let name = one_name(name)?;
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Opens a regular file by its path beneath this directory.
    pub fn file_at(&self, path: &str) -> io::Result<File> {
        let Some((first, rest)) = path.split_once('/') else {
            return self.file(path);
        };
        let mut directory = self.enter(first)?;
        let mut rest = rest;
        while let Some((name, after)) = rest.split_once('/') {
            directory = directory.enter(name)?;
            rest = after;
        }
        directory.file(rest)
    }

    /// What is in the directory, in no order. Names that are not UTF-8 are left out.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = (String, Kind)>> {
        let mut entries = Dir::read_from(&self.0)?;
        let next = move || entries.read();
        Ok(std::iter::from_fn(next)
            .map_while(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().to_str().ok()?;
                let kind = match entry.file_type() {
                    FileType::Directory => Kind::Directory,
                    FileType::RegularFile => Kind::File,
                    // Some file systems do not say; opening it will tell.
                    FileType::Unknown if !matches!(name, "." | "..") => Kind::File,
                    _ => Kind::Other,
                };
                (!matches!(name, "." | "..")).then(|| (name.to_owned(), kind))
            }))
    }
}

fn one_name(name: &str) -> io::Result<&str> {
    match name {
        "" | "." | ".." => Err(io::Error::new(ErrorKind::InvalidInput, "it is no name")),
        name if name.contains('/') => Err(io::Error::new(ErrorKind::InvalidInput, "it is a path")),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn nothing_outside_is_opened_and_nothing_blocks() {
        let scratch = Scratch::new();
        let (root, outside) = (scratch.path("root"), scratch.path("outside"));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "s").unwrap();
        std::fs::write(root.join("a/b/file"), "f").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink("a", root.join("inner")).unwrap();
        symlink("../outside/secret", root.join("secret")).unwrap();
        crate::testing::run(std::process::Command::new("mkfifo").arg(root.join("pipe")));
        let directory = Directory::open(&root).unwrap();
        assert!(directory.file_at("a/b/file").is_ok());
        for path in [
            "../outside/secret",
            "link/secret",
            "inner/b/file",
            "secret",
            "pipe",
            "a",
            "a/b",
            "a//b/file",
            "./a/b/file",
            "a/b/file/x",
            "/etc/passwd",
            "",
        ] {
            assert!(directory.file_at(path).is_err(), "{path}");
        }
        assert!(Directory::open(&root.join("link")).is_err());
        let mut entries: Vec<(String, Kind)> = directory.entries().unwrap().collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        let kinds: Vec<Kind> = entries.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds[0], Kind::Directory, "{entries:?}");
        assert!(
            kinds[1..].iter().all(|kind| *kind == Kind::Other),
            "{entries:?}"
        );
    }
}
