//! Logs that somebody signs at the end: what came is known beside what is stored.

use http::StatusCode;
use protocol::log::{LogEnd, Stream};

use super::IsSigned;
use crate::logs::Kept;
use crate::testing::faulty::Faulty;
use crate::testing::{Gateway, sha256, zstd_put};

const SECRET: &[u8] = b"token ghp_0123456789012345678901234567890123456789 it was\n";

async fn send(gateway: &Gateway, offset: usize, text: &[u8]) {
    let mut request = zstd_put(Stream::Log, offset as u64, text);
    request.extensions_mut().insert(IsSigned);
    let (status, body) = gateway.answer(request).await;
    assert_eq!(status, StatusCode::OK, "{body:?}");
}

async fn ended(gateway: &Gateway, bytes: usize) -> Kept {
    let end = LogEnd {
        log: bytes as u64,
        ..LogEnd::default()
    };
    gateway.end(end).await;
    gateway.archived().await;
    let kept = gateway.reader(Stream::Log).await.unwrap().kept();
    kept.unwrap()
}

#[tokio::test]
async fn of_a_log_with_a_token_both_is_known_what_came_and_what_is_stored() {
    let gateway = Gateway::on(&Faulty::default());
    let whole = [SECRET, SECRET].concat();
    send(&gateway, 0, &whole[..20]).await;
    // Some of it comes twice, and what leaves a gap is not taken.
    send(&gateway, 10, &whole[10..70]).await;
    let gap = zstd_put(Stream::Log, 80, b"x");
    assert_eq!(gateway.answer(gap).await.0, StatusCode::CONFLICT);
    send(&gateway, 70, &whole[70..]).await;
    let kept = ended(&gateway, whole.len()).await;
    assert_eq!(kept.size, whole.len() as u64);
    assert_eq!(kept.received_sha256, Some(sha256(&whole)));
    assert_eq!(kept.sha256, sha256(&gateway.text(Stream::Log).await));
    assert_ne!(kept.sha256, sha256(&whole));
}

#[tokio::test]
async fn what_nobody_signs_is_not_looked_at_twice() {
    let gateway = Gateway::on(&Faulty::default());
    gateway.put(Stream::Log, 0, SECRET).await;
    let kept = ended(&gateway, SECRET.len()).await;
    assert_eq!(kept.received_sha256, None);
}

#[tokio::test]
async fn what_came_in_part_to_another_gateway_is_not_claimed_to_be_known() {
    let objects = Faulty::default();
    let first = Gateway::on(&objects);
    send(&first, 0, SECRET).await;
    first.app.logs.stop().await;
    let second = Gateway::on(&objects);
    send(&second, SECRET.len(), SECRET).await;
    let kept = ended(&second, 2 * SECRET.len()).await;
    assert_eq!(kept.received_sha256, None);
}
