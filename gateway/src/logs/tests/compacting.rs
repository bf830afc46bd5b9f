//! Pieces of a log that has ended become one file.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn pieces_of_a_log_that_has_ended_are_read_and_removed_several_at_once() {
    const PIECES: usize = 12;
    const LINE: &[u8] = b"a line of a log\n";
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let mut sender = Sender::of(&LINE.repeat(PIECES));
    for _ in 0..PIECES {
        sender.send(&gateway, LINE.len()).await;
        gateway.app.logs.stop().await;
    }
    let pieces = async || {
        let keys = objects.keys().await;
        keys.iter().filter(|key| key.contains("/log/")).count()
    };
    assert_eq!(pieces().await, PIECES);
    objects.answer_together(4);
    let came = gateway.end(sender.end()).await;
    assert!(matches!(came, Came::Taken(_)), "{came:?}");
    let ends = async {
        gateway.archived().await;
        while pieces().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ends).await;
    assert!(ended.is_ok(), "they are read or removed one after another");
    assert!(gateway.text(Stream::Log).await == LINE.repeat(PIECES));
}
