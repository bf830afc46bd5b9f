//! A build from its runs to its results.

use crds::{BuildResult, BuilderRun, PrBuild, RunPhase};
use tests::{
    cluster::{Ending, Fate, eventually},
    forge::Fault,
    parts,
    story::{PATIENCE, REPO, Story},
};

use super::{begin, build_of, crash, failing, revoke, run_is};

#[tokio::test]
async fn a_build_that_passes_says_so_on_the_commit_and_takes_the_label_off() {
    let story = begin("passes", Fate::passes()).await;
    story
        .builder("debian", |spec| spec.display_name = "AMD64 Debian".into())
        .await;
    let number = story
        .open_pull_request("change", &[("README", "changed\n")])
        .await;
    let build = story.authorized(number, &["debian"]).await;
    let build = story
        .complete(build.metadata.name.as_deref().unwrap())
        .await;
    let status = build.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Passed));
    assert_eq!(status.summary, "1 passed");
    let statuses = story.last_statuses(number);
    assert_eq!(statuses.len(), 1, "{statuses:?}");
    assert_eq!(
        (statuses[0].0.as_str(), statuses[0].1.as_str()),
        ("prbuild/AMD64 Debian", "success")
    );
    assert!(statuses[0].2.starts_with("Passed"), "{statuses:?}");
    story
        .forge
        .eventually(PATIENCE, "the label to go", |forge| {
            forge.labels(REPO, number).is_empty().then_some(())
        })
        .await;
    assert_eq!(
        story.forge.comments(REPO, number).len(),
        1,
        "one comment announces the build"
    );
    story.end().await;
}

/// What `kubectl describe prbuild/NAME` prints. `prbuild` with a space behind it is the category of all our kinds.
async fn described(story: &Story, build: &str) -> Result<String, String> {
    let kubectl = parts::existing(&parts::KUBECTL).unwrap();
    let cache = story.install.dir().unwrap().join("kubectl");
    let output = tokio::process::Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(story.install.access().kubeconfig())
        .arg("--cache-dir")
        .arg(cache)
        .args(["--namespace", story.install.namespace()])
        .arg("describe")
        .arg(format!("prbuild/{build}"))
        .output()
        .await
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The fields of one condition, and the columns of one Event, that stand together in a description.
fn tells(description: &str, block: &[&str]) -> bool {
    let lines: Vec<&str> = description.lines().collect();
    let near = |at: usize| lines[at.saturating_sub(6)..(at + 7).min(lines.len())].join("\n");
    let first = block.first().copied().unwrap_or_default();
    let places = (0..lines.len()).filter(|at| lines[*at].contains(first));
    places
        .map(near)
        .any(|text| block.iter().all(|words| text.contains(words)))
}

#[tokio::test]
async fn kubectl_describe_tells_the_story_of_a_build_by_its_conditions_and_events() {
    let story = begin("described", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    story.complete(&name).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let asked = format!("@ada asked for 1 builder on {}", &head[..10]);
    let blocks: [&[&str]; 7] = [
        &["1 run was made", "Dispatched", "RunsExist", "True"],
        &["GitHub has the result of every builder", "Reported", "True"],
        &["ResultStands", "Announced", "True"],
        &["LabelRemoved", "True"],
        &["1 passed", "Summary:"],
        // With `Dispatched`, or with `Complete` where the pod was quicker than the first status.
        &["Normal", &asked],
        &["Normal", "Complete", "1 passed in "],
    ];
    eventually("kubectl tells all of it", PATIENCE, async || {
        let description = described(&story, &name).await?;
        let missing = blocks.iter().find(|block| !tells(&description, block));
        match missing {
            None => Ok(()),
            Some(block) => Err(format!("{block:?} is not in\n{description}")),
        }
    })
    .await;
    story.end().await;
}

#[tokio::test]
async fn every_builder_gets_the_status_that_it_earned() {
    let mut story = begin("mixed", Fate::passes()).await;
    story.pods_go(|pod| {
        match pod.metadata.labels.as_ref().unwrap()["prbuild.dev/builder"].as_str() {
            "fails" => failing(),
            "missing" => Fate::ends(Ending::ImagePullBackOff {
                message: "gcc:99: not found".into(),
            }),
            "oom" => Fate::ends(Ending::OutOfMemory),
            _ => Fate::passes(),
        }
    });
    for name in ["passes", "fails", "missing", "oom"] {
        story.builder(name, |_| {}).await;
    }
    let number = story
        .open_pull_request("change", &[("README", "changed\n")])
        .await;
    let build = story
        .authorized(number, &["passes", "fails", "missing", "oom", "nowhere"])
        .await;
    let build = story
        .complete(build.metadata.name.as_deref().unwrap())
        .await;
    let status = build.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Failed));
    assert_eq!(status.summary, "1 passed, 2 failed, 2 error");
    let said: Vec<(String, String)> = story
        .last_statuses(number)
        .into_iter()
        .map(|(context, state, _)| (context, state))
        .collect();
    let expected = [
        ("prbuild/fails", "failure"),
        ("prbuild/missing", "error"),
        ("prbuild/nowhere", "error"),
        ("prbuild/oom", "failure"),
        ("prbuild/passes", "success"),
    ];
    assert_eq!(
        said,
        expected.map(|(context, state)| (context.to_owned(), state.to_owned()))
    );
    story.end().await;
}

#[tokio::test]
async fn a_builder_that_the_operator_has_not_heard_of_yet_does_not_count_as_gone() {
    let mut story = begin("newbuilder", Fate::passes()).await;
    crash(&mut story).await;
    // The next one reads which Builders there are, and hears of no other.
    let revoked = revoke(&story, "watch", "builders").await;
    story.start_operator().await.unwrap();
    eventually("everything is read", PATIENCE, async || {
        let log = story.operator_log();
        match log.contains("everything is read") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    story.builder("debian", |_| {}).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    run_is(&story, &format!("{name}-debian-1"), "is there", |_| true).await;
    revoked.restore(&story).await;
    // A watch that was refused is tried again after half a minute at most.
    let build = story.complete_within(&name, 2 * PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}

#[tokio::test]
async fn what_the_infrastructure_broke_is_tried_again() {
    let mut story = begin("retried", Fate::passes()).await;
    let tries = std::sync::atomic::AtomicU32::new(0);
    story.pods_go(
        move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Fate::ends(Ending::Evicted {
                message: "The node was low on resource: memory.".into(),
            }),
            _ => Fate::passes(),
        },
    );
    story.builder("debian", |_| {}).await;
    let number = story
        .open_pull_request("change", &[("README", "changed\n")])
        .await;
    let build = story.authorized(number, &["debian"]).await;
    let name = build.metadata.name.unwrap();
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    let runs = story.runs(&name).await;
    let phases: Vec<RunPhase> = runs
        .iter()
        .map(|run| run.status.as_ref().unwrap().phase)
        .collect();
    assert_eq!(phases, [RunPhase::Error, RunPhase::Succeeded]);
    let head = story.forge.pull_request(REPO, number).head_sha;
    let states: Vec<String> = story
        .forge
        .statuses(REPO, &head)
        .into_iter()
        .map(|one| one.state)
        .collect();
    assert!(
        !states.contains(&"error".to_owned()),
        "a retried error is not final: {states:?}"
    );
    story.end().await;
}

#[tokio::test]
async fn a_cancelled_build_ends_its_runs_and_leaves_nothing_pending() {
    let story = begin("cancelled", Fate::ends(Ending::Never)).await;
    story.builder("one", |_| {}).await;
    story.builder("queued", |spec| spec.paused = true).await;
    let number = story
        .open_pull_request("change", &[("README", "changed\n")])
        .await;
    let build = story.authorized(number, &["one", "queued"]).await;
    let name = build.metadata.name.unwrap();
    story
        .eventually_in("a run runs", &name, |build: &PrBuild| {
            let counts = build.status.clone().unwrap_or_default().counts;
            if counts.running == 1 {
                Ok(())
            } else {
                Err(format!("{counts:?}"))
            }
        })
        .await;
    story.cancel(&name).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    for (context, state, description) in story.last_statuses(number) {
        assert_eq!(state, "error", "{context}");
        assert!(description.starts_with("Cancelled"), "{description}");
    }
    story.end().await;
}

#[tokio::test]
async fn an_operator_that_is_killed_at_any_point_is_continued_by_the_next() {
    let mut story = begin("restart", Fate::passes()).await;
    for name in ["a", "b", "c"] {
        story
            .builder(name, |spec| spec.max_concurrent = Some(1))
            .await;
    }
    let mut builds = Vec::new();
    for branch in ["one", "two"] {
        let number = story.open_pull_request(branch, &[("README", branch)]).await;
        builds.push((
            number,
            story
                .authorized(number, &["a", "b", "c"])
                .await
                .metadata
                .name
                .unwrap(),
        ));
        story.kill_operator().await;
        story.start_operator().await.unwrap();
    }
    for (number, name) in &builds {
        let build = story.complete_within(name, PATIENCE * 2).await;
        assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
        let comments = story.forge.comments(REPO, *number);
        assert_eq!(
            comments.len(),
            1,
            "one comment for each build, whatever was killed"
        );
        assert!(
            story
                .last_statuses(*number)
                .iter()
                .all(|(_, state, _)| state == "success")
        );
    }
    story.end().await;
}

#[tokio::test]
async fn github_being_down_for_ten_minutes_loses_nothing() {
    let story = begin("outage", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let down = story.forge.faults().on("* /repos/**", Fault::Status(502));
    let name = story
        .authorized(number, &["debian"])
        .await
        .metadata
        .name
        .unwrap();
    let run = format!("{name}-debian-1");
    story
        .eventually_in(
            "the run ends although GitHub is down",
            &run,
            |run: &BuilderRun| {
                let status = run.status.clone().unwrap_or_default();
                if status.phase == RunPhase::Succeeded {
                    Ok(())
                } else {
                    Err(format!("{status:?}"))
                }
            },
        )
        .await;
    assert!(story.last_statuses(number).is_empty());
    story.forge.faults().off(down);
    story.complete_within(&name, PATIENCE * 3).await;
    assert_eq!(story.last_statuses(number)[0].1, "success");
    assert_eq!(story.forge.comments(REPO, number).len(), 1);
    story.end().await;
}
