//! Puts a check run on GitHub so that one stands for a builder, whatever crashed before: one that may
//! stand already is looked for, and what still waits is taken over.

use github::{CheckRun, GithubError, Repo, StandingCheck};

use super::{check::family, target::Standing};

/// Makes or changes the check run of a target and answers with its id.
///
/// # Errors
/// A call that GitHub did not take. After one without an answer, a check run may stand of which
/// nothing is known here.
pub async fn write_check(
    repo: &Repo,
    sha: &str,
    check: &CheckRun,
    standing: Standing,
) -> Result<i64, GithubError> {
    let mut look = standing.unsure;
    if let Some(id) = standing.id {
        match repo.update_check_run(id, check).await {
            // Somebody deleted it. It is looked whether the repository is there at all.
            Err(GithubError::NotFound { .. }) => look = true,
            other => return other,
        }
    }
    if look {
        let found = repo.check_runs(sha, &check.name).await?.value;
        let others = found.iter().filter(|found| Some(found.id) != standing.id);
        if let Some(id) = to_take_over(others, &check.external_id) {
            return repo.update_check_run(id, check).await;
        }
    }
    repo.create_check_run(sha, check).await
}

/// The check run to go on with, of those with one name, the newest first: that of the same build and
/// builder, else the newest if it has not ended.
fn to_take_over<'a>(
    found: impl Iterator<Item = &'a StandingCheck> + Clone,
    external_id: &str,
) -> Option<i64> {
    let own = |found: &&StandingCheck| {
        let id = found.external_id.as_deref();
        id.is_some_and(|id| family(id) == family(external_id))
    };
    let mut all = found.clone();
    let ours = all.find(own);
    let waits = || found.clone().find(|found| !found.is_completed());
    ours.or_else(waits).map(|found| found.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(id: i64, external_id: &str, status: &str) -> StandingCheck {
        StandingCheck {
            id,
            external_id: Some(external_id.to_owned()),
            status: status.to_owned(),
        }
    }

    #[test]
    fn the_check_run_of_any_attempt_of_the_same_build_is_gone_on_with() {
        let found = [
            standing(9, "app-1-l3-debian-1", "queued"),
            standing(7, "app-1-l2-debian-1", "completed"),
        ];
        assert_eq!(to_take_over(found.iter(), "app-1-l2-debian-2"), Some(7));
    }

    #[test]
    fn one_of_another_build_is_taken_over_only_while_it_waits() {
        let waits = [standing(7, "app-1-l2-debian-1", "queued")];
        assert_eq!(to_take_over(waits.iter(), "app-1-l3-debian-1"), Some(7));
        let ended = [standing(7, "app-1-l2-debian-1", "completed")];
        assert_eq!(to_take_over(ended.iter(), "app-1-l3-debian-1"), None);
    }
}
