//! The comment of a build: what it shows, leads to and never grows beyond.

use crds::{Evidence, Permission, Person, Preset, Reporting, TriggerKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

/// The facts of a build that vstinner asked for with a label.
pub fn facts(builders: Vec<BuilderFacts>) -> CommentFacts {
    let trigger = Trigger {
        kind: TriggerKind::Label,
        event_id: 1,
        time: Time(jiff::Timestamp::UNIX_EPOCH),
        label: Some(":hammer: test-with-buildbots".to_owned()),
        command: None,
        user: Person {
            id: 1,
            login: "vstinner".to_owned(),
        },
        permission: Permission::Write.word().to_owned(),
        evidence: Evidence::Label,
    };
    CommentFacts {
        uid: "uid-1".to_owned(),
        web: "https://github.com/".to_owned(),
        page: None,
        repository: "python/cpython".to_owned(),
        number: 138_710,
        trigger,
        flavour: "default".to_owned(),
        head_sha: "1a".repeat(20),
        base_sha: Some("4d".repeat(20)),
        merge_sha: Some("2b".repeat(20)),
        base_ref: "main".to_owned(),
        is_rerun: false,
        builders,
        left_out: Vec::new(),
        cancel: None,
        duration: None,
        refused: None,
        prefix: "/prbuild".to_owned(),
        mode: ReportMode::Statuses,
        wording: template::Wording::default(),
    }
}

/// A builder.
pub fn builder(name: &str, phase: RunPhase, because: &str) -> BuilderFacts {
    let ended = !matches!(
        phase,
        RunPhase::Queued | RunPhase::Dispatched | RunPhase::Running | RunPhase::Cancelled
    );
    BuilderFacts {
        name: name.to_owned(),
        phase,
        warning: false,
        because: because.to_owned(),
        took: ended.then(|| "12 min".to_owned()),
        link: None,
        also: Vec::new(),
        failures: Vec::new(),
        failures_total: 0,
    }
}

fn cpython(mut facts: CommentFacts) -> CommentFacts {
    let reporting = Reporting {
        preset: Preset::Cpython,
        ..Reporting::default()
    };
    facts.wording = template::Wording::of(&reporting, &crds::Commands::default());
    facts
}

/// A builder with tests that failed.
fn failed(name: &str, tests: &[&str], total: usize) -> BuilderFacts {
    let mut one = builder(name, RunPhase::Failed, "step `test` (exit code 2)");
    one.failures = tests.iter().map(|test| (*test).to_owned()).collect();
    one.failures_total = total;
    one.link = Some("https://github.com/python/cpython/runs/77".to_owned());
    one
}

const SYSTEMS: [&str; 20] = [
    "AMD64 Debian root",
    "AMD64 Debian Clang NoGIL",
    "AMD64 Fedora Stable",
    "AMD64 Fedora Stable Refleaks",
    "AMD64 RHEL8 FIPS Only Blake2 Builtin Hash",
    "AMD64 Ubuntu Shared",
    "AMD64 Ubuntu NoGIL Refleaks",
    "AMD64 Arch Linux Asan",
    "AMD64 Arch Linux TraceRefs",
    "AMD64 CentOS9",
    "ARM Raspbian",
    "ARM64 MacOS M1",
    "ARM64 Windows",
    "PPC64LE Fedora Stable LTO",
    "aarch64 RHEL8 LTO + PGO",
    "s390x Debian",
    "s390x RHEL9 Refleaks",
    "iOS ARM64 Simulator",
    "x86 Debian Non-Debug with X",
    "wasm32 Emscripten",
];

/// A hundred builders; the first `ended` have a result.
fn hundred(ended: usize) -> Vec<BuilderFacts> {
    let names = (1..=5).flat_map(|year| SYSTEMS.map(|name| format!("{name} 3.{}", 9 + year)));
    let of = |(index, name): (usize, String)| match index {
        waits if waits >= ended + 8 => {
            let ahead = format!("{} ahead", waits % 4 + 1);
            builder(&name, RunPhase::Queued, &ahead)
        }
        runs if runs >= ended => builder(&name, RunPhase::Running, ""),
        15 | 55 => failed(&name, &["test_ssl", "test_socket", "test_asyncio"], 7),
        16 => builder(
            &name,
            RunPhase::TimedOut,
            "the step `test` took longer than its limit of 20 min",
        ),
        30 => builder(
            &name,
            RunPhase::Error,
            "the image `registry.example/fedora:41` does not exist; this was attempt 3, the last",
        ),
        _ => builder(&name, RunPhase::Succeeded, ""),
    };
    names.enumerate().map(of).collect()
}

#[test]
fn whatever_the_names_are_the_comment_is_whole_and_github_takes_it() {
    let long = "𝔹|`\\@".repeat(200);
    for phase in [
        RunPhase::Failed,
        RunPhase::Succeeded,
        RunPhase::Queued,
        RunPhase::Cancelled,
    ] {
        let mut one = builder(&long, phase, &long);
        one.failures = vec![long.clone(); 20];
        one.failures_total = 4_000_000;
        one.link = Some(format!(
            "https://github.com/python/cpython/runs/{}",
            u64::MAX
        ));
        let mut all = facts(vec![one; 256]);
        let left = LeftOut {
            builder: long.clone(),
            reason: long.clone(),
        };
        all.left_out = vec![left; 256];
        all.trigger.label = Some(long.clone());
        all.trigger.user.login = long.clone();
        all.base_ref = long.clone();
        let body = render(&all);
        assert!(body.len() <= BYTES_MOST, "{} bytes", body.len());
        assert!(body.lines().count() <= 60, "{} lines", body.lines().count());
        assert!(body.starts_with("<!-- prbuild:uid-1 -->\n"));
        assert!(
            body.contains("<sub>") && body.ends_with("</sub>\n"),
            "{phase:?}: it was cut"
        );
    }
}

#[test]
fn the_table_of_a_small_build_is_open_and_of_a_large_one_what_did_not_pass() {
    let small = render(&facts(hundred(100).split_off(90)));
    assert!(!small.contains("<details>"), "{small}");
    let large = render(&facts(hundred(100)));
    let (open, folded) = large.split_once("<details>").unwrap();
    for name in [
        "s390x Debian 3.10",
        "s390x RHEL9 Refleaks 3.10",
        "ARM Raspbian 3.11",
    ] {
        assert!(
            open.contains(name) && !folded.contains(&format!("`{name}`")),
            "{name}"
        );
    }
    assert!(folded.contains("The other 96 builders"), "{folded}");
}

#[test]
fn each_builder_leads_to_its_page_and_the_build_to_its_own() {
    let page = "https://ci.example.org/r/app/runs/0b5c";
    let mut failed = builder("Debian", RunPhase::Failed, "step `test` (exit code 2)");
    failed.link = Some(page.to_owned());
    let mut facts = facts(vec![failed]);
    facts.page = Some("https://ci.example.org/r/app/builds/app-7-l1".to_owned());
    let comment = render(&facts);
    assert!(
        comment.contains(&format!("[`Debian`]({page})")),
        "{comment}"
    );
    let build = "[Results and logs](https://ci.example.org/r/app/builds/app-7-l1).";
    assert!(comment.contains(build), "{comment}");
    let cpython = render(&cpython(facts));
    let shown = "Results will be shown at:\n\nhttps://ci.example.org/r/app/builds/app-7-l1\n";
    assert!(cpython.contains(shown), "{cpython}");
}

#[test]
fn a_test_that_fails_for_others_too_is_told_and_breaks_no_row() {
    let also = |test: &str| {
        let how_often = protocol::record::AlsoFailed { failed: 4, of: 5 };
        (test.to_owned(), how_often)
    };
    let mut failed = builder("Debian", RunPhase::Failed, "step `test` (exit code 2)");
    failed.failures = vec!["test_ssl".to_owned(), "a|b".to_owned()];
    failed.failures_total = 2;
    failed.also = vec![also("test_ssl"), also("a|b")];
    let comment = render(&facts(vec![failed]));
    let row = comment
        .lines()
        .find(|line| line.contains("`Debian`"))
        .unwrap();
    let said = "`test_ssl`, `a¦b` also failed in 4 of this builder's last 5 builds, on other PRs |";
    assert!(row.contains(said), "{row}");
    assert_eq!(row.matches('|').count(), 4, "{row}");
}

#[test]
fn what_is_known_of_others_makes_no_comment_too_long() {
    let many = (0..100).map(|at| {
        let mut failed = builder(&format!("builder {at}"), RunPhase::Failed, "");
        failed.link = Some(format!("https://ci.example.org/{}", "x".repeat(200)));
        failed.failures = (0..20)
            .map(|test| format!("{test}{}", "`@#".repeat(80)))
            .collect();
        failed.also = failed
            .failures
            .iter()
            .enumerate()
            .map(|(at, test)| {
                let failed = 1 + at % 5;
                (test.clone(), protocol::record::AlsoFailed { failed, of: 5 })
            })
            .collect();
        failed
    });
    let comment = render(&facts(many.collect()));
    assert!(comment.len() <= BYTES_MOST, "{}", comment.len());
    assert!(comment.lines().count() <= 60, "{}", comment.lines().count());
}

#[path = "comment_fixture_tests.rs"]
mod fixtures;
