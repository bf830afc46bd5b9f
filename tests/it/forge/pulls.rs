//! Pull requests: lists, timeline, reviews, test merges by GraphQL.

use std::time::Duration;

use serde_json::{Value, json};
use tests::forge::{Forge, PullRequest, State, TestMergeSwitch, TokenOptions};

use super::client::{Client, Reply};
use super::{APP, forge, lenient, mallory_opens};

/// What PrBuild asks about a test merge.
const QUERY: &str = "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){pullRequest(number:$number){headRefOid baseRefName baseRefOid isDraft state mergeable potentialMergeCommit{oid tree{oid} parents(first:2){nodes{oid}}}}}}";

fn ada(forge: &Forge) -> Client {
    Client::with_token(forge, &forge.add_token("ada", TokenOptions::default()))
}

async fn merge_of(client: &Client, number: u64) -> Value {
    let variables = json!({"owner": "octo", "name": "app", "number": number});
    let told = client
        .post("/graphql", json!({"query": QUERY, "variables": variables}))
        .await;
    told.json()["data"]["repository"]["pullRequest"].clone()
}

#[tokio::test]
async fn a_test_merge_has_base_and_head_as_parents() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let told = merge_of(&ada(&forge), number).await;
    let merge = forge.pull_request(APP, number).test_merge.current.unwrap();
    assert_eq!(
        (&told["mergeable"], &told["state"], &told["isDraft"]),
        (&json!("MERGEABLE"), &json!("OPEN"), &json!(false))
    );
    assert_eq!(
        (&told["headRefOid"], &told["baseRefName"]),
        (&json!(head), &json!("main"))
    );
    let commit = json!({
        "oid": merge.oid,
        "tree": {"oid": merge.tree},
        "parents": {"nodes": [{"oid": forge.branch(APP, "main").unwrap()}, {"oid": head}]},
    });
    assert_eq!(told["potentialMergeCommit"], commit);
    forge.finish().await;
}

#[tokio::test]
async fn a_test_merge_may_be_late() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let ada = ada(&forge);
    forge.set_test_merge(APP, number, TestMergeSwitch::Late(2));
    for _ in 0..2 {
        let told = merge_of(&ada, number).await;
        assert_eq!(
            (&told["mergeable"], &told["potentialMergeCommit"]),
            (&json!("UNKNOWN"), &Value::Null)
        );
    }
    assert_eq!(merge_of(&ada, number).await["mergeable"], "MERGEABLE");
    forge.finish().await;
}

#[tokio::test]
async fn a_stale_test_merge_has_the_old_head_as_parent_until_it_is_made_anew() {
    let forge = forge().await;
    let (number, old) = mallory_opens(&forge).await;
    let new = forge
        .push("mallory/app", "change", &[("new.c", "int y;\n")])
        .await;
    forge.set_test_merge(APP, number, TestMergeSwitch::Stale(1));
    let ada = ada(&forge);
    let told = merge_of(&ada, number).await;
    assert_eq!(told["headRefOid"], json!(new));
    assert_eq!(
        told["potentialMergeCommit"]["parents"]["nodes"][1]["oid"],
        json!(old)
    );
    let told = merge_of(&ada, number).await;
    assert_eq!(
        told["potentialMergeCommit"]["parents"]["nodes"][1]["oid"],
        json!(new)
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_change_that_git_cannot_merge_conflicts() {
    let forge = forge().await;
    forge.fork(APP, "mallory").await;
    forge
        .push("mallory/app", "change", &[("README", "Mine.\n")])
        .await;
    forge.push(APP, "main", &[("README", "Ours.\n")]).await;
    let pull = PullRequest {
        author: "mallory",
        head: "mallory:change",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(APP, pull).await;
    let ada = ada(&forge);
    let told = merge_of(&ada, number).await;
    assert_eq!(
        (&told["mergeable"], &told["potentialMergeCommit"]),
        (&json!("CONFLICTING"), &Value::Null)
    );
    assert_eq!(
        ada.get(&format!("/repos/octo/app/pulls/{number}"))
            .await
            .json()["mergeable_state"],
        "dirty"
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_push_to_the_base_makes_a_new_test_merge() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let base = forge.push(APP, "main", &[("other", "1\n")]).await;
    let told = merge_of(&ada(&forge), number).await;
    assert_eq!(
        told["potentialMergeCommit"]["parents"]["nodes"],
        json!([{"oid": base}, {"oid": head}])
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_query_for_what_is_not_there_says_so_and_one_for_what_github_lacks_is_found_out() {
    let forge = forge().await;
    let ada = ada(&forge);
    let missing = ada
        .post(
            "/graphql",
            json!({"query": QUERY, "variables": {"owner": "octo", "name": "app", "number": 7}}),
        )
        .await
        .json();
    assert_eq!(missing["errors"][0]["type"], "NOT_FOUND");
    assert!(forge.violations().is_empty());
    ada.post(
        "/graphql",
        json!({"query": "{repository(owner:\"octo\",name:\"app\"){pullRequest(num:1){headSha}}}"}),
    )
    .await;
    let found: Vec<String> = forge
        .violations()
        .into_iter()
        .map(|one| one.difference)
        .collect();
    assert!(found.iter().any(|one| one.contains("headSha")), "{found:?}");
    assert!(found.iter().any(|one| one.contains("\"num\"")), "{found:?}");
}

#[tokio::test]
async fn a_pull_request_follows_its_branch_and_outlives_its_fork() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let path = format!("/repos/octo/app/pulls/{number}");
    let head = forge
        .force_push("mallory/app", "change", &[("new.c", "int z;\n")])
        .await;
    let ada = ada(&forge);
    let told = ada.get(&path).await.json();
    assert_eq!(
        (&told["head"]["sha"], &told["head"]["repo"]["fork"]),
        (&json!(head), &json!(true))
    );
    forge.delete_fork("mallory/app");
    let told = ada.get(&path).await.json();
    assert_eq!(
        (&told["head"]["sha"], &told["head"]["repo"]),
        (&json!(head), &Value::Null)
    );
    forge.finish().await;
}

#[tokio::test]
async fn pull_requests_are_listed_by_state_and_by_their_last_change() {
    let forge = forge().await;
    let mut numbers = Vec::new();
    for branch in ["one", "two", "three"] {
        forge.push(APP, branch, &[(branch, "1\n")]).await;
        numbers.push(
            forge
                .open_pull_request(
                    APP,
                    PullRequest {
                        head: branch,
                        author: "ada",
                        ..PullRequest::default()
                    },
                )
                .await,
        );
        forge.clock().advance(Duration::from_secs(10));
    }
    forge.add_label(APP, numbers[0], "x", "ada");
    forge.close(APP, numbers[1], "ada");
    let anybody = Client::anonymous(&forge);
    let listed = |reply: Reply| {
        reply
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        listed(anybody.get("/repos/octo/app/pulls").await),
        [3, 1],
        "open ones, the newest first"
    );
    let updated = "/repos/octo/app/pulls?state=all&sort=updated&direction=desc&per_page=100";
    assert_eq!(listed(anybody.get(updated).await), [2, 1, 3]);
    assert_eq!(
        listed(anybody.get("/repos/octo/app/pulls?state=closed").await),
        [2]
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_second_page_has_an_absolute_link_that_leads_there() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    for index in 0..5 {
        forge.add_label(APP, number, &format!("l{index}"), "ada");
    }
    let anybody = Client::anonymous(&forge);
    let first = anybody
        .get(&format!(
            "/repos/octo/app/issues/{number}/events?per_page=2"
        ))
        .await;
    let next = first.link("next").unwrap();
    assert!(next.starts_with(&forge.api_url()), "{next}");
    assert_eq!(anybody.get(&next).await.json()[0]["label"]["name"], "l2");
    let last = anybody.get(&first.link("last").unwrap()).await;
    assert_eq!(
        (last.json()[0]["label"]["name"].clone(), last.link("next")),
        (json!("l4"), None)
    );
    assert!(last.link("prev").is_some() && last.link("first").is_some());
    forge.finish().await;
}

#[tokio::test]
async fn the_timeline_tells_who_labelled_when_and_through_what() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let app = forge.add_app(tests::forge::AppOptions {
        slug: "labeller".to_owned(),
        ..Default::default()
    });
    let by_hand = forge.add_label(APP, number, "🔨 test", "ada");
    forge.remove_label(APP, number, "🔨 test", "ada");
    let by_app = forge.add_label_via_app(APP, number, "🔨 test", "ada", app.id);
    forge.review(APP, number, "ada", State::Approved, &head);
    forge.comment(APP, number, "mallory", "please");
    let told = Client::anonymous(&forge)
        .get(&format!(
            "/repos/octo/app/issues/{number}/timeline?per_page=100"
        ))
        .await
        .json();
    let kinds: Vec<&str> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "committed",
            "labeled",
            "unlabeled",
            "labeled",
            "reviewed",
            "commented"
        ]
    );
    assert_eq!(
        (&told[1]["id"], &told[1]["actor"]["login"]),
        (&json!(by_hand), &json!("ada"))
    );
    assert_eq!(
        (
            &told[1]["performed_via_github_app"],
            &told[1]["label"]["name"]
        ),
        (&Value::Null, &json!("🔨 test"))
    );
    assert_eq!(
        (&told[3]["id"], &told[3]["performed_via_github_app"]["slug"]),
        (&json!(by_app), &json!("labeller"))
    );
    assert!(
        by_hand > u64::from(u32::MAX),
        "ids of events are longer than 32 bits"
    );
    forge.finish().await;
}

#[tokio::test]
async fn the_newest_event_may_be_missing_for_a_while() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "x", "ada");
    forge.set_timeline_lag(APP, number, 1);
    let (anybody, path) = (
        Client::anonymous(&forge),
        format!("/repos/octo/app/issues/{number}/events"),
    );
    assert_eq!(anybody.get(&path).await.json(), json!([]));
    assert_eq!(anybody.get(&path).await.json()[0]["event"], "labeled");
    forge.finish().await;
}

#[tokio::test]
async fn a_review_names_the_commit_that_was_looked_at() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let review = forge.review(APP, number, "ada", State::Approved, &head);
    forge
        .push("mallory/app", "change", &[("new.c", "evil\n")])
        .await;
    let path = format!("/repos/octo/app/pulls/{number}/reviews");
    let anybody = Client::anonymous(&forge);
    let told = anybody.get(&path).await.json();
    assert_eq!(
        (
            &told[0]["state"],
            &told[0]["commit_id"],
            &told[0]["user"]["login"]
        ),
        (&json!("APPROVED"), &json!(head), &json!("ada"))
    );
    forge.dismiss_review(APP, number, review);
    assert_eq!(anybody.get(&path).await.json()[0]["state"], "DISMISSED");
    forge.finish().await;
}

#[tokio::test]
async fn a_merge_moves_the_base_and_closes_the_pull_request() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let commit = forge.merge(APP, number, "ada").await;
    assert_eq!(forge.branch(APP, "main"), Some(commit.clone()));
    let told = Client::anonymous(&forge)
        .get(&format!("/repos/octo/app/pulls/{number}"))
        .await
        .json();
    assert_eq!(
        (&told["merged"], &told["state"], &told["merge_commit_sha"]),
        (&json!(true), &json!("closed"), &json!(commit))
    );
    let activity = Client::anonymous(&forge)
        .get("/repos/octo/app/activity?per_page=1")
        .await
        .json();
    assert_eq!(activity[0]["activity_type"], "pr_merge");
    forge.finish().await;
}

#[tokio::test]
async fn the_newer_version_of_the_api_has_no_merge_commit_sha_and_unknown_ones_are_refused() {
    let forge = lenient().await;
    let (number, _) = mallory_opens(&forge).await;
    let (client, path) = (
        Client::anonymous(&forge),
        format!("/repos/octo/app/pulls/{number}"),
    );
    assert!(client.get(&path).await.json()["merge_commit_sha"].is_string());
    let newer = client
        .clone()
        .header("x-github-api-version", "2026-03-10")
        .get(&path)
        .await
        .json();
    assert_eq!(newer.get("merge_commit_sha"), None);
    assert_eq!(
        client
            .header("x-github-api-version", "1999-12-31")
            .get(&path)
            .await
            .status,
        400
    );
}
