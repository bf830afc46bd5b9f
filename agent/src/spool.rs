//! The spool: what is printed, kept in a directory for whoever ships it. The beginning and the end of
//! the log, [`Mark`]s, and at last a word that nothing more comes; the names are in
//! [`protocol::log`].
//!
//! In a pod the code of a pull request can write to the same directory. It can spoil its own log that
//! way and nothing else: files are made anew, never opened where something lies already.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use protocol::log::{
    LogLimits, MARK_LINE_LIMIT, MARKS_LIMIT, Mark, MarkKind, SPOOL_END, SPOOL_LOG, SPOOL_MARKS,
    SpoolEnd, TAIL_PIECES,
};

use crate::os::Directory;

/// A file of the spool that cannot be written: a full disk, or something in its place.
#[derive(Debug, thiserror::Error)]
#[error("the spool's file `{name}` cannot be written: {source}")]
pub struct SpoolError {
    name: String,
    source: io::Error,
}

/// A spool being written.
#[derive(Debug)]
pub struct Spool {
    directory: Directory,
    limits: LogLimits,
    /// Bytes so far, also those that are not kept any more.
    printed: u64,
    log: File,
    /// Which piece of the end is being written; 0 is the beginning.
    piece: u64,
    /// Bytes that still fit into it.
    room: u64,
    marks: Marks,
}

impl Spool {
    /// Begins a spool in a directory that exists.
    pub fn new(directory: &Path, limits: LogLimits) -> Result<Self, SpoolError> {
        let directory = Directory::open(directory).map_err(|source| SpoolError {
            name: directory.display().to_string(),
            source,
        })?;
        Ok(Self {
            // Before the log: who sees the log finds the marks too.
            marks: Marks::new(create(&directory, SPOOL_MARKS)?),
            log: create(&directory, SPOOL_LOG)?,
            directory,
            limits,
            printed: 0,
            piece: 0,
            room: limits.head,
        })
    }

    /// Takes what was printed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let now = now();
        if !bytes.is_empty() && self.marks.is_time_due(now) {
            self.marks.write(self.printed, now, MarkKind::Time)?;
        }
        let mut left = bytes;
        while !left.is_empty() {
            if self.room == 0 {
                self.next_piece()?;
            }
            let fits = usize::try_from(self.room).map_or(left.len(), |room| room.min(left.len()));
            let (now, later) = left.split_at(fits);
            self.log
                .write_all(now)
                .map_err(|source| SpoolError::new(&piece_name(self.piece), source))?;
            self.room -= fits as u64;
            self.printed += fits as u64;
            left = later;
        }
        Ok(())
    }

    /// Notes what is at this place of the log. What there is no room for is left out.
    pub fn mark(&mut self, what: MarkKind) -> Result<(), SpoolError> {
        self.marks.write(self.printed, now(), what)
    }

    /// Says that nothing more comes.
    pub fn end(self) -> Result<(), SpoolError> {
        let end = SpoolEnd {
            bytes: self.printed,
        };
        let written = create(&self.directory, SPOOL_END)?.write_all(&json(&end));
        written.map_err(|source| SpoolError::new(SPOOL_END, source))
    }

    /// Goes on in another file, and forgets the one that is too old by then.
    fn next_piece(&mut self) -> Result<(), SpoolError> {
        self.piece += 1;
        self.log = create(&self.directory, &piece_name(self.piece))?;
        self.room = piece_size(self.limits);
        if let Some(old @ 1..) = self.piece.checked_sub(TAIL_PIECES + 1) {
            // What somebody else removed is gone as well.
            let _ = self.directory.remove(&piece_name(old));
        }
        Ok(())
    }
}

impl SpoolError {
    fn new(name: &str, source: io::Error) -> Self {
        Self {
            name: name.into(),
            source,
        }
    }
}

/// Bytes of one piece of the log's end.
pub fn piece_size(limits: LogLimits) -> u64 {
    (limits.tail / TAIL_PIECES).max(1)
}

/// The file of a piece; 0 is the beginning.
pub fn piece_name(number: u64) -> String {
    match number {
        0 => SPOOL_LOG.into(),
        number => format!("{SPOOL_LOG}.{number}"),
    }
}

/// The marks, in a file that does not grow beyond [`MARKS_LIMIT`].
#[derive(Debug)]
struct Marks {
    file: File,
    used: u64,
    /// When the last mark of any kind was made.
    last: Option<i64>,
}

impl Marks {
    fn new(file: File) -> Self {
        Self {
            file,
            used: 0,
            last: None,
        }
    }

    /// Whether bytes that are printed now need a mark of their time. The longer it goes on, the fewer
    /// there are, so that the room for them lasts for half a day.
    fn is_time_due(&self, now: i64) -> bool {
        let pause = 1000 << (self.used / (MARKS_LIMIT / 8));
        // Clocks are set back, too.
        self.last
            .is_none_or(|last| now.abs_diff(last) >= pause.min(60_000))
    }

    fn write(&mut self, at: u64, ms: i64, what: MarkKind) -> Result<(), SpoolError> {
        let room = room_for(&what);
        let mut mark = Mark { at, ms, what };
        let mut line = json(&mark);
        while let MarkKind::Summary { text, .. } = &mut mark.what
            && line.len() >= MARK_LINE_LIMIT
        {
            // Characters that JSON writes as six made it long.
            protocol::truncate(text, text.len() / 2);
            line = json(&mark);
        }
        line.push(b'\n');
        let length = line.len() as u64;
        if line.len() > MARK_LINE_LIMIT || self.used + length > room {
            return Ok(());
        }
        self.file
            .write_all(&line)
            .map_err(|source| SpoolError::new(SPOOL_MARKS, source))?;
        self.used += length;
        self.last = Some(ms);
        Ok(())
    }
}

/// How far the file of marks may grow with a mark of that kind: times end first, then summaries.
/// A rest stays for the marks of the checkout and for offsets that get longer on their way.
fn room_for(what: &MarkKind) -> u64 {
    match what {
        MarkKind::Time => MARKS_LIMIT / 2,
        MarkKind::Summary { .. } => MARKS_LIMIT / 8 * 7,
        MarkKind::Step { .. } | MarkKind::End { .. } => MARKS_LIMIT / 16 * 15,
    }
}

fn create(directory: &Directory, name: &str) -> Result<File, SpoolError> {
    directory
        .create(name)
        .map_err(|source| SpoolError::new(name, source))
}

/// These types always have a form as JSON.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_millis().try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
