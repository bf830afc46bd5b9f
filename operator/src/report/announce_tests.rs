//! The announcement, whatever stands in its names.

use crds::{Person, PrBuildSpec, RepositoryRef, Trigger};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn build(label: &str, left_out: Vec<LeftOut>) -> PrBuild {
    let trigger = Trigger {
        kind: TriggerKind::Label,
        event_id: 1,
        time: Time(jiff::Timestamp::UNIX_EPOCH),
        label: Some(label.to_owned()),
        command: None,
        user: Person {
            id: 1,
            login: "vstinner".to_owned(),
        },
        permission: "write".to_owned(),
        evidence: Evidence::Label,
    };
    let request = Request {
        repository: RepositoryRef {
            name: "n".into(),
            id: 1,
            full_name: "o/n".into(),
        },
        number: 7,
        head_sha: "1a".repeat(20),
        merge_sha: Some("2b".repeat(20)),
        merge_tree: Some("3c".repeat(20)),
        base_sha: Some("4d".repeat(20)),
        base_ref: "main".to_owned(),
        flavour: "default".to_owned(),
        builders: vec!["debian".to_owned()],
        left_out,
        trigger,
        after_checks: Vec::new(),
        rerun_of: None,
    };
    let mut build = PrBuild::new(
        "n-7-l1",
        PrBuildSpec {
            request,
            cancel: None,
            cancel_builders: std::collections::BTreeMap::new(),
        },
    );
    build.metadata.uid = Some("uid-1".to_owned());
    build
}

fn builders(count: usize, name: &str) -> Vec<(String, String)> {
    (0..count)
        .map(|number| (format!("b{number}"), format!("{name} {number}")))
        .collect()
}

fn left_out(count: usize, reason: &str) -> Vec<LeftOut> {
    (0..count)
        .map(|number| LeftOut {
            builder: format!("b{number}"),
            reason: reason.to_owned(),
        })
        .collect()
}

#[test]
fn it_says_who_asked_which_commit_merged_into_what_and_which_builders() {
    let left = left_out(1, "needs an approval of exactly this commit");
    let text = body(
        &build(":hammer: test", left),
        &builders(2, "Debian"),
        "https://github.com/",
    );
    let expected = [
        "<!-- prbuild:uid-1 -->",
        "**2 builders test** [`1a1a1a1a1a`](https://github.com/o/n/commit/1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a) \
         merged into `main` at [`4d4d4d4d4d`](https://github.com/o/n/commit/4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d), \
         asked for by `vstinner` with the label `:hammer: test`.",
        "`Debian 0`, `Debian 1`",
        "Left out:",
        "- `b0`: needs an approval of exactly this commit",
        "add the label again when another build is worth it",
        "<sub>commit `1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a`",
    ];
    for part in expected {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(text.starts_with("<!-- prbuild:uid-1 -->\n"));
    assert!(!text.contains("<details>"));
}

#[test]
fn many_builders_are_folded_and_the_comment_stays_short() {
    let many = left_out(256, &"a long reason ".repeat(20));
    let text = body(
        &build("test", many),
        &builders(256, "s390x Debian"),
        "https://github.com",
    );
    assert!(text.lines().count() <= 60, "{} lines", text.lines().count());
    assert!(text.len() < 65_536);
    assert!(text.contains("<details><summary>The 256 builders</summary>"));
    assert!(text.contains("<details><summary>256 builders are left out</summary>"));
    assert!(text.contains("- and 236 more"));
}

#[test]
fn names_and_reasons_are_inert() {
    let hostile =
        "`\n```\n@python/core-devs #1 <img src=x onerror=1> </details> ![x](http://e.vil) \u{202E}";
    let mut hostile_build = build(hostile, left_out(3, hostile));
    hostile_build.spec.request.base_ref = hostile.to_owned();
    hostile_build.spec.request.trigger.user.login = hostile.to_owned();
    let text = body(&hostile_build, &builders(3, hostile), "https://github.com");
    assert!(text.lines().count() <= 60);
    assert!(!text.contains('\u{202E}') && !text.contains("```"));
    for line in text.lines() {
        // Every second part between backticks is code; the others are Markdown.
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        for markdown in line.split('`').step_by(2) {
            assert!(
                !markdown.contains("@p") && !markdown.contains("#1"),
                "{line}"
            );
            assert!(
                !markdown.contains("<img") && !markdown.contains("</details> "),
                "{line}"
            );
            assert!(!markdown.contains("://e.vil"), "{line}");
        }
    }
}

#[test]
fn a_bare_head_is_called_that() {
    let mut bare = build("test", Vec::new());
    bare.spec.request.base_sha = None;
    bare.spec.request.merge_sha = None;
    let text = body(&bare, &builders(1, "Debian"), "https://github.com");
    assert!(
        text.contains("**1 builder tests** [`1a1a1a1a1a`]"),
        "{text}"
    );
    assert!(text.contains(" as it is, for `main`"), "{text}");
}
