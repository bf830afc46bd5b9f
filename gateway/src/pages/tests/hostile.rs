//! What strangers, damage and size cannot do to a page, and the headers that it is sent with.

use http::{Request, header};
use protocol::record::RunResult;

use super::*;
use crate::pages::{assets, router};

#[tokio::test]
async fn nothing_that_strangers_name_is_more_than_text() {
    let mut record = build_record("app-7-l1");
    record.requester = HOSTILE.to_owned();
    record.trigger = HOSTILE.to_owned();
    record.flavour = HOSTILE.to_owned();
    record.base_ref = HOSTILE.to_owned();
    record.summary = HOSTILE.to_owned();
    record.pull.full_name = HOSTILE.to_owned();
    record.pull.url = "javascript:alert(1)".to_owned();
    record.head_sha = HOSTILE.to_owned();
    record.rerun_of = Some(HOSTILE.to_owned());
    record.left_out = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    let run = &mut record.runs[0];
    run.display_name = HOSTILE.to_owned();
    run.run = HOSTILE.to_owned();
    run.reason = HOSTILE.to_owned();
    run.failures = vec![HOSTILE.to_owned(); 20];
    let site = site(&[]);
    keep(&site, RecordKey::build("app", "app-7-l1"), &record).await;
    let mut history = builder_history("b", 3);
    history.display_name = HOSTILE.to_owned();
    for run in &mut history.runs {
        run.base_ref = HOSTILE.to_owned();
        run.repository = HOSTILE.to_owned();
        run.failures = vec![HOSTILE.to_owned(); 3];
        run.result = RunResult::Failed;
    }
    keep(&site, RecordKey::builder("b"), &history).await;
    let mut pull = pull_history(&["app-7-l1"]);
    pull.builds[0].flavour = HOSTILE.to_owned();
    pull.builds[0].requester = HOSTILE.to_owned();
    pull.builds[0].cells[0].name = HOSTILE.to_owned();
    pull.pull.url = "javascript:alert(1)".to_owned();
    keep(&site, RecordKey::pull("app", "7"), &pull).await;
    for path in ["/r/app/builds/app-7-l1", "/builders/b", "/r/app/pull/7"] {
        let (status, page) = get(&site, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(page.contains("&lt;img src=x"), "{path} shows it: {page}");
        for bad in ["<img", "\u{202E}", "\0", "=\"javascript:", "='javascript:"] {
            assert!(!page.contains(bad), "{path} has {bad:?}: {page}");
        }
    }
}

#[tokio::test]
async fn no_page_grows_without_end() {
    let mut objects = Vec::new();
    for n in 0..200 {
        let name = format!("app-7-l{n}");
        objects.push(build(
            &name,
            &["x86"],
            json!({ "phase": "Running", "reason": "x".repeat(10_000) }),
        ));
        let mut waits = run(&name, "x86", 1, waiting(&"y".repeat(1000), n));
        waits["metadata"]["uid"] = json!(format!("run-{n}"));
        objects.push(waits);
    }
    let site = site(&objects);
    for (path, more) in [("/", "… and 170 more"), ("/r/app/pull/7", "")] {
        let (_, page) = get(&site, path).await;
        assert!(page.len() < 150_000, "{path}: {}", page.len());
        assert!(page.contains(more), "{path}");
    }
}

#[tokio::test]
async fn a_damaged_record_and_one_of_a_newer_version_do_no_harm() {
    let site = site(&[]);
    let key = RecordKey::build("app", "app-7-l1").unwrap();
    site.app.records.put(&key, "{".into()).await.unwrap();
    let (status, page) = get(&site, "/r/app/builds/app-7-l1").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.contains("cannot be read"), "{page}");
    let mut newer = serde_json::to_value(build_record("app-7-l2")).unwrap();
    newer["result"] = json!("Sublime");
    newer["mood"] = json!("good");
    keep(&site, RecordKey::build("app", "app-7-l2"), &newer).await;
    assert_eq!(
        as_json(&site, "/r/app/builds/app-7-l2.json").await["state"],
        "unknown"
    );
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_a_page_to_itself() {
    let site = site(&[]);
    for path in [
        "/",
        "/overview.json",
        "/nothing",
        &assets::address(assets::STYLE),
    ] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = tower_service::Service::call(&mut router(site.clone()), request)
            .await
            .unwrap();
        let header = |name: header::HeaderName| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(
            header(header::CONTENT_SECURITY_POLICY)
                .starts_with("default-src 'none'; script-src 'self'")
        );
        assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(header::REFERRER_POLICY), "no-referrer");
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        let keep = header(header::CACHE_CONTROL);
        assert_eq!(
            keep.contains("immutable"),
            path.starts_with("/assets/"),
            "{path}: {keep}"
        );
    }
}
