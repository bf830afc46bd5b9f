//! From GitHub's page of deliveries to what became of one, by what the webhook logs.

use serde_json::Value;
use tests::forge::Fault;
use tests::story::TRISTAN;

use super::*;

/// The id that GitHub shows of the last delivery.
fn last_delivery(town: &Town) -> String {
    let deliveries = town.story.forge.deliveries();
    deliveries.last().unwrap().guid.clone()
}

/// The line `decided` about a delivery.
fn decided(town: &mut Town, delivery: &str) -> Value {
    let log = town.log();
    let mut lines = log
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.find(|line| line["message"] == "decided" && line["delivery"] == delivery);
    found.unwrap_or_else(|| panic!("nothing was decided about {delivery}:\n{log}"))
}

#[tokio::test]
async fn the_id_that_github_shows_of_a_delivery_leads_to_its_build_or_to_why_there_is_none() {
    let mut town = Town::new("wh-traced").await;

    let number = town.pull_request().await;
    let (name, code) = town.label(number).await;
    assert_eq!(code, 202);
    let delivery = last_delivery(&town);
    let line = decided(&mut town, &delivery);
    assert_eq!(line["decision"], "build", "{line}");
    assert_eq!(line["build"], name, "{line}");
    assert_eq!(line["pull_request"], number, "{line}");
    assert_eq!(line["swept"], false, "{line}");
    assert_eq!(line.get("reason"), None, "{line}");

    let second = town
        .story
        .open_pull_request("second", &[("b.txt", "b\n")])
        .await;
    let (name, code) = town.labelled_by(second, TRISTAN).await;
    assert_eq!(code, 202);
    let delivery = last_delivery(&town);
    let line = decided(&mut town, &delivery);
    assert_eq!(line["decision"], "refused", "{line}");
    assert_eq!(line["answer"], name, "{line}");
    assert_eq!(line["reason"], "Permission", "{line}");
    assert_eq!(line.get("build"), None, "{line}");
    town.refused(&name).await;

    let third = town
        .story
        .open_pull_request("third", &[("c.txt", "c\n")])
        .await;
    let faults = town.story.forge.faults();
    let fault = faults.on("GET /repos/*/*/pulls/*", Fault::Status(502));
    assert_eq!(town.label(third).await.1, 503);
    let delivery = last_delivery(&town);
    let line = decided(&mut town, &delivery);
    assert_eq!(line["decision"], "undecided", "{line}");
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{line}");
    faults.off(fault);

    // The same id when GitHub is asked to deliver it again.
    assert_eq!(town.again().await, 202);
    let line = decided(&mut town, &delivery);
    assert_eq!(line["decision"], "build", "{line}");
    town.end().await;
}
