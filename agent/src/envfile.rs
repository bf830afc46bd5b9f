//! The files that a step writes for the steps after it: `GITHUB_ENV` and `GITHUB_PATH`, as GitHub
//! Actions reads them. Pure; the text is an attacker's.

use protocol::is_reserved_variable;

use crate::env::{HANDED_ON_LIMIT, HandedOn, VAR_LIMIT};

/// Bytes of such a file that are read; a longer one is not taken at all.
pub const FILE_LIMIT: u64 = 1 << 20;

/// Why a whole file is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Neither `NAME=value` nor the start of a block.
    #[error("line {0} is neither `NAME=value` nor `NAME<<DELIMITER`")]
    Line(usize),
    /// A block without an end.
    #[error("the block that line {0} begins has no end")]
    OpenBlock(usize),
}

/// Adds what a `GITHUB_ENV` file sets; answers why single variables were left out.
pub fn add_vars(content: &[u8], to: &mut HandedOn) -> Result<Vec<String>, FileError> {
    let mut left_out = Vec::new();
    for (name, value) in pairs(content)? {
        let why = if !is_name(&name) {
            "the name is not made of letters, digits and `_`"
        } else if is_reserved_variable(&name) {
            "the name is reserved"
        } else if value.contains('\0') {
            "the value has a NUL byte in it"
        } else if name.len() + value.len() > VAR_LIMIT {
            "it is longer than 120 KiB"
        } else if to.size() + name.len() + value.len() > HANDED_ON_LIMIT {
            "all variables together are longer than 1 MiB"
        } else {
            to.vars.insert(name, value);
            continue;
        };
        left_out.push(format!("variable `{name}` is not set: {why}"));
    }
    Ok(left_out)
}

/// Adds the directories of a `GITHUB_PATH` file; answers why single ones were left out.
pub fn add_path(content: &[u8], to: &mut HandedOn) -> Result<Vec<String>, FileError> {
    let text = std::str::from_utf8(content).map_err(|_| FileError::NotText)?;
    let mut left_out = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let path: usize = to.path.iter().map(String::len).sum();
        let why = if line.contains([':', '\0']) {
            "it has `:` or NUL in it"
        } else if path + line.len() > VAR_LIMIT / 4 {
            "the search path would be longer than 30 KiB"
        } else {
            to.path.push(line.into());
            continue;
        };
        left_out.push(format!("directory `{line}` is not searched: {why}"));
    }
    Ok(left_out)
}

/// The variables of a file, in order: `NAME=value` lines, and blocks
/// `NAME<<DELIMITER`, lines, `DELIMITER`.
fn pairs(content: &[u8]) -> Result<Vec<(String, String)>, FileError> {
    let text = std::str::from_utf8(content).map_err(|_| FileError::NotText)?;
    let mut lines = text.lines().enumerate();
    let mut pairs = Vec::new();
    while let Some((number, line)) = lines.next() {
        let number = number + 1;
        let equals = line.find('=').unwrap_or(usize::MAX);
        let (name, value) = match line.find("<<") {
            _ if line.is_empty() => continue,
            Some(at) if at < equals => {
                let delimiter = &line[at + 2..];
                if delimiter.is_empty() {
                    return Err(FileError::Line(number));
                }
                let mut block = Vec::new();
                loop {
                    match lines.next() {
                        Some((_, line)) if line == delimiter => break,
                        Some((_, line)) => block.push(line),
                        None => return Err(FileError::OpenBlock(number)),
                    }
                }
                (&line[..at], block.join("\n"))
            }
            _ => match line.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => return Err(FileError::Line(number)),
            },
        };
        if name.is_empty() {
            return Err(FileError::Line(number));
        }
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> (Vec<(String, String)>, usize) {
        let mut to = HandedOn::default();
        let left_out = add_vars(content.as_bytes(), &mut to).unwrap();
        (to.vars.into_iter().collect(), left_out.len())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn the_forms_of_github_actions_are_read() {
        for (content, expected) in [
            ("", vec![]),
            ("\n\n", vec![]),
            ("A=1", vec![pair("A", "1")]),
            ("A=1\r\nB=2\r\n", vec![pair("A", "1"), pair("B", "2")]),
            ("A=", vec![pair("A", "")]),
            ("A=b=c<<d", vec![pair("A", "b=c<<d")]),
            ("A=1\nA=2\n", vec![pair("A", "2")]),
            (
                "A<<EOF\none\n\ntwo=2\nEOF\nB=3",
                vec![pair("A", "one\n\ntwo=2"), pair("B", "3")],
            ),
            ("A<<=\nx\n=\n", vec![pair("A", "x")]),
            ("A<<EOF\nEOF\n", vec![pair("A", "")]),
        ] {
            assert_eq!(read(content), (expected, 0), "{content:?}");
        }
    }

    #[test]
    fn a_broken_file_is_not_taken_and_says_where_it_breaks() {
        let mut to = HandedOn::default();
        for (content, error) in [
            (&b"A=1\nplain"[..], FileError::Line(2)),
            (b"=1", FileError::Line(1)),
            (b"<<EOF\nEOF", FileError::Line(1)),
            (b"A<<\nx", FileError::Line(1)),
            (b"A=1\nB<<EOF\nx", FileError::OpenBlock(2)),
            (b"A=\xff", FileError::NotText),
        ] {
            assert_eq!(add_vars(content, &mut to), Err(error));
        }
        assert_eq!(to, HandedOn::default());
    }

    #[test]
    fn reserved_and_impossible_variables_are_left_out() {
        for name in [
            "GITHUB_SHA",
            "github_token",
            "RUNNER_TEMP",
            "PRBUILD_WORK",
            "A B",
            "1A",
            "Ä",
        ] {
            assert_eq!(
                read(&format!("{name}=1\nOK=1")),
                (vec![pair("OK", "1")], 1),
                "{name}"
            );
        }
        assert_eq!(read("A=\0"), (vec![], 1));
        assert_eq!(read(&format!("A={}", "x".repeat(VAR_LIMIT))), (vec![], 1));
    }

    #[test]
    fn all_variables_together_stay_small_enough_to_start_a_program() {
        let mut to = HandedOn::default();
        for n in 0..20 {
            let line = format!("V{n}={}", "x".repeat(100 << 10));
            add_vars(line.as_bytes(), &mut to).unwrap();
        }
        assert_eq!(to.vars.len(), 10);
    }

    #[test]
    fn directories_are_added_in_order() {
        let mut to = HandedOn::default();
        let left_out = add_path(b"/a\r\n\n/b c\n/d:/e\n/f\0", &mut to).unwrap();
        assert_eq!(to.path, ["/a", "/b c"]);
        assert_eq!(left_out.len(), 2);
        add_path("/x".repeat(20 << 10).as_bytes(), &mut to).unwrap();
        assert_eq!(to.path.len(), 2);
    }
}
