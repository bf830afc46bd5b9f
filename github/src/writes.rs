//! What the operator writes. Each call is sent once; repeating is the caller's decision, because
//! only it knows how to see whether the first one was carried out.

use http::Method;
use serde_json::json;

use crate::path::segment;
use crate::repo::{Extras, Repo, parsed};
use crate::wire::Comment;
use crate::{Dated, GithubError};

/// Characters of a status description that GitHub takes.
const DESCRIPTION: usize = 140;

/// State of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusState {
    /// Not decided yet.
    Pending,
    /// Passed.
    Success,
    /// Failed.
    Failure,
    /// No result.
    Error,
}

impl StatusState {
    /// GitHub's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A reaction to a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// 👍
    ThumbsUp,
    /// 👎
    ThumbsDown,
    /// 😕
    Confused,
    /// 👀
    Eyes,
    /// 🚀
    Rocket,
}

impl Reaction {
    /// GitHub's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ThumbsUp => "+1",
            Self::ThumbsDown => "-1",
            Self::Confused => "confused",
            Self::Eyes => "eyes",
            Self::Rocket => "rocket",
        }
    }
}

impl Repo {
    /// Sets a status on a commit. The description is cut to 140 characters, and an emoji in it replaced:
    /// GitHub takes none there.
    ///
    /// # Errors
    /// [`GithubError::Unprocessable`] when the commit is gone or has its 1,000 statuses of this context.
    pub async fn create_status(
        &self,
        sha: &str,
        context: &str,
        state: StatusState,
        description: &str,
        target_url: Option<&str>,
    ) -> Result<(), GithubError> {
        let mut body = json!({
            "state": state.word(),
            "context": context,
            "description": shortened(description),
        });
        if let Some(url) = target_url {
            body["target_url"] = url.into();
        }
        let path = self.path(&format!("/statuses/{}", segment(sha)));
        self.write(Method::POST, &path, Some(body)).await
    }

    /// Writes a comment on an issue or pull request.
    ///
    /// # Errors
    /// As any call.
    pub async fn create_comment(&self, n: i64, body: &str) -> Result<Dated<Comment>, GithubError> {
        let path = self.path(&format!("/issues/{n}/comments"));
        self.written(Method::POST, &path, json!({ "body": body }))
            .await
    }

    /// Replaces the text of a comment.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when it was deleted.
    pub async fn update_comment(&self, id: i64, body: &str) -> Result<Dated<Comment>, GithubError> {
        let path = self.path(&format!("/issues/comments/{id}"));
        self.written(Method::PATCH, &path, json!({ "body": body }))
            .await
    }

    /// Deletes a comment; one that is gone already is success.
    ///
    /// # Errors
    /// As any call.
    pub async fn delete_comment(&self, id: i64) -> Result<(), GithubError> {
        let path = self.path(&format!("/issues/comments/{id}"));
        self.write(Method::DELETE, &path, None)
            .await
            .or_else(gone_is_fine)
    }

    /// Reacts to a comment. Reacting twice is the same as once.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when the comment was deleted.
    pub async fn add_reaction(
        &self,
        comment_id: i64,
        content: Reaction,
    ) -> Result<(), GithubError> {
        let path = self.path(&format!("/issues/comments/{comment_id}/reactions"));
        let body = json!({ "content": content.word() });
        self.write(Method::POST, &path, Some(body)).await
    }

    /// Takes a label off a pull request; one that is gone already is success.
    ///
    /// # Errors
    /// As any call.
    pub async fn remove_label(&self, n: i64, label: &str) -> Result<(), GithubError> {
        let path = self.path(&format!("/issues/{n}/labels/{}", segment(label)));
        self.write(Method::DELETE, &path, None)
            .await
            .or_else(gone_is_fine)
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<(), GithubError> {
        let extras = Extras {
            body,
            ..Extras::default()
        };
        self.call(method, path, extras).await.map(drop)
    }

    async fn written(
        &self,
        method: Method,
        path: &str,
        body: serde_json::Value,
    ) -> Result<Dated<Comment>, GithubError> {
        let extras = Extras {
            body: Some(body),
            ..Extras::default()
        };
        let answer = self.call(method.clone(), path, extras).await?;
        parsed(&method, path, &answer)
    }
}

fn gone_is_fine(error: GithubError) -> Result<(), GithubError> {
    match error {
        GithubError::NotFound { .. } => Ok(()),
        other => Err(other),
    }
}

/// A description as GitHub takes it. One with a character that takes four bytes in UTF-8, as those of emoji
/// do, it refuses for good ("description doesn't accept 4-byte Unicode"): a test or step could keep its status
/// pending for ever by its name.
fn shortened(text: &str) -> String {
    let taken = text.chars().map(|character| match character.len_utf8() {
        4 => char::REPLACEMENT_CHARACTER,
        _ => character,
    });
    let mut short: String = taken.clone().take(DESCRIPTION).collect();
    if taken.count() > DESCRIPTION {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_github_would_refuse_is_cut() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ä".repeat(141));
        assert_eq!(long.chars().count(), 140);
        assert!(long.ends_with('…'));
        let whole = "ä".repeat(140);
        assert_eq!(shortened(&whole), whole);
    }

    #[test]
    fn an_emoji_in_a_description_does_not_keep_the_status_from_being_taken() {
        let said = shortened("Failed: 1 test (`test_🐍`) in 12 s");
        assert_eq!(said, "Failed: 1 test (`test_\u{FFFD}`) in 12 s");
        let long = shortened(&"🐍".repeat(141));
        assert_eq!(long, format!("{}…", "\u{FFFD}".repeat(139)));
        let fits = "é ✕ 試 ☃";
        assert_eq!(shortened(fits), fits);
    }
}
