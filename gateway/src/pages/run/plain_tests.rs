//! What is answered to who wants the text of a log, or only what is new of it.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::testing::Writer;
use crate::{
    pages::{Site, router, samples::*},
    records::RecordKey,
    testing::sha256,
};

const PATH: &str = "/r/app/runs/r1.txt";

/// A site with the record of a run, and its writer.
async fn recorded() -> (Arc<Site>, Writer) {
    let site = site(&[]);
    keep(&site, RecordKey::run("app", "r1"), &run_record("r1")).await;
    let writer = Writer::new(site.app.clone(), "r1");
    (site, writer)
}

async fn asked(
    site: &Arc<Site>,
    method: Method,
    with: &[(HeaderName, &str)],
) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(PATH);
    let request = with.iter().fold(request, |request, (name, value)| {
        request.header(name, *value)
    });
    let mut router = router(site.clone());
    let answer = tower_service::Service::call(&mut router, request.body(Body::empty()).unwrap());
    let (parts, body) = answer.await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status, parts.headers, body)
}

#[tokio::test]
async fn a_text_that_has_ended_has_a_tag_and_is_not_sent_again_to_who_has_it() {
    let (site, writer) = recorded().await;
    writer.log("0123456789").await;
    let (_, headers, _) = asked(&site, Method::GET, &[]).await;
    assert!(!headers.contains_key(header::ETAG), "it grows");
    writer.end().await;
    let tag = format!("\"{}\"", sha256(b"0123456789"));
    loop {
        let (status, headers, body) = asked(&site, Method::GET, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "0123456789"));
        if let Some(found) = headers.get(header::ETAG) {
            assert_eq!(found, tag.as_str());
            break;
        }
        // The log becomes one file.
        tokio::task::yield_now().await;
    }
    for tags in [tag.as_str(), &format!("\"x\", W/{tag}"), "*"] {
        let (status, headers, body) =
            asked(&site, Method::GET, &[(header::IF_NONE_MATCH, tags)]).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(headers[header::ETAG], tag.as_str());
    }
    let other = asked(&site, Method::GET, &[(header::IF_NONE_MATCH, "\"x\"")]).await;
    assert_eq!(other.0, StatusCode::OK);
}

#[tokio::test]
async fn the_rest_is_sent_to_who_has_the_beginning_of_the_same_text_and_all_to_others() {
    let (site, writer) = recorded().await;
    writer.log("0123456789").await;
    let rest = (header::RANGE, "bytes=7-");
    let with = |tag: &'static str| [rest.clone(), (header::IF_RANGE, tag)];
    let (status, ..) = asked(&site, Method::GET, &with("\"x\"")).await;
    assert_eq!(status, StatusCode::OK, "what grows has no tag to name");
    writer.end().await;
    let has_tag = async || {
        let (_, headers, _) = asked(&site, Method::GET, &[]).await;
        headers.contains_key(header::ETAG)
    };
    while !has_tag().await {
        tokio::task::yield_now().await;
    }
    let tag = format!("\"{}\"", sha256(b"0123456789"));
    let same = [rest.clone(), (header::IF_RANGE, tag.as_str())];
    let (status, _, body) = asked(&site, Method::GET, &same).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::PARTIAL_CONTENT, "789")
    );
    for tag in ["\"x\"", "W/\"x\"", "Sat, 31 Jan 2026 12:00:00 GMT"] {
        let (status, _, body) = asked(&site, Method::GET, &with(tag)).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::OK, "0123456789"),
            "{tag}"
        );
    }
    // Who asks for the head alone is told of all of it.
    let (status, headers, body) = asked(&site, Method::HEAD, &[rest]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(headers[header::CONTENT_LENGTH], "10");
    assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
}

#[tokio::test]
async fn where_there_is_no_text_that_is_said_as_text() {
    let queued = json!({ "phase": "Queued" });
    let waiting = site(&[run("app-7-l1", "s390x", 1, queued)]);
    let (recorded, _) = recorded().await;
    for (site, path, says) in [
        (
            &recorded,
            "/r/app/runs/unknown.txt",
            "This run is not known",
        ),
        (&recorded, "/r/app/runs/..%2Fx.txt", "This run is not known"),
        (&recorded, PATH, "kept no longer, or it never arrived"),
        (
            &waiting,
            "/r/app/runs/run-s390x-1.txt",
            "once the run has a machine",
        ),
    ] {
        let (status, body) = get(site, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains(says) && !body.contains('<'), "{path}: {body}");
        let is_waiting = Arc::ptr_eq(site, &waiting);
        assert!(is_waiting || body.contains("90 days"), "{path}: {body}");
    }
    let (_, headers, _) = asked(&recorded, Method::GET, &[]).await;
    assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
}
