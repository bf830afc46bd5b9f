use http::Method;
use protocol::log::{LogLimits, LogTaken, MARKS_LIMIT, RefusalCode};
use protocol::record::BuilderHistory;
use protocol::token::{LogScope, Signer};

use super::*;
use crate::testing::faulty::Faulty;
use crate::testing::{
    Came, Gateway, LOG_LIMIT, REPOSITORY, RUN, came, digest_header, end_post, key, log_scope,
    operator, put, sample, token, token_of, zstd_put,
};
use http_body_util::Full;

fn taken(received: u64, durable: u64) -> Came {
    Came::Taken(LogTaken { received, durable })
}

fn refused(code: RefusalCode, received: u64) -> Came {
    Came::Refused(code, Some(received))
}

#[tokio::test]
async fn bytes_are_received_at_once_and_durable_when_they_are_stored() {
    let gateway = Gateway::on(&Faulty::default());
    assert_eq!(gateway.put(Stream::Log, 0, b"").await, taken(0, 0));
    assert_eq!(gateway.put(Stream::Log, 0, b"hello\n").await, taken(6, 0));
    assert_eq!(gateway.text(Stream::Log).await, b"hello\n");
    gateway.app.logs.stop().await;
    assert_eq!(gateway.put(Stream::Log, 6, b"").await, taken(6, 6));
}

#[tokio::test]
async fn bytes_that_are_sent_again_are_skipped_and_bytes_after_a_gap_are_not_taken() {
    let gateway = Gateway::on(&Faulty::default());
    gateway.put(Stream::Log, 0, b"one two ").await;
    assert_eq!(
        gateway.put(Stream::Log, 4, b"two three!").await,
        taken(14, 0)
    );
    assert_eq!(gateway.put(Stream::Log, 0, b"one").await, taken(14, 0));
    assert_eq!(
        gateway.put(Stream::Log, 15, b"x").await,
        refused(RefusalCode::Gap, 14)
    );
    let far = gateway.put(Stream::Log, u64::MAX, b"x").await;
    assert_eq!(far, refused(RefusalCode::Limit, 14));
    assert_eq!(gateway.text(Stream::Log).await, b"one two three!");
}

#[tokio::test]
async fn what_is_wrong_is_answered_with_where_to_go_on_and_changes_nothing() {
    let gateway = Gateway::on(&Faulty::default());
    gateway.put(Stream::Log, 0, b"good\n").await;
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let path = |query: &str| format!("/v1/repositories/{REPOSITORY}/runs/{RUN}/logs/log{query}");
    let build = |change: &dyn Fn(http::request::Builder) -> http::request::Builder, body: &[u8]| {
        change(put(Stream::Log, 5, body))
            .body(Full::from(body.to_vec()))
            .unwrap()
    };
    let digest = |_: &str| digest_header(b"other");
    for (what, request) in [
        (
            "another digest",
            put(Stream::Log, 5, b"bad")
                .body(Full::from(b"bat".to_vec()))
                .unwrap(),
        ),
        (
            "a second digest",
            build(&|put| put.header("content-digest", digest("")), b"bad"),
        ),
        (
            "an encoding",
            build(&|put| put.header("content-encoding", "gzip"), b"bad"),
        ),
        (
            "no zstd",
            build(&|put| put.header("content-encoding", "zstd"), b"bad"),
        ),
        (
            "a bomb",
            build(&|put| put.header("content-encoding", "zstd"), &bomb),
        ),
        ("too long", build(&|put| put, &vec![b'x'; BODY_LIMIT + 1])),
        ("no offset", build(&|put| put.uri(path("")), b"bad")),
        (
            "a negative offset",
            build(&|put| put.uri(path("?offset=-1")), b"bad"),
        ),
        (
            "two offsets",
            build(&|put| put.uri(path("?offset=5&offset=5")), b"bad"),
        ),
    ] {
        let (status, body) = gateway.answer(request).await;
        assert_eq!(
            came(status, &body),
            refused(RefusalCode::Malformed, 5),
            "{what}"
        );
    }
    assert_eq!(gateway.text(Stream::Log).await, b"good\n");
    assert_eq!(gateway.put(Stream::Log, 5, b"more\n").await, taken(10, 0));
}

#[tokio::test]
async fn who_has_no_valid_token_learns_nothing_and_stores_nothing() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, b"secret").await;
    let keys = objects.keys().await;
    let operations = objects.operations();
    let other = |repository: &str, run: &str| {
        Scope::Log(LogScope {
            repository: repository.to_owned(),
            run: run.to_owned(),
            attempt: 1,
        })
    };
    let stranger = Signer::from_seed(&[8; 32]);
    let mut answers = Vec::new();
    for header in [
        None,
        Some(String::new()),
        Some("Basic YTpi".to_owned()),
        Some(format!(
            "Bearer {}",
            token_of(&stranger, log_scope(), now() + 60)
        )),
        Some(format!(
            "Bearer {}",
            token_of(&operator(), log_scope(), now() - 1)
        )),
        Some(format!("Bearer {}", token(other(REPOSITORY, "0b1c")))),
        Some(format!("Bearer {}", token(other("other", RUN)))),
        Some(format!("Bearer {}", token(Scope::Records))),
        Some(format!("Bearer {}", "x".repeat(5000))),
    ] {
        for mut request in [
            zstd_put(Stream::Log, 0, b"other"),
            end_post(&LogEnd {
                log: 0,
                marks: 0,
                left_out: 0,
                unfinished: false,
            }),
        ] {
            request.headers_mut().remove("authorization");
            if let Some(header) = &header {
                request
                    .headers_mut()
                    .insert("authorization", header.parse().unwrap());
            }
            let (status, body) = gateway.answer(request).await;
            assert_eq!(came(status, &body), Came::Refused(RefusalCode::Token, None));
            answers.push(body);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all get the same words");
    assert_eq!(
        (objects.keys().await, objects.operations()),
        (keys, operations)
    );
}

#[tokio::test]
async fn the_first_sender_of_a_run_is_its_only_one_also_after_a_restart() {
    let objects = Faulty::default();
    let second = || {
        let mut request = zstd_put(Stream::Log, 0, b"other");
        let id = "ff".repeat(16).parse().unwrap();
        request.headers_mut().insert(WRITER_HEADER, id);
        request
    };
    for restart in [false, true] {
        let gateway = Gateway::on(&objects);
        if !restart {
            gateway.put(Stream::Log, 0, b"").await;
        }
        let (status, body) = gateway.answer(second()).await;
        assert_eq!(
            came(status, &body),
            Came::Refused(RefusalCode::Writer, None)
        );
        assert_eq!(gateway.put(Stream::Log, 0, b"").await, taken(0, 0));
    }
}

#[tokio::test]
async fn a_log_is_no_longer_than_it_may_be() {
    let gateway = Gateway::on(&Faulty::default());
    let most = LogLimits::of(LOG_LIMIT).most();
    let text = vec![b'\n'; CHUNK_LIMIT];
    let mut at = 0;
    while at + CHUNK_LIMIT as u64 <= most {
        assert!(matches!(
            gateway.put(Stream::Log, at, &text).await,
            Came::Taken(_)
        ));
        at += CHUNK_LIMIT as u64;
    }
    assert_eq!(
        gateway.put(Stream::Log, at, &text).await,
        refused(RefusalCode::Limit, at)
    );
    let rest = &text[..(most - at) as usize];
    assert!(matches!(
        gateway.put(Stream::Log, at, rest).await,
        Came::Taken(_)
    ));
    assert_eq!(
        gateway.put(Stream::Log, most, b"x").await,
        refused(RefusalCode::Limit, most)
    );
    let marks = vec![b'm'; MARKS_LIMIT as usize];
    assert!(matches!(
        gateway.put(Stream::Marks, 0, &marks).await,
        Came::Taken(_)
    ));
    let over = gateway.put(Stream::Marks, MARKS_LIMIT, b"x").await;
    assert_eq!(over, refused(RefusalCode::Limit, MARKS_LIMIT));
}

#[tokio::test]
async fn a_log_ends_once_with_the_bytes_that_it_has() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, b"one\ntwo").await;
    gateway.put(Stream::Marks, 0, b"{}\n").await;
    let end = |log, marks| LogEnd {
        log,
        marks,
        left_out: 9,
        unfinished: false,
    };
    assert_eq!(gateway.end(end(8, 3)).await, refused(RefusalCode::Gap, 7));
    assert_eq!(gateway.end(end(7, 4)).await, refused(RefusalCode::Gap, 3));
    assert_eq!(
        gateway.end(end(6, 3)).await,
        refused(RefusalCode::Malformed, 7)
    );
    assert_eq!(gateway.end(end(7, 3)).await, taken(7, 7));
    for gateway in [gateway, Gateway::on(&objects)] {
        assert_eq!(gateway.end(end(7, 3)).await, taken(7, 7));
        assert_eq!(gateway.end(end(7, 2)).await, refused(RefusalCode::Ended, 7));
        assert_eq!(gateway.put(Stream::Log, 0, b"one").await, taken(7, 7));
        assert_eq!(
            gateway.put(Stream::Log, 7, b"x").await,
            refused(RefusalCode::Ended, 7)
        );
        gateway.archived().await;
        let view = gateway.reader(Stream::Log).await.unwrap().view();
        assert_eq!(
            (view.size, view.lines, view.ended, view.left_out),
            (7, 2, true, 9)
        );
        assert_eq!(gateway.text(Stream::Log).await, b"one\ntwo");
    }
    let names = [
        "end.json",
        "log.json",
        "log.zst",
        "marks.json",
        "marks.zst",
        "writer",
    ];
    let expected: Vec<_> = names
        .iter()
        .map(|name| format!("{}/{name}", key().prefix()))
        .collect();
    assert_eq!(objects.keys().await, expected);
}

#[tokio::test]
async fn a_token_in_a_log_is_illegible_before_anything_is_shown_or_stored() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let token = format!("ghp_{}", "s3cretS3".repeat(5));
    let text = format!("push with {token}\nnext\n");
    let mut shown = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        gateway.put(Stream::Log, at as u64, &[byte]).await;
        let now = gateway.text(Stream::Log).await;
        assert!(!now.windows(3).any(|part| part == b"s3c"), "shown");
        assert!(now.starts_with(&shown), "what was shown has changed");
        shown = now;
    }
    let expected = format!("push with ghp_{}\nnext\n", "*".repeat(40));
    assert_eq!(shown, expected.as_bytes());
    gateway.app.logs.stop().await;
    assert_eq!(
        Gateway::on(&objects).text(Stream::Log).await,
        expected.as_bytes()
    );
}

#[tokio::test]
async fn a_store_that_is_down_is_told_and_heals_by_itself() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let text = sample(CHUNK_LIMIT);
    let text = &text[..CHUNK_LIMIT];
    gateway.put(Stream::Log, 0, b"").await;
    objects.fail_after(0, false);
    gateway.app.logs.stop().await;
    let mut at = 0;
    let refusal = loop {
        match gateway.put(Stream::Log, at, text).await {
            Came::Taken(taken) => {
                assert_eq!((taken.received, taken.durable), (at + text.len() as u64, 0));
                at = taken.received;
                let _ = gateway.app.logs.stop().await;
            }
            refusal => break refusal,
        }
        assert!(at <= 3 << 20, "what cannot be stored is not taken for ever");
    };
    assert_eq!(refusal, refused(RefusalCode::Store, at));
    let view = gateway.reader(Stream::Log).await.unwrap().view();
    assert!(
        view.store_is_down && view.size >= at - 1024,
        "what was received is shown: {view:?}"
    );
    objects.heal();
    gateway.app.logs.stop().await;
    assert!(matches!(
        gateway.put(Stream::Log, at, text).await,
        Came::Taken(_)
    ));
    assert!(
        !gateway
            .reader(Stream::Log)
            .await
            .unwrap()
            .view()
            .store_is_down
    );
}

#[tokio::test]
async fn records_are_stored_and_read_with_the_operators_token_only() {
    let gateway = Gateway::on(&Faulty::default());
    let path = "/v1/builders/debian/history";
    let request = |method: Method, path: &str, scope: Scope, body: Vec<u8>| {
        let bearer = format!("Bearer {}", token(scope));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", bearer);
        request.body(Full::from(body)).unwrap()
    };
    let history = BuilderHistory {
        builder: "debian".to_owned(),
        ..BuilderHistory::default()
    };
    let body = serde_json::to_vec(&history).unwrap();
    let records = || Scope::Records;
    let status = async |request| gateway.answer(request).await.0;
    assert_eq!(
        status(request(Method::GET, path, records(), Vec::new())).await,
        404
    );
    assert_eq!(
        status(request(Method::PUT, path, log_scope(), body.clone())).await,
        401
    );
    assert_eq!(
        status(request(Method::GET, path, log_scope(), Vec::new())).await,
        401
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), b"{".to_vec())).await,
        400
    );
    assert_eq!(
        status(request(
            Method::PUT,
            path,
            records(),
            vec![b' '; RECORD_LIMIT + 1]
        ))
        .await,
        400
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), body.clone())).await,
        204
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), body.clone())).await,
        204
    );
    let (found, text) = gateway
        .answer(request(Method::GET, path, records(), Vec::new()))
        .await;
    assert_eq!((found, text.as_ref()), (StatusCode::OK, body.as_slice()));
    assert_eq!(
        gateway.app.records.builder("debian").await.unwrap(),
        Some(history)
    );
    for bad in [
        "/v1/builders/../history",
        "/v1/builders/A/history",
        "/v1/repositories/app/pulls/01/history",
    ] {
        let status = status(request(Method::PUT, bad, records(), body.clone())).await;
        assert_eq!(status, 400, "{bad}");
    }
    let other = format!("/v1/repositories/app/runs/{RUN}/record");
    assert_eq!(
        status(request(Method::PUT, &other, records(), body)).await,
        400
    );
}

#[tokio::test]
async fn a_token_in_the_name_of_a_test_or_step_is_as_illegible_as_in_the_log() {
    let gateway = Gateway::on(&Faulty::default());
    let put = async |path: String, record: serde_json::Value| {
        let request = Request::put(path)
            .header("authorization", format!("Bearer {}", token(Scope::Records)))
            .body(Full::from(record.to_string().into_bytes()));
        gateway.answer(request.unwrap()).await.0
    };
    let secret = format!("ghp_{}", "a1".repeat(18));
    let hidden = format!("ghp_{}", "*".repeat(36));
    // A key that never ends hides nothing but itself.
    let key = "test_key[-----BEGIN PRIVATE KEY-----\nMIIE]";
    let failures = [format!("test_push[{secret}] é"), key.to_owned()];
    let seen = [
        format!("test_push[{hidden}] é"),
        key.replace("MIIE", "****"),
    ];
    let record = serde_json::json!({
        "name": "app-7-l1-debian-1", "uid": RUN, "build": "app-7-l1", "builder": "debian",
        "displayName": "Debian", "attempt": 1, "requester": "ada", "commit": "", "headSha": "",
        "baseRef": "main", "result": "Failed", "queuedMs": 1, "finishedMs": 3,
        "pull": { "repository": REPOSITORY, "number": 7 },
        "steps": [{ "name": format!("Test {secret}"), "result": "Failed", "seconds": 1.5 }],
        "failures": failures, "reason": format!("1 test (`{secret}`) failed"),
    });
    let path = format!("/v1/repositories/{REPOSITORY}/runs/{RUN}/record");
    assert_eq!(put(path, record).await, 204);
    let kept = gateway.app.records.run(REPOSITORY, RUN).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!(kept.failures, seen);
    assert_eq!(kept.steps[0].name, format!("Test {hidden}"));
    assert_eq!(kept.reason, format!("1 test (`{hidden}`) failed"));
    assert_eq!(kept.name, "app-7-l1-debian-1");
    let history = serde_json::json!({ "builder": "debian", "displayName": "Debian", "runs": [{
        "run": RUN, "repository": REPOSITORY, "number": 7, "headSha": "", "baseRef": "main",
        "result": "Failed", "finishedMs": 3, "failures": failures,
    }] });
    let path = "/v1/builders/debian/history".to_owned();
    assert_eq!(put(path, history).await, 204);
    let kept = gateway.app.records.builder("debian").await.unwrap();
    assert_eq!(kept.unwrap().runs[0].failures, seen);
}
