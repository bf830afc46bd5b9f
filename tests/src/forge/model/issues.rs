//! Issues that are no pull requests. They share numbers and comments with those.

use jiff::Timestamp;

use super::Id;

/// An issue.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Numeric id; people use `number`.
    pub id: Id,
    /// Number in its repository, never that of a pull request.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Who opened it.
    pub author: Id,
    /// When it was opened.
    pub created_at: Timestamp,
}
