//! Many who watch one log.

use protocol::log::Stream;

use super::*;
use crate::pages::run::testing::{Writer, app};

async fn begun(text: &str) -> (Writer, Streams) {
    let writer = Writer::new(app(), "run");
    writer.log(text).await;
    let streams = Streams {
        log: writer.reader(Stream::Log).await,
        marks: writer.reader(Stream::Marks).await,
        plain: "x.txt".to_owned(),
    };
    (writer, streams)
}

async fn until(viewer: &mut Viewer, word: &str) -> String {
    let mut text = String::new();
    while !text.contains(word) {
        let bytes = viewer
            .next()
            .await
            .unwrap_or_else(|| panic!("{word} never came: {text}"));
        text += &String::from_utf8_lossy(&bytes);
    }
    text
}

#[tokio::test]
async fn who_watches_is_told_what_it_missed_what_comes_and_the_end() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("one\ntwo\n").await;
    let mut early = hub.watch("run", streams.clone(), 0).await.unwrap().unwrap();
    assert!(until(&mut early, "two").await.contains(">one<"));
    let mut late = hub.watch("run", streams.clone(), 8).await.unwrap().unwrap();
    writer.log("three\nfo").await;
    for viewer in [&mut early, &mut late] {
        let text = until(viewer, "event: partial").await;
        assert!(
            text.contains("id: 14\n") && !text.contains(">two<"),
            "{text}"
        );
        assert!(
            text.contains(">three<") && text.contains("id=\"L4\""),
            "{text}"
        );
    }
    writer.log("ur").await;
    writer.end().await;
    for viewer in [&mut early, &mut late] {
        assert!(until(viewer, "event: end").await.contains(">four<"));
        assert_eq!(viewer.next().await, None);
    }
    drop((early, late));
    assert_eq!(hub.viewers(), 0);
}

#[tokio::test]
async fn whoever_watches_a_log_that_has_ended_is_told_the_rest_and_the_end() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("one\ntwo").await;
    writer.end().await;
    let mut viewer = hub.watch("run", streams, 4).await.unwrap().unwrap();
    let text = until(&mut viewer, "event: end").await;
    assert!(text.contains(">two<") && !text.contains(">one<"), "{text}");
    assert_eq!(viewer.next().await, None);
}

#[tokio::test]
async fn who_is_too_slow_reads_what_it_missed_from_the_store() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("0\n").await;
    let mut slow = hub.watch("run", streams.clone(), 0).await.unwrap().unwrap();
    let mut fast = hub.watch("run", streams.clone(), 0).await.unwrap().unwrap();
    until(&mut slow, ">0<").await;
    until(&mut fast, ">0<").await;
    for n in 1..3 * QUEUE {
        writer.log(&format!("{n}\n")).await;
        until(&mut fast, &format!(">{n}<")).await;
    }
    let last = format!(">{}<", 3 * QUEUE - 1);
    let text = until(&mut slow, &last).await;
    let missing = (1..3 * QUEUE).find(|n| !text.contains(&format!("<span>{n}<")));
    assert_eq!(missing, None);
}

#[tokio::test]
async fn a_line_that_never_ends_is_shown_while_it_grows() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("0\n").await;
    let mut viewer = hub.watch("run", streams, 2).await.unwrap().unwrap();
    let grows = async {
        loop {
            writer.log("\r50 %").await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        text = until(&mut viewer, "event: partial") => assert!(text.contains(">50 %<"), "{text}"),
        () = grows => {}
    }
}

#[tokio::test]
async fn no_more_watch_than_there_is_room_for() {
    let hub = Arc::new(Hub::default());
    let (_writer, streams) = begun("").await;
    let mut viewers = Vec::new();
    while let Some(viewer) = hub.watch("run", streams.clone(), 0).await.unwrap() {
        viewers.push(viewer);
    }
    assert_eq!(viewers.len(), VIEWERS);
    viewers.pop();
    assert!(hub.watch("run", streams, 0).await.unwrap().is_some());
}

#[tokio::test]
async fn a_hundred_thousand_empty_lines_are_no_flood_for_who_watches() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("0\n").await;
    let mut early = hub.watch("run", streams.clone(), 0).await.unwrap();
    let early = early.as_mut().unwrap();
    until(early, ">0<").await;
    writer.log(&"\n".repeat(100_000)).await;
    writer.end().await;
    let mut late = hub.watch("run", streams, 0).await.unwrap();
    for viewer in [early, late.as_mut().unwrap()] {
        let text = until(viewer, "event: end").await;
        assert!(text.contains("event: gap") && text.contains("id=\"L100001\""));
        assert!(text.len() < 500_000, "{}", text.len());
    }
}

#[tokio::test]
async fn a_log_that_nobody_can_follow_is_told_with_a_gap() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("0\n").await;
    let mut viewer = hub.watch("run", streams.clone(), 0).await.unwrap().unwrap();
    until(&mut viewer, ">0<").await;
    let flood: String = (1..400_000).map(|n| format!("{n}\n")).collect();
    writer.log(&flood).await;
    writer.end().await;
    let mut text = String::new();
    while let Some(bytes) = viewer.next().await {
        text += &String::from_utf8_lossy(&bytes);
    }
    assert!(text.contains("event: gap"), "{}", &text[..500]);
    assert!(text.contains("<span>399999</span>") && text.ends_with("event: end\ndata: \n\n"));
    assert!(text.len() < 4 << 20, "{}", text.len());
}

#[tokio::test]
async fn who_joins_where_others_are_is_told_a_step_that_has_printed_nothing() {
    let hub = Arc::new(Hub::default());
    let (writer, streams) = begun("one\n").await;
    let mut stays = hub.watch("run", streams.clone(), 0).await.unwrap().unwrap();
    until(&mut stays, ">one<").await;
    let mark = "{\"at\":4,\"ms\":1000,\"mark\":\"step\",\"n\":1,\"name\":\"Test\"}\n";
    writer.marks(mark).await;
    until(&mut stays, "event: step").await;
    let mut late = hub.watch("run", streams, 4).await.unwrap().unwrap();
    let told = timeout(Duration::from_secs(10), until(&mut late, "event: step")).await;
    let told = told.expect("the step is told");
    assert!(
        told.contains("id=\"step-1\"") && !told.contains(">one<"),
        "{told}"
    );
}

#[tokio::test]
async fn what_somebody_missed_comes_in_pieces_however_colourful_it_is() {
    let hub = Arc::new(Hub::default());
    let line = "\u{1b}[31ma\u{1b}[32mb".repeat(40) + "\n";
    let (writer, streams) = begun(&line.repeat(500)).await;
    writer.end().await;
    let mut viewer = hub.watch("run", streams, 0).await.unwrap().unwrap();
    let (mut text, mut largest) = (String::new(), 0);
    while let Some(bytes) = viewer.next().await {
        largest = largest.max(bytes.len());
        text += &String::from_utf8_lossy(&bytes);
    }
    let missing = (1..=500).find(|n| !text.contains(&format!("id=\"L{n}\"")));
    assert_eq!(missing, None);
    assert!(text.len() > 900_000, "{}", text.len());
    assert!(largest < 200_000, "{largest} of {}", text.len());
}
