//! CMake's `ctest`: the list after `The following tests FAILED:`.

use super::Reader;
use crate::findings::Found;

/// Reads the output of `ctest`.
#[derive(Debug, Default)]
pub struct Ctest {
    found: Found,
    in_list: bool,
}

impl Reader for Ctest {
    fn line(&mut self, line: &str) {
        if self.in_list {
            match entry(line) {
                Some(name) => {
                    self.found.fail(name);
                }
                None => self.in_list = false,
            }
        }
        if line.starts_with("The following tests FAILED:") {
            self.in_list = true;
        }
    }

    fn end(self: Box<Self>) -> Found {
        self.found
    }
}

/// `<TAB>  3 - slow (Timeout)`, with the test's labels behind it.
fn entry(line: &str) -> Option<&str> {
    let (number, rest) = line.trim_start().split_once(" - ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let (name, why) = rest.rsplit_once(" (")?;
    (is_number && why.contains(')')).then_some(name)
}
