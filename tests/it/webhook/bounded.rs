//! How many series the webhook's metrics have, whatever strangers send and GitHub tells.

use super::*;
use crate::series::{STRANGE, assert_bounded, series};

const TIMES: usize = 25;

/// What a stranger sends, and what GitHub signs of other people's doings, each time under other names.
async fn sent(town: &Town, labelled: &serde_json::Value, time: usize) {
    let name = format!("{STRANGE}-{time}");
    let unsigned = headers(&name, "sha256=0");
    town.post(&unsigned, b"{}").await;
    town.send("POST", &format!("/{name}"), &unsigned, b"{}")
        .await;
    town.send(&format!("M{time}"), "/webhook", &unsigned, b"{}")
        .await;
    let mut another = unsigned.clone();
    another[0].1 = &name;
    another.push(("user-agent", &name));
    town.post(&another, b"{}").await;

    let mut payloads = vec![(name.clone(), labelled.clone())];
    for (field, value) in [
        ("/action", json!(name)),
        ("/label/name", json!(name)),
        ("/sender/login", json!(name)),
        ("/repository/id", json!(1_000_000 + time)),
        ("/pull_request/number", json!(name)),
    ] {
        let mut payload = labelled.clone();
        *payload.pointer_mut(field).unwrap() = value;
        payloads.push(("pull_request".to_owned(), payload));
    }
    for (event, payload) in payloads {
        let body = serde_json::to_vec(&payload).unwrap();
        let signature = signed(&body);
        town.post(&headers(&event, &signature), &body).await;
    }
}

#[tokio::test]
async fn whatever_is_sent_to_a_webhook_it_has_as_many_series_as_before() {
    let mut town = Town::new("wh-series").await;
    let number = town.pull_request().await;
    let labelled = town.labeled_payload(number, ADA);
    let labelled = serde_json::from_slice(&labelled).unwrap();
    sent(&town, &labelled, 0).await;
    let before = series(&town.metrics().await);
    for time in 1..=TIMES {
        sent(&town, &labelled, time).await;
    }
    let after = series(&town.metrics().await);
    assert_bounded(&before, &after);
    for outcome in ["unsigned", "not_found", "method", "media_type", "event"] {
        let counted = format!("prbuild_webhook_deliveries_total{{outcome=\"{outcome}\"}}");
        assert!(after.contains(&counted), "{outcome}: {after:?}");
    }
    town.end().await;
}
