//! Python's `unittest`: a rule of `=`, `FAIL: test_x (module.Class.test_x)`, a rule of `-`, a traceback.

use protocol::Level;

use super::{Reader, is_rule};
use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Reads the output of `python -m unittest`.
#[derive(Debug, Default)]
pub struct Unittest {
    cases: Cases,
    found: Found,
}

impl Unittest {
    fn take(&mut self, case: Option<Case>) {
        let Some(case) = case else { return };
        self.found.fail(&case.name);
        if let Some(draft) = case.draft {
            self.found.annotate(draft);
        }
    }
}

impl Reader for Unittest {
    fn line(&mut self, line: &str) {
        let case = self.cases.line(line);
        self.take(case);
    }

    fn end(mut self: Box<Self>) -> Found {
        let case = self.cases.end();
        self.take(case);
        self.found
    }
}

/// A failing test as `unittest` prints it.
#[derive(Debug)]
pub struct Case {
    /// `module.Class.test`.
    pub name: String,
    /// Where its traceback ends.
    pub draft: Option<Draft>,
}

/// Failing tests out of lines.
#[derive(Debug, Default)]
pub struct Cases {
    after_rule: bool,
    open: Option<Open>,
}

/// A failing test whose traceback is being read.
#[derive(Debug)]
struct Open {
    name: String,
    method: String,
    in_traceback: bool,
    /// The innermost line of the test itself, and of all.
    own: Option<(String, i64)>,
    last: Option<(String, i64)>,
    awaits_message: bool,
    message: String,
}

impl Cases {
    /// Takes a line; tells the failing test that is complete with it.
    pub fn line(&mut self, line: &str) -> Option<Case> {
        if self.after_rule {
            self.after_rule = false;
            self.open = header(line);
            return None;
        }
        match line.as_bytes().first() {
            Some(b'=') if is_rule(line, b'=') => {
                self.after_rule = true;
                self.close()
            }
            Some(b'-') if is_rule(line, b'-') => match &mut self.open {
                Some(open) if !open.in_traceback => {
                    open.in_traceback = true;
                    None
                }
                _ => self.close(),
            },
            Some(_) => {
                if let Some(open) = self.open.as_mut().filter(|open| open.in_traceback) {
                    open.traceback(line);
                }
                None
            }
            None => None,
        }
    }

    /// The failing test that the output broke off in.
    pub fn end(&mut self) -> Option<Case> {
        self.close()
    }

    fn close(&mut self) -> Option<Case> {
        let open = self.open.take()?;
        let draft = open.own.or(open.last).map(|(path, line)| Draft {
            place: Place::Seen(path),
            line,
            end_line: None,
            level: Level::Failure,
            title: open.name.clone(),
            message: match open.message.is_empty() {
                true => "failed".to_owned(),
                false => open.message,
            },
        });
        Some(Case {
            name: open.name,
            draft,
        })
    }
}

impl Open {
    fn traceback(&mut self, line: &str) {
        if let Some((path, number, function)) = frame(line) {
            let at = (path.to_owned(), number);
            if function == self.method {
                self.own = Some(at.clone());
            }
            self.last = Some(at);
            self.awaits_message = true;
        } else if self.awaits_message && !line.starts_with(' ') {
            self.awaits_message = false;
            self.message = line.to_owned();
        }
    }
}

/// `  File "a.py", line 3, in test_x`
fn frame(line: &str) -> Option<(&str, i64, &str)> {
    let (path, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    Some((path, number.trim().parse().ok()?, function.trim()))
}

/// `FAIL: test_x (module.Class.test_x) (part=1)`; before Python 3.11 `FAIL: test_x (module.Class)`.
fn header(line: &str) -> Option<Open> {
    let words = ["FAIL: ", "ERROR: ", "UNEXPECTED SUCCESS: "];
    let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
    let (method, inside) = match rest.split_once(" (") {
        Some((method, inside)) => (method, inside.split(')').next().unwrap_or_default()),
        None => (rest.trim(), ""),
    };
    if method.is_empty() {
        return None;
    }
    let is_whole = inside
        .strip_suffix(method)
        .is_some_and(|before| before.ends_with('.'));
    let name = match inside {
        "" => method.to_owned(),
        _ if is_whole => inside.to_owned(),
        class => format!("{class}.{method}"),
    };
    // A module that could not be imported stands in the place of a test.
    let name = name
        .strip_prefix("unittest.loader._FailedTest.")
        .unwrap_or(&name);
    Some(Open {
        name: name.to_owned(),
        method: method.to_owned(),
        in_traceback: false,
        own: None,
        last: None,
        awaits_message: false,
        message: String::new(),
    })
}
