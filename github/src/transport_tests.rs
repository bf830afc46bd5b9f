//! How answers are sorted, and where requests are led on to.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;

fn sorted(status: u16, body: &'static str) -> Result<Answer, GithubError> {
    let status = StatusCode::from_u16(status).expect("a status");
    let headers = HeaderMap::from_iter([(
        DATE,
        HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"),
    )]);
    sort(
        "GET /x".to_owned(),
        status,
        &headers,
        Bytes::from(body),
        None,
    )
}

#[test]
fn answers_are_sorted_by_what_can_be_done() {
    for (status, word, transient) in [
        (400, "unprocessable", false),
        (401, "unauthorized", false),
        (403, "forbidden", false),
        (404, "not_found", false),
        (410, "not_found", false),
        (422, "unprocessable", false),
        (429, "rate_limited", true),
        (500, "unavailable", true),
        (502, "unavailable", true),
        (302, "malformed", false),
    ] {
        let error = sorted(status, "<html>").err().expect("an error");
        assert_eq!(error.word(), word, "{status}");
        assert_eq!(error.is_transient(), transient, "{status}");
        assert!(error.to_string().contains("GET /x"), "{error}");
    }
}

#[test]
fn a_write_is_led_on_to_the_same_server_only() {
    let at = |location: &'static str| {
        HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))])
    };
    let from = "https://api.github.com/repos/o/r/statuses/a";
    let there = "https://api.github.com/repositories/1/statuses/a";
    let temporary = StatusCode::TEMPORARY_REDIRECT;
    let moved = |status, headers: &HeaderMap| moved(&Method::POST, from, status, headers);
    assert_eq!(moved(temporary, &at(there)).as_deref(), Some(there));
    assert_eq!(moved(StatusCode::OK, &at(there)), None);
    // Who follows these sends something else than was meant.
    assert_eq!(moved(StatusCode::FOUND, &at(there)), None);
    assert_eq!(moved(StatusCode::MOVED_PERMANENTLY, &at(there)), None);
    for elsewhere in [
        "https://evil.example/repositories/1/statuses/a",
        "http://api.github.com/repositories/1/statuses/a",
        "https://api.github.com@evil.example/x",
        "https://api.github.com:444/x",
        "/repositories/1/statuses/a",
    ] {
        assert_eq!(moved(temporary, &at(elsewhere)), None, "{elsewhere}");
    }
    assert_eq!(moved(temporary, &HeaderMap::new()), None);
}

#[test]
fn a_read_is_led_on_to_the_same_server_only() {
    let at = |location: &'static str| {
        HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))])
    };
    let from = "https://api.github.com/repos/o/r";
    let there = "https://api.github.com/repositories/1";
    for status in [301, 302, 307, 308] {
        let status = StatusCode::from_u16(status).expect("a status");
        let moved = |location| moved(&Method::GET, from, status, &at(location));
        assert_eq!(moved(there).as_deref(), Some(there), "{status}");
        assert_eq!(moved("https://evil.example/repositories/1"), None);
    }
}

#[test]
fn the_date_is_githubs() {
    let answer = sorted(200, "{}").expect("an answer");
    assert_eq!(answer.date.to_string(), "1994-11-06T08:49:37Z");
}

#[test]
fn githubs_words_are_kept_and_bounded() {
    assert_eq!(
        message(br#"{"message":"Validation Failed","errors":[{"message":"No commit found"},"x"]}"#),
        "Validation Failed: No commit found: x"
    );
    assert_eq!(message(b"<html>"), "");
    let long = format!(r#"{{"message":"{}"}}"#, "a".repeat(1000));
    assert_eq!(message(long.as_bytes()).len(), 300);
}

/// A server that leads everybody on to another address of its own, after so long, and how often it did.
async fn leading_on(after: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("its address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let (to, count) = (base.clone(), asked.clone());
    let answer = move || {
        let (to, count) = (to.clone(), count.clone());
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(after).await;
            let location = format!("{to}/repositories/{number}");
            (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)])
        }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, asked)
}

/// Why a read there comes to nothing, which may take so long.
async fn error_of_a_read(base: &str, timeout: Duration) -> GithubError {
    let call = Call {
        method: Method::GET,
        url: format!("{base}/repos/o/r"),
        name: "GET /repos/o/r".to_owned(),
        credential: None,
        body: None,
        etag: None,
        ledger: None,
    };
    let transport = Transport::new(timeout).expect("a transport");
    transport.send(call).await.err().expect("an error")
}

#[tokio::test]
async fn whoever_is_led_on_for_ever_stops_after_three_times() {
    let (base, asked) = leading_on(Duration::ZERO).await;
    let error = error_of_a_read(&base, Duration::from_secs(60)).await;
    assert_eq!(error.word(), "malformed", "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1 + MOST_MOVES);
}

#[tokio::test]
async fn the_time_of_a_call_is_not_begun_anew_where_it_is_led_on() {
    // Each answer comes in time, and all of them together do not.
    let (base, _) = leading_on(Duration::from_millis(400)).await;
    let error = error_of_a_read(&base, Duration::from_secs(1)).await;
    assert!(
        error.to_string().contains("no answer within 1 s"),
        "{error}"
    );
}
