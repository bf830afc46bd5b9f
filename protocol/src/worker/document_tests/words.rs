//! The words, statuses, purposes and limits of the protocol, as its document has them.

use super::*;
use crate::{
    log::WRITER_HEADER,
    worker::{
        assignment::{Assignment, EventKind, Evidence},
        envelope::Payload,
        fault::Retry,
    },
};

/// Words as they travel.
fn each<T: Serialize>(words: &[T]) -> Vec<String> {
    let word = |word: &T| match serde_json::to_value(word).unwrap() {
        Value::String(word) => word,
        other => panic!("{other} is no word"),
    };
    words.iter().map(word).collect()
}

#[test]
fn the_document_names_every_word_that_agents_and_gateways_know() {
    use RefusalCode as R;
    use {Action as A, DeclineCode as D, FaultCode as F, StepResult as S, Verdict as V};
    let words = [
        each(&[D::Policy, D::Busy, D::Disk, D::Draining]),
        each(&[D::Invalid, D::Repeated, D::Other]),
        each(&[A::Continue, A::Cancel, A::Kill, A::Forget]),
        each(&[RunningState::Running, RunningState::Done]),
        each(&[F::Malformed, F::Protocol, F::Key, F::Nonce, F::Session]),
        each(&[F::Duplicate, F::Gone, F::Taken, F::Cancelled]),
        each(&[F::Completed, F::Long, F::Busy, F::Unavailable]),
        each(&[Retry::Never, Retry::Later, Retry::Session]),
        each(&[EventKind::PullRequest]),
        each(&[Evidence::Label, Evidence::ExactSha, Evidence::Review]),
        each(&Stream::ALL),
        each(&[R::Token, R::Writer, R::Gap, R::Malformed]),
        each(&[R::Ended, R::Limit, R::Store]),
        vec![WRITER_HEADER.to_owned()],
        each(&[V::Passed, V::Failed, V::TimedOut, V::Cancelled, V::Error]),
        each(&[S::Passed, S::Warning, S::Failed, S::Tolerated]),
        each(&[S::TimedOut, S::Skipped, S::Cancelled]),
        each(&[Level::Failure, Level::Warning, Level::Notice]),
        each(&[Shell::Bash, Shell::Sh, Shell::Python]),
        each(&[RunIf::Success, RunIf::Failure, RunIf::Always]),
        each(&[ExitMeaning::Warning]),
        each(&[Pattern::Regrtest, Pattern::Unittest, Pattern::Pytest]),
        each(&[Pattern::Cargo, Pattern::Go, Pattern::Ctest]),
    ];
    for word in words.concat() {
        assert!(DOCUMENT.contains(&format!("`{word}`")), "{word}");
    }
    let kind = |end: &RunEnd| serde_json::to_value(end).unwrap()["kind"].clone();
    let not_run = RunEnd::NotRun {
        reason: text(),
        machine: false,
    };
    let broken = RunEnd::Broken { reason: text() };
    for end in [not_run, broken, RunEnd::Cancelled] {
        let kind = kind(&end);
        assert!(DOCUMENT.contains(&format!("`{}`", kind.as_str().unwrap())));
    }
}

#[test]
fn the_document_names_every_status_purpose_and_limit() {
    for (code, status) in [
        (FaultCode::Key, 403),
        (FaultCode::Duplicate, 409),
        (FaultCode::Busy, 429),
        (FaultCode::Protocol, 426),
    ] {
        assert_eq!(code.status(), status);
        assert!(DOCUMENT.contains(&status.to_string()), "{status}");
    }
    for (purpose, limit) in [
        (SessionRequest::PURPOSE, SessionRequest::LIMIT),
        (Assignment::PURPOSE, Assignment::LIMIT),
        (Completion::PURPOSE, Completion::LIMIT),
        (KeySet::PURPOSE, KeySet::LIMIT),
    ] {
        let mut rows = DOCUMENT.lines();
        let row = rows.find(|row| row.starts_with(&format!("| `{}` |", purpose.trim())));
        let row = row.unwrap_or_else(|| panic!("{purpose} is in no row"));
        assert!(row.ends_with(&format!("| {} Ki |", limit >> 10)), "{row}");
    }
}
