//! The same delivery again: at once, later, and after the label came off.

use std::collections::HashSet;

use tests::cluster::Fate;
use tests::forge::DeliveryFault;

use super::*;

/// Ada labels, GitHub tells nobody, and the same body arrives twenty times at once under twenty ids.
/// Returns the object's name, the body, and the statuses.
async fn twenty_times(town: &Town, number: u64) -> (String, Vec<u8>, HashSet<u16>) {
    let event = town.label_meets(number, DeliveryFault::Lost);
    let body = town.labeled_payload(number, ADA);
    let signature = signed(&body);
    let all = (0..20).map(|n| {
        let (body, signature) = (&body, &signature);
        async move {
            let id = format!("{n:08}-0000-4000-8000-000000000000");
            let mut headers = headers("pull_request", signature);
            headers[2].1 = &id;
            town.post(&headers, body).await.status
        }
    });
    let codes = futures::future::join_all(all).await.into_iter().collect();
    (town.story.name_of(number, event), body, codes)
}

#[tokio::test]
async fn s05_the_same_body_twenty_times_is_one_build() {
    let town = Town::new("wh-twenty").await;
    let number = town.pull_request().await;
    let (name, _, codes) = twenty_times(&town, number).await;
    assert_eq!(codes, HashSet::from([202]));
    let builds = town.builds().await;
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].name_any(), name);
    town.end().await;
}

#[tokio::test]
async fn s05_the_same_body_twenty_times_is_one_comment_and_takes_the_label_off_once() {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "wh-once", Setting::default())
        .await
        .unwrap();
    story.builder("linux", |_| {}).await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let (name, body, codes) = twenty_times(&town, number).await;
    // Those that come after the label was taken off ask for nothing any more.
    assert!(codes.contains(&202), "{codes:?}");
    assert!(codes.is_subset(&HashSet::from([200, 202])), "{codes:?}");

    town.story.complete(&name).await;
    town.story
        .eventually_in("the label is off", &name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let off =
                crds::condition::is_true(&status.conditions, crds::condition::kind::LABEL_REMOVED);
            if off {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    let reply = town
        .post(&headers("pull_request", &signed(&body)), &body)
        .await;
    assert_eq!(reply.status, 200, "once more, when all is over");

    assert_eq!(town.builds().await.len(), 1);
    assert_eq!(town.story.forge.comments(REPO, number).len(), 1);
    assert!(town.story.forge.labels(REPO, number).is_empty());
    let log = town.story.forge.log();
    let usage = log.usage(Duration::ZERO..town.story.forge.age());
    assert_eq!(usage.mutations["removeLabelsFromLabelable"], 1);
    assert_eq!(usage.mutations["addComment"], 1);
    town.end().await;
}

#[tokio::test]
async fn s05_two_labellings_are_two_builds() {
    let town = Town::new("wh-twice").await;
    let number = town.pull_request().await;
    let (first, _) = town.label(number).await;
    town.story.forge.remove_label(REPO, number, LABEL, ADA);
    town.story.quiet();
    let (second, code) = town.label(number).await;
    assert_eq!(code, 202);
    assert_ne!(first, second);
    assert_eq!(town.builds().await.len(), 2);
    town.end().await;
}

#[tokio::test]
async fn s06_an_old_body_is_judged_by_what_github_says_now() {
    let town = Town::new("wh-old").await;
    let number = town.pull_request().await;
    let (name, _) = town.label(number).await;
    // The label came off, so the replayed body asks for nothing, however well it is signed.
    town.story.forge.remove_label(REPO, number, LABEL, ADA);
    town.story.forge.clock().advance(Duration::from_secs(3600));
    assert_eq!(town.again().await, 200);
    assert_eq!(town.builds().await.len(), 1);
    // And it says nothing about a label that was set since, on another commit.
    town.push("b\n").await;
    town.story.quiet();
    let event = town.label_meets(number, DeliveryFault::Held);
    let old = town.story.forge.deliveries();
    let old = old
        .iter()
        .find(|one| one.action.as_deref() == Some("labeled"))
        .unwrap();
    let reply = town
        .post(
            &headers("pull_request", &signed(&old.payload)),
            &old.payload,
        )
        .await;
    assert_eq!(reply.status, 200);
    assert!(town.answers().await.is_empty());
    town.story.forge.faults().release_deliveries();
    assert_eq!(town.last_code().await, 202);
    let second = town.build(&town.story.name_of(number, event)).await;
    assert_ne!(
        second.spec.request.head_sha,
        town.build(&name).await.spec.request.head_sha
    );
    town.end().await;
}
