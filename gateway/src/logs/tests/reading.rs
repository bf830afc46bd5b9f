//! A log as pages read it, wherever it is.

use protocol::log::CHUNK_LIMIT;

use super::*;
use crate::logs::chain;

#[tokio::test]
async fn a_line_is_found_by_its_number_and_by_its_offset_wherever_the_log_is() {
    let text = sample(900 << 10);
    let mut starts = vec![0];
    starts.extend(memchr::memchr_iter(b'\n', &text).map(|at| at as u64 + 1));
    starts.retain(|start| *start < text.len() as u64);
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    let mut sender = Sender::of(&text);
    while (sender.next as usize) < text.len() {
        sender.send(&gateway, 150 << 10).await;
        if sender.next < 700 << 10 {
            gateway.app.logs.stop().await;
        }
    }
    for stage in ["grows", "has ended", "is read by another"] {
        let other = Gateway::on(&objects);
        let reader = match stage {
            "is read by another" => other.reader(Stream::Log).await.unwrap(),
            _ => gateway.reader(Stream::Log).await.unwrap(),
        };
        let view = reader.view();
        assert_eq!(
            (view.size, view.lines),
            (text.len() as u64, starts.len() as u64),
            "{stage}"
        );
        for (line, start) in starts
            .iter()
            .enumerate()
            .step_by(997)
            .chain([(starts.len() - 1, &starts[starts.len() - 1])])
        {
            assert_eq!(
                reader.offset_of_line(line as u64).await.unwrap(),
                Some(*start),
                "{stage}"
            );
            assert_eq!(
                reader.line_at(*start).await.unwrap(),
                line as u64,
                "{stage}"
            );
        }
        assert_eq!(
            reader.offset_of_line(starts.len() as u64).await.unwrap(),
            None
        );
        let mut random = Random(5);
        for _ in 0..50 {
            let from = random.below(text.len());
            let to = text.len().min(from + random.below(300 << 10));
            let part = reader.read(from as u64..to as u64).await.unwrap();
            assert!(part == text[from..to], "{stage}: {from}..{to}");
        }
        if stage == "grows" {
            sender.finish(&gateway).await;
            gateway.archived().await;
        }
    }
}

#[tokio::test]
async fn millions_of_empty_lines_and_one_endless_line_take_little_room() {
    for byte in [b'\n', b'x'] {
        let objects = Faulty::default();
        let gateway = Gateway::on(&objects);
        let chunk = vec![byte; CHUNK_LIMIT];
        for n in 0..2 {
            gateway
                .put(Stream::Log, (n * CHUNK_LIMIT) as u64, &chunk)
                .await;
        }
        let size = 2 * CHUNK_LIMIT as u64;
        let end = LogEnd {
            log: size,
            marks: 0,
            left_out: 0,
            unfinished: false,
        };
        assert!(matches!(gateway.end(end).await, Came::Taken(_)));
        gateway.archived().await;
        let reader = gateway.reader(Stream::Log).await.unwrap();
        let lines = if byte == b'\n' { size } else { 1 };
        assert_eq!(reader.view().lines, lines);
        assert_eq!(
            reader.offset_of_line(lines - 1).await.unwrap(),
            Some(lines - 1)
        );
        let index = gateway
            .store
            .get(&key().index(Stream::Log))
            .await
            .unwrap()
            .unwrap();
        assert!(index.len() < 4096, "{} bytes of index", index.len());
    }
}

#[tokio::test]
async fn a_viewer_sees_what_was_received_before_it_is_stored_and_wakes_up_for_more() {
    let gateway = Gateway::on(&Faulty::default());
    gateway.put(Stream::Log, 0, b"one\n").await;
    let reader = gateway.reader(Stream::Log).await.unwrap();
    assert_eq!(reader.view().size, 4);
    let more = async {
        gateway.put(Stream::Log, 4, b"two\n").await;
    };
    tokio::join!(reader.grown(4), more);
    assert_eq!(reader.read(4..100).await.unwrap(), "two\n".as_bytes());
    assert!(!reader.view().ended);
    let end = async {
        gateway
            .end(LogEnd {
                log: 8,
                marks: 0,
                left_out: 0,
                unfinished: false,
            })
            .await;
    };
    tokio::join!(reader.grown(8), end);
    assert!(reader.view().ended);
}

#[tokio::test]
async fn a_page_of_a_log_that_another_gateway_takes_in_reads_a_note_and_few_segments() {
    let objects = Faulty::default();
    let taking = Gateway::on(&objects);
    let text = sample(3 << 20);
    let mut at = 0;
    for piece in text.chunks(16 << 10) {
        taking.put(Stream::Log, at, piece).await;
        at += piece.len() as u64;
        taking.app.logs.stop().await;
    }
    let segments = objects
        .keys()
        .await
        .iter()
        .filter(|key| key.ends_with(".zst"))
        .count();
    assert!(segments > 4 * chain::NOTED, "{segments}");
    let other = Gateway::on(&objects);
    let (before, lists) = (objects.operations(), objects.lists());
    let reader = other.reader(Stream::Log).await.unwrap();
    let asked = objects.operations() - before;
    assert!(
        asked < chain::NOTED as u64 + 20,
        "{asked} operations for {segments} segments"
    );
    assert_eq!(objects.lists(), lists);
    assert_eq!(sha256(&other.text(Stream::Log).await), sha256(&kept(&text)));
    assert_eq!(reader.view().size, text.len() as u64);
}

#[tokio::test]
async fn who_looks_at_a_log_does_not_ask_the_store_while_bytes_come_in_here() {
    let objects = Faulty::default();
    let gateway = Gateway::on(&objects);
    gateway.put(Stream::Log, 0, b"one\n").await;
    let before = objects.operations();
    gateway.reader(Stream::Log).await.unwrap();
    assert_eq!(objects.operations(), before);
    objects.hang();
    let reader = gateway.reader(Stream::Log).await.unwrap();
    assert_eq!(reader.view().size, 4);
}
