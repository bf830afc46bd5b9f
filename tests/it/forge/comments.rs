//! Comments as people write, change and delete them, and as all of a repository are listed.

use std::time::Duration;

use serde_json::{Value, json};
use tests::forge::{AppOptions, Elsewhere, iso};

use super::client::Client;
use super::webhooks::Listener;
use super::{APP, forge, mallory_opens};

const ALL: &str = "/repos/octo/app/issues/comments";

fn bodies(list: &Value) -> Vec<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one["body"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_comment_is_created_edited_and_deleted_and_each_is_told() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let comment = forge.comment(APP, number, "ada", "/prbuild run");
    forge.deliveries_settled().await;
    forge.edit_comment(APP, comment, "ada", "/prbuild run quick");
    forge.deliveries_settled().await;
    forge.delete_comment(APP, comment, "ada");
    forge.deliveries_settled().await;
    let expected = [
        "pull_request opened",
        "issue_comment created",
        "issue_comment edited",
        "issue_comment deleted",
    ];
    assert_eq!(listener.actions(), expected);
    let heard = listener.heard();
    assert_eq!(heard[2].1["changes"]["body"]["from"], "/prbuild run");
    assert_eq!(heard[3].1["comment"]["body"], "/prbuild run quick");
    assert!(forge.comments(APP, number).is_empty());
    let gone = Client::anonymous(&forge)
        .get(&format!("{ALL}/{comment}"))
        .await;
    assert_eq!(gone.status, 404);
    forge.finish().await;
}

#[tokio::test]
async fn a_bots_comment_says_that_a_bot_wrote_it() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    });
    forge.comment_as_app(APP, number, app.id, "/prbuild run");
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (&told["sender"]["type"], &told["comment"]["user"]["login"]),
        (&json!("Bot"), &json!("prbuild[bot]"))
    );
    assert_eq!(
        told["comment"]["performed_via_github_app"]["id"],
        json!(app.id)
    );
    forge.finish().await;
}

#[tokio::test]
async fn the_comments_of_a_repository_are_listed_since_a_time_and_unchanged_ones_cost_nothing() {
    let forge = forge().await;
    forge.clock().stop();
    let (number, _) = mallory_opens(&forge).await;
    let old = forge.comment(APP, number, "ada", "old");
    forge.clock().advance(Duration::from_secs(60));
    let since = iso(forge.clock().now());
    forge.comment(APP, number, "ada", "first");
    forge.comment(APP, number, "ada", "second");
    let times: Vec<Value> = Client::anonymous(&forge)
        .get(ALL)
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["created_at"].clone())
        .collect();
    assert_eq!(times[1], times[2], "two in one second");
    let client = Client::anonymous(&forge);
    let path = format!("{ALL}?since={since}&sort=updated&direction=asc");
    let new = client.get(&path).await;
    assert_eq!(bodies(&new.json()), ["first", "second"]);
    let conditional = client.clone().header("if-none-match", new.header("etag"));
    assert_eq!(conditional.get(&path).await.status, 304);
    forge.clock().advance(Duration::from_secs(60));
    forge.edit_comment(APP, old, "ada", "old, edited");
    let changed = conditional.get(&path).await;
    assert_eq!(bodies(&changed.json()), ["first", "second", "old, edited"]);
    let newest = client.get(&format!("{ALL}?sort=created&per_page=1")).await;
    assert_eq!(bodies(&newest.json()), ["second"]);
    forge.finish().await;
}

#[tokio::test]
async fn a_folded_comment_and_its_reactions_are_still_there() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let comment = forge.comment(APP, number, "ada", "/prbuild run");
    forge.react(APP, comment, "mallory", "eyes");
    forge.minimize_comment(APP, comment, "outdated");
    let client = Client::anonymous(&forge);
    let path = format!("{ALL}/{comment}");
    let shown = client.get(&path).await.json();
    assert_eq!(shown["minimized"]["reason"], "outdated");
    assert_eq!(shown["reactions"]["eyes"], 1);
    let listed = client.get(&format!("{path}/reactions")).await.json();
    assert_eq!(listed[0]["user"]["login"], "mallory");
    forge.finish().await;
}

#[tokio::test]
async fn the_combined_status_comes_in_pages_and_unchanged_it_costs_nothing() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    for index in 0..3 {
        let context = format!("prbuild/{index}");
        forge.other_status(APP, &head, "bot", &context, Elsewhere::Passes);
    }
    let client = Client::anonymous(&forge);
    let path = format!("/repos/octo/app/commits/{head}/status?per_page=2");
    let first = client.get(&path).await;
    assert_eq!(
        (&first.json()["total_count"], &first.json()["state"]),
        (&json!(3), &json!("success"))
    );
    let second = client.get(&first.link("next").unwrap()).await;
    assert_eq!(second.json()["statuses"].as_array().unwrap().len(), 1);
    let conditional = client.header("if-none-match", first.header("etag"));
    assert_eq!(conditional.get(&path).await.status, 304);
    forge.other_status(APP, &head, "bot", "prbuild/0", Elsewhere::Pending);
    assert_eq!(conditional.get(&path).await.json()["state"], "pending");
    forge.finish().await;
}

#[tokio::test]
async fn an_issue_has_comments_too_and_is_no_pull_request() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    let issue = forge.open_issue(APP, "It does not work", "mallory");
    assert_eq!(issue, number + 1);
    forge.deliveries_settled().await;
    let comment = forge.comment(APP, issue, "ada", "/prbuild run");
    forge.deliveries_settled().await;
    let (event, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (event.as_str(), &told["issue"]["number"]),
        ("issue_comment", &json!(issue))
    );
    assert_eq!(told["issue"]["pull_request"], Value::Null);
    let client = Client::anonymous(&forge);
    let pull = client.get(&format!("/repos/octo/app/pulls/{issue}")).await;
    assert_eq!(pull.status, 404);
    let all = client.get(ALL).await.json();
    let page = all[0]["html_url"].as_str().unwrap();
    let expected = format!("/octo/app/issues/{issue}#issuecomment-{comment}");
    assert!(page.ends_with(&expected), "{page}");
    let listed = client
        .get(&format!("/repos/octo/app/issues/{issue}/comments"))
        .await;
    assert_eq!(bodies(&listed.json()), ["/prbuild run"]);
    forge.finish().await;
}
