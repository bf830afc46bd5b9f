//! What strangers send, and how little they get.

use std::collections::BTreeMap;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use tests::forge::DeliveryFault;
use tokio::net::TcpListener;

use super::*;

/// A label whose delivery was lost: what is posted can build something.
pub(super) async fn ready(name: &str) -> (Town, Vec<u8>) {
    let town = Town::new(name).await;
    let body = lost_label(&town).await;
    (town, body)
}

/// What GitHub would have delivered of a label, had it not been lost.
pub(super) async fn lost_label(town: &Town) -> Vec<u8> {
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    town.story.label(number);
    town.story.forge.deliveries_settled().await;
    town.labeled_payload(number, ADA)
}

#[tokio::test]
async fn s02_a_body_that_is_not_signed_with_sha256_asks_github_nothing() {
    let (mut town, body) = ready("wh-unsigned").await;
    let before = town.outcomes().await;
    town.story.forge.log().clear();
    let good = signed(&body);
    let all = headers("pull_request", &good);
    let without: Vec<_> = all
        .iter()
        .copied()
        .filter(|(name, _)| *name != "x-hub-signature-256")
        .collect();
    // Right, and not accepted: neither under its own name nor under that of the other one.
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let sha1 = format!("sha1={}", hex::encode(sign(&key, &body)));
    let with = |name: &'static str| {
        let mut headers = without.clone();
        headers.push((name, sha1.as_str()));
        headers
    };
    let (own, other) = (with("x-hub-signature"), with("x-hub-signature-256"));
    for headers in [&without, &own, &other] {
        assert_eq!(town.post(headers, &body).await.status, 401);
    }
    town.nothing_stored().await;
    assert!(town.story.forge.log().all().is_empty());
    assert_eq!(town.post(&all, &body).await.status, 202);
    town.came_to(&before, &[("build", 1), ("unsigned", 3)])
        .await;
    town.end().await;
}

#[tokio::test]
async fn s03_every_bad_signature_gets_the_same_answer() {
    let (mut town, body) = ready("wh-signature").await;
    let before = town.outcomes().await;
    let good = signed(&body);
    let hex = &good[7..];
    let mut bodies = Vec::new();
    for signature in [
        "sha256=".to_owned(),
        format!("sha256={}", &hex[1..]),
        format!("sha256={hex}0"),
        format!("SHA256={hex}"),
        format!("aaaaaaa{hex}"),
        format!("sha256={}", "0".repeat(64)),
    ] {
        let reply = town.post(&headers("pull_request", &signature), &body).await;
        assert_eq!(reply.status, 401, "{signature}");
        bodies.push(reply.body);
    }
    let mut twice = headers("pull_request", &good);
    twice.push(("x-hub-signature-256", &good));
    let reply = town.post(&twice, &body).await;
    assert_eq!(reply.status, 401);
    bodies.push(reply.body);
    bodies.dedup();
    assert_eq!(bodies, ["Unauthorized"]);
    let mut flipped = body.clone();
    flipped[10] ^= 1;
    assert_eq!(
        town.post(&headers("pull_request", &good), &flipped)
            .await
            .status,
        401
    );
    town.nothing_stored().await;
    town.came_to(&before, &[("unsigned", 8)]).await;
    town.end().await;
}

#[tokio::test]
async fn s04_a_label_under_another_header_is_no_label() {
    let (mut town, body) = ready("wh-confused").await;
    let before = town.outcomes().await;
    let signature = signed(&body);
    for event in ["issues", "check_run", "ping", "push", "issue_comment"] {
        assert_eq!(
            town.post(&headers(event, &signature), &body).await.status,
            200,
            "{event}"
        );
    }
    town.nothing_stored().await;
    town.came_to(&before, &[("action", 2), ("event", 2), ("ping", 1)])
        .await;
    town.end().await;
}

#[tokio::test]
async fn s07_nothing_in_headers_or_body_makes_us_talk_to_another_host() {
    let (mut town, body) = ready("wh-host").await;
    let before = town.outcomes().await;
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = trap.local_addr().unwrap().to_string();
    let mut payload: serde_json::Value = serde_json::from_slice(&body).unwrap();
    payload["installation"] = json!({ "id": 424_242 });
    for field in ["url", "events_url", "collaborators_url", "pulls_url"] {
        payload["repository"][field] = json!(format!("http://{host}/{field}"));
    }
    payload["pull_request"]["url"] = json!(format!("http://{host}/pull"));
    let body = serde_json::to_vec(&payload).unwrap();
    let signature = signed(&body);
    for (signature, expected) in [("sha256=0", 401), (signature.as_str(), 202)] {
        let mut headers = headers("pull_request", signature);
        headers.push(("x-github-enterprise-host", &host));
        assert_eq!(town.post(&headers, &body).await.status, expected);
    }
    let called = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(called.is_err(), "somebody called the host of the headers");
    town.came_to(&before, &[("build", 1), ("unsigned", 1)])
        .await;
    town.end().await;
}

#[tokio::test]
async fn s09_only_a_post_of_json_to_the_one_path_is_read() {
    let (mut town, body) = ready("wh-shape").await;
    let before = town.outcomes().await;
    let good = signed(&body);
    let json = headers("pull_request", &good);
    let with = |name: &'static str, value: &'static str| {
        let mut changed: Vec<_> = json
            .iter()
            .copied()
            .filter(|(found, _)| *found != name)
            .collect();
        changed.push((name, value));
        changed
    };
    for (method, path, headers, expected) in [
        ("GET", "/webhook", json.clone(), 405),
        ("PUT", "/webhook", json.clone(), 405),
        ("POST", "/", json.clone(), 404),
        ("POST", "/webhook/", json.clone(), 404),
        ("POST", "/webhooks", json.clone(), 404),
        ("GET", "/metrics", json.clone(), 404),
        (
            "POST",
            "/webhook",
            with("content-type", "application/x-www-form-urlencoded"),
            415,
        ),
        ("POST", "/webhook", with("content-encoding", "gzip"), 415),
        ("POST", "/webhook", with("x-github-event", "\t"), 200),
    ] {
        let reply = town.send(method, path, &headers, &body).await;
        assert_eq!(reply.status, expected, "{method} {path} {headers:?}");
    }
    for missing in ["x-github-event", "x-github-delivery"] {
        let headers: Vec<_> = json
            .iter()
            .copied()
            .filter(|(name, _)| *name != missing)
            .collect();
        assert_eq!(town.post(&headers, &body).await.status, 400, "{missing}");
    }
    for body in [&b""[..], b"{", b"null", b"\xff\xfe"] {
        let signature = signed(body);
        assert_eq!(
            town.post(&headers("pull_request", &signature), body)
                .await
                .status,
            200
        );
    }
    town.nothing_stored().await;
    let refused = [
        ("malformed", 2),
        ("media_type", 2),
        ("method", 2),
        ("not_found", 4),
    ];
    let ignored = [("event", 1), ("shape", 4)];
    town.came_to(&before, &[ignored.as_slice(), &refused].concat())
        .await;
    town.end().await;
}

#[tokio::test]
async fn an_unknown_repository_is_ignored_and_says_nothing() {
    let mut town = Town::new("wh-unknown-repo").await;
    let number = town.pull_request().await;
    let before = town.outcomes().await;
    let body = town.labeled_payload(number, ADA);
    let mut payload: serde_json::Value = serde_json::from_slice(&body).unwrap();
    payload["repository"]["id"] = json!(1);
    payload["repository"]["full_name"] = json!("some/other");
    let body = serde_json::to_vec(&payload).unwrap();
    let reply = town
        .post(&headers("pull_request", &signed(&body)), &body)
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "OK"));
    town.nothing_stored().await;
    town.came_to(&before, &[("unknown_repository", 1)]).await;
    town.end().await;
}

#[tokio::test]
async fn a_program_that_is_asked_to_stop_ends_cleanly() {
    let mut town = Town::new("wh-stop").await;
    town.story
        .install
        .program(town.webhook)
        .unwrap()
        .terminate();
    let index = town.webhook;
    let program = town.story.install.program(index).unwrap();
    let status = eventually("it ends", PATIENCE, async || {
        program.ended().ok_or("it runs".to_owned())
    })
    .await;
    assert!(status.success(), "{status:?}");
    town.end().await;
}

/// Deliveries by what came of them.
pub(super) type Outcomes = BTreeMap<String, usize>;

impl Town {
    /// What came of all deliveries so far.
    pub(super) async fn outcomes(&mut self) -> Outcomes {
        self.story.forge.deliveries_settled().await;
        let metrics = self.metrics().await;
        let lines = metrics.lines();
        let counted = lines.filter_map(|line| {
            let line = line.strip_prefix("prbuild_webhook_deliveries_total{outcome=\"")?;
            line.split_once("\"} ")
        });
        counted
            .map(|(outcome, count)| (outcome.to_owned(), count.parse().unwrap()))
            .collect()
    }

    /// These came of what was delivered since, and nothing else.
    pub(super) async fn came_to(&mut self, before: &Outcomes, expected: &[(&str, usize)]) {
        assert_eq!(more(before, &self.outcomes().await), counts(expected));
    }
}

pub(super) fn more(before: &Outcomes, now: &Outcomes) -> Outcomes {
    let since = now.iter().map(|(outcome, count)| {
        let known = before.get(outcome).copied().unwrap_or_default();
        (outcome.clone(), count - known)
    });
    since.filter(|(_, count)| *count > 0).collect()
}

pub(super) fn counts(expected: &[(&str, usize)]) -> Outcomes {
    let owned = |(outcome, count): &(&str, usize)| ((*outcome).to_owned(), *count);
    expected.iter().map(owned).collect()
}
