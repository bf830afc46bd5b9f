//! The message that an executor leaves: a pod's termination message.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::os;

/// Writes the message over whatever is there. The code of a pull request may have written to the
/// file, or put a link or something else in its place.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = match os::open_overwrite(path) {
        Ok(file) => file,
        Err(_) => {
            // Removes a link and not what it points to. What cannot be removed is a second error.
            std::fs::remove_file(path)?;
            os::open_overwrite(path)?
        }
    };
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn what_the_build_scribbled_is_overwritten() {
        let scratch = Scratch::new();
        let file = scratch.path("message");
        std::fs::write(&file, "x".repeat(10_000)).unwrap();
        write(&file, "short").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "short");
    }

    #[test]
    fn a_link_in_the_place_of_the_message_is_not_followed() {
        let scratch = Scratch::new();
        let (file, victim) = (scratch.path("message"), scratch.path("victim"));
        std::fs::write(&victim, "keep").unwrap();
        std::os::unix::fs::symlink(&victim, &file).unwrap();
        write(&file, "message").unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "keep");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "message");
        assert!(std::fs::symlink_metadata(&file).unwrap().is_file());
    }

    #[test]
    fn a_named_pipe_in_its_place_does_not_block() {
        let scratch = Scratch::new();
        let file = scratch.path("message");
        let mut mkfifo = std::process::Command::new("mkfifo");
        crate::testing::run(mkfifo.arg(&file));
        write(&file, "message").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "message");
    }
}
