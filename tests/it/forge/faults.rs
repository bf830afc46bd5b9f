//! What goes wrong on request, limits, conditional requests, and the log.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tests::forge::{Fault, Forge, TokenKind, TokenOptions, http_date};

use super::client::Client;
use super::{APP, forge, lenient, mallory_opens};

const REPO: &str = "/repos/octo/app";

fn ada(forge: &Forge) -> Client {
    Client::with_token(forge, &forge.add_token("ada", TokenOptions::default()))
}

#[tokio::test]
async fn a_route_goes_wrong_as_often_as_it_was_asked_to() {
    let forge = forge().await;
    let ada = ada(&forge);
    forge.faults().next(2, "GET /repos/*/*", Fault::Status(502));
    assert_eq!(ada.get(REPO).await.status, 502);
    assert_eq!(ada.get("/user").await.status, 200, "another route");
    assert_eq!(ada.get(REPO).await.status, 502);
    assert_eq!(ada.get(REPO).await.status, 200);
    let always = forge.faults().on("* /repos/**", Fault::Status(401));
    assert_eq!(ada.get(REPO).await.json()["message"], "Bad credentials");
    forge.faults().off(always);
    assert_eq!(ada.get(REPO).await.status, 200);
    forge.finish().await;
}

#[tokio::test]
async fn a_secondary_limit_may_say_when_to_come_back_or_not() {
    let forge = forge().await;
    let ada = ada(&forge);
    forge.faults().next(
        1,
        "GET /user",
        Fault::RateLimited {
            status: 429,
            retry_after: Some(7),
        },
    );
    forge.faults().next(
        1,
        "GET /user",
        Fault::RateLimited {
            status: 403,
            retry_after: None,
        },
    );
    let first = ada.get("/user").await;
    assert_eq!((first.status, first.header("retry-after")), (429, "7"));
    let second = ada.get("/user").await;
    assert_eq!((second.status, second.header("retry-after")), (403, ""));
    assert!(
        second.json()["message"]
            .as_str()
            .unwrap()
            .contains("secondary rate limit")
    );
    forge.finish().await;
}

#[tokio::test]
async fn an_answer_may_be_cut_malformed_or_a_page_for_people() {
    let forge = forge().await;
    let ada = ada(&forge);
    forge.faults().next(1, "GET /user", Fault::Cut);
    let cut = ada.ask(Method::GET, "/user", None).await;
    assert!(cut.is_err(), "{cut:?}");
    forge.faults().next(1, "GET /user", Fault::Malformed);
    let malformed = ada.get("/user").await;
    assert_eq!(malformed.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&malformed.body).is_err());
    forge.faults().next(1, "GET /user", Fault::Html(503));
    let page = ada.get("/user").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (503, "text/html; charset=utf-8")
    );
    forge
        .faults()
        .next(1, "GET /user", Fault::Answer(200, json!({"login": 7})));
    assert_eq!(ada.get("/user").await.json(), json!({"login": 7}));
    forge.finish().await;
}

#[tokio::test]
async fn a_write_may_happen_and_its_answer_get_lost() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let path = format!("/repos/octo/app/issues/{number}/comments");
    forge.faults().next(
        1,
        "POST /repos/*/*/issues/*/comments",
        Fault::AnswerLost(502),
    );
    assert_eq!(
        ada(&forge)
            .post(&path, json!({"body": "once"}))
            .await
            .status,
        502
    );
    assert_eq!(forge.comments(APP, number)[0].body, "once");
    forge
        .faults()
        .next(1, "POST /repos/*/*/issues/*/comments", Fault::Status(502));
    assert_eq!(
        ada(&forge)
            .post(&path, json!({"body": "never"}))
            .await
            .status,
        502
    );
    assert_eq!(forge.comments(APP, number).len(), 1);
    forge.finish().await;
}

#[tokio::test]
async fn a_slow_route_is_slow_and_right() {
    let forge = forge().await;
    let (ada, delay) = (ada(&forge), Duration::from_millis(60));
    forge.faults().next(1, "GET /user", Fault::Latency(delay));
    let started = Instant::now();
    assert_eq!(ada.get("/user").await.status, 200);
    assert!(started.elapsed() >= delay);
    assert!(forge.log().matching("GET /user")[0].took >= delay);
    forge.finish().await;
}

#[tokio::test]
async fn a_304_costs_nothing_and_belongs_to_its_token() {
    let forge = forge().await;
    forge.limits().set_hourly(Some(10));
    let ada = ada(&forge);
    let first = ada.get(REPO).await;
    assert_eq!(
        (
            first.header("x-ratelimit-limit"),
            first.header("x-ratelimit-remaining")
        ),
        ("10", "9")
    );
    let again = ada.clone().header("if-none-match", first.header("etag"));
    let same = again.get(REPO).await;
    assert_eq!(
        (
            same.status,
            same.header("x-ratelimit-remaining"),
            same.body.len()
        ),
        (304, "9", 0)
    );
    assert_eq!(ada.get("/user").await.header("x-ratelimit-remaining"), "8");
    let mallory = Client::with_token(&forge, &forge.add_token("mallory", TokenOptions::default()));
    assert_eq!(
        mallory
            .header("if-none-match", first.header("etag"))
            .get(REPO)
            .await
            .status,
        200,
        "another token"
    );
    forge.push(APP, "main", &[("a", "1\n")]).await;
    forge.clock().advance(Duration::from_secs(1));
    forge.push(APP, "main", &[("a", "2\n")]).await;
    assert_eq!(again.get(REPO).await.status, 200, "it changed");
    forge.finish().await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_refused_until_the_hour_is_over() {
    let forge = forge().await;
    forge.limits().set_hourly(Some(2));
    let ada = ada(&forge);
    ada.get("/user").await;
    ada.get("/user").await;
    let refused = ada.get("/user").await;
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-remaining")),
        (403, "0")
    );
    let reset: i64 = refused.header("x-ratelimit-reset").parse().unwrap();
    assert!(reset > forge.clock().now().as_second());
    assert_eq!(
        Client::anonymous(&forge).get(REPO).await.status,
        200,
        "others have their own"
    );
    forge.clock().advance(Duration::from_secs(3601));
    assert_eq!(ada.get("/user").await.status, 200);
    forge.finish().await;
}

#[tokio::test]
async fn asking_for_the_budget_is_free_and_graphql_has_its_own() {
    let forge = forge().await;
    forge.limits().set_hourly(Some(5));
    let ada = ada(&forge);
    ada.get("/user").await;
    let query = json!({"query": "{viewer{login} rateLimit{remaining}}"});
    let told = ada.post("/graphql", query).await;
    assert_eq!(told.header("x-ratelimit-resource"), "graphql");
    assert_eq!(told.json()["data"]["viewer"]["login"], "ada");
    for _ in 0..9 {
        let told = ada.get("/rate_limit").await.json();
        assert_eq!(told["resources"]["core"]["remaining"], json!(4));
        assert_eq!(told["resources"]["graphql"]["remaining"], json!(4));
    }
    forge.finish().await;
}

#[tokio::test]
async fn a_stopped_clock_moves_only_when_it_is_told_to() {
    let forge = forge().await;
    forge.clock().stop();
    let before = forge.clock().now();
    forge.push(APP, "main", &[("a", "1\n")]).await;
    forge.clock().advance(Duration::from_secs(60));
    forge.push(APP, "main", &[("a", "2\n")]).await;
    let told = Client::anonymous(&forge)
        .get("/repos/octo/app/activity")
        .await
        .json();
    let at = |index: usize| {
        told[index]["timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert_eq!(
        (at(1), at(0)),
        (before, before + jiff::SignedDuration::from_mins(1))
    );
    forge.finish().await;
}

#[tokio::test]
async fn too_many_writes_in_a_minute_are_refused_and_reads_are_not() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.limits().set_writes_per_minute(Some(2));
    let (ada, path) = (
        ada(&forge),
        format!("/repos/octo/app/issues/{number}/comments"),
    );
    for expected in [201, 201, 403] {
        let reply = ada.post(&path, json!({"body": "x"})).await;
        assert_eq!(reply.status, expected);
        assert_eq!(reply.header("retry-after") == "60", expected == 403);
    }
    assert_eq!(ada.get(&path).await.json().as_array().unwrap().len(), 2);
    forge.clock().advance(Duration::from_secs(61));
    assert_eq!(ada.post(&path, json!({"body": "x"})).await.status, 201);
    forge.finish().await;
}

#[tokio::test]
async fn the_date_of_an_answer_is_the_time_of_the_forge() {
    let forge = forge().await;
    forge.clock().advance(Duration::from_secs(86_400 * 365));
    let before = forge.clock().now();
    let reply = Client::anonymous(&forge).get(REPO).await;
    let near = [before, forge.clock().now()].map(http_date);
    assert!(
        near.contains(&reply.header("date").to_owned()),
        "{} is not {near:?}",
        reply.header("date")
    );
    forge.finish().await;
}

#[tokio::test]
async fn the_log_tells_who_asked_for_what_on_which_connection() {
    let forge = forge().await;
    let ada = ada(&forge);
    ada.get("/repos/octo/app/pulls?state=open").await;
    ada.get(REPO).await;
    Client::with_token(&forge, "ghp_wrong").get(REPO).await;
    Client::anonymous(&forge).get(REPO).await;
    let log = forge.log();
    assert_eq!(log.count("GET /repos/octo/app"), 3);
    let listed = &log.matching("GET /repos/*/*/pulls")[0];
    assert_eq!(
        (listed.query.as_str(), listed.status, listed.token),
        ("state=open", 200, TokenKind::Personal)
    );
    let all = log.all();
    assert_eq!(all[0].connection, all[1].connection, "kept alive");
    assert_ne!(all[1].connection, all[2].connection);
    assert_eq!((all[2].token, all[2].status), (TokenKind::Refused, 401));
    assert_eq!(all[3].token, TokenKind::None);
    forge.finish().await;
}

#[tokio::test]
async fn a_request_that_github_does_not_know_is_found_out() {
    let forge = forge().await;
    let anybody = Client::anonymous(&forge);
    assert_eq!(
        anybody
            .get("/repos/octo/app/pulls?states=open")
            .await
            .status,
        200
    );
    assert_eq!(
        anybody.get("/repos/octo/app/pulls?sort=name").await.status,
        200
    );
    assert_eq!(anybody.get("/repos/octo/app/nothing").await.status, 404);
    let found: Vec<String> = forge
        .violations()
        .into_iter()
        .map(|one| one.difference)
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].contains("no query parameter `states`")
            && found[1].contains("`sort`")
            && found[2].contains("no such route"),
        "{found:?}"
    );
}

#[tokio::test]
#[should_panic(expected = "differences from GitHub's published descriptions")]
async fn a_story_with_a_difference_fails_at_its_end() {
    let forge = forge().await;
    Client::anonymous(&forge)
        .get("/repos/octo/app/nothing")
        .await;
    forge.finish().await;
}

#[tokio::test]
async fn a_forge_that_is_dropped_listens_no_more_and_leaves_no_files() {
    let forge = lenient().await;
    let client = Client::anonymous(&forge);
    assert_eq!(client.get(REPO).await.status, 200);
    let fresh = Client::anonymous(&forge);
    drop(forge);
    let gone = async {
        while fresh.ask(Method::GET, REPO, None).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}
