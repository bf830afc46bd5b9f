//! Which frames are stored as they came, and which are packed here.

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

/// What is stored: the text of each segment, and where the frames are that were stored as they came.
fn stored(tail: &mut Tail) -> Vec<(Vec<u8>, Vec<u64>)> {
    let mut segments = Vec::new();
    while let Some(cut) = tail.cut() {
        let frames = cut.frames().unwrap();
        assert_eq!(frames::decode(&frames, SEGMENT_LIMIT).unwrap(), cut.text);
        tail.stored(&cut.text);
        let as_they_came = cut.packed.iter().map(|packed| packed.at);
        segments.push((cut.text, as_they_came.collect()));
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
    let frames = [0, 1, 2, 3].map(|n| n * FRAME as u64).to_vec();
    assert_eq!(stored(&mut tail), [(text, frames)]);
}

#[test]
fn a_frame_in_which_a_token_was_is_never_stored_as_it_came() {
    let mut text = lines(3 * FRAME);
    text[FRAME + 100..][..64].copy_from_slice(&token());
    let mut tail = new();
    send(&mut tail, &text, 3 * FRAME);
    tail.finish();
    redact(&mut text, true);
    assert_eq!(stored(&mut tail), [(text, vec![0, 2 * FRAME as u64])]);
}

#[test]
fn a_token_that_two_chunks_share_keeps_both_from_being_stored_as_they_came() {
    let mut text = lines(2 * FRAME);
    text[FRAME - 32..][..64].copy_from_slice(&token());
    let mut tail = new();
    send(&mut tail, &text, FRAME);
    tail.finish();
    let segments = stored(&mut tail);
    assert!(segments.iter().all(|(_, packed)| packed.is_empty()));
}

#[test]
fn frames_with_little_between_them_make_no_small_segments() {
    let text = lines(8 * (1 + SMALL));
    let mut tail = new();
    for part in text.chunks(1 + SMALL) {
        let (first, rest) = part.split_at(1);
        let frames = [first, rest].map(|text| frames::encode(text).unwrap());
        let packed = frames::ready(&frames.concat(), part.len());
        assert_eq!(packed.len(), 1, "one is too small");
        let text = &mut part.to_vec();
        assert!(tail.append(tail.received(), Arrived { text, packed }));
    }
    tail.finish();
    let frames: Vec<u64> = (0..8).map(|n| n * (1 + SMALL as u64) + 1).collect();
    assert_eq!(stored(&mut tail), [(text, frames)]);
}

#[test]
fn a_frame_whose_end_is_held_back_waits_for_it_behind_what_is_worth_a_segment() {
    let mut text = lines(2 * FRAME);
    text[2 * FRAME - 4..].copy_from_slice(b"ghp_");
    let mut tail = new();
    send(&mut tail, &text, FRAME);
    let cut = tail.cut().unwrap();
    assert_eq!(cut.text.len(), FRAME, "the second frame is not cut");
    tail.stored(&cut.text);
    send(&mut tail, b"?\n", FRAME);
    let found = stored(&mut tail);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, [FRAME as u64], "it was no token");
    assert_eq!(found[0].0.len(), FRAME + 2);
}

#[test]
fn a_frame_that_says_otherwise_what_was_there_already_is_not_stored_as_it_came() {
    let text = lines(2 * FRAME);
    let mut tail = new();
    send(&mut tail, &[b'x'; 1000], FRAME);
    let packed = frames::ready(&frames::encode(&text).unwrap(), text.len());
    let again = &mut text.clone();
    let arrived = Arrived {
        text: again,
        packed,
    };
    assert!(tail.append(0, arrived));
    tail.finish();
    let shown = [&[b'x'; 1000][..], &text[1000..]].concat();
    assert_eq!(stored(&mut tail), [(shown, vec![FRAME as u64])]);
}

#[test]
fn a_frame_of_which_another_gateway_stored_a_part_is_not_stored_as_it_came() {
    let text = lines(2 * FRAME);
    let mut tail = new();
    send(&mut tail, &text, 2 * FRAME);
    tail.finish();
    tail.stored(&text[..1000]);
    let rest = text[1000..].to_vec();
    assert_eq!(stored(&mut tail), [(rest, vec![FRAME as u64])]);
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

/// Appends text that was not packed.
fn append(tail: &mut Tail, text: &[u8]) {
    for part in text.chunks(FRAME) {
        let arrived = Arrived {
            text: &mut part.to_vec(),
            packed: Vec::new(),
        };
        assert!(tail.append(tail.received(), arrived));
    }
}

#[test]
fn who_goes_on_behind_a_full_segment_finds_the_token_that_was_at_its_end() {
    let line = format!("{}\n", "Mi/E+c2=".repeat(8));
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n",
        line.repeat(200)
    );
    for (secret, before) in [
        (token(), 1),
        (token(), 30),
        (token(), 63),
        (key.clone().into_bytes(), 20),
        (key.into_bytes(), 9000),
    ] {
        let mut text = lines(2 * SEGMENT_LIMIT);
        text[SEGMENT_LIMIT - before..][..secret.len()].copy_from_slice(&secret);
        let mut expected = text.clone();
        redact(&mut expected, true);
        let mut tail = new();
        append(&mut tail, &text);
        let first = tail.cut().unwrap().text;
        assert!(first.len() > SEGMENT_LIMIT - LOOK_BACK as usize);
        assert!(first.len() <= SEGMENT_LIMIT);
        // A gateway that has the segment and nothing else: the sender gives it the rest as it is.
        let stored_so_far = Place::default().after(&first);
        let mut next = Tail::new(Stream::Log, stored_so_far, first.last().copied());
        append(&mut next, &text[first.len()..]);
        next.finish();
        let rest = stored(&mut next).into_iter().flat_map(|(text, _)| text);
        let found: Vec<u8> = first.into_iter().chain(rest).collect();
        assert!(
            found == expected,
            "it begins {before} bytes before a segment is full"
        );
    }
}
