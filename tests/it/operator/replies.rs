//! Questions and mistakes in comments are answered from what the operator knows, once of each kind.

use crds::{
    Answer, PrBuild, Repository,
    condition::{self, kind},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::{
    cluster::Fate,
    story::{REPO, Story, apply},
};

use super::{begin, build_of, run_is};

/// Ada wrote a command, and the webhook stored what came of it.
async fn wrote(story: &Story, number: u64, command: &str, reason: &str, facts: Value) -> String {
    let comment = story.forge.comment(REPO, number, "ada", command);
    let name = format!("app-{number}-c{comment}");
    let answer = json!({ "spec": {
        "repository": { "name": "app", "id": story.forge.repository_id(REPO), "fullName": REPO },
        "number": number, "reason": reason, "facts": facts,
        "trigger": { "kind": "Comment", "eventId": comment, "time": story.forge.clock().now().to_string(),
            "command": command, "permission": "write",
            "user": { "id": story.forge.user_id("ada"), "login": "ada" } },
    }});
    apply::<Answer>(&story.api(), &name, answer).await;
    story.answered(&name).await;
    name
}

/// What PrBuild said, without what it said of builds.
fn said(story: &Story, number: u64) -> Vec<String> {
    let comments = story.forge.comments(REPO, number).into_iter();
    comments
        .map(|comment| comment.body)
        .filter(|body| body.starts_with("<!-- prbuild-answer:"))
        .collect()
}

async fn change(story: &Story, spec: Value) {
    let repositories = story.api::<Repository>();
    let patch = Patch::Merge(json!({ "spec": spec }));
    let how = PatchParams::default();
    repositories.patch("app", &how, &patch).await.unwrap();
}

#[tokio::test]
async fn status_says_what_waits_and_why_and_the_next_one_takes_its_place() {
    let story = begin("replystatus", Fate::passes()).await;
    change(&story, json!({ "paused": true })).await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    run_is(
        &story,
        &format!("{name}-debian-1"),
        "waits",
        |run: &crds::BuilderRun| {
            let status = run.status.as_ref();
            status.is_some_and(|status| status.waiting.is_some())
        },
    )
    .await;
    let announced = |build: &PrBuild| {
        let status = build.status.clone().unwrap_or_default();
        let told = condition::is_true(&status.conditions, kind::ANNOUNCED);
        told.then_some(()).ok_or(format!("{:?}", status.conditions))
    };
    let what = "its comment, which the answer links, is known";
    story.eventually_in(what, &name, announced).await;
    wrote(&story, number, "/prbuild status", "Status", json!({})).await;
    let first = said(&story, number);
    assert_eq!(first.len(), 1);
    for words in [
        "@ada: 1 build is under way. Builds are paused here",
        "**1 waiting** on [`",
        "asked for by `ada` with",
        "○ waiting: builds of this repository are paused",
    ] {
        assert!(first[0].contains(words), "{words}: {}", first[0]);
    }
    change(&story, json!({ "paused": false })).await;
    story.complete(&name).await;
    wrote(&story, number, "/prbuild status", "Status", json!({})).await;
    let second = said(&story, number);
    assert_eq!(second.len(), 1, "{second:?}");
    assert!(
        second[0].contains("@ada: nothing waits or runs here.")
            && second[0].contains("**1 passed** on"),
        "{}",
        second[0]
    );
    story.end().await;
}

#[tokio::test]
async fn help_and_mistakes_are_answered_in_the_repositorys_own_words() {
    let story = begin("replyhelp", Fate::passes()).await;
    change(&story, json!({ "commands": { "prefix": "/bot" } })).await;
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("a", "b\n")]).await;
    wrote(&story, number, "/bot help", "Help", json!({})).await;
    let facts = json!({ "subject": "/bot stop @octo/core", "detail": "Did you mean `cancel`?" });
    wrote(&story, number, "/bot stop", "UnknownCommand", facts).await;
    let said = said(&story, number);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("`/bot rerun failed`") && said[0].contains("`debian`"),
        "{}",
        said[0]
    );
    assert!(
        said[1].ends_with(
            "@ada: `/bot stop @octo/core` is not a command. Did you mean `cancel`? `/bot help` lists what there is.\n"
        ),
        "{}",
        said[1]
    );
    story.end().await;
}
