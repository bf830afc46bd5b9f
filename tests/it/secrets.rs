//! Nothing secret is printed: the look with which every story ends finds what was planted.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::api::{ObjectMeta, PostParams};
use tests::cluster::{Binary, eventually, shared_control_plane};
use tests::story::{ADA, PATIENCE, REPO, SECRET, Setting, Story};

async fn begin(name: &str) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.start_gateway().await.unwrap();
    story.start_operator().await.unwrap();
    story
}

#[tokio::test]
async fn a_secret_that_a_program_prints_or_an_object_holds_is_found() {
    let mut story = begin("leaks").await;
    story.plants_secrets();
    assert_eq!(story.leaks().await, [""; 0]);

    // A program that is given it in the wrong place says so, with what it was given.
    let args = ["--connections", "/nowhere", "--listen", SECRET];
    let index = story.install.start(Binary::Webhook, &args).await.unwrap();
    let program = story.install.program(index).unwrap();
    eventually("the webhook ends", PATIENCE, async || {
        program.ended().map(drop).ok_or("it runs".to_owned())
    })
    .await;
    let leaks = story.leaks().await;
    assert_eq!(leaks.len(), 1, "{leaks:?}");
    assert!(
        leaks[0].starts_with("the webhook's secret is in the log of"),
        "{leaks:?}"
    );
    assert!(leaks[0].ends_with("-prbuild-webhook"), "{leaks:?}");
    assert!(!leaks[0].contains(SECRET), "it is not said once more");

    let token = story.forge.tokens().into_iter().next().unwrap();
    let planted = Event {
        metadata: ObjectMeta {
            name: Some("planted".to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            namespace: Some(story.install.namespace().to_owned()),
            ..ObjectReference::default()
        },
        message: Some(format!("GitHub does not take {token}")),
        ..Event::default()
    };
    let how = PostParams::default();
    story.api::<Event>().create(&how, &planted).await.unwrap();
    let leaks = story.leaks().await;
    assert!(
        leaks.contains(&"a token of GitHub is in Events".to_owned()),
        "{leaks:?}"
    );
    let number = story.open_pull_request("said", &[("README", "x\n")]).await;
    story
        .forge
        .comment(REPO, number, ADA, &format!("It is {SECRET}."));
    let leaks = story.leaks().await;
    assert!(
        leaks.contains(&"the webhook's secret is in what GitHub was told".to_owned()),
        "{leaks:?}"
    );
    let end = AssertUnwindSafe(story.end()).catch_unwind().await;
    let said = end.unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("printed: "), "{said}");
}
