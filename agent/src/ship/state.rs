//! What a sidecar remembers when it is restarted, in a directory that nobody else has: that it is the
//! same sender, and where it gave the build's log up.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::say;
use crate::os;

const WRITER: &str = "writer";
const LOST: &str = "lost";

/// The directory, and what is in it.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    writer: String,
    lost: Option<u64>,
}

impl State {
    /// Reads what a sidecar before left, or begins. What cannot be written down is told, and is
    /// missed only after a restart.
    pub fn load(directory: &Path) -> io::Result<Self> {
        let writer = match read(&directory.join(WRITER)) {
            Some(writer) if is_writer(&writer) => writer,
            _ => {
                let writer = random_id()?;
                write(&directory.join(WRITER), &writer);
                writer
            }
        };
        Ok(Self {
            writer,
            lost: read(&directory.join(LOST)).and_then(|text| text.parse().ok()),
            directory: directory.into(),
        })
    }

    /// Who sends: 32 hexadecimal digits.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// The offset from which on the log could not be read.
    pub fn lost(&self) -> Option<u64> {
        self.lost
    }

    /// Remembers where the log could not be read any more.
    pub fn lose(&mut self, at: u64) {
        self.lost = Some(at);
        write(&self.directory.join(LOST), &at.to_string());
    }
}

fn is_writer(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    os::random(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = os::open_regular(path).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whole or not at all: this program may be killed at any moment.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(new, path));
    if let Err(error) = written {
        say(&format!("{} cannot be written: {error}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_restarted_sidecar_is_the_same_sender_and_knows_what_it_lost() {
        let scratch = Scratch::new();
        let mut state = State::load(scratch.root()).unwrap();
        assert!(is_writer(state.writer()));
        assert_eq!(state.lost(), None);
        state.lose(7);
        let again = State::load(scratch.root()).unwrap();
        assert_eq!((again.writer(), again.lost()), (state.writer(), Some(7)));
        let other = Scratch::new();
        assert_ne!(State::load(other.root()).unwrap().writer(), state.writer());
    }

    #[test]
    fn what_was_half_written_is_written_anew() {
        let scratch = Scratch::new();
        for text in ["", "abc", "g0000000000000000000000000000000"] {
            std::fs::write(scratch.path(WRITER), text).unwrap();
            assert!(is_writer(State::load(scratch.root()).unwrap().writer()));
        }
    }
}
