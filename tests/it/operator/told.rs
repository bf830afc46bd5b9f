//! What the operator and the webhook tell of their work: metrics for Prometheus, and lines of the log.

use kube::ResourceExt;
use serde_json::Value;
use tests::{
    cluster::{Fate, eventually},
    story::{PATIENCE, REPO, Story},
};

use super::{begin, build_of, failing};

/// What a program answers to Prometheus.
pub(super) async fn metrics(story: &mut Story, program: usize) -> String {
    let address = story.install.address(program, "metrics on ").await.unwrap();
    let answer = crate::http_get(&format!("http://{address}/metrics")).await;
    let (status, text) = answer.unwrap();
    assert_eq!(status, 200, "{text}");
    text
}

/// The value behind this, or 0.
pub(super) fn value(metrics: &str, of: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(of));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Lines of a program's log in which a field is this, as JSON.
fn lines(log: &str, field: &str, is: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line[field].as_str() == Some(is))
        .collect()
}

#[tokio::test]
async fn metrics_follow_a_build_from_its_label_to_its_status_and_count_every_call_and_write() {
    let mut story = begin("metrics", Fate::passes()).await;
    story.start_webhook().await.unwrap();
    story.builder("linux", |_| {}).await;
    let number = story.open_pull_request("change", &[("new", "1")]).await;
    let build = story.name_of(number, story.label(number));
    story.complete(&build).await;

    let operator = story.operator().unwrap();
    let completed = "prbuild_builds_completed_total{result=\"passed\"}";
    // It is counted a moment after it is written down.
    let all = eventually("the build is counted", PATIENCE, async || {
        let all = metrics(&mut story, operator).await;
        match value(&all, completed) > 0.0 {
            true => Ok(all),
            false => Err(all),
        }
    })
    .await;
    let ended = "prbuild_runs_ended_total{builder=\"linux\",result=\"passed\"}";
    let expected = [
        ("prbuild_run_start_seconds_count{builder=\"linux\"}", 1.0),
        ("prbuild_label_to_job_seconds_count", 1.0),
        ("prbuild_job_to_status_seconds_count", 1.0),
        ("prbuild_label_to_status_seconds_count", 1.0),
        (completed, 1.0),
        (
            "prbuild_api_writes_total{kind=\"jobs\",verb=\"create\"}",
            1.0,
        ),
        (ended, 1.0),
    ];
    for (name, count) in expected {
        assert!((value(&all, name) - count).abs() < 1e-9, "{name}:\n{all}");
    }
    for name in [
        "prbuild_api_writes_total{kind=\"builderruns\",verb=\"create\"}",
        "prbuild_api_writes_total{kind=\"builderruns\",verb=\"patch\"}",
        "prbuild_api_writes_total{kind=\"prbuilds\",verb=\"patch\"}",
        "prbuild_api_writes_total{kind=\"repositories\",verb=\"patch\"}",
        "prbuild_api_writes_total{kind=\"events\",verb=\"create\"}",
        "prbuild_github_calls_total{endpoint=\"statuses\",status=\"2xx\"}",
        "prbuild_github_calls_total{endpoint=\"tokens\",status=\"2xx\"}",
        "prbuild_github_calls_total{endpoint=\"graphql\",status=\"2xx\"}",
    ] {
        assert!(value(&all, name) >= 1.0, "{name}:\n{all}");
    }

    let webhook = story.webhook().unwrap();
    let all = metrics(&mut story, webhook).await;
    for name in [
        "prbuild_webhook_api_writes_total{kind=\"prbuilds\",verb=\"create\"}",
        "prbuild_webhook_github_calls_total{endpoint=\"graphql\",status=\"2xx\"}",
        "prbuild_webhook_github_calls_total{endpoint=\"events\",status=\"2xx\"}",
    ] {
        assert!(value(&all, name) >= 1.0, "{name}:\n{all}");
    }
    // Nothing of a pull request is a label of a metric.
    let head = story.forge.pull_request(REPO, number).head_sha;
    assert!(!all.contains(&head) && !all.contains(&build), "{all}");
    story.end().await;
}

#[tokio::test]
async fn the_log_tells_the_story_of_each_run_with_its_pull_request_commit_and_result() {
    let mut story = begin("journal", failing()).await;
    story.builder("linux", |_| {}).await;
    let (number, build) = build_of(&story, "change", &["linux"]).await;
    story.complete(&build).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let run = story.runs(&build).await.remove(0).name_any();

    let told = eventually("the log tells all of it", PATIENCE, async || {
        let log = story.operator_log();
        match lines(&log, "message", "complete").is_empty() {
            true => Err(log),
            false => Ok(log),
        }
    })
    .await;
    let of_build = lines(&told, "build", &build);
    let says = |message: &str| {
        let mut found = of_build.iter().filter(|line| line["message"] == message);
        let line = found.next().unwrap_or_else(|| panic!("{message}:\n{told}"));
        assert!(found.next().is_none(), "{message} is said twice:\n{told}");
        assert_eq!(line["level"], "INFO", "{line}");
        assert_eq!(line["pull_request"], number, "{line}");
        assert_eq!(line["head_sha"], head.as_str(), "{line}");
        line.clone()
    };
    assert_eq!(says("dispatched")["builders"], 1);
    for message in ["admitted", "ended", "reported"] {
        let line = says(message);
        assert_eq!(line["run"], run.as_str(), "{line}");
        assert_eq!(line["builder"], "linux", "{line}");
    }
    assert_eq!(says("ended")["result"], "failed");
    assert_eq!(says("reported")["state"], "failure");
    assert_eq!(says("complete")["result"], "Failed");
    story.end().await;
}
