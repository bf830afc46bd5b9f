//! Every payload that GitHub published as an example is handled or ignored: no error, no panic.

use tests::forge::examples;

use super::*;

#[tokio::test]
async fn s04_every_published_example_is_ignored_under_its_own_and_under_every_other_header() {
    let mut town = Town::new("wh-examples").await;
    let all = examples().unwrap();
    assert!(all.len() > 100, "only {} examples", all.len());
    for example in &all {
        let body = serde_json::to_vec(&example.payload).unwrap();
        let signature = signed(&body);
        for event in [
            example.event.as_str(),
            "pull_request",
            "issue_comment",
            "ping",
            "nonsense",
        ] {
            let reply = town.post(&headers(event, &signature), &body).await;
            assert_eq!(
                reply.status, 200,
                "{} as {event}: {}",
                example.event, reply.body
            );
        }
    }
    town.nothing_stored().await;
    assert!(!town.log().contains("panicked"));
    town.end().await;
}
