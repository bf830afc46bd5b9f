//! What stops a build before its end: a push, the end of the pull request, another base, a draft.

use crds::Cancel;
use tests::forge::{DeliveryFault, Fault};

use super::*;
use tests::story::MALLORY;

const LOOK: &[&str] = &["--sweep-seconds", "1"];

/// Something that happens to the pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Push,
    Close,
    Merge,
    Draft,
    Base,
    Title,
}

impl Town {
    /// A build of a labelled pull request, a minute ago.
    async fn going_on(&self) -> (u64, String) {
        let number = self.pull_request().await;
        let event = self.story.label(number);
        self.story.forge.deliveries_settled().await;
        self.story.forge.clock().advance(Duration::from_secs(60));
        let name = self.story.name_of(number, event);
        self.found_within(&name).await;
        (number, name)
    }

    async fn found_within(&self, name: &str) {
        let api = self.story.api::<PrBuild>();
        eventually(format!("{name} is built"), PATIENCE, async || {
            api.get(name).await.map_err(|error| error.to_string())
        })
        .await;
    }

    async fn happens(&self, number: u64, change: Change) {
        let forge = &self.story.forge;
        match change {
            Change::Push => {
                self.push("b\n").await;
            }
            Change::Close => forge.close(REPO, number, MALLORY),
            Change::Merge => drop(forge.merge(REPO, number, ADA).await),
            Change::Draft => forge.set_draft(REPO, number, true, MALLORY),
            Change::Base => {
                forge.push(REPO, "3.x", &[("b.txt", "b\n")]).await;
                forge.change_base(REPO, number, "3.x", MALLORY).await;
            }
            Change::Title => forge.edit_title(REPO, number, "Other", MALLORY),
        }
        forge.deliveries_settled().await;
    }

    async fn cancelled(&self, name: &str) -> Option<Cancel> {
        self.build(name).await.spec.cancel
    }

    async fn stops(&self, name: &str) -> Cancel {
        eventually(format!("{name} stops"), PATIENCE, async || {
            self.cancelled(name)
                .await
                .ok_or_else(|| "it goes on".to_owned())
        })
        .await
    }
}

fn all(spec: &mut RepositorySpec) {
    spec.cancel_on.draft = true;
}

fn none(spec: &mut RepositorySpec) {
    spec.cancel_on.push = false;
    spec.cancel_on.close = false;
    spec.cancel_on.draft = false;
}

#[tokio::test]
async fn a_build_stops_for_what_happens_to_its_pull_request_and_says_why() {
    for (n, change, by, reason, waiting_only) in [
        (1, Change::Push, MALLORY, "newer commits", false),
        (2, Change::Close, MALLORY, "was closed", false),
        (3, Change::Merge, ADA, "was merged", true),
        (4, Change::Draft, MALLORY, "into a draft", false),
        (5, Change::Base, MALLORY, "goes to `3.x` now", false),
    ] {
        let town = Town::ruled(&format!("wh-stop{n}"), all).await;
        let (number, name) = town.going_on().await;
        town.happens(number, change).await;
        let cancel = town.stops(&name).await;
        assert_eq!(cancel.by, by, "{change:?}");
        assert!(cancel.reason.contains(reason), "{change:?}: {cancel:?}");
        assert_eq!(cancel.waiting_only, waiting_only, "{change:?}");
        assert_eq!(town.last_code().await, 202, "{change:?}");
        town.end().await;
    }
}

#[tokio::test]
async fn what_the_repository_does_not_want_stops_nothing() {
    let town = Town::ruled("wh-goeson", none).await;
    let (number, name) = town.going_on().await;
    for change in [
        Change::Title,
        Change::Draft,
        Change::Push,
        Change::Base,
        Change::Close,
    ] {
        town.happens(number, change).await;
        assert_eq!(town.last_code().await, 200, "{change:?}");
        assert_eq!(town.cancelled(&name).await, None, "{change:?}");
    }
    town.end().await;
}

#[tokio::test]
async fn a_build_that_cannot_be_stopped_yet_holds_up_nothing_else() {
    let story = Town::before("wh-unstopped", all).await;
    let town = Town::open(story, LOOK).await;
    let (number, name) = town.going_on().await;
    let faults = town.story.forge.faults();
    let events = format!("GET /repos/*/*/issues/{number}/events");
    let unread = faults.on(&events, Fault::Status(502));
    faults.deliveries(1, Some("pull_request"), DeliveryFault::NeverMade);
    town.story.forge.set_draft(REPO, number, true, MALLORY);
    let other = town
        .story
        .open_pull_request("other", &[("b.txt", "b\n")])
        .await;
    faults.deliveries(1, Some("pull_request"), DeliveryFault::NeverMade);
    let event = town.story.label(other);
    town.story.forge.clock().advance(Duration::from_secs(20));
    town.found_within(&town.story.name_of(other, event)).await;
    assert_eq!(town.cancelled(&name).await, None);
    faults.off(unread);
    let cancel = town.stops(&name).await;
    assert!(cancel.reason.contains("into a draft"), "{cancel:?}");
    town.end().await;
}

#[tokio::test]
async fn a_draft_that_was_labelled_as_one_goes_on() {
    let town = Town::ruled("wh-draft", all).await;
    let number = town.pull_request().await;
    town.happens(number, Change::Draft).await;
    town.story.quiet();
    let (name, code) = town.label(number).await;
    assert_eq!(code, 202);
    town.story.forge.clock().advance(Duration::from_secs(60));
    let again = town.story.forge.deliveries();
    let drafted = again
        .iter()
        .rev()
        .find(|one| one.action.as_deref() == Some("converted_to_draft"))
        .unwrap();
    town.story.forge.redeliver(drafted.id);
    town.story.forge.deliveries_settled().await;
    assert_eq!(town.cancelled(&name).await, None);
    town.end().await;
}

#[tokio::test]
async fn a_complete_build_and_one_of_the_pushed_commit_are_left_alone() {
    let town = Town::new("wh-complete").await;
    let (number, old) = town.going_on().await;
    let complete = json!({ "status": { "phase": "Complete" } });
    let api = town.story.api::<PrBuild>();
    api.patch_status(&old, &PatchParams::default(), &Patch::Merge(complete))
        .await
        .unwrap();
    town.happens(number, Change::Push).await;
    town.story.quiet();
    town.story.forge.remove_label(REPO, number, LABEL, ADA);
    let (new, _) = town.label(number).await;
    town.story.forge.clock().advance(Duration::from_secs(60));
    // The same delivery again, late: the API says that the new build is of today's head.
    let deliveries = town.story.forge.deliveries();
    let pushed = deliveries
        .iter()
        .find(|one| one.action.as_deref() == Some("synchronize"))
        .unwrap();
    town.story.forge.redeliver(pushed.id);
    town.story.forge.deliveries_settled().await;
    assert_eq!(town.cancelled(&old).await, None);
    assert_eq!(town.cancelled(&new).await, None);
    town.end().await;
}

#[tokio::test]
async fn a_signed_delivery_about_a_push_that_never_was_stops_nothing() {
    let town = Town::new("wh-nopush").await;
    let (number, name) = town.going_on().await;
    let body = json!({
        "action": "synchronize", "number": number, "before": "a".repeat(40),
        "pull_request": { "number": number, "updated_at": "2020-01-01T00:00:00Z" },
        "repository": { "id": town.story.forge.repository_id(REPO), "full_name": REPO },
        "sender": { "id": town.story.forge.user_id(MALLORY), "login": MALLORY, "type": "User" },
    });
    let body = serde_json::to_vec(&body).unwrap();
    let reply = town
        .post(&headers("pull_request", &signed(&body)), &body)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(town.cancelled(&name).await, None);
    town.end().await;
}

#[tokio::test]
async fn when_github_cannot_say_how_the_pull_request_stands_the_delivery_is_not_taken() {
    let town = Town::new("wh-stop502").await;
    let (number, name) = town.going_on().await;
    let faults = town.story.forge.faults();
    let down = faults.on("GET /repos/*/*/pulls/*", tests::forge::Fault::Status(502));
    town.happens(number, Change::Close).await;
    assert_eq!(town.last_code().await, 503);
    assert_eq!(town.cancelled(&name).await, None);
    faults.off(down);
    let deliveries = town.story.forge.deliveries();
    town.story.forge.redeliver(deliveries.last().unwrap().id);
    town.story.forge.deliveries_settled().await;
    assert!(town.cancelled(&name).await.is_some());
    town.end().await;
}

#[tokio::test]
async fn what_no_delivery_told_of_is_noticed_by_the_next_look() {
    for (n, change) in [
        (1, Change::Push),
        (2, Change::Close),
        (3, Change::Merge),
        (4, Change::Draft),
        (5, Change::Base),
    ] {
        let town = Town::with(&format!("wh-stoplook{n}"), all, LOOK).await;
        let (number, name) = town.going_on().await;
        let faults = town.story.forge.faults();
        faults.deliveries(9, None, DeliveryFault::NeverMade);
        town.happens(number, change).await;
        let cancel = town.stops(&name).await;
        assert_eq!(cancel.by, "prbuild", "{change:?}");
        assert_eq!(cancel.waiting_only, change == Change::Merge, "{change:?}");
        town.end().await;
    }
}

#[tokio::test]
async fn a_label_that_is_taken_off_before_it_was_looked_at_builds_nothing() {
    let town = Town::new("wh-unlabel").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("pull_request"), DeliveryFault::Held);
    town.story.label(number);
    town.story.forge.remove_label(REPO, number, LABEL, ADA);
    faults.release_deliveries();
    town.story.forge.deliveries_settled().await;
    town.nothing_stored().await;
    town.end().await;
}
