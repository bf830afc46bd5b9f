//! What senders of logs are answered, whatever they send.

mod records;

use protocol::log::{LogLimits, LogTaken, MARKS_LIMIT, RefusalCode};
use protocol::token::{LogScope, Signer};

use super::*;
use crate::logs::frames::{self, FRAME, SMALL};
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
async fn a_token_in_frames_that_are_stored_as_they_came_is_in_none_of_them() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let token = format!("ghp_{}\n", "s3cretS3".repeat(5));
    let mut text = b"a line as all are in this log\n".repeat(11_000);
    // It ends with a line: what could begin a token would be held back.
    text.truncate((FRAME + SMALL).next_multiple_of(30));
    text[FRAME + 100..][..token.len()].copy_from_slice(token.as_bytes());
    let sent = gateway.put(Stream::Log, 0, &text).await;
    assert_eq!(sent, taken(text.len() as u64, 0));
    gateway.app.logs.stop().await;
    for key in objects.keys().await {
        let stored = gateway.store.get(&key).await.unwrap().unwrap();
        let stored = frames::decode(&stored, text.len()).unwrap_or(stored.to_vec());
        assert!(!stored.windows(3).any(|part| part == b"s3c"), "{key}");
    }
    text[FRAME + 104..][..40].fill(b'*');
    assert!(Gateway::on(&objects).text(Stream::Log).await == text);
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
