//! Logs through crashes, lost answers and two gateways: what is stored is what was sent.

mod compacting;
mod reading;
mod waiting;

use protocol::log::{LogEnd, RefusalCode, Stream};

use super::stream::TakeError;
use crate::names::RunKey;
use crate::redact::redact;
use crate::testing::faulty::Faulty;
use crate::testing::{Came, Gateway, REPOSITORY, RUN, Random, WRITER, key, sample, sha256};

/// A sender that does as the protocol says: it goes on where it is told, and forgets what is durable.
struct Sender {
    text: Vec<u8>,
    next: u64,
    durable: u64,
}

impl Sender {
    fn of(text: &[u8]) -> Self {
        Self {
            text: text.to_vec(),
            next: 0,
            durable: 0,
        }
    }

    async fn send(&mut self, gateway: &Gateway, bytes: usize) {
        let from = self.next as usize;
        let to = self.text.len().min(from + bytes);
        let came = gateway
            .put(Stream::Log, self.next, &self.text[from..to])
            .await;
        self.hear(came);
    }

    fn hear(&mut self, came: Came) {
        match came {
            Came::Taken(taken) => {
                assert!(taken.durable <= taken.received);
                self.durable = self.durable.max(taken.durable);
                self.next = taken.received;
            }
            Came::Refused(RefusalCode::Gap, Some(received)) => {
                assert!(
                    received >= self.durable,
                    "bytes that were promised are lost"
                );
                self.next = received;
            }
            Came::Refused(RefusalCode::Store, _) => {}
            came => panic!("{came:?}"),
        }
    }

    fn end(&self) -> LogEnd {
        LogEnd {
            log: self.text.len() as u64,
            marks: 0,
            left_out: 0,
            unfinished: false,
        }
    }

    /// Sends what is missing, and the end.
    async fn finish(&mut self, gateway: &Gateway) {
        for _ in 0..200 {
            match gateway.end(self.end()).await {
                Came::Taken(taken) => {
                    assert_eq!(taken.durable, self.text.len() as u64);
                    return;
                }
                came => self.hear(came),
            }
            self.send(gateway, 1 << 20).await;
        }
        panic!("the log does not end");
    }
}

/// What is shown and stored of a text.
fn kept(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    redact(&mut text, true);
    text
}

async fn assert_whole(objects: &Faulty, text: &[u8], what: &str) {
    let lists = objects.lists();
    let gateway = Gateway::on(objects);
    let found = gateway.text(Stream::Log).await;
    assert_eq!(sha256(&found), sha256(&kept(text)), "{what}");
    assert_eq!(objects.lists(), lists, "a reader lists nothing");
}

/// A gateway that is killed at any operation of the store, and one that answered no more: another one
/// takes over, and not a byte is lost.
#[tokio::test]
async fn a_gateway_that_is_killed_at_any_moment_costs_a_rewind_and_no_byte() {
    let mut text = sample(48 << 10);
    let token = format!("ghp_{}", "a1".repeat(30));
    for at in [100_usize, (12 << 10) - 20, 30_000] {
        text[at..at + token.len()].copy_from_slice(token.as_bytes());
    }
    for done in [false, true] {
        for operations in 0.. {
            let objects = Faulty::default();
            let mut sender = Sender::of(&text);
            let killed = Gateway::on(&objects);
            objects.fail_after(operations, done);
            for _ in 0..4 {
                sender.send(&killed, 16 << 10).await;
                killed.app.logs.stop().await;
            }
            let ended = killed.end(sender.end()).await;
            if let Some(run) = killed.app.logs.in_memory(&key()) {
                while killed.app.logs.is_compacting(&run) {
                    tokio::task::yield_now().await;
                }
            }
            let through = objects.operations() < operations;
            drop(killed);
            objects.heal();
            if let Came::Taken(taken) = ended {
                assert_eq!(taken.durable, text.len() as u64);
                assert_whole(&objects, &text, "promised").await;
            }
            let next = Gateway::on(&objects);
            sender.finish(&next).await;
            next.archived().await;
            let what = format!("killed after {operations} operations, done: {done}");
            assert_whole(&objects, &text, &what).await;
            next.app.logs.repair(&key()).await.unwrap();
            let keys = objects.keys().await;
            assert!(
                !keys.iter().any(|key| key.contains("/log/")),
                "{what}: {keys:?}"
            );
            if through {
                assert!(operations > 10, "{operations}");
                break;
            }
        }
    }
}

/// Answers that are lost, requests that come twice, late and in another order, gateways that are killed
/// and two at a time: the log is what was sent.
#[tokio::test]
async fn whatever_happens_to_requests_and_answers_the_log_is_what_was_sent() {
    for seed in 0..16 {
        let mut random = Random(seed);
        let objects = Faulty::default();
        let length = 1 + random.below(60 << 10);
        let text = sample(length);
        let mut sender = Sender::of(&text);
        let mut gateways = [Gateway::on(&objects), Gateway::on(&objects)];
        let mut late = Vec::new();
        for _ in 0..40 {
            let which = random.below(2);
            let bytes = 1 + random.below(8 << 10);
            match random.below(9) {
                0 => late.push((sender.next, bytes)),
                1 => {
                    // The answer is lost.
                    let from = sender.next as usize;
                    let to = text.len().min(from + bytes);
                    gateways[which]
                        .put(Stream::Log, sender.next, &text[from..to])
                        .await;
                }
                2 if !late.is_empty() => {
                    let (from, bytes) = late.swap_remove(random.below(late.len()));
                    let to = text.len().min(from as usize + bytes);
                    gateways[which]
                        .put(Stream::Log, from, &text[from as usize..to])
                        .await;
                }
                3 => gateways[which] = Gateway::on(&objects),
                4 => gateways[which].app.logs.stop().await,
                5 => {
                    objects.fail_after(random.below(3) as u64, random.below(2) == 0);
                    sender.send(&gateways[which], bytes).await;
                    gateways[which].app.logs.stop().await;
                    objects.heal();
                }
                _ => sender.send(&gateways[which], bytes).await,
            }
        }
        let last = random.below(2);
        sender.finish(&gateways[last]).await;
        gateways[last].archived().await;
        assert_whole(&objects, &text, &format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn two_gateways_on_one_store_write_one_log_and_each_shows_what_the_other_took() {
    let objects = Faulty::default();
    let text = sample(100 << 10);
    let (one, two) = (Gateway::on(&objects), Gateway::on(&objects));
    let mut sender = Sender::of(&text);
    sender.send(&one, 30 << 10).await;
    one.app.logs.stop().await;
    let reader = two.reader(Stream::Log).await.unwrap();
    assert_eq!(reader.view().size, sender.durable.max(reader.view().size));
    let seen = reader.view().size;
    sender.send(&one, 30 << 10).await;
    one.app.logs.stop().await;
    reader.grown(seen).await;
    assert!(reader.view().size > seen);
    sender.finish(&two).await;
    two.archived().await;
    let reader = one.reader(Stream::Log).await.unwrap();
    reader.grown(text.len() as u64).await;
    assert!(reader.view().ended);
    assert_eq!(sha256(&one.text(Stream::Log).await), sha256(&kept(&text)));
}

#[tokio::test]
async fn bytes_that_come_while_the_end_is_being_stored_are_not_taken_unless_that_fails() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let mut sender = Sender::of(b"one\nlate\n");
    sender.send(&gateway, 4).await;
    gateway.app.logs.stop().await;
    let early = LogEnd {
        log: 4,
        ..sender.end()
    };
    objects.hang();
    tokio::select! {
        biased;
        came = gateway.end(early) => panic!("{came:?}"),
        came = gateway.put(Stream::Log, 4, b"late\n") => {
            assert_eq!(came, Came::Refused(RefusalCode::Store, Some(4)));
        }
    }
    objects.heal();
    sender.send(&gateway, 5).await;
    assert_eq!(sender.next, 9);
    sender.finish(&gateway).await;
    gateway.archived().await;
    assert_whole(&objects, b"one\nlate\n", "what came late").await;
}

#[tokio::test]
async fn a_run_that_nobody_uses_leaves_memory_and_comes_back_from_the_store() {
    let gateway = Gateway::on(&Faulty::default());
    let mut sender = Sender::of(b"some text\n");
    sender.send(&gateway, 5).await;
    gateway.app.logs.forget(0);
    assert!(
        gateway.app.logs.in_memory(&key()).is_some(),
        "its text is not stored yet"
    );
    gateway.app.logs.stop().await;
    gateway.app.logs.forget(0);
    assert!(gateway.app.logs.in_memory(&key()).is_none());
    sender.finish(&gateway).await;
    assert_eq!(gateway.text(Stream::Log).await, b"some text\n");
}

#[tokio::test]
async fn a_name_that_is_none_has_no_log_and_asks_the_store_nothing() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    for (repository, run) in [("../x", RUN), (REPOSITORY, ".."), ("", ""), ("A", RUN)] {
        assert!(
            gateway
                .app
                .logs
                .open(repository, run, Stream::Log)
                .await
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(objects.operations(), 0);
    assert!(gateway.reader(Stream::Log).await.is_none());
    assert_eq!(objects.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_cannot_be_opened_is_opened_later() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    objects.fail_after(0, false);
    let run = RunKey::new(REPOSITORY, RUN).unwrap();
    let error = gateway.app.logs.writer(&run, WRITER).await.err().unwrap();
    assert!(matches!(error, TakeError::Store(_)), "{error}");
    objects.heal();
    assert!(gateway.app.logs.writer(&run, WRITER).await.is_ok());
}
