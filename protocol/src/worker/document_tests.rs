//! `docs/protocol.md`, field by field, against the types: another agent is made from it.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    assignment::{Audience, RunId},
    completion::{Completion, LogDigest, RunEnd},
    envelope::Envelope,
    fault::{Fault, FaultCode},
    keys::{KeyChain, KeySet},
    session::{Close, Nonce, NonceRequest, SessionOpened, SessionRequest, Timing},
    testing::assignment,
    wire::{
        Accepted, Action, Decline, DeclineCode, Heartbeat, HeartbeatAnswer, Instruction, Offer,
        Poll, PollAnswer, Running, RunningState,
    },
};
use crate::{
    Annotation, CheckoutReport, ExecReport, ExitCode, ExitMeaning, Level, Pattern, RunIf, Shell,
    Step, StepReport, StepResult, Tests, Verdict,
    log::{LogEnd, LogTaken, Mark, MarkKind, Refusal, RefusalCode, Refused, Stream},
};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The names in the first column of the table below each heading.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let (_, fields) = DOCUMENT.split_once("\n## Field by field\n").unwrap();
    let sections = fields.split("\n### `").skip(1);
    let section = |text: &str| {
        let (name, rows) = text.split_once('`').unwrap();
        let rows = rows.lines().filter_map(|row| row.strip_prefix("| `"));
        let cells = rows.map(|row| row.split(" |").next().unwrap().to_owned());
        let names = cells.flat_map(|cell| {
            let names = cell
                .split(", ")
                .map(|name| name.trim_matches('`').to_owned());
            names.collect::<Vec<_>>()
        });
        (name.to_owned(), names.collect())
    };
    sections.map(section).collect()
}

/// The names of the fields of a message with everything in it that may be absent.
fn fields(whole: &impl Serialize) -> BTreeSet<String> {
    let Value::Object(fields) = serde_json::to_value(whole).unwrap() else {
        panic!("it is no object")
    };
    fields.keys().cloned().collect()
}

fn text() -> String {
    "a text".to_owned()
}

fn envelope() -> Envelope {
    Envelope {
        payload: text(),
        key: text(),
        signature: text(),
    }
}

fn running() -> Running {
    Running {
        id: text(),
        state: RunningState::Done,
    }
}

fn instruction() -> Instruction {
    Instruction {
        id: text(),
        action: Action::Continue,
        lease_seconds: Some(1),
        reason: Some(text()),
    }
}

/// What the two say to each other.
fn spoken() -> Vec<(&'static str, BTreeSet<String>)> {
    vec![
        ("NonceRequest", fields(&NonceRequest { worker: text() })),
        ("Nonce", fields(&Nonce { nonce: text() })),
        (
            "SessionRequest",
            fields(&SessionRequest {
                worker: text(),
                nonce: text(),
                instance: text(),
                boot: text(),
                agent: text(),
                facts: BTreeMap::new(),
                isolated: true,
                policy: text(),
                running: vec![running()],
            }),
        ),
        (
            "SessionOpened",
            fields(&SessionOpened {
                session: text(),
                seconds: 1,
                timing: Timing::default(),
                verdicts: vec![instruction()],
                keys: 1,
            }),
        ),
        ("Timing", fields(&Timing::default())),
        ("Close", fields(&Close { reason: text() })),
        (
            "Poll",
            fields(&Poll {
                free_slots: 1,
                closed: Some(text()),
                disk_free_mb: Some(1),
                disk_full: true,
            }),
        ),
        (
            "PollAnswer",
            fields(&PollAnswer {
                offer: Some(Offer {
                    id: text(),
                    signed: envelope(),
                }),
                drain: true,
                keys: 1,
            }),
        ),
        (
            "Offer",
            fields(&Offer {
                id: text(),
                signed: envelope(),
            }),
        ),
        (
            "Accepted",
            fields(&Accepted {
                id: text(),
                signed: envelope(),
                lease_seconds: 1,
                log_token: Some(text()),
            }),
        ),
        (
            "Decline",
            fields(&Decline {
                code: DeclineCode::Policy,
                reason: text(),
            }),
        ),
        (
            "Heartbeat",
            fields(&Heartbeat {
                running: vec![running()],
                disk_full: true,
            }),
        ),
        ("Running", fields(&running())),
        (
            "HeartbeatAnswer",
            fields(&HeartbeatAnswer {
                verdicts: vec![instruction()],
                drain: true,
                keys: 1,
            }),
        ),
        ("Instruction", fields(&instruction())),
        (
            "Fault",
            fields(&Fault::new(FaultCode::Busy, "why").after(1)),
        ),
        ("Envelope", fields(&envelope())),
    ]
}

/// What is signed, and what is in it.
fn signed() -> Vec<(&'static str, BTreeSet<String>)> {
    let set = || KeySet {
        version: 1,
        keys: vec![text()],
    };
    let ordered = assignment(Audience::Worker(text()));
    let mut recipe = ordered.work.recipe.clone();
    recipe.exit_codes = vec![ExitCode {
        code: 5,
        means: ExitMeaning::Warning,
    }];
    recipe.tests = Tests {
        junit: vec![text()],
        patterns: vec![Pattern::Go],
    };
    let step = Step {
        name: Some(text()),
        run: text(),
        shell: Some(Shell::Sh),
        env: [(text(), text())].into(),
        working_directory: Some(text()),
        timeout_minutes: Some(1.0),
        continue_on_error: true,
        run_if: Some(RunIf::Always),
    };
    let digest = LogDigest {
        stream: Stream::Log,
        bytes: 1,
        sha256: text(),
    };
    let completion = Completion {
        assignment: text(),
        run: text(),
        attempt: 1,
        worker: text(),
        result: RunEnd::Cancelled,
        logs: vec![digest.clone()],
        prepared_ms: Some(1),
        ran_ms: 1,
    };
    vec![
        (
            "KeyChain",
            fields(&KeyChain {
                first: set(),
                next: vec![envelope()],
            }),
        ),
        ("KeySet", fields(&set())),
        ("RunId", fields(&RunId::default())),
        ("Requester", fields(&ordered.requester)),
        ("Work", fields(&ordered.work)),
        ("Source", fields(&ordered.work.source)),
        ("Recipe", fields(&recipe)),
        ("Step", fields(&step)),
        ("ExitCode", fields(&recipe.exit_codes[0])),
        ("Timeouts", fields(&recipe.timeouts)),
        ("Tests", fields(&recipe.tests)),
        ("Assignment", fields(&ordered)),
        ("Completion", fields(&completion)),
        ("LogDigest", fields(&digest)),
    ]
}

/// What is reported of the steps.
fn reported() -> Vec<(&'static str, BTreeSet<String>)> {
    let step = StepReport {
        name: text(),
        result: StepResult::Passed,
        exit_code: Some(1),
        seconds: 1.0,
    };
    let annotation = Annotation {
        path: text(),
        line: 1,
        end_line: Some(2),
        level: Level::Failure,
        title: Some(text()),
        message: text(),
    };
    let checkout = CheckoutReport {
        commit: text(),
        parents: vec![text()],
        tree: text(),
        error: Some(text()),
    };
    let report = ExecReport {
        verdict: Verdict::Failed,
        exit_code: 1,
        reason: Some(text()),
        warning: true,
        steps: vec![step.clone()],
        failures: vec![text()],
        failures_total: 1,
        annotations: vec![annotation.clone()],
    };
    vec![
        ("CheckoutReport", fields(&checkout)),
        ("ExecReport", fields(&report)),
        ("StepReport", fields(&step)),
        ("Annotation", fields(&annotation)),
    ]
}

/// What is said of a log.
fn logged() -> Vec<(&'static str, BTreeSet<String>)> {
    let error = Refusal {
        code: RefusalCode::Gap,
        message: text(),
    };
    let taken = LogTaken {
        received: 2,
        durable: 1,
    };
    let end = LogEnd {
        unfinished: true,
        ..LogEnd::default()
    };
    let (n, result) = (1, StepResult::Passed);
    let (name, exit) = (text(), Some(0));
    let marks = [
        MarkKind::Time,
        MarkKind::Step { n, name },
        MarkKind::End { n, result, exit },
        MarkKind::Summary { n, text: text() },
    ];
    let mark = |what| fields(&Mark { at: 0, ms: 0, what });
    vec![
        ("LogTaken", fields(&taken)),
        ("LogEnd", fields(&end)),
        ("Refusal", fields(&error)),
        (
            "Refused",
            fields(&Refused {
                error,
                received: Some(1),
            }),
        ),
        ("Mark", marks.into_iter().flat_map(mark).collect()),
    ]
}

#[test]
fn the_document_names_every_field_of_every_message_and_no_other() {
    let messages = [spoken(), signed(), reported(), logged()].concat();
    let mut documented = documented();
    for (name, fields) in messages {
        assert_eq!(documented.remove(name), Some(fields), "{name}");
    }
    assert_eq!(documented, BTreeMap::new(), "tables of nothing");
}
