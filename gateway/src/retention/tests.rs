//! What goes, what stays, and what is ended.

use protocol::log::{LogEnd, Stream};

use super::*;
use crate::testing::faulty::Faulty;
use crate::testing::{Came, Gateway, key, sample, sha256};

fn run(id: i64, bytes: u64, ended: bool) -> RunUse {
    RunUse {
        key: RunKey::new("app", &format!("{id}")).unwrap(),
        bytes,
        modified: id,
        ended,
        segments: false,
    }
}

fn removed(uses: &[RunUse], limit: u64, besides: u64, before: i64) -> Vec<(String, Reason)> {
    let over = to_remove(uses, limit, besides, before, Reason::Repository);
    over.iter()
        .map(|(one, reason)| (one.key.run().to_owned(), *reason))
        .collect()
}

#[test]
fn what_is_too_old_goes_and_then_the_oldest_until_the_rest_fits_and_never_what_is_live() {
    let uses = [
        run(5, 10, true),
        run(1, 10, true),
        run(2, 50, false),
        run(3, 10, true),
        run(4, 10, true),
    ];
    let name = |id: i64, reason| (id.to_string(), reason);
    assert_eq!(removed(&uses, 1000, 0, 0), []);
    assert_eq!(removed(&uses, 1000, 0, 2), [name(1, Reason::Age)]);
    let expected = [name(1, Reason::Age), name(3, Reason::Repository)];
    assert_eq!(removed(&uses, 70, 0, 2), expected);
    assert_eq!(removed(&uses, 0, 0, 0).len(), 4);
    assert_eq!(removed(&uses, 70, 10, 0).len(), 3);
}

const KEEP: Keep = Keep {
    days: 30,
    repository: 1 << 30,
    store: None,
};

async fn ended(gateway: &Gateway) {
    let text = sample(10 << 10);
    gateway.put(Stream::Log, 0, &text).await;
    gateway
        .end(LogEnd {
            log: text.len() as u64,
            marks: 0,
            left_out: 0,
            unfinished: false,
        })
        .await;
    gateway.archived().await;
}

#[tokio::test]
async fn a_run_is_removed_whole_when_it_is_old_and_its_page_finds_nothing() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    ended(&gateway).await;
    let record = crate::records::RecordKey::builder("debian").unwrap();
    gateway.app.records.put(&record, "{}".into()).await.unwrap();
    pass(&gateway.app, &gateway.store, KEEP, now() + 29 * DAY)
        .await
        .unwrap();
    assert!(gateway.reader(Stream::Log).await.is_some());
    pass(&gateway.app, &gateway.store, KEEP, now() + 31 * DAY)
        .await
        .unwrap();
    assert!(gateway.reader(Stream::Log).await.is_none());
    assert_eq!(objects.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_repository_and_the_store_keep_no_more_than_they_may() {
    for keep in [
        Keep {
            repository: 0,
            ..KEEP
        },
        Keep {
            store: Some(0),
            ..KEEP
        },
    ] {
        let objects = Faulty::default();
        let gateway = Gateway::on(&objects);
        ended(&gateway).await;
        pass(&gateway.app, &gateway.store, keep, now())
            .await
            .unwrap();
        assert_eq!(objects.keys().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_log_that_grows_stays_whatever_it_takes() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, &sample(10 << 10)).await;
    gateway.app.logs.stop().await;
    let keep = Keep {
        days: 1,
        repository: 0,
        store: Some(0),
    };
    pass(&gateway.app, &gateway.store, keep, now())
        .await
        .unwrap();
    let keys = objects.keys().await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    let other = Gateway::on(&objects);
    pass(&other.app, &other.store, keep, now()).await.unwrap();
    assert_eq!(
        objects.keys().await,
        keys,
        "another gateway sees that it has not ended"
    );
}

#[tokio::test]
async fn a_log_that_nobody_ended_is_ended_when_nobody_can_send_it_any_more() {
    let objects = Faulty::default();
    let text = sample(10 << 10);
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, &text).await;
    gateway.app.logs.stop().await;
    drop(gateway);
    let gateway = Gateway::on(&objects);
    pass(&gateway.app, &gateway.store, KEEP, now() + ABANDONED - 60)
        .await
        .unwrap();
    assert!(!gateway.reader(Stream::Log).await.unwrap().view().ended);
    let gateway = Gateway::on(&objects);
    pass(&gateway.app, &gateway.store, KEEP, now() + ABANDONED + 60)
        .await
        .unwrap();
    gateway.archived().await;
    let view = gateway.reader(Stream::Log).await.unwrap().view();
    assert!(view.ended && view.size > 9 << 10);
}

#[tokio::test]
async fn a_worker_that_was_away_for_three_days_sends_the_rest_of_its_log() {
    let objects = Faulty::default();
    let text = sample(20 << 10);
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, &text[..10 << 10]).await;
    gateway.app.logs.stop().await;
    drop(gateway);
    let gateway = Gateway::on(&objects);
    pass(&gateway.app, &gateway.store, KEEP, now() + 3 * DAY)
        .await
        .unwrap();
    let Came::Taken(taken) = gateway.put(Stream::Log, 0, b"").await else {
        panic!("the sender is told where to go on");
    };
    let rest = &text[taken.received as usize..];
    let came = gateway.put(Stream::Log, taken.received, rest).await;
    assert!(matches!(came, Came::Taken(_)), "{came:?}");
    let end = LogEnd {
        log: text.len() as u64,
        marks: 0,
        left_out: 0,
        unfinished: false,
    };
    let came = gateway.end(end).await;
    assert!(matches!(came, Came::Taken(_)), "{came:?}");
    gateway.archived().await;
    assert_eq!(sha256(&gateway.text(Stream::Log).await), sha256(&text));
    let view = gateway.reader(Stream::Log).await.unwrap().view();
    assert!(view.ended && !view.unfinished);
}

/// Retention that is stopped at any operation goes on, and a page never finds the half of a run.
#[tokio::test]
async fn a_removal_that_is_stopped_at_any_moment_is_ended_by_the_next() {
    for operations in 0..40 {
        let objects = Faulty::default();
        let gateway = Gateway::on(&objects);
        ended(&gateway).await;
        objects.fail_after(operations, operations % 2 == 0);
        let _ = pass(&gateway.app, &gateway.store, KEEP, now() + 31 * DAY).await;
        objects.heal();
        let next = Gateway::on(&objects);
        let keys = objects.keys().await;
        if let Some(reader) = next.reader(Stream::Log).await {
            let whole = keys.contains(&key().writer());
            assert!(whole || reader.read(0..10).await.is_ok(), "{keys:?}");
        }
        pass(&next.app, &next.store, KEEP, now() + 31 * DAY)
            .await
            .unwrap();
        assert_eq!(
            objects.keys().await,
            Vec::<String>::new(),
            "after {operations} operations"
        );
    }
}

#[tokio::test]
async fn what_fails_in_one_repository_keeps_no_other_from_being_cleaned() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    ended(&gateway).await;
    gateway
        .store
        .put("repositories/aaa/runs/0b1c/record.json", "{}".into())
        .await
        .unwrap();
    objects.refuse_below("repositories/aaa");
    let later = now() + 100 * DAY;
    let failure = pass(&gateway.app, &gateway.store, KEEP, later)
        .await
        .unwrap_err();
    assert!(
        failure.to_string().contains("repositories/aaa"),
        "{failure}"
    );
    assert_eq!(
        objects.keys().await,
        ["repositories/aaa/runs/0b1c/record.json"]
    );
}

#[tokio::test]
async fn a_store_that_is_nearly_full_is_looked_at_more_often() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    ended(&gateway).await;
    let bytes = objects.bytes().await;
    for (limit, fill) in [(bytes * 2, Fill::Low), (bytes + 1, Fill::High)] {
        for keep in [
            Keep {
                repository: limit,
                ..KEEP
            },
            Keep {
                store: Some(limit),
                ..KEEP
            },
        ] {
            let found = pass(&gateway.app, &gateway.store, keep, now())
                .await
                .unwrap();
            assert_eq!(found, fill, "{bytes} of {limit}");
        }
    }
}
