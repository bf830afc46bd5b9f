//! A release of the chart on the shared node, with one builder, as pages of docs/ begin with one.

use std::time::Duration;

use crds::{BuildResult, PrBuild};
use serde_json::{Value, json};
use tests::cluster::{Release, merge, shared_node};
use tests::images::GCC;
use tests::story::{Setting, Story};

/// On a busy machine pods start, and a mounted Secret follows within 90 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A release of this name with one replica of each part, and more values.
pub(crate) async fn begin(name: &str, more: &Value) -> Story {
    let (access, facts) = shared_node();
    let release = Release::new(&access, &facts, name);
    let mut values = json!({
        "crds": { "install": false },
        "webhook": { "replicas": 1 }, "operator": { "replicas": 1 },
    });
    merge(&mut values, more);
    let begun = Story::begin_with_chart(&access, &facts, release, Setting::default(), &values);
    let story = begun.await.unwrap();
    story
        .builder("debian", |spec| {
            if let Some(machine) = &mut spec.kubernetes {
                machine.image = GCC.to_owned();
            }
        })
        .await;
    story
}

/// A labelled pull request becomes a build that passes. Its name.
pub(crate) async fn builds(story: &Story, branch: &str) -> String {
    let number = story.open_pull_request(branch, &[("new", branch)]).await;
    let name = story.name_of(number, story.label(number));
    let build: PrBuild = story.complete_within(&name, PATIENCE).await;
    let status = build.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Passed), "{status:?}");
    name
}
