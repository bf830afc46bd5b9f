//! Files that survive a crash: whole, on the disk before anything depends on them.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// A file of the agent's own that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be {what}: {source}", path.display())]
pub struct FileError {
    path: PathBuf,
    what: &'static str,
    source: io::Error,
}

impl FileError {
    /// What could not be done with which file.
    pub fn new(path: &Path, what: &'static str, source: io::Error) -> Self {
        let path = path.into();
        Self { path, what, source }
    }
}

/// Writes a file whole, readable by its owner alone. When this returns, a power cut does not undo it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_durably(path, bytes, 0o600).map_err(|source| FileError::new(path, "written", source))
}

/// As [`write`], readable for everybody: nothing secret is in it.
pub fn write_open(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_durably(path, bytes, 0o644).map_err(|source| FileError::new(path, "written", source))
}

/// Writes a value as JSON, as [`write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other);
    let bytes = bytes.map_err(|source| FileError::new(path, "written", source))?;
    write(path, &bytes)
}

/// Writes a value as compact JSON, whole: a power cut leaves it, or what was there before. What must not be
/// undone is [settled](settle) next.
pub fn write_compact(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other);
    let written = bytes.and_then(|bytes| write_whole(path, &bytes, 0o600));
    written.map_err(|source| FileError::new(path, "written", source))
}

/// When this returns, a power cut does not undo what was written to a file last.
pub fn settle(path: &Path) -> Result<(), FileError> {
    sync_directory(path).map_err(|source| FileError::new(path, "written", source))
}

/// Reads a value as JSON; nothing where there is no file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let read = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read,
    };
    let value = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
    value
        .map(Some)
        .map_err(|source| FileError::new(path, "read", source))
}

/// Makes a directory that only its owner sees into.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(path);
    made.map_err(|source| FileError::new(path, "made", source))
}

/// Removes a file or directory, if it is there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| FileError::new(path, "removed", source))
}

fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_whole(path, bytes, mode)?;
    sync_directory(path)
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// A new name is on the disk when its directory is.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
