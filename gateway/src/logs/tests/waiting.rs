//! What waits for the store: how much of it there may be, and that it does not wait for ever.

use std::time::Duration;

use protocol::log::{CHUNK_LIMIT, LogTaken};

use super::*;
use crate::logs::frames::Arrived;
use crate::logs::live::OpenRun;

fn take(run: &OpenRun, chunk: &[u8]) -> Result<LogTaken, TakeError> {
    let arrived = Arrived {
        text: &mut chunk.to_vec(),
        packed: Vec::new(),
    };
    run.take(Stream::Log, 0, arrived, CHUNK_LIMIT as u64)
}

#[tokio::test]
async fn however_many_logs_come_at_once_what_waits_for_the_store_is_bounded() {
    const LOGS: usize = 130;
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let mut runs = Vec::new();
    for n in 0..LOGS {
        let key = RunKey::new(REPOSITORY, &format!("run-{n}")).unwrap();
        runs.push(gateway.app.logs.writer(&key, WRITER).await.unwrap());
    }
    let chunk = vec![b'\n'; CHUNK_LIMIT];
    let taken = runs.iter().take_while(|run| take(run, &chunk).is_ok());
    let taken = taken.count();
    assert!((48..100).contains(&taken), "{taken} MiB wait");
    let last = &runs[LOGS - 1];
    let refused = take(last, &chunk);
    assert!(matches!(refused, Err(TakeError::Full(0))), "{refused:?}");
    gateway.app.logs.stop().await;
    last.room(Stream::Log).await.unwrap();
    assert!(take(last, &chunk).is_ok(), "what waited is stored");
}

#[tokio::test]
async fn a_log_whose_end_could_not_be_stored_leaves_memory_though_its_sender_is_gone() {
    let objects = Faulty::default();
    let mut sender = Sender::of(b"one\nghp_");
    let first = Gateway::on(&objects);
    sender.send(&first, 4).await;
    first.app.logs.stop().await;
    let gateway = Gateway::on(&objects);
    // It could become a token, and is held back.
    sender.send(&gateway, 4).await;
    objects.refuse_writes();
    let came = gateway.end(sender.end()).await;
    assert_eq!(came, Came::Refused(RefusalCode::Store, None));
    objects.heal();
    let leaves = async {
        while gateway.app.logs.in_memory(&key()).is_some() {
            gateway.app.logs.forget(0);
            tokio::task::yield_now().await;
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(30), leaves).await;
    assert!(left.is_ok(), "it is in memory for ever");
    assert_eq!(gateway.text(Stream::Log).await, b"one\nghp_");
}
