//! Pure: whether the checks that a build waits for are green.

use github::{CommitCheck, CommitContext};

/// What other systems say about a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The newest status of each context.
    pub contexts: Vec<CommitContext>,
    /// The newest check runs; several may have one name.
    pub checks: Vec<CommitCheck>,
}

/// How the checks that a build waits for stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checks {
    /// All are green.
    Green,
    /// One failed: the build is dropped, for this reason.
    Failed(String),
    /// Some are not green yet, as a sentence.
    Waiting(String),
}

/// How one of them stands, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Absent,
    Green,
    Running,
    Failed(String),
}

/// How the checks of these names stand together.
pub fn judge(wanted: &[String], said: &Said) -> Checks {
    let mut open = Vec::new();
    let mut begun = false;
    for name in wanted {
        match stand(name, said) {
            Stand::Green => {}
            Stand::Failed(word) => {
                return Checks::Failed(format!(
                    "the check `{name}` {word} on this commit; ask again when it is green"
                ));
            }
            Stand::Running => {
                begun |= open.is_empty();
                open.push(name);
            }
            Stand::Absent => open.push(name),
        }
    }
    let Some(first) = open.first() else {
        return Checks::Green;
    };
    let has = if begun { "passed" } else { "begun" };
    Checks::Waiting(match open.len() - 1 {
        0 => format!("the check `{first}` has not {has} yet"),
        1 => format!("the check `{first}` has not {has} yet, and one more"),
        more => format!("the check `{first}` has not {has} yet, and {more} more"),
    })
}

/// How whatever has this name stands: of several, the one that is farthest from green.
fn stand(name: &str, said: &Said) -> Stand {
    let contexts = said.contexts.iter();
    let contexts = contexts.filter(|one| one.context == name).map(of_context);
    let checks = said.checks.iter();
    let checks = checks.filter(|one| one.name == name).map(of_check);
    contexts.chain(checks).max().unwrap_or(Stand::Absent)
}

fn of_context(one: &CommitContext) -> Stand {
    match one.state.as_str() {
        "success" => Stand::Green,
        "failure" | "error" => Stand::Failed("failed".to_owned()),
        _ => Stand::Running,
    }
}

/// GitHub counts neutral and skipped as passed where a check is required. A check that waits for a
/// person has not ended, and neither has a word that is new to us.
fn of_check(one: &CommitCheck) -> Stand {
    let conclusion = one.conclusion.as_deref().unwrap_or_default();
    match (one.status.as_str(), conclusion) {
        ("completed", "success" | "neutral" | "skipped") => Stand::Green,
        ("completed", "failure" | "startup_failure") => Stand::Failed("failed".to_owned()),
        ("completed", "cancelled") => Stand::Failed("was cancelled".to_owned()),
        ("completed", "timed_out") => Stand::Failed("timed out".to_owned()),
        ("completed", "stale") => Stand::Failed("was never finished".to_owned()),
        _ => Stand::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(contexts: &[(&str, &str)], checks: &[(&str, &str, &str)]) -> Said {
        let contexts = contexts.iter().map(|(context, state)| CommitContext {
            context: (*context).to_owned(),
            state: (*state).to_owned(),
        });
        let checks = checks.iter().map(|(name, status, conclusion)| CommitCheck {
            name: (*name).to_owned(),
            status: (*status).to_owned(),
            conclusion: (!conclusion.is_empty()).then(|| (*conclusion).to_owned()),
        });
        Said {
            contexts: contexts.collect(),
            checks: checks.collect(),
        }
    }

    fn waiting(sentence: &str) -> Checks {
        Checks::Waiting(sentence.to_owned())
    }

    fn failed(sentence: &str) -> Checks {
        Checks::Failed(sentence.to_owned())
    }

    #[test]
    fn a_build_waits_until_every_check_is_green_and_no_longer_when_one_fails() {
        let both = ["CI".to_owned(), "docs".to_owned()];
        let done = "completed";
        for (contexts, checks, expected) in [
            (
                vec![],
                vec![],
                waiting("the check `CI` has not begun yet, and one more"),
            ),
            (
                vec![("CI", "pending")],
                vec![],
                waiting("the check `CI` has not passed yet, and one more"),
            ),
            (
                vec![("CI", "success")],
                vec![("docs", "in_progress", "")],
                waiting("the check `docs` has not passed yet"),
            ),
            (
                vec![("CI", "success")],
                vec![("docs", done, "success")],
                Checks::Green,
            ),
            (
                vec![],
                vec![("CI", done, "neutral"), ("docs", done, "skipped")],
                Checks::Green,
            ),
            (
                vec![],
                vec![("docs", done, "failure")],
                failed("the check `docs` failed on this commit; ask again when it is green"),
            ),
            (
                vec![("CI", "success")],
                vec![("docs", done, "cancelled")],
                failed("the check `docs` was cancelled on this commit; ask again when it is green"),
            ),
            (
                vec![("CI", "success")],
                vec![("docs", done, "action_required")],
                waiting("the check `docs` has not passed yet"),
            ),
            (
                vec![("CI", "success")],
                vec![("docs", done, "a new word")],
                waiting("the check `docs` has not passed yet"),
            ),
            (
                vec![("ci", "success"), ("docs", "success")],
                vec![],
                waiting("the check `CI` has not begun yet"),
            ),
        ] {
            assert_eq!(
                judge(&both, &said(&contexts, &checks)),
                expected,
                "{contexts:?} {checks:?}"
            );
        }
    }

    #[test]
    fn of_several_of_one_name_the_worst_counts() {
        let wanted = ["CI".to_owned()];
        let done = "completed";
        let both = said(
            &[("CI", "success")],
            &[("CI", done, "success"), ("CI", "queued", "")],
        );
        assert_eq!(
            judge(&wanted, &both),
            waiting("the check `CI` has not passed yet")
        );
        let both = said(&[("CI", "error")], &[("CI", done, "success")]);
        assert!(matches!(judge(&wanted, &both), Checks::Failed(_)));
    }
}
