//! Pure: whether the checks that a build waits for are green.

use std::collections::BTreeMap;

use github::{CommitCheck, CommitContext};
use jiff::Timestamp;

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
    /// The same, and the first of them has not even begun: it may never do.
    Absent(String),
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
    let says = match open.len() - 1 {
        0 => format!("the check `{first}` has not {has} yet"),
        1 => format!("the check `{first}` has not {has} yet, and one more"),
        more => format!("the check `{first}` has not {has} yet, and {more} more"),
    };
    match begun {
        true => Checks::Waiting(says),
        false => Checks::Absent(says),
    }
}

/// How whatever has this name stands. Of one App's check runs the newest counts: what was cancelled
/// by a newer run of the same workflow says nothing. Of several Apps, and a status, the one counts
/// that is farthest from green. Nothing has failed while something of that name still runs.
fn stand(name: &str, said: &Said) -> Stand {
    let checks: Vec<&CommitCheck> = said.checks.iter().filter(|one| one.name == name).collect();
    let mut newest: BTreeMap<Option<i64>, &CommitCheck> = BTreeMap::new();
    for &check in &checks {
        let of_app = newest.entry(check.app.map(|app| app.id)).or_insert(check);
        if age(check) > age(of_app) {
            *of_app = check;
        }
    }
    let contexts = said.contexts.iter();
    let contexts = contexts.filter(|one| one.context == name).map(of_context);
    let newest = newest.into_values().map(of_check);
    match contexts.chain(newest).max().unwrap_or(Stand::Absent) {
        Stand::Failed(_) if is_any_open(name, &checks, said) => Stand::Running,
        stand => stand,
    }
}

fn is_any_open(name: &str, checks: &[&CommitCheck], said: &Said) -> bool {
    let mut contexts = said.contexts.iter().filter(|one| one.context == name);
    let open = checks.iter().any(|one| of_check(one) == Stand::Running);
    open || contexts.any(|one| of_context(one) == Stand::Running)
}

/// Greater for the newer of two check runs. One that has not started is the newest.
fn age(check: &CommitCheck) -> (Timestamp, i64) {
    (check.started_at.unwrap_or(Timestamp::MAX), check.id)
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
    use github::CheckApp;

    use super::*;

    fn said(contexts: &[(&str, &str)], checks: &[(&str, &str, &str)]) -> Said {
        let contexts = contexts.iter().map(|(context, state)| CommitContext {
            context: (*context).to_owned(),
            state: (*state).to_owned(),
        });
        let numbered = checks.iter().zip(1..);
        let checks = numbered.map(|((name, status, conclusion), id)| CommitCheck {
            id,
            app: None,
            started_at: None,
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

    fn absent(sentence: &str) -> Checks {
        Checks::Absent(sentence.to_owned())
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
                absent("the check `CI` has not begun yet, and one more"),
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
                absent("the check `CI` has not begun yet"),
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
    fn of_several_of_one_name_the_newest_of_each_app_counts_and_nothing_failed_while_one_runs() {
        let (done, ours, theirs) = ("completed", 1, 2);
        let waits = || waiting("the check `CI` has not passed yet");
        type Run = (i64, i64, &'static str, &'static str);
        let table: [(Option<&str>, &[Run], Checks); 9] = [
            // A new suite cancelled the one before it.
            (
                None,
                &[(ours, 1, done, "cancelled"), (ours, 2, "queued", "")],
                waits(),
            ),
            (
                None,
                &[(ours, 2, done, "success"), (ours, 1, done, "cancelled")],
                Checks::Green,
            ),
            (
                None,
                &[(ours, 1, done, "failure"), (ours, 2, done, "success")],
                Checks::Green,
            ),
            (
                None,
                &[(ours, 1, done, "stale"), (ours, 2, "in_progress", "")],
                waits(),
            ),
            (
                None,
                &[(ours, 1, "in_progress", ""), (ours, 2, done, "failure")],
                waits(),
            ),
            (
                None,
                &[(ours, 1, done, "success"), (ours, 2, done, "failure")],
                failed("the check `CI` failed on this commit; ask again when it is green"),
            ),
            (
                None,
                &[(ours, 2, done, "success"), (theirs, 1, done, "failure")],
                failed("the check `CI` failed on this commit; ask again when it is green"),
            ),
            (Some("pending"), &[(ours, 1, done, "failure")], waits()),
            (
                Some("error"),
                &[(ours, 1, done, "success")],
                failed("the check `CI` failed on this commit; ask again when it is green"),
            ),
        ];
        for (context, checks, expected) in table {
            let contexts: Vec<_> = context.iter().map(|state| ("CI", *state)).collect();
            let mut both = said(&contexts, &[]);
            let made = checks
                .iter()
                .map(|&(app, second, status, conclusion)| CommitCheck {
                    id: second,
                    app: Some(CheckApp { id: app }),
                    started_at: (status != "queued")
                        .then(|| Timestamp::from_second(second).unwrap()),
                    name: "CI".to_owned(),
                    status: status.to_owned(),
                    conclusion: (!conclusion.is_empty()).then(|| conclusion.to_owned()),
                });
            both.checks = made.collect();
            let told = judge(&["CI".to_owned()], &both);
            assert_eq!(told, expected, "{context:?} {checks:?}");
        }
    }
}
