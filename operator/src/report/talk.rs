//! What it means for the caller when GitHub does not take a comment, a reaction or the removal of a
//! label.

use std::time::Duration;

use github::GithubError;

/// Something that could not be said on a pull request.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct TalkError {
    /// What was being done, to which pull request.
    pub doing: String,
    /// What GitHub said, or that it said nothing.
    pub source: GithubError,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// With the usual back-off.
    Soon,
    /// Not before this time is over: GitHub named it.
    After(Duration),
    /// Every few minutes: a person has to change something.
    Slowly,
    /// Never: GitHub will not take it.
    Never,
}

impl TalkError {
    /// When to try again.
    pub fn retry(&self) -> Retry {
        match &self.source {
            GithubError::RateLimited { wait, .. } => Retry::After(*wait),
            GithubError::Unavailable { .. } | GithubError::Malformed { .. } => Retry::Soon,
            GithubError::Unauthorized { .. } | GithubError::Forbidden { .. } => Retry::Slowly,
            GithubError::NotFound { .. } | GithubError::Unprocessable { .. } => Retry::Never,
        }
    }

    /// Whether GitHub may have done it all the same. The next try has to look first.
    pub fn is_uncertain(&self) -> bool {
        matches!(
            self.source,
            GithubError::Unavailable { .. } | GithubError::Malformed { .. }
        )
    }

    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        reason(&self.source)
    }
}

/// The reason for a condition that a failed call leads to.
pub fn reason(error: &GithubError) -> &'static str {
    match error {
        GithubError::NotFound { .. } => "NotFound",
        GithubError::Unauthorized { .. } => "CredentialRefused",
        GithubError::Forbidden { .. } => "PermissionMissing",
        GithubError::RateLimited { .. } => "RateLimited",
        GithubError::Unprocessable { .. } => "Refused",
        GithubError::Unavailable { .. } => "GitHubUnreachable",
        GithubError::Malformed { .. } => "UnexpectedAnswer",
    }
}

/// Adds to an error what was being done, to which pull request.
pub(super) fn while_doing(
    what: &'static str,
    repo: &github::Repo,
    number: i64,
) -> impl Fn(GithubError) -> TalkError {
    let doing = format!("{what} {}#{number}", repo.full_name());
    move |source| TalkError {
        doing: doing.clone(),
        source,
    }
}
