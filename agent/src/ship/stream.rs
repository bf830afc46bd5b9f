//! The log as one row of bytes, made of files and of our own notes. The same parts always make the
//! same bytes, so that a sidecar that was restarted goes on where the one before was killed.

use std::fs::File;

use crate::os;

/// What stands where the build's log could not be read any more.
pub const LOST_NOTE: &str = "\n▲ The log ends here: its file was cut short, replaced or could not be \
                             written while the build ran.\n";

/// The log so far.
#[derive(Debug, Default)]
pub struct LogStream {
    parts: Vec<Part>,
    /// Where [`LOST_NOTE`] stands instead of what follows.
    lost: Option<u64>,
}

#[derive(Debug)]
struct Part {
    what: What,
    length: u64,
}

#[derive(Debug)]
enum What {
    File { file: File, from: u64 },
    Text(String),
}

impl LogStream {
    /// Bytes that can be read.
    pub fn len(&self) -> u64 {
        match self.lost {
            Some(at) => at + LOST_NOTE.len() as u64,
            None => self.found(),
        }
    }

    /// Bytes of all parts, also those that were lost later.
    pub fn found(&self) -> u64 {
        self.parts.iter().map(|part| part.length).sum()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes on with a file, from a place in it.
    pub fn add_file(&mut self, file: File, from: u64, length: u64) {
        let what = What::File { file, from };
        self.parts.push(Part { what, length });
    }

    /// Goes on with a text of ours.
    pub fn add_text(&mut self, text: String) {
        let length = text.len() as u64;
        let what = What::Text(text);
        self.parts.push(Part { what, length });
    }

    /// Looks how long the last file has become, up to a limit; answers whether it became shorter.
    pub fn measure(&mut self, limit: u64) -> bool {
        let Some(part) = self.parts.last_mut() else {
            return false;
        };
        let What::File { file, from } = &part.what else {
            return false;
        };
        // A file that cannot be asked is as one that is gone.
        let size = file.metadata().map_or(0, |meta| meta.len());
        let now = size.saturating_sub(*from).min(limit);
        let is_shorter = now < part.length;
        part.length = part.length.max(now);
        is_shorter
    }

    /// Ends the log at an offset, with a note.
    pub fn lose(&mut self, at: u64) {
        self.lost = Some(at);
    }

    /// Where the log was ended with a note.
    pub fn lost(&self) -> Option<u64> {
        self.lost
    }

    /// The bytes from an offset on, at most `limit`. What is not there any more loses the log there.
    pub fn read(&mut self, offset: u64, limit: usize) -> Vec<u8> {
        if self.lost.is_none_or(|lost| offset < lost) {
            let end = self.lost.unwrap_or(u64::MAX);
            let bytes = self.read_parts(offset, limit, end);
            if !bytes.is_empty() || offset >= self.len() || limit == 0 {
                return bytes;
            }
            self.lose(offset);
        }
        let lost = self.lost.unwrap_or(offset);
        let begin = usize::try_from(offset - lost).unwrap_or(usize::MAX);
        let note = LOST_NOTE.as_bytes().get(begin..).unwrap_or_default();
        note[..note.len().min(limit)].to_vec()
    }

    /// Reads from the first part that has bytes of this place, up to `end`.
    fn read_parts(&self, offset: u64, limit: usize, end: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut begin = 0;
        for part in &self.parts {
            let at = offset + bytes.len() as u64;
            let skip = at.saturating_sub(begin);
            begin += part.length;
            let left = part.length.saturating_sub(skip).min(end.saturating_sub(at));
            let room = limit - bytes.len();
            let count = usize::try_from(left).map_or(room, |left| left.min(room));
            if count > 0 && !part.read(skip, count, &mut bytes) {
                break;
            }
        }
        bytes
    }
}

impl Part {
    /// Adds `count` bytes of this part; answers whether they are all there.
    fn read(&self, skip: u64, count: usize, to: &mut Vec<u8>) -> bool {
        match &self.what {
            What::Text(text) => {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                let text = text.as_bytes().get(skip..).unwrap_or_default();
                to.extend_from_slice(&text[..count.min(text.len())]);
                true
            }
            What::File { file, from } => {
                let begin = to.len();
                to.resize(begin + count, 0);
                let read = os::read_at(file, &mut to[begin..], from + skip).unwrap_or(0);
                to.truncate(begin + read);
                read == count
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn file(scratch: &Scratch, name: &str, content: &str) -> File {
        std::fs::write(scratch.path(name), content).unwrap();
        File::open(scratch.path(name)).unwrap()
    }

    fn text(stream: &mut LogStream, offset: u64, limit: usize) -> String {
        String::from_utf8(stream.read(offset, limit)).unwrap()
    }

    #[test]
    fn parts_read_as_one_from_everywhere() {
        let scratch = Scratch::new();
        let mut stream = LogStream::default();
        stream.add_file(file(&scratch, "one", "abc"), 0, 3);
        stream.add_text("NOTE".into());
        stream.add_file(file(&scratch, "two", "..xyz"), 2, 3);
        let all = "abcNOTExyz";
        for offset in 0..=all.len() {
            for limit in 0..=all.len() {
                let end = all.len().min(offset + limit);
                assert_eq!(text(&mut stream, offset as u64, limit), all[offset..end]);
            }
        }
        assert_eq!((stream.len(), stream.lost()), (10, None));
        assert_eq!(stream.read(u64::MAX, 10), b"");
    }

    #[test]
    fn a_file_that_became_shorter_ends_with_a_note_and_nothing_is_read_twice() {
        let scratch = Scratch::new();
        let mut stream = LogStream::default();
        stream.add_file(file(&scratch, "log", "abcdef"), 0, 0);
        assert!(!stream.measure(100));
        assert_eq!(text(&mut stream, 0, 4), "abcd");
        std::fs::write(scratch.path("log"), "ab").unwrap();
        assert!(stream.measure(100));
        assert_eq!(text(&mut stream, 4, 200), LOST_NOTE);
        assert_eq!(stream.lost(), Some(4));
        assert_eq!(stream.read(5, 1), LOST_NOTE.as_bytes()[1..2]);
        let end = stream.len();
        assert_eq!(text(&mut stream, end, 200), "");
        // A gateway that has forgotten something gets what there still is.
        assert_eq!(text(&mut stream, 1, 1), "b");
        assert_eq!(text(&mut stream, 2, 200), LOST_NOTE);
    }
}
