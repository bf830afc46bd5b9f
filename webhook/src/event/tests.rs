//! Deliveries as they are, and as they should not be.

use super::*;
use crate::signature::tests::verified;

const LABELED: &str = r#"{"action":"labeled","number":7,"label":{"name":"test"},
    "pull_request":{"number":7,"updated_at":"2026-01-01T00:00:00Z",
        "head":{"sha":"abc","ref":"topic","repo":{"id":3,"full_name":"a/fork"}}},
    "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;
const COMMENT: &str = r#"{"action":"created","issue":{"number":7,"pull_request":{}},
    "comment":{"id":9,"body":"hi"},
    "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;

#[test]
fn a_label_and_a_comment_are_read() {
    let event = read(&verified("pull_request", LABELED)).expect("an event");
    assert_eq!(
        (event.repository, event.number, event.sender.id),
        (1, Some(7), 2)
    );
    let What::Labeled(labeled) = event.what else {
        panic!("not a label")
    };
    assert_eq!(labeled.label, "test");
    assert_eq!(labeled.head, Some((3, "topic".to_owned())));

    let event = read(&verified("issue_comment", COMMENT)).expect("an event");
    assert!(matches!(event.what, What::Commented { id: 9, .. }));
}

#[test]
fn s04_a_body_under_another_events_header_is_ignored() {
    for header in [
        "issues",
        "check_run",
        "push",
        "issue_comment",
        "Pull_Request",
        "",
    ] {
        assert!(read(&verified(header, LABELED)).is_err(), "{header}");
    }
    for header in ["pull_request", "issues"] {
        assert!(read(&verified(header, COMMENT)).is_err(), "{header}");
        assert!(read(&verified(header, r#"{"zen":"x","hook_id":1}"#)).is_err());
    }
}

#[test]
fn whatever_else_is_ignored_and_never_an_error() {
    for (event, body, expected) in [
        ("ping", "{}", Ignored::Ping),
        ("star", "{}", Ignored::Event),
        (
            "pull_request",
            r#"{"action":"synchronize"}"#,
            Ignored::Shape,
        ),
        ("pull_request", r#"{"action":"labeled"}"#, Ignored::Shape),
        ("pull_request", "[]", Ignored::Shape),
        ("pull_request", "", Ignored::Shape),
        ("pull_request", "\u{0}\u{1}", Ignored::Shape),
        ("issue_comment", r#"{"action":"edited"}"#, Ignored::Action),
    ] {
        assert_eq!(
            read(&verified(event, body)),
            Err(expected),
            "{event} {body}"
        );
    }
    let other = LABELED.replace(
        "\"pull_request\":{\"number\":7",
        "\"pull_request\":{\"number\":8",
    );
    assert_eq!(read(&verified("pull_request", &other)), Err(Ignored::Shape));
    for issue in [r#""number":7"#, r#""number":7,"pull_request":null"#] {
        let body = COMMENT.replace(r#""number":7,"pull_request":{}"#, issue);
        assert_eq!(read(&verified("issue_comment", &body)), Err(Ignored::Issue));
    }
}

#[test]
fn an_action_that_starts_nothing_is_seen_without_reading_on_and_wherever_it_stands() {
    for (body, expected) in [
        (r#"{"action":"unlabeled","#, Some("unlabeled")),
        (" {\n\"action\" : \"labeled\"", Some("labeled")),
        (r#"{"action":" labeled""#, Some(" labeled")),
        (r#"{"action":"","#, Some("")),
        (r#"{"action":"label\u0065d"}"#, None),
        (r#"{"number":7,"action":"labeled"}"#, None),
        (r#"{"action":7}"#, None),
        (r#"{"action":"labeled"#, None),
        (r#"["action"]"#, None),
        ("", None),
    ] {
        assert_eq!(leading_action(body.as_bytes()), expected, "{body}");
    }
    let cut = &LABELED[..LABELED.len() - 1];
    assert_eq!(read(&verified("pull_request", cut)), Err(Ignored::Shape));
    let late = LABELED.replace(r#""action":"labeled","number":7"#, r#""number":7"#);
    let late = late.replace(r#""sender""#, r#""action":"labeled","sender""#);
    assert!(read(&verified("pull_request", &late)).is_ok());
    let none = LABELED.replace(r#""action":"labeled","#, "");
    assert_eq!(read(&verified("pull_request", &none)), Err(Ignored::Shape));
}

#[test]
fn s21_a_deleted_fork_is_read() {
    let body = LABELED.replace(r#"{"id":3,"full_name":"a/fork"}"#, "null");
    let event = read(&verified("pull_request", &body)).expect("an event");
    assert!(matches!(
        event.what,
        What::Labeled(Labeled { head: None, .. })
    ));
}

const PRESSED: &str = r#"{"action":"requested_action","requested_action":{"identifier":"cancel"},
    "check_run":{"id":3,"head_sha":"abc","external_id":"app-7-l1-linux-1","app":{"id":5},
        "status":"completed","started_at":"2026-01-01T00:00:00Z","completed_at":"2026-01-01T01:00:00Z",
        "check_suite":{"id":4,"updated_at":"2026-01-01T01:00:01Z"}},
    "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;
const SUITE: &str = r#"{"action":"rerequested","check_suite":{"id":4,"head_sha":"abc","app":{"id":5},"updated_at":"2026-01-01T01:00:01Z"},
    "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;

fn button(event: &str, body: &str) -> Result<(Button, String), Ignored> {
    match read(&verified(event, body))?.what {
        What::Pressed(pressed) => {
            assert_eq!((pressed.app, pressed.head_sha.as_str()), (5, "abc"));
            assert!(pressed.id > 0);
            Ok((pressed.button, pressed.run))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_button_is_read_and_others_are_not_ours() {
    let run = || "app-7-l1-linux-1".to_owned();
    assert_eq!(button("check_run", PRESSED), Ok((Button::Cancel, run())));
    let failed = PRESSED.replace("cancel", "rerun-failed");
    assert_eq!(
        button("check_run", &failed),
        Ok((Button::RerunFailed, run()))
    );
    let again = PRESSED.replace("\"requested_action\",", "\"rerequested\",");
    assert_eq!(button("check_run", &again), Ok((Button::Rerun, run())));
    assert_eq!(
        button("check_suite", SUITE),
        Ok((Button::RerunAll, String::new()))
    );
    for (event, body, expected) in [
        (
            "check_run",
            PRESSED.replace("cancel", "fix"),
            Ignored::Action,
        ),
        (
            "check_run",
            PRESSED.replace("\"requested_action\",", "\"completed\","),
            Ignored::Action,
        ),
        (
            "check_run",
            PRESSED.replace("{\"id\":5}", "null"),
            Ignored::Shape,
        ),
        (
            "check_suite",
            SUITE.replace("rerequested", "requested"),
            Ignored::Action,
        ),
        ("check_suite", PRESSED.to_owned(), Ignored::Action),
        ("check_run", SUITE.to_owned(), Ignored::Shape),
    ] {
        assert_eq!(
            read(&verified(event, &body)),
            Err(expected),
            "{event} {body}"
        );
    }
}

fn press(event: &str, body: &str) -> Pressed {
    match read(&verified(event, body)).expect("a press").what {
        What::Pressed(pressed) => pressed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_press_is_told_apart_by_what_is_signed() {
    for (event, body) in [("check_run", PRESSED), ("check_suite", SUITE)] {
        let one = press(event, body);
        assert!(one.id > 0);
        // GitHub's API tells the same body in another order and spelling.
        let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let retold = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(press(event, &retold), one);
        assert_ne!(one.id_for("app-7-l1"), one.id_for("app-7-l2"));
    }
    let one = press("check_run", PRESSED);
    let shown = "2026-01-01T01:00:01Z".parse();
    assert_eq!(Ok(one.changed_at), shown.map_err(|_| ()));
    for (what, from, to) in [
        ("the person", "\"id\":2", "\"id\":9"),
        ("the button", "\"cancel\"", "\"rerun-failed\""),
        ("the check run", "\"id\":3", "\"id\":9"),
        ("the repository", "\"id\":1", "\"id\":9"),
        ("what it is of", "linux-1", "linux-2"),
        ("how it stands", "\"completed\"", "\"queued\""),
        ("its end", "01:00:00Z", "01:00:07Z"),
        ("its suite", "01:00:01Z", "01:00:08Z"),
    ] {
        let other = press("check_run", &PRESSED.replace(from, to));
        assert_ne!(other.id, one.id, "{what}");
    }
    let later = SUITE.replace("01:00:01Z", "01:00:08Z");
    assert_ne!(
        press("check_suite", &later).id,
        press("check_suite", SUITE).id
    );
}
