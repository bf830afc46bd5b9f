//! S08: what is too large, too slow, too much, or breaks off.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::entrance::{counts, more, ready};
use super::*;

/// A server without limits would hold a slow connection for ever; this is long on any machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(45);

/// Another address of this machine than GitHub's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

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
    let (mut town, body) = ready("wh-crowd").await;
    let late = tests::forge::Fault::Latency(Duration::from_secs(2));
    town.story.forge.faults().on("GET /repos/*/*/pulls/*", late);
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
