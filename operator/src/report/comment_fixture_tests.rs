//! Comments as wholes: each fixture in `fixtures/` is one. After a change on purpose,
//! `PRBUILD_BLESS=1 cargo test -p operator comment` writes them anew; read the difference.

use std::path::Path;

use super::*;

fn done(mut facts: CommentFacts) -> CommentFacts {
    facts.duration = Some("38 min".to_owned());
    facts
}

fn left_out() -> Vec<LeftOut> {
    let why = [
        (
            "lan-solaris",
            "It needs an approval of exactly this commit, or its full SHA in a command.",
        ),
        (
            "amd64-win2012",
            "It does not build pull requests for `main`.",
        ),
    ];
    let left = why.map(|(builder, reason)| LeftOut {
        builder: builder.to_owned(),
        reason: reason.to_owned(),
    });
    left.to_vec()
}

/// Every comment that is looked at as a whole, by the name of its fixture.
fn stories() -> Vec<(&'static str, CommentFacts)> {
    use RunPhase::{Cancelled, Error, Queued, Running, Succeeded};
    let one = |phase, because| facts(vec![builder("s390x Debian", phase, because)]);
    let three = |a: BuilderFacts, b: BuilderFacts, c: BuilderFacts| facts(vec![a, b, c]);
    let amd64 = |phase, because| builder("AMD64 Debian root", phase, because);
    let macos = |phase, because| builder("ARM64 MacOS M1", phase, because);
    let s390x = |phase, because| builder("s390x Debian", phase, because);
    let tests = ["test_ssl", "test_socket.TCPTest.test_recv"];
    let mut stopped = three(
        amd64(Succeeded, ""),
        macos(Cancelled, "wrong branch"),
        s390x(Cancelled, "wrong branch"),
    );
    stopped.cancel = Some(Cancel {
        by: "ada".to_owned(),
        reason: "wrong branch".to_owned(),
        at: Time(jiff::Timestamp::UNIX_EPOCH),
        waiting_only: false,
    });
    let mut stopping = stopped.clone();
    stopping.builders[2] = s390x(Running, "");
    let mut merged = stopping.clone();
    merged.cancel = Some(Cancel {
        by: "ada".to_owned(),
        reason: "The pull request was merged.".to_owned(),
        at: Time(jiff::Timestamp::UNIX_EPOCH),
        waiting_only: true,
    });
    merged.builders[1] = macos(Cancelled, "");
    let mut merged_whole = merged.clone();
    merged_whole.builders[1] = macos(Running, "");
    let mut merged_ended = merged.clone();
    merged_ended.builders[2] = s390x(Succeeded, "");
    let mut bare = one(Succeeded, "");
    (bare.base_sha, bare.merge_sha) = (None, None);
    bare.trigger.label = None;
    bare.trigger.kind = TriggerKind::Comment;
    bare.trigger.command = Some("/prbuild rerun failed".to_owned());
    bare.is_rerun = true;
    let mut warned = one(Succeeded, "");
    warned.builders[0].warning = true;
    let mut many = facts(hundred(100));
    many.left_out = left_out();
    let mut pattern = cpython(three(
        failed("iOS ARM64 Simulator", &tests, 2),
        builder("Android x86-64", Succeeded, ""),
        builder("Android ARM64", Running, ""),
    ));
    pattern.trigger.label = None;
    pattern.trigger.command = Some("!buildbot ios|android".to_owned());
    let red = three(
        amd64(Succeeded, ""),
        macos(Succeeded, ""),
        failed("s390x Debian", &tests, 2),
    );
    vec![
        ("1-waiting", one(Queued, "3 ahead on `s390x Debian`")),
        ("1-running", one(Running, "")),
        ("1-passed", done(one(Succeeded, ""))),
        ("1-passed-with-warnings", done(warned)),
        ("1-bare-head-again", done(bare)),
        (
            "1-error",
            done(one(
                Error,
                "the node went away; this was attempt 3, the last",
            )),
        ),
        (
            "3-waiting-for-checks",
            three(
                amd64(Queued, "the check `CI / tests` is not green yet"),
                macos(Queued, "the check `CI / tests` is not green yet"),
                s390x(Queued, "the check `CI / tests` is not green yet"),
            ),
        ),
        (
            "3-running",
            three(
                failed("s390x Debian", &tests, 2),
                amd64(Running, ""),
                macos(Queued, "next"),
            ),
        ),
        ("3-failed", done(red.clone())),
        ("3-cancelling", stopping),
        ("3-cancelled", done(stopped)),
        ("3-merged", merged),
        ("3-merged-nothing-waited", merged_whole),
        ("3-merged-ended", done(merged_ended)),
        ("100-waiting", facts(hundred(0))),
        ("100-running", facts(hundred(40))),
        ("100-failed", done(many)),
        ("cpython-label", cpython(facts(hundred(0)))),
        ("cpython-label-failed", done(cpython(red))),
        ("cpython-pattern", pattern),
    ]
}

#[test]
fn every_comment_reads_as_its_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/fixtures");
    let mut wrong = Vec::new();
    for (name, facts) in stories() {
        let (path, body) = (fixtures.join(format!("{name}.md")), render(&facts));
        if std::env::var_os("PRBUILD_BLESS").is_some() {
            std::fs::write(&path, &body).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if body != expected {
            wrong.push(format!(
                "{} should be:\n{expected}\nbut is:\n{body}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_build_whose_waiting_runs_were_dropped_is_not_being_cancelled() {
    let stories = stories();
    for (name, facts) in stories
        .iter()
        .filter(|(name, _)| name.starts_with("3-merged"))
    {
        let body = render(facts);
        assert!(!body.contains("Cancelling"), "{name}: {body}");
        let dropped = "What waited was dropped by `ada`";
        assert_eq!(
            body.contains(dropped),
            *name != "3-merged-nothing-waited",
            "{name}: {body}"
        );
        assert_eq!(
            body.contains(", what runs finishes"),
            *name == "3-merged",
            "{name}: {body}"
        );
    }
}

#[test]
fn no_comment_is_longer_than_sixty_lines() {
    for (name, facts) in stories() {
        let body = render(&facts);
        let lines = body.lines().count();
        assert!(lines <= 60, "{name} has {lines} lines");
    }
}
