//! Every page, in every look.

use crds::{BuilderRun, RunPhase};
use kube::ResourceExt;
use tests::cluster::shared_node;

use super::super::{runs, with_pages};
use super::{PATIENCE, named};
use crate::browser::{Browser, Look};

#[tokio::test]
async fn every_page_is_sound_wide_and_narrow_light_and_dark() {
    let story = with_pages("pages").await;
    for (builder, script) in [
        ("passes", "echo fine"),
        ("fails", "echo no; exit 1"),
        ("sleeps", "sleep 600"),
    ] {
        story.builder(builder, runs(script)).await;
    }
    story.builder("waits", |spec| spec.paused = true).await;
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let build = story.name_of(number, story.label(number));
    let over = async |builder: &str| {
        let name = crds::names::run_name(&build, builder, 1);
        story
            .eventually_in("it ended", &name, |run: &BuilderRun| {
                let phase = run.status.clone().unwrap_or_default().phase;
                phase
                    .is_terminal()
                    .then_some(())
                    .ok_or(format!("{phase:?}"))
            })
            .await;
    };
    over("passes").await;
    over("fails").await;
    let name = |builder: &str| crds::names::run_name(&build, builder, 1);
    story
        .eventually_in("it runs", &name("sleeps"), |run: &BuilderRun| {
            let phase = run.status.clone().unwrap_or_default().phase;
            (phase == RunPhase::Running)
                .then_some(())
                .ok_or(format!("{phase:?}"))
        })
        .await;
    let waits = story
        .eventually_in("it says why", &name("waits"), |run: &BuilderRun| {
            let status = run.status.clone().unwrap_or_default();
            let uid = status.waiting.as_ref().and_then(|_| run.uid());
            uid.ok_or(format!("{status:?}"))
        })
        .await;
    let browser = Browser::start(&shared_node().0).await;
    let at = |path: &str| format!("{}{path}", story.gateway().pages_url());
    let pages = [
        ("overview", "/".to_owned(), "octo/app"),
        (
            "pull-request",
            format!("/r/app/pull/{number}"),
            "octo/app#1",
        ),
        ("build", format!("/r/app/builds/{build}"), "fails"),
        ("run-waiting", format!("/r/app/runs/{waits}"), "is paused"),
        ("builders", "/builders".to_owned(), "passes"),
        ("builder", "/builders/fails".to_owned(), "fails"),
        (
            "nothing",
            "/r/app/runs/00000000-0000-4000-8000-000000000000".to_owned(),
            "kept for",
        ),
    ];
    for look in Look::ALL {
        browser.look(look).await;
        for (name, path, expected) in &pages {
            browser.open(&at(path)).await;
            let text = browser.text().await;
            assert!(text.contains(expected), "{path} lacks {expected}: {text}");
            browser.screenshot(&named(name, look)).await;
            match *name {
                "nothing" => {
                    browser.is_open_to_all(path).await;
                    // A browser complains of every page that is not there.
                    browser.errors().await;
                }
                _ => browser.is_sound(&format!("{path} {look:?}")).await,
            }
        }
    }
    browser.open(&at(&format!("/r/app/builds/{build}"))).await;
    browser.run("window.sameDocument = true").await;
    story.cancel(&build).await;
    story.complete_within(&build, PATIENCE).await;
    browser
        .until(
            "a page that is open changes by itself",
            "window.sameDocument && document.body.innerText.includes('cancelled') && !/^[◐○]/.test(document.title)",
        )
        .await;
    browser.close().await;
    story.end().await;
}
