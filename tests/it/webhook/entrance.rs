//! What strangers send, and how little they get.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use tests::forge::DeliveryFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;

/// A server without limits would hold a slow connection for ever; this is long on any machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(45);

/// Another address of this machine than GitHub's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A label whose delivery was lost: what is posted can build something.
pub(super) async fn ready(name: &str) -> (Town, Vec<u8>) {
    let town = Town::new(name).await;
    let number = town.pull_request().await;
    town.story
        .forge
        .faults()
        .deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    town.story.label(number);
    town.story.forge.deliveries_settled().await;
    let body = town.labeled_payload(number, ADA);
    (town, body)
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
async fn s08_a_large_body_is_refused_whether_its_length_is_told_or_not() {
    let mut town = Town::new("wh-large").await;
    let before = town.outcomes().await;
    let head = "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        x-github-event: pull_request\r\nx-github-delivery: 1\r\nx-hub-signature-256: sha256=0\r\n";
    let told = format!("{head}content-length: 3145728\r\n\r\n");
    let reply = raw(&town, told.as_bytes(), &[]).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &vec![b'a'; 0x10000], b"\r\n"].concat();
    let reply = raw(&town, chunked.as_bytes(), &chunk.repeat(40)).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    // Two lengths, and a second request hidden behind the one of them: nobody answers that one.
    let both = format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let reply = raw(
        &town,
        both.as_bytes(),
        b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    assert!(
        reply.contains("connection: close") && !reply.contains("404"),
        "{reply}"
    );
    town.came_to(&before, &[("too_large", 2), ("unsigned", 1)])
        .await;
    town.end().await;
}

#[tokio::test]
async fn s08_slow_headers_and_slow_bodies_are_cut_off_and_hold_up_nobody() {
    let (mut town, body) = ready("wh-loris").await;
    let before = town.outcomes().await;
    let start = tokio::time::Instant::now();
    let mut headers_only = Vec::new();
    for _ in 0..300 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ELSEWHERE, 0).into()).unwrap();
        let mut stream = socket.connect(town.address).await.unwrap();
        // Those beyond the share of one address are closed.
        let _ = stream
            .write_all(b"POST /webhook HTTP/1.1\r\nhost: x\r\n")
            .await;
        headers_only.push(stream);
    }
    let mut slow = TcpStream::connect(town.address).await.unwrap();
    let head = "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        x-github-event: ping\r\nx-github-delivery: 1\r\nx-hub-signature-256: sha256=0\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();

    // Meanwhile GitHub gets through.
    let signature = signed(&body);
    assert_eq!(
        town.post(&headers("pull_request", &signature), &body)
            .await
            .status,
        202
    );

    let heads = async {
        for mut stream in headers_only {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        start.elapsed()
    };
    let body = async {
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
        (rest, start.elapsed())
    };
    let (heads, (rest, body)) = tokio::join!(heads, body);
    assert!(String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 408"));
    // A body may take longer than the headers, which came first.
    assert!(heads < body, "headers: {heads:?}, body: {body:?}");
    assert!(body < CLOSED_WITHIN, "body: {body:?}");
    town.came_to(&before, &[("build", 1), ("slow", 1)]).await;
    town.end().await;
}

#[tokio::test]
async fn s08_a_crowd_is_sent_away_and_memory_stays_small() {
    let mut town = Town::new("wh-crowd").await;
    let number = town.pull_request().await;
    town.story
        .forge
        .faults()
        .deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    town.story.label(number);
    let late = tests::forge::Fault::Latency(Duration::from_secs(2));
    town.story.forge.faults().on("GET /repos/*/*/pulls/*", late);
    let body = town.labeled_payload(number, ADA);
    let signature = signed(&body);
    let health = format!("http://{}/healthz", town.inner());
    // No address has more connections than its share.
    let all = (0..400).map(|n| {
        let from = if n % 2 == 0 {
            ELSEWHERE
        } else {
            Ipv4Addr::LOCALHOST
        };
        let (town, body, headers) = (&town, &body, headers("pull_request", &signature));
        async move {
            let reply = town.send_from(from, "POST", "/webhook", &headers, body);
            reply.await.status
        }
    });
    let crowd = async {
        let codes = futures::future::join_all(all).await;
        (codes, tokio::time::Instant::now())
    };
    let looked = async {
        let health = crate::http_get(&health).await;
        (health, tokio::time::Instant::now())
    };
    let ((codes, gone), (health, seen)) = tokio::join!(crowd, looked);
    assert_eq!(health.unwrap().0, 200);
    assert!(seen < gone, "nobody was there any more");
    assert!(
        codes.iter().all(|code| [202, 503].contains(code)),
        "{codes:?}"
    );
    assert!(codes.contains(&503), "nobody was sent away");
    let pid = town.story.install.program(town.webhook).unwrap().pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kilobytes < 200_000, "{line}");
    // Whoever was sent away comes again; on a busy machine that may have been everybody.
    town.story.forge.faults().clear();
    let headers = headers("pull_request", &signature);
    assert_eq!(town.post(&headers, &body).await.status, 202);
    assert_eq!(town.builds().await.len(), 1);
    let busy = town.outcomes().await["busy"];
    let unavailable = codes.iter().filter(|code| **code == 503).count();
    assert!((1..=unavailable).contains(&busy), "{busy} of {unavailable}");
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

#[tokio::test]
async fn s08_a_body_that_breaks_off_stores_nothing_and_the_next_delivery_is_served() {
    let (mut town, body) = ready("wh-short").await;
    let before = town.outcomes().await;
    let signature = signed(&body);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        x-github-event: pull_request\r\nx-github-delivery: 1\r\nx-hub-signature-256: {signature}\r\n\
        content-length: {}\r\n\r\n",
        body.len() + 1
    );
    // One says that nothing more comes and still listens, the other one is gone.
    let reply = cut_off(&town, head.as_bytes(), &body).await;
    assert!(
        reply.is_empty() || reply.starts_with("HTTP/1.1 400"),
        "{reply}"
    );
    let mut gone = TcpStream::connect(town.address).await.unwrap();
    gone.write_all(head.as_bytes()).await.unwrap();
    gone.write_all(&body).await.unwrap();
    drop(gone);
    let expected = [("malformed", 2)];
    eventually("both are counted", PATIENCE, async || {
        match more(&before, &town.outcomes().await) {
            found if found == counts(&expected) => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    town.nothing_stored().await;
    let headers = headers("pull_request", &signature);
    assert_eq!(town.post(&headers, &body).await.status, 202);
    town.end().await;
}

/// Writes bytes, says that no more come, and reads what comes back.
async fn cut_off(town: &Town, head: &[u8], body: &[u8]) -> String {
    let mut stream = TcpStream::connect(town.address).await.unwrap();
    stream.write_all(head).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

/// Deliveries by what came of them.
type Outcomes = BTreeMap<String, usize>;

impl Town {
    /// What came of all deliveries so far.
    async fn outcomes(&mut self) -> Outcomes {
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
    async fn came_to(&mut self, before: &Outcomes, expected: &[(&str, usize)]) {
        assert_eq!(more(before, &self.outcomes().await), counts(expected));
    }
}

fn more(before: &Outcomes, now: &Outcomes) -> Outcomes {
    let since = now.iter().map(|(outcome, count)| {
        let known = before.get(outcome).copied().unwrap_or_default();
        (outcome.clone(), count - known)
    });
    since.filter(|(_, count)| *count > 0).collect()
}

fn counts(expected: &[(&str, usize)]) -> Outcomes {
    let owned = |(outcome, count): &(&str, usize)| ((*outcome).to_owned(), *count);
    expected.iter().map(owned).collect()
}

/// Writes bytes as they are, and reads what comes back.
async fn raw(town: &Town, head: &[u8], body: &[u8]) -> String {
    let mut stream = TcpStream::connect(town.address).await.unwrap();
    stream.write_all(head).await.unwrap();
    // The other side may close before all is written: that is the point.
    let _ = stream.write_all(body).await;
    let mut reply = vec![0; 4096];
    let read = stream.read(&mut reply).await.unwrap_or(0);
    String::from_utf8_lossy(&reply[..read]).into_owned()
}
