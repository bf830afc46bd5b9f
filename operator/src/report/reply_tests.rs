//! Help and status, as people read them.

use std::sync::Arc;

use crds::{BuilderSpec, RepositorySpec};
use serde_json::json;

use super::{
    super::template::tests::{NASTY, links, shape},
    *,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn repository() -> Repository {
    let spec: RepositorySpec = serde_json::from_value(json!({
        "owner": "python", "name": "cpython", "connection": "github",
        "commands": { "prefix": "/bot", "patternPrefix": "!buildbot" },
        "labels": [
            { "name": ":hammer: test", "flavour": "default" },
            { "name": "refleaks", "flavour": "default", "pattern": "Refleaks|x", "minimum": "Triage" },
        ],
    }))
    .unwrap();
    Repository::new("cpython", spec)
}

fn builder(name: &str, stability: &str) -> Arc<Builder> {
    let spec: BuilderSpec = serde_json::from_value(json!({
        "displayName": name, "stability": stability, "flavours": ["default"],
        "steps": [{ "run": "make" }],
        "kubernetes": { "image": "x", "resources": { "cpu": "1", "memory": "1Gi", "disk": "1Gi" } },
    }))
    .unwrap();
    Arc::new(Builder::new(&name.to_ascii_lowercase(), spec))
}

fn build(at_second: i64, totals: &str, is_complete: bool, live: Vec<Live>) -> Build {
    Build {
        head_sha: "1a".repeat(20),
        user: "ada".to_owned(),
        asked: Some(":hammer: test".to_owned()),
        at: at(at_second),
        totals: totals.to_owned(),
        is_complete,
        is_cancelled: false,
        comment: Some("https://github.com/o/n/pull/7#issuecomment-9".to_owned()),
        live,
    }
}

fn live(builder: &str, phase: RunPhase, because: &str) -> Live {
    Live {
        builder: builder.to_owned(),
        phase,
        because: because.to_owned(),
        since: Some(at(100)),
    }
}

#[test]
fn a_label_with_a_bar_does_not_end_its_cell_of_the_table() {
    let mut repository = repository();
    repository.spec.labels[0].name = "type | test".to_owned();
    let text = help(&repository, &[builder("ARM64", "Stable")]);
    let row = "| `/bot run` | builds today's head as `type ¦ test` does |\n";
    assert!(text.contains(row), "{text}");
}

#[test]
fn help_names_every_command_with_the_repositorys_own_words_labels_flavours_and_builders() {
    let text = help(
        &repository(),
        &[builder("ARM64", "Stable"), builder("iOS", "Unstable")],
    );
    for part in [
        "| `/bot run` | builds today's head as `:hammer: test` does |",
        "`/bot run <full SHA>`",
        "`/bot rerun failed`",
        "`/bot rerun <builder>`",
        "`/bot cancel`",
        "`/bot status`",
        "`!buildbot <regex>`",
        "- `:hammer: test` builds the flavour `default`\n",
        "- `refleaks` builds the flavour `default`, of it the builders with names that `Refleaks|x` finds; needs triage access",
        "Flavours and their builders: `default` (2).",
        "`ARM64` · `iOS` (unstable)",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(text.lines().count() < 40, "{text}");
}

#[test]
fn a_repository_without_patterns_does_not_speak_of_them() {
    let mut repository = repository();
    repository.spec.commands.pattern_prefix = String::new();
    assert!(!help(&repository, &[builder("a", "Stable")]).contains("regex"));
}

#[test]
fn status_says_where_each_build_stands_what_waits_and_why() {
    let running = vec![
        live("ARM64", RunPhase::Queued, "3 ahead on `ARM64`"),
        live("iOS", RunPhase::Running, ""),
    ];
    let builds = vec![
        build(10, "2 passed", true, Vec::new()),
        build(40, "1 passed, 1 running, 1 waiting", false, running),
    ];
    assert_eq!(
        status(builds, false, "/prbuild", at(160)),
        "1 build is under way.\n\n\
         **1 passed, 1 running, 1 waiting** on [`1a1a1a1a1a`](https://github.com/o/n/pull/7#issuecomment-9), \
         asked for by `ada` with `:hammer: test`, 2 min ago\n\n\
         | builder | now | for |\n|---|---|---|\n\
         | `iOS` | ◐ running | 1\u{a0}min |\n\
         | `ARM64` | ○ waiting: 3 ahead on `ARM64` | 1\u{a0}min |\n\n\
         **2 passed** on [`1a1a1a1a1a`](https://github.com/o/n/pull/7#issuecomment-9), \
         asked for by `ada` with `:hammer: test`, 2 min 30 s ago\n\n"
    );
}

#[test]
fn a_pull_request_without_builds_is_told_how_to_ask_for_one() {
    let text = status(Vec::new(), true, "/bot", at(0));
    assert!(
        text.starts_with("nothing waits or runs here. Builds are paused"),
        "{text}"
    );
    assert!(text.contains("`/bot help`"), "{text}");
}

#[test]
fn a_hundred_runs_are_a_short_status() {
    let many = vec![live("a|b", RunPhase::Queued, "the image is pulled | @ada"); 100];
    let builds = vec![build(1, "100 waiting", false, many); 9];
    let text = status(builds, false, "/prbuild", at(200));
    assert!(text.lines().count() <= 60, "{text}");
    assert!(
        text.contains("| and 88 more | | |") && text.contains("And 6 more builds."),
        "{text}"
    );
    assert!(!text.contains("@ada"), "{text}");
}

#[test]
fn s30_no_foreign_text_leaves_its_place_in_help_or_status() {
    let of = |text: &str| {
        let mut repository = repository();
        for rule in &mut repository.spec.labels {
            rule.name = text.to_owned();
            rule.pattern = Some(text.to_owned());
            rule.tags = vec![text.to_owned()];
        }
        let mut builder = Builder::clone(&builder("x", "Unstable"));
        builder.spec.display_name = text.to_owned();
        let mut build = build(
            1,
            "1 waiting",
            false,
            vec![live(text, RunPhase::Queued, text)],
        );
        build.user = text.to_owned();
        build.asked = Some(text.to_owned());
        let status = status(vec![build], false, "/prbuild", at(200));
        help(&repository, &[Arc::new(builder)]) + &status
    };
    let (expected, _) = shape(&of("Debian"));
    for nasty in NASTY {
        let (found, text) = shape(&of(nasty));
        assert_eq!(found, expected, "{nasty}\n{}", of(nasty));
        assert!(!links().is_match(&text), "{nasty}\n{text}");
    }
}
