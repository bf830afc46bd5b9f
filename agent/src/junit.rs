//! JUnit XML files of a run: found in the checkout, read, and never believed to be harmless. Which
//! files are looked at, how many bytes of them and for how long is bounded.

mod glob;
mod parse;

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind, Read},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    findings::Found,
    os::{Directory, Kind},
    text::one_line,
};

use glob::Glob;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files that are read.
    pub files: usize,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Time for all of it.
    pub time: Duration,
    /// Entries of directories that are looked at.
    pub entries: usize,
    /// Directories one inside the other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 64,
            bytes: 16 << 20,
            time: Duration::from_secs(5),
            entries: 200_000,
            depth: 32,
        }
    }
}

/// Reads the files beneath `root` that match; answers what was found, and lines for the log about
/// what was not read.
pub fn read(root: &Path, globs: &[String], limits: Limits) -> (Found, Vec<String>) {
    let mut search = Search {
        limits,
        end: Instant::now() + limits.time,
        entries: 0,
        files: BTreeSet::new(),
        lines: Vec::new(),
    };
    let mut found = Found::default();
    match Directory::open(root) {
        Ok(directory) => search.read(&directory, globs, &mut found),
        Err(error) => search.say(&format!("no file is read: the checkout is gone ({error})")),
    }
    (found, search.lines)
}

struct Search {
    limits: Limits,
    end: Instant,
    entries: usize,
    files: BTreeSet<String>,
    lines: Vec<String>,
}

impl Search {
    fn read(&mut self, root: &Directory, globs: &[String], found: &mut Found) {
        for text in globs {
            let before = self.files.len();
            self.walk(root, "", Glob::new(text).parts(), 0);
            if self.files.len() == before {
                self.say(&format!("no file matches `{text}`"));
            }
        }
        if self.is_late() || self.entries >= self.limits.entries {
            self.say("not all directories were looked at: there are too many files");
        }
        let files = std::mem::take(&mut self.files);
        if files.len() > self.limits.files {
            let (limit, count) = (self.limits.files, files.len());
            self.say(&format!("only the first {limit} of {count} files are read"));
        }
        let mut left = self.limits.bytes;
        for path in files.iter().take(self.limits.files) {
            if self.is_late() {
                self.say("the files took too long to read; the rest is left out");
                return;
            }
            let text = match content(root, path, left) {
                Ok(text) => text,
                Err(error) => {
                    self.say(&format!("`{path}` is not read: {error}"));
                    continue;
                }
            };
            left = left.saturating_sub(text.len() as u64);
            if let Err(why) = parse::read(&text, self.end, found) {
                self.say(&format!("`{path}` is read only in part: {why}"));
            }
        }
    }

    /// Finds the files beneath a directory that match the rest of a path.
    fn walk(&mut self, directory: &Directory, path: &str, parts: &[glob::Part], depth: usize) {
        let Some((part, rest)) = parts.split_first() else {
            return;
        };
        if depth > self.limits.depth || self.is_late() {
            return;
        }
        let beneath = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        match part {
            glob::Part::Name(name) if rest.is_empty() => {
                if directory.file(name).is_ok() {
                    self.files.insert(beneath(name));
                }
            }
            glob::Part::Name(name) => {
                if let Ok(next) = directory.enter(name) {
                    self.walk(&next, &beneath(name), rest, depth + 1);
                }
            }
            part => {
                if matches!(part, glob::Part::Any) {
                    self.walk(directory, path, rest, depth);
                }
                for (name, kind) in self.list(directory) {
                    match kind {
                        Kind::Directory if name == ".git" => {}
                        Kind::Directory => {
                            let Some(parts) = part.inside(&name, parts, rest) else {
                                continue;
                            };
                            if let Ok(next) = directory.enter(&name) {
                                self.walk(&next, &beneath(&name), parts, depth + 1);
                            }
                        }
                        Kind::File if rest.is_empty() && part.is(&name) => {
                            self.files.insert(beneath(&name));
                        }
                        Kind::File | Kind::Other => {}
                    }
                }
            }
        }
    }

    /// What is in a directory, as far as the limits go.
    fn list(&mut self, directory: &Directory) -> Vec<(String, Kind)> {
        let mut list = Vec::new();
        let Ok(entries) = directory.entries() else {
            return list;
        };
        for entry in entries {
            self.entries += 1;
            if self.entries >= self.limits.entries || self.is_late() {
                break;
            }
            list.push(entry);
        }
        list
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.end
    }

    fn say(&mut self, text: &str) {
        const LINES: usize = 20;
        if self.lines.len() < LINES {
            self.lines.push(format!("JUnit: {}", one_line(text, 300)));
        }
    }
}

/// The text of a file of at most `limit` bytes.
fn content(root: &Directory, path: &str, limit: u64) -> io::Result<String> {
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, "all files together are too large");
    let file = root.file_at(path)?;
    if file.metadata()?.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
