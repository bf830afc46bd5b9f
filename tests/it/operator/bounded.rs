//! How many series the operator's metrics have: as many as there are builders and words, whatever is built.

use tests::cluster::{Fate, eventually};
use tests::story::{PATIENCE, Story};

use super::told::{metrics, value};
use super::{begin, build_of};
use crate::series::{STRANGE, assert_bounded, series};

const BUILDS: u32 = 8;

/// Builds a pull request on a builder that there is, and on one that there is not.
async fn build(story: &Story, time: u32) {
    let name = format!("{STRANGE}-{time}");
    let (_, build) = build_of(story, &name, &["linux", &name]).await;
    story.complete(&build).await;
}

/// The metrics once so many builds are in them, which is a moment after it is written down, and the budget of GitHub,
/// which is looked at every few seconds.
async fn counted(story: &mut Story, builds: u32) -> String {
    let operator = story.operator().unwrap();
    eventually("all are counted", PATIENCE, async || {
        let all = metrics(story, operator).await;
        let enough = |name: &str| value(&all, name) >= f64::from(builds);
        let complete = enough("prbuild_builds_completed_total{result=\"error\"}");
        let ended = enough("prbuild_runs_ended_total{builder=\"(gone)\",result=\"error\"}");
        match complete && ended && all.contains("prbuild_github_budget_remaining{") {
            true => Ok(all),
            false => Err(all),
        }
    })
    .await
}

#[tokio::test]
async fn whatever_pull_requests_and_builds_are_called_there_are_as_many_series_as_before() {
    let mut story = begin("series", Fate::passes()).await;
    story.builder("linux", |_| {}).await;
    build(&story, 0).await;
    let before = series(&counted(&mut story, 1).await);
    for time in 1..BUILDS {
        build(&story, time).await;
    }
    let after = series(&counted(&mut story, BUILDS).await);
    let known = "prbuild_runs_ended_total{builder=\"linux\",result=\"passed\"}";
    assert!(after.contains(known), "{after:?}");
    assert_bounded(&before, &after);
    story.end().await;
}
