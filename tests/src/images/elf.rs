//! For which machines programs are, as they say themselves.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Architecture;

impl Architecture {
    /// The number by which programs in the format ELF name it.
    pub(super) fn elf(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

/// The number of the machine that a program or library is for; none where a file is neither.
pub(super) fn machine(file: &Path) -> io::Result<Option<u16>> {
    let mut head = Vec::new();
    File::open(file)?.take(20).read_to_end(&mut head)?;
    let is_program = head.len() == 20 && head.starts_with(b"\x7fELF");
    // Both kinds of machine have the lower byte first.
    Ok(is_program.then(|| u16::from_le_bytes([head[18], head[19]])))
}

/// A program or library below a directory that is for another machine.
pub(super) fn of_another(dir: &Path, wanted: Architecture) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let found = if kind.is_dir() {
            of_another(&path, wanted)?
        } else if kind.is_file() {
            let machine = machine(&path)?;
            machine.filter(|found| *found != wanted.elf()).map(|_| path)
        } else {
            None
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(machine: Architecture) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend(machine.elf().to_le_bytes());
        bytes.extend(b"more");
        bytes
    }

    #[test]
    fn a_program_for_another_machine_is_found_wherever_it_lies() {
        let name = format!("prbuild-elf-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let deep = dir.join("usr/bin");
        fs::create_dir_all(&deep).unwrap();
        fs::write(dir.join("text"), "\x7fEL").unwrap();
        fs::write(deep.join("agent"), program(Architecture::Arm64)).unwrap();
        assert_eq!(of_another(&dir, Architecture::Arm64).unwrap(), None);
        fs::write(deep.join("git"), program(Architecture::Amd64)).unwrap();
        let found = of_another(&dir, Architecture::Arm64).unwrap();
        assert_eq!(found, Some(deep.join("git")));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn this_program_is_for_this_machine() {
        let this = std::env::current_exe().unwrap();
        let wanted = Architecture::of_machine().elf();
        assert_eq!(machine(&this).unwrap(), Some(wanted));
    }
}
