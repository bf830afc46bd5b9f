//! Labels that no delivery told of.

use crds::AnswerReason;
use tests::forge::{DeliveryFault, Fault, Push};

use super::*;
use tests::story::{MALLORY, TRISTAN};

const LOOK: &[&str] = &["--sweep-seconds", "1"];
const LIST: &str = "GET /repos/*/*/pulls";

async fn built(story: &Story, name: &str) -> PrBuild {
    let api = story.api::<PrBuild>();
    eventually(format!("{name} is built"), PATIENCE, async || {
        api.get(name).await.map_err(|error| error.to_string())
    })
    .await
}

async fn answered(story: &Story, name: &str) -> Answer {
    let api = story.api::<Answer>();
    eventually(format!("{name} is answered"), PATIENCE, async || {
        api.get(name).await.map_err(|error| error.to_string())
    })
    .await
}

#[tokio::test]
async fn labels_set_while_nobody_listened_are_found_afterwards() {
    let story = Town::before("wh-outage", |_| {}).await;
    let mut expected = Vec::new();
    for n in 0..3 {
        let number = story
            .open_pull_request(&format!("b{n}"), &[("a.txt", "a\n")])
            .await;
        let event = story.label(number);
        expected.push(story.name_of(number, event));
    }
    let stranger = story
        .open_pull_request("stranger", &[("a.txt", "a\n")])
        .await;
    let event = story.forge.add_label(REPO, stranger, LABEL, TRISTAN);
    let refused = story.name_of(stranger, event);
    story.forge.clock().advance(Duration::from_secs(600));
    let town = Town::open(story, LOOK).await;
    for name in &expected {
        built(&town.story, name).await;
    }
    assert_eq!(
        reason(&answered(&town.story, &refused).await),
        AnswerReason::Permission
    );
    assert_eq!(town.builds().await.len(), 3);
    town.end().await;
}

#[tokio::test]
async fn a_lost_delivery_is_found_by_the_next_look() {
    let town = Town::with("wh-lost", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    town.story
        .forge
        .faults()
        .deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    let event = town.story.label(number);
    town.story.forge.clock().advance(Duration::from_secs(20));
    built(&town.story, &town.story.name_of(number, event)).await;
    town.end().await;
}

#[tokio::test]
async fn without_a_sha_a_movement_since_the_label_builds_nothing() {
    let story = Town::before("wh-swept", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    story.forge.clock().advance(Duration::from_secs(300));
    let push = Push {
        repository: "mallory/app",
        branch: "topic",
        files: &[("a.txt", "b\n")],
        by: MALLORY,
        ..Push::default()
    };
    story.forge.push_with(push).await;
    story.forge.clock().advance(Duration::from_secs(300));
    let name = story.name_of(number, event);
    let town = Town::open(story, LOOK).await;
    assert_eq!(
        reason(&answered(&town.story, &name).await),
        AnswerReason::HeadMovedAfter
    );
    town.nothing_built().await;
    town.end().await;
}

#[tokio::test]
async fn an_idle_repository_costs_one_conditional_request_a_look_over_all_replicas() {
    let story = Town::before("wh-idle", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let mut town = Town::open(story, LOOK).await;
    let second = start(&mut town.story, LOOK).await;
    let log = town.story.forge.log();
    eventually("five looks", PATIENCE, async || match log.count(LIST) {
        5.. => Ok(()),
        few => Err(few.to_string()),
    })
    .await;
    let looks = log.matching(LIST);
    assert!(
        looks[1..].iter().all(|look| look.status == 304),
        "{looks:?}"
    );
    let spent = looks.last().unwrap().at - looks[0].at;
    assert!(
        spent >= Duration::from_secs(3),
        "five looks in {spent:?}: two replicas look"
    );
    let comments = log.count("GET /repos/*/*/issues/comments");
    assert!(comments <= 2, "{comments} lists of comments");
    let others = log.matching("GET /repos/*/*/issues/*/events").len();
    assert_eq!(others, 0, "without a label of ours nothing else is asked");
    let _ = (number, second);
    town.end().await;
}

#[tokio::test]
async fn a_look_goes_back_page_by_page_to_where_the_last_one_ended() {
    let story = Town::before("wh-pages", |_| {}).await;
    let labelled = story.open_pull_request("first", &[("a.txt", "a\n")]).await;
    let event = story.label(labelled);
    for n in 0..105 {
        let new = tests::forge::PullRequest {
            title: "Noise",
            author: MALLORY,
            head: "mallory:first",
            ..Default::default()
        };
        story.forge.open_pull_request(REPO, new).await;
        if n % 50 == 0 {
            story.forge.clock().advance(Duration::from_secs(60));
        }
    }
    story.forge.clock().advance(Duration::from_secs(60));
    let name = story.name_of(labelled, event);
    let town = Town::open(story, LOOK).await;
    built(&town.story, &name).await;
    let pages = town.story.forge.log().matching(LIST);
    assert!(
        pages.iter().any(|look| look.query.contains("page=2")),
        "{pages:?}"
    );
    assert!(
        pages
            .iter()
            .all(|look| look.token != tests::forge::TokenKind::None)
    );
    town.end().await;
}

#[tokio::test]
async fn what_cannot_be_decided_is_looked_at_again_although_nothing_changed() {
    let story = Town::before("wh-again", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    story.forge.clock().advance(Duration::from_secs(60));
    let name = story.name_of(number, event);
    let down = story.forge.faults().on(
        "GET /repos/*/*/collaborators/*/permission",
        Fault::Status(502),
    );
    let town = Town::open(story, LOOK).await;
    let log = town.story.forge.log();
    eventually("two looks failed", PATIENCE, async || {
        match log.count("GET /repos/*/*/collaborators/*/permission") {
            2.. => Ok(()),
            few => Err(few.to_string()),
        }
    })
    .await;
    town.nothing_stored().await;
    town.story.forge.faults().off(down);
    built(&town.story, &name).await;
    town.end().await;
}

#[tokio::test]
async fn a_label_that_gets_its_meaning_while_it_is_on_is_found_although_nothing_changed() {
    let other = |spec: &mut RepositorySpec| spec.labels[0].name = "another label".to_owned();
    let story = Town::before("wh-meaning", other).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    story.forge.clock().advance(Duration::from_secs(60));
    let name = story.name_of(number, event);
    let town = Town::open(story, LOOK).await;
    let log = town.story.forge.log();
    eventually("a look that sees nothing new", PATIENCE, async || {
        let looks = log.matching(LIST);
        let idle = looks.iter().any(|look| look.status == 304);
        idle.then_some(())
            .ok_or_else(|| format!("{} looks", looks.len()))
    })
    .await;
    town.nothing_stored().await;
    town.story.repository(|_| {}).await;
    built(&town.story, &name).await;
    town.end().await;
}

#[tokio::test]
async fn when_the_looking_replica_goes_the_other_one_looks() {
    let story = Town::before("wh-replicas", |_| {}).await;
    let mut town = Town::open(story, LOOK).await;
    start(&mut town.story, LOOK).await;
    let log = town.story.forge.log();
    eventually("the first looks", PATIENCE, async || {
        match log.count(LIST) {
            2.. => Ok(()),
            few => Err(few.to_string()),
        }
    })
    .await;
    town.story
        .install
        .program(town.webhook)
        .unwrap()
        .terminate();
    let number = town
        .story
        .open_pull_request("topic", &[("a.txt", "a\n")])
        .await;
    let event = town.story.label(number);
    town.story.forge.clock().advance(Duration::from_secs(60));
    let patience = Duration::from_secs(40);
    let api = town.story.api::<PrBuild>();
    let name = town.story.name_of(number, event);
    eventually("the other found it", patience, async || {
        api.get(&name).await.map_err(|error| error.to_string())
    })
    .await;
    town.end().await;
}

impl Town {
    async fn nothing_built(&self) {
        assert!(self.builds().await.is_empty());
    }
}
