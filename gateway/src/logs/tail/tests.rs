use super::*;
use crate::logs::frames::{self, FRAME, SMALL};
use crate::redact::redact;

/// Lines of a log, of so many bytes.
fn lines(bytes: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|n| format!("test_{n} ... ok\n").into_bytes());
    lines.take(bytes).collect()
}

fn token() -> Vec<u8> {
    format!("ghp_{}", "a1".repeat(30)).into_bytes()
}

/// Sends text in packed chunks of this size.
fn send(tail: &mut Tail, text: &[u8], chunk: usize) {
    for part in text.chunks(chunk) {
        let packed = frames::ready(&frames::encode(part).unwrap(), part.len());
        let text = &mut part.to_vec();
        assert!(tail.append(tail.received(), Arrived { text, packed }));
    }
}

/// What is stored: the text of each segment, and whether it was packed by its sender.
fn stored(tail: &mut Tail) -> Vec<(Vec<u8>, bool)> {
    let mut segments = Vec::new();
    while let Some(cut) = tail.cut() {
        let packed = cut.frames.map(|frames| frames.concat());
        if let Some(packed) = &packed {
            assert_eq!(frames::decode(packed, SEGMENT_LIMIT).unwrap(), cut.text);
        }
        tail.stored(&cut.text);
        segments.push((cut.text, packed.is_some()));
    }
    segments
}

fn new() -> Tail {
    Tail::new(Stream::Log, Place::default(), None)
}

#[test]
fn what_is_packed_well_is_stored_as_it_came() {
    let text = lines(3 * FRAME + SMALL + 7);
    let mut tail = new();
    send(&mut tail, &text, 4 * FRAME);
    tail.finish();
    assert_eq!(stored(&mut tail), [(text, true)]);
}

#[test]
fn a_frame_in_which_a_token_was_is_never_stored_as_it_came() {
    let mut text = lines(3 * FRAME);
    text[FRAME + 100..][..64].copy_from_slice(&token());
    let mut tail = new();
    send(&mut tail, &text, 3 * FRAME);
    tail.finish();
    let segments = stored(&mut tail);
    let as_they_came: Vec<_> = segments.iter().map(|(_, packed)| *packed).collect();
    assert_eq!(as_they_came, [true, false, true]);
    redact(&mut text, true);
    let all: Vec<_> = segments.into_iter().flat_map(|(text, _)| text).collect();
    assert_eq!(all, text);
}

#[test]
fn a_token_that_two_chunks_share_keeps_both_from_being_stored_as_they_came() {
    let mut text = lines(2 * FRAME);
    text[FRAME - 32..][..64].copy_from_slice(&token());
    let mut tail = new();
    send(&mut tail, &text, FRAME);
    tail.finish();
    assert!(stored(&mut tail).iter().all(|(_, packed)| !packed));
}

#[test]
fn a_log_with_tokens_is_stored_the_same_however_it_is_cut_and_whenever_it_is_stored() {
    let mut text = lines(9 * FRAME);
    let mut random = 7_usize;
    let mut next = |most: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % most
    };
    for _ in 0..4 {
        let at = next(text.len() - 64);
        text[at..at + 64].copy_from_slice(&token());
    }
    let mut expected = text.clone();
    redact(&mut expected, true);
    for _ in 0..40 {
        let (mut tail, mut sent, mut found) = (new(), 0, Vec::new());
        while sent < text.len() {
            let end = text.len().min(sent + 1 + next(2 * FRAME));
            send(&mut tail, &text[sent..end], 4 * FRAME);
            sent = end;
            if next(3) == 0 {
                found.extend(stored(&mut tail).into_iter().flat_map(|(text, _)| text));
            }
        }
        tail.finish();
        found.extend(stored(&mut tail).into_iter().flat_map(|(text, _)| text));
        assert!(found == expected);
    }
}
