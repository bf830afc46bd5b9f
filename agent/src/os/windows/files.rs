//! Files that the code of a pull request may have prepared: opened only if they are regular, never
//! through a link.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// `FILE_FLAG_OPEN_REPARSE_POINT`: a link itself and not what it points to.
const THE_LINK_ITSELF: u32 = 0x0020_0000;
/// `FILE_ATTRIBUTE_REPARSE_POINT`.
const IS_A_LINK: u32 = 0x0400;

/// What a name in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A link, or anything else.
    Other,
}

/// A directory, by its path.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Opens a directory that is not a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let meta = path.symlink_metadata()?;
        match meta.is_dir() && meta.file_attributes() & IS_A_LINK == 0 {
            true => Ok(Self(path.into())),
            false => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens a directory in this one.
    pub fn enter(&self, name: &str) -> io::Result<Self> {
        Self::open(&self.0.join(one_name(name)?))
    }

    /// Opens a regular file in this directory for reading.
    pub fn file(&self, name: &str) -> io::Result<File> {
        open_regular(&self.0.join(one_name(name)?))
    }

    /// Makes a file in this directory for writing, and removes what had its name.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let path = self.0.join(one_name(name)?);
        match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                std::fs::remove_file(&path)?;
                File::create_new(&path)
            }
            made => made,
        }
    }

    /// Removes a file or link from this directory.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(one_name(name)?))
    }

    /// Opens a regular file by its path beneath this directory.
    pub fn file_at(&self, path: &str) -> io::Result<File> {
        match path.split_once('/') {
            Some((first, rest)) => self.enter(first)?.file_at(rest),
            None => self.file(path),
        }
    }

    /// What is in the directory, in no order. Names that are not Unicode are left out.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = (String, Kind)>> {
        Ok(std::fs::read_dir(&self.0)?.filter_map(|entry| {
            let entry = entry.ok()?;
            let meta = entry.metadata().ok()?;
            let kind = match meta.file_attributes() & IS_A_LINK {
                0 if meta.is_dir() => Kind::Directory,
                0 => Kind::File,
                _ => Kind::Other,
            };
            Some((entry.file_name().into_string().ok()?, kind))
        }))
    }
}

fn one_name(name: &str) -> io::Result<&str> {
    let wrong = |words: &str| Err(io::Error::new(ErrorKind::InvalidInput, words.to_owned()));
    match name {
        "" | "." | ".." => wrong("it is no name"),
        name if name.contains(['/', '\\', ':']) => wrong("it is a path"),
        name => Ok(name),
    }
}

/// Opens a file for reading if it is a regular file and no link.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    regular(
        options
            .read(true)
            .custom_flags(THE_LINK_ITSELF)
            .open(path)?,
    )
}

/// Opens a file to write it anew: created if absent, emptied if it is a regular file and no link.
pub fn open_overwrite(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let file = regular(options.custom_flags(THE_LINK_ITSELF).open(path)?)?;
    file.set_len(0)?;
    Ok(file)
}

fn regular(file: File) -> io::Result<File> {
    let meta = file.metadata()?;
    match meta.is_file() && meta.file_attributes() & IS_A_LINK == 0 {
        true => Ok(file),
        false => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "not a regular file",
        )),
    }
}

/// Reads from a place of a file; fewer bytes than fit only at its end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.seek_read(&mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
