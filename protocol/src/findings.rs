//! What a build says beside pass or fail: which tests failed, and what is wrong on which line. All of
//! it is a claim of the pull request's own code.

use serde::{Deserialize, Serialize};

/// Names of failing tests that a report has at most.
pub const FAILURES_LIMIT: usize = 20;
/// Bytes of such a name.
pub const NAME_LIMIT: usize = 256;
/// Failing tests that are counted; further ones are not told apart any more.
pub const FAILURES_COUNTED: usize = 1000;
/// Annotations that a report has at most: what GitHub takes in one request.
pub const ANNOTATIONS_LIMIT: usize = 50;
/// Bytes of an annotation's path.
pub const PATH_LIMIT: usize = 255;
/// Bytes of an annotation's title.
pub const TITLE_LIMIT: usize = 120;
/// Bytes of an annotation's message.
pub const TEXT_LIMIT: usize = 1000;
/// The largest line number that is believed.
pub const LINE_LIMIT: i64 = 10_000_000;

/// Where the names of failing tests come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Tests {
    /// JUnit XML files, read after the last step: paths in the checkout. `*` and `?` stand for
    /// characters of a name, `**` for any directories: `reports/*.xml`, `**/TEST-*.xml`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(length(max = 8), inner(length(min = 1, max = 255)))
    )]
    pub junit: Vec<String>,
    /// Test programs whose output is looked through for names, in steps that do not pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 8)))]
    pub patterns: Vec<Pattern>,
}

impl Tests {
    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.junit.is_empty() && self.patterns.is_empty()
    }
}

/// A test program, by what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Pattern {
    /// CPython's `python -m test`. A test that passed when run again has not failed.
    Regrtest,
    /// Python's `unittest`.
    Unittest,
    /// `pytest`.
    Pytest,
    /// `cargo test`.
    Cargo,
    /// `go test`.
    Go,
    /// CMake's `ctest`.
    Ctest,
    /// Written by a newer version; finds nothing.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// What is wrong on one line of the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// The file, relative to the checkout, with `/`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub path: String,
    /// The line, from 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000_000)))]
    pub line: i64,
    /// The last line, where it is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000_000)))]
    pub end_line: Option<i64>,
    /// How bad it is.
    pub level: Level,
    /// A heading, such as the name of the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 120)))]
    pub title: Option<String>,
    /// What is wrong; may have several lines.
    #[cfg_attr(feature = "schema", schemars(length(max = 1000)))]
    pub message: String,
}

/// How bad it is, in GitHub's words, the worst first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Level {
    /// Wrong.
    Failure,
    /// Worth a look.
    Warning,
    /// Worth knowing. Also what a newer version means by a word that this one does not know.
    #[default]
    #[serde(other)]
    Notice,
}
