//! Pure: which tests failed, in as many words as a status has room for.

use crds::Outcome;
use protocol::StepResult;

use super::text::code;

/// Characters of a test's name.
const NAME_LIMIT: usize = 60;
/// Characters of all names together.
const NAMES_LIMIT: usize = 80;

/// ``2 tests (`test_ssl`, `test_socket`)``; none where no test is known to have failed. A step that may
/// fail has failing tests, too: beside one, nobody can tell which of them ended the run.
pub fn failing_tests(outcome: &Outcome) -> Option<String> {
    let tolerated = outcome
        .steps
        .iter()
        .any(|step| step.result == StepResult::Tolerated);
    if outcome.failures.is_empty() || tolerated {
        return None;
    }
    let (mut names, mut named) = (String::new(), 0);
    for name in &outcome.failures {
        let name = code(name, NAME_LIMIT);
        let length = names.chars().count() + name.chars().count();
        if named > 0 && length > NAMES_LIMIT {
            break;
        }
        if named > 0 {
            names.push_str(", ");
        }
        names.push_str(&name);
        named += 1;
    }
    let counted = usize::try_from(outcome.failures_total).unwrap_or_default();
    let total = counted.max(outcome.failures.len());
    let tests = if total == 1 { "test" } else { "tests" };
    let more = match total - named {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{total} {tests} ({names}{more})"))
}

#[cfg(test)]
mod tests {
    use protocol::StepReport;

    use super::*;

    fn failing(names: &[&str], total: i64) -> Outcome {
        Outcome {
            failures: names.iter().map(|name| (*name).to_owned()).collect(),
            failures_total: total,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_status_names_the_first_failing_tests_and_counts_all() {
        let long = "x".repeat(200);
        for (names, total, expected) in [
            (&["test_ssl"][..], 1, Some("1 test (`test_ssl`)")),
            (
                &["test_ssl", "test_socket"][..],
                2,
                Some("2 tests (`test_ssl`, `test_socket`)"),
            ),
            (&["a", "b"][..], 7, Some("7 tests (`a`, `b` and 5 more)")),
            (&[][..], 0, None),
        ] {
            let said = failing_tests(&failing(names, total));
            assert_eq!(said.as_deref(), expected, "{names:?}");
        }
        let long = long.as_str();
        let said = failing_tests(&failing(&[long, long], 1000)).unwrap();
        assert!(said.ends_with("…` and 999 more)"), "{said}");
        assert!(said.chars().count() < 110, "{said}");
    }

    #[test]
    fn beside_a_step_that_may_fail_no_test_is_named() {
        let mut outcome = failing(&["test_flaky"], 1);
        outcome.steps = vec![StepReport {
            name: "flaky".to_owned(),
            result: StepResult::Tolerated,
            exit_code: Some(1),
            seconds: 1.0,
        }];
        assert_eq!(failing_tests(&outcome), None);
    }
}
