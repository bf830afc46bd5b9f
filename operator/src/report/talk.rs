//! What it means for the caller when GitHub does not take a comment, a reaction or the removal of a
//! label.

use std::time::Duration;

use github::GithubError;

/// Something that could not be said on a pull request.
#[derive(Clone, Debug, thiserror::Error)]
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
        match sort(&self.source) {
            Sort::Limited(wait) => Retry::After(wait),
            Sort::NoAnswer => Retry::Soon,
            Sort::NotAllowed => Retry::Slowly,
            Sort::NotThere | Sort::Refused => Retry::Never,
        }
    }

    /// Whether GitHub may have done it all the same. The next try has to look first.
    pub fn is_uncertain(&self) -> bool {
        sort(&self.source) == Sort::NoAnswer
    }

    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        reason(&self.source)
    }
}

/// Errors by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Wait so long.
    Limited(Duration),
    /// Try again.
    NoAnswer,
    /// Have a person change something.
    NotAllowed,
    /// What the call is about is not there.
    NotThere,
    /// GitHub will never take this.
    Refused,
}

/// Sorts an error.
pub(super) fn sort(error: &GithubError) -> Sort {
    match error {
        GithubError::RateLimited { wait, .. } => Sort::Limited(*wait),
        GithubError::Unavailable { .. }
        | GithubError::TooLarge { .. }
        | GithubError::Malformed { .. } => Sort::NoAnswer,
        GithubError::Unauthorized { .. } | GithubError::Forbidden { .. } => Sort::NotAllowed,
        GithubError::NotFound { call } | GithubError::Unprocessable { call, .. }
            if is_about_the_credential(call) =>
        {
            Sort::NotAllowed
        }
        GithubError::NotFound { .. } => Sort::NotThere,
        GithubError::Unprocessable { .. } => Sort::Refused,
    }
}

/// Whether GitHub said nothing of what it was asked.
pub fn is_away(error: &GithubError) -> bool {
    matches!(sort(error), Sort::Limited(_) | Sort::NoAnswer)
}

/// An App gets a token before it says anything. That it is not installed, or was not granted what is
/// asked for, is no answer to what was to be said.
fn is_about_the_credential(call: &str) -> bool {
    call.contains(" /app/installations/") || call.ends_with("/installation")
}

/// The reason for a condition that a failed call leads to.
pub fn reason(error: &GithubError) -> &'static str {
    match (sort(error), error) {
        (Sort::Limited(_), _) => "RateLimited",
        (Sort::NotThere, _) => "NotFound",
        (Sort::Refused, _) => "Refused",
        (_, GithubError::Unauthorized { .. }) => "CredentialRefused",
        (Sort::NotAllowed, _) => "PermissionMissing",
        (_, GithubError::Malformed { .. } | GithubError::TooLarge { .. }) => "UnexpectedAnswer",
        (Sort::NoAnswer, _) => "GitHubUnreachable",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_credential_is_never_an_answer_to_the_call() {
        let message = "The permissions requested are not granted to this installation.".to_owned();
        let unprocessable = |call: &str| GithubError::Unprocessable {
            call: call.into(),
            message: message.clone(),
        };
        let missing = |call: &str| GithubError::NotFound { call: call.into() };
        let table = [
            (
                unprocessable("POST /app/installations/1/access_tokens"),
                Sort::NotAllowed,
            ),
            (unprocessable("POST /repos/o/n/statuses/1"), Sort::Refused),
            (missing("GET /repos/o/n/installation"), Sort::NotAllowed),
            (missing("GET /app/installations/1"), Sort::NotAllowed),
            (missing("POST /repos/o/n/statuses/1"), Sort::NotThere),
        ];
        for (error, sorted) in table {
            assert_eq!(sort(&error), sorted, "{error}");
        }
    }
}
