//! One spool as a sidecar sees it. Whoever may write to it is not trusted: each file is opened by its
//! name in the directory, never through a link, never waiting, and only if it is a regular file.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
};

use protocol::log::{SPOOL_END, SPOOL_LOG, SpoolEnd, TAIL_PIECES};

use crate::{os::Directory, spool::piece_name};

/// Bytes that the end's file can have.
const END_LIMIT: u64 = 256;
/// Names in the directory that are looked at.
const NAMES_LIMIT: usize = 10_000;

/// A file of a spool.
#[derive(Debug)]
pub enum Found {
    /// There is none, or not yet.
    Nothing,
    /// What has its name cannot be read, or is no regular file.
    Unusable,
    /// The file.
    File(File),
}

/// A spool's directory.
#[derive(Debug)]
pub struct SpoolReader {
    path: PathBuf,
    directory: Option<Directory>,
}

impl SpoolReader {
    /// A directory that may not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            directory: None,
        }
    }

    /// Looks for a file.
    pub fn find(&mut self, name: &str) -> Found {
        let Some(directory) = self.directory() else {
            return Found::Nothing;
        };
        match directory.file(name) {
            Ok(file) => Found::File(file),
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Unusable,
        }
    }

    /// What the executor said at its end, if it did.
    pub fn end(&mut self) -> Option<SpoolEnd> {
        let Found::File(file) = self.find(SPOOL_END) else {
            return None;
        };
        let mut text = Vec::new();
        file.take(END_LIMIT).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The last pieces of the log, in order, with the number of the first one: those that follow one
    /// another and that an executor would have kept.
    pub fn pieces(&mut self) -> (u64, Vec<File>) {
        let last = self.last_piece().unwrap_or(0);
        let mut files = Vec::new();
        let mut first = last + 1;
        while first > 1 && (files.len() as u64) <= TAIL_PIECES {
            let Found::File(file) = self.find(&piece_name(first - 1)) else {
                break;
            };
            files.push(file);
            first -= 1;
        }
        files.reverse();
        (first, files)
    }

    fn last_piece(&mut self) -> Option<u64> {
        let prefix = format!("{SPOOL_LOG}.");
        let entries = self.directory()?.entries().ok()?;
        let number = |name: &str| name.strip_prefix(&prefix)?.parse::<u32>().ok();
        let numbers = entries
            .take(NAMES_LIMIT)
            .filter_map(|(name, _)| number(&name));
        numbers.max().map(u64::from)
    }

    fn directory(&mut self) -> Option<&Directory> {
        if self.directory.is_none() {
            self.directory = Directory::open(&self.path).ok();
        }
        self.directory.as_ref()
    }
}
