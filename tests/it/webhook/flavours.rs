//! What a label selects.

use crds::AnswerReason;

use super::acts::fleet;
use super::*;

fn labels(spec: &mut RepositorySpec) {
    let rules = json!([
        { "name": LABEL, "aliases": [":hammer: old-name"] },
        { "name": "leaks", "flavour": "refleak" },
        { "name": "debian", "pattern": "^s390x|DEBIAN" },
        { "name": "everything", "includeUnstable": true },
        { "name": "broken", "pattern": "(" },
    ]);
    spec.labels = serde_json::from_value(rules).unwrap();
}

#[tokio::test]
async fn each_label_names_what_it_selects_and_takes_stable_builders_unless_it_says_otherwise() {
    let town = fleet("wh-flavours", labels).await;
    let number = town.pull_request().await;
    for (label, flavour, builders) in [
        (LABEL, "default", &["linux", "windows", "z13"][..]),
        ("🔨 old-name", "default", &["linux", "windows", "z13"]),
        ("leaks", "refleak", &["leaks"]),
        ("debian", "default", &["z13"]),
        ("everything", "default", &["ios", "linux", "windows", "z13"]),
    ] {
        let event = town.story.forge.add_label(REPO, number, label, ADA);
        assert_eq!(town.last_code().await, 202, "{label}");
        let name = town.story.name_of(number, event);
        let request = town.build(&name).await.spec.request;
        assert_eq!(request.builders, builders, "{label}");
        assert_eq!(request.flavour, flavour, "{label}");
        assert_eq!(request.trigger.label.as_deref(), Some(label));
    }
    let event = town.story.forge.add_label(REPO, number, "broken", ADA);
    town.story.forge.deliveries_settled().await;
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::Pattern);
    town.end().await;
}

#[tokio::test]
async fn two_labels_at_once_are_two_builds() {
    let town = fleet("wh-two-labels", labels).await;
    let number = town.pull_request().await;
    let both = ["everything", "debian"].map(|label| {
        let event = town.story.forge.add_label(REPO, number, label, ADA);
        town.story.name_of(number, event)
    });
    town.story.forge.deliveries_settled().await;
    let mut names = both.to_vec();
    names.sort();
    assert_eq!(town.names_of_builds().await, names);
    town.end().await;
}
