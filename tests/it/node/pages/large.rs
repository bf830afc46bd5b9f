//! Pages of what is large: a build of a hundred builders, and a builder's last two hundred results.

use protocol::record::{BUILDER_HISTORY, BuildRecord, BuilderHistory, RunResult};
use serde_json::{Value, json};
use tests::cluster::shared_node;

use super::super::with_pages;
use super::named;
use crate::browser::{Browser, Look};

const BUILDERS: usize = 100;
const BUILD: &str = "app-1-l100";
const SHA: &str = "c0ffee0123456789c0ffee0123456789c0ffee01";

/// An hour ago, in milliseconds since 1970.
fn lately() -> i64 {
    jiff::Timestamp::now().as_millisecond() - 3_600_000
}

/// Most pass, some fail, one in fifty is our fault.
fn result(n: usize) -> RunResult {
    match n {
        _ if n % 50 == 7 => RunResult::Error,
        _ if n % 9 == 4 => RunResult::Failed,
        _ => RunResult::Passed,
    }
}

fn reason(n: usize) -> &'static str {
    match result(n) {
        RunResult::Passed => "",
        _ => "exit code 2",
    }
}

fn failures(n: usize) -> &'static [&'static str] {
    match result(n) {
        RunResult::Failed => &["test.test_ssl.ThreadedTests.test_a_name_that_is_rather_long"],
        _ => &[],
    }
}

fn uid(n: usize) -> String {
    format!("0b1c2d3e-0000-4000-8000-{n:012}")
}

fn build() -> BuildRecord {
    let run = |n: usize| -> Value {
        json!({
            "builder": format!("builder-{n}"), "displayName": format!("Builder {n} Debian"),
            "run": uid(n), "attempt": 1, "result": result(n), "seconds": 60 * n,
            "reason": reason(n), "failures": failures(n),
        })
    };
    let runs: Vec<_> = (0..BUILDERS).map(run).collect();
    let record = json!({
        "name": BUILD, "uid": uid(BUILDERS), "requester": "tristan", "trigger": "the label `test`",
        "pull": {
            "repository": "app", "fullName": "octo/app", "url": "https://github.example/octo/app", "number": 1,
        },
        "commit": SHA, "headSha": SHA, "baseRef": "main", "summary": "87 passed, 11 failed, 2 errors",
        "result": RunResult::Failed, "createdMs": lately(), "finishedMs": lately() + 1_800_000, "runs": runs,
    });
    serde_json::from_value(record).unwrap()
}

fn history() -> BuilderHistory {
    let run = |n: usize| -> Value {
        json!({
            "run": uid(n), "repository": "app", "number": 1 + n / 3, "headSha": SHA, "baseRef": "main",
            "result": result(n), "seconds": 600 + 37 * (n % 20),
            "finishedMs": lately() - i64::try_from(n).unwrap() * 3_600_000, "failures": failures(n),
        })
    };
    let runs: Vec<_> = (0..BUILDER_HISTORY).map(run).collect();
    let record = json!({ "builder": "builder-4", "displayName": "Builder 4 Debian", "runs": runs });
    serde_json::from_value(record).unwrap()
}

#[tokio::test]
async fn a_hundred_builders_are_seen_on_one_screen_and_two_hundred_results_are_sound() {
    const FIT: &str = "(() => {
        const boxes = [...document.querySelectorAll('.cells .cell')].map(cell => cell.getBoundingClientRect());
        const [tops, bottoms] = [boxes.map(box => box.top), boxes.map(box => box.bottom)];
        return boxes.length === 100 && Math.max(...bottoms) - Math.min(...tops) < innerHeight;
    })()";
    let story = with_pages("hundred").await;
    let gateway = story.gateway();
    gateway.put_build(&build()).await.unwrap();
    gateway.put_history(&history()).await.unwrap();
    let browser = Browser::start(&shared_node().0).await;
    // Each width and each theme once: to look through so much takes seconds.
    for look in [Look::ALL[0], Look::ALL[3]] {
        browser.look(look).await;
        for (name, path, expected) in [
            (
                "build-hundred",
                format!("/r/app/builds/{BUILD}"),
                "Builder 99 Debian",
            ),
            (
                "builder-two-hundred",
                "/builders/builder-4".to_owned(),
                "Builder 4 Debian",
            ),
        ] {
            browser
                .open(&format!("{}{path}", gateway.pages_url()))
                .await;
            let text = browser.text().await;
            assert!(text.contains(expected), "{path} lacks {expected}: {text}");
            browser.screenshot(&named(name, look)).await;
            browser.is_sound(&format!("{path} {look:?}")).await;
            if name == "build-hundred" {
                let fits = browser.run(&format!("return {FIT}")).await;
                assert_eq!(fits, json!(true), "a matrix on one screen: {look:?}");
            }
        }
    }
    browser.close().await;
    story.end().await;
}
