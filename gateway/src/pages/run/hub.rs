//! One log, many who watch it: it is rendered once, and what is sent to all of them is the same bytes.
//!
//! A task follows each log that somebody watches, and publishes what comes. Whoever joins renders what it
//! misses itself, from the store, up to where the task is; so does whoever was too slow and lost events.
//! So nobody is waited for, and no queue grows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    time::{sleep, timeout},
};

use super::{
    extent::Extent,
    render::{Renderer, push_event, too_far},
};
use crate::{logs::LogReader, store::StoreError};

/// How many may watch logs at once.
pub const VIEWERS: usize = 4096;
/// Events that a viewer may be behind before it has to read for itself.
const QUEUE: usize = 32;
/// Bytes of a log that are rendered at once.
const READ: u64 = 64 * 1024;
/// The least time between two events: one of them costs a write for each viewer.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a line may be without an end before it is shown without.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a connection shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// How long to wait after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// The two streams of a run.
#[derive(Clone)]
pub struct Streams {
    /// What was printed.
    pub log: LogReader,
    /// What it means.
    pub marks: LogReader,
    /// Address of the plain text, relative to the page.
    pub plain: String,
}

/// All logs that somebody watches.
pub struct Hub {
    followed: Mutex<HashMap<String, Arc<Followed>>>,
    room: Arc<Semaphore>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            followed: Mutex::default(),
            room: Arc::new(Semaphore::new(VIEWERS)),
        }
    }
}

/// A log that is followed.
struct Followed {
    sender: broadcast::Sender<Event>,
    place: Mutex<Place>,
}

/// Where the task that follows a log is.
#[derive(Clone, Default)]
struct Place {
    at: u64,
    /// The line that has not ended, as an event.
    partial: Option<Bytes>,
}

#[derive(Clone)]
struct Event {
    /// Offset to go on from after it.
    at: u64,
    bytes: Bytes,
    is_end: bool,
}

impl Hub {
    /// How many watch now.
    pub fn viewers(&self) -> usize {
        VIEWERS - self.room.available_permits()
    }

    /// Begins to watch the log of a run from an offset. None where too many watch already.
    pub async fn watch(
        self: &Arc<Self>,
        run: &str,
        streams: Streams,
        from: u64,
    ) -> Result<Option<Viewer>, StoreError> {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            return Ok(None);
        };
        let extent = Extent::of(streams.log.clone()).await?;
        let line = extent.first_line(from.min(extent.size)).await?;
        Ok(Some(Viewer {
            _permit: permit,
            hub: self.clone(),
            run: run.to_owned(),
            at: extent.offset_of(line).await?,
            streams,
            feed: None,
            hello: true,
            is_over: false,
        }))
    }

    /// The feed of a log, and where it is. The task that follows it begins with its first viewer.
    async fn join(
        self: &Arc<Self>,
        run: &str,
        streams: &Streams,
    ) -> Result<(broadcast::Receiver<Event>, Place), StoreError> {
        let extent = Extent::of(streams.log.clone()).await?;
        let mut all = self.followed();
        if let Some(followed) = all.get(run) {
            return Ok(followed.join());
        }
        let followed = Arc::new(Followed {
            sender: broadcast::channel(QUEUE).0,
            place: Mutex::new(Place {
                at: extent.size,
                partial: None,
            }),
        });
        all.insert(run.to_owned(), followed.clone());
        let joined = followed.join();
        let (hub, run, streams) = (self.clone(), run.to_owned(), streams.clone());
        tokio::spawn(async move {
            let renderer = Renderer::at(extent.size, extent.lines, &streams.plain);
            followed.follow(&hub, &run, streams, renderer).await;
        });
        Ok(joined)
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<String, Arc<Followed>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends following a log that nobody watches; whether nobody does.
    fn leave(&self, run: &str, followed: &Followed) -> bool {
        let mut all = self.followed();
        let is_idle = followed.sender.receiver_count() == 0;
        if is_idle {
            all.remove(run);
        }
        is_idle
    }
}

impl Followed {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self) -> (broadcast::Receiver<Event>, Place) {
        let place = self.place();
        (self.sender.subscribe(), place.clone())
    }

    fn publish(&self, at: u64, text: String, is_end: bool) {
        let mut place = self.place();
        place.at = at;
        place.partial = None;
        let bytes = Bytes::from(text);
        // Nobody listens: then the next who joins reads for itself.
        let _ = self.sender.send(Event { at, bytes, is_end });
    }

    fn publish_partial(&self, text: String) {
        let mut place = self.place();
        let bytes = Bytes::from(text);
        place.partial = Some(bytes.clone());
        let (at, is_end) = (place.at, false);
        let _ = self.sender.send(Event { at, bytes, is_end });
    }

    async fn follow(&self, hub: &Hub, run: &str, streams: Streams, mut renderer: Renderer) {
        let mut marks = 0;
        let mut shown = None;
        while !hub.leave(run, self) {
            match step(&streams, &mut renderer, &mut marks).await {
                Ok(is_end) => {
                    let mut text = renderer.take();
                    if is_end {
                        push_event(&mut text, None, "end", "");
                    }
                    if !text.is_empty() {
                        shown = None;
                        self.publish(renderer.done(), text, is_end);
                    }
                    if is_end {
                        break;
                    }
                }
                Err(_) => sleep(STORE_PAUSE).await,
            }
            sleep(PAUSE).await;
            let open = (renderer.offset() > renderer.done()).then(|| renderer.offset());
            let is_shown = open.is_none() || open == shown;
            let wait = if is_shown { ALIVE } else { PATIENCE };
            if !grown(&streams, renderer.offset(), marks, wait).await && !is_shown {
                shown = open;
                renderer
                    .partial()
                    .into_iter()
                    .for_each(|text| self.publish_partial(text));
            }
        }
        // Who joins from now on begins anew, and learns that way that the log has ended.
        hub.followed()
            .retain(|_, other| !std::ptr::eq(&**other, self));
    }
}

/// Waits until one of the streams has more, or ended; false where that takes too long.
async fn grown(streams: &Streams, log: u64, marks: u64, wait: Duration) -> bool {
    let either = async {
        tokio::select! {
            () = streams.log.grown(log) => {}
            () = marks_grown(streams, marks) => {}
        }
    };
    timeout(wait, either).await.is_ok()
}

/// Waits until there are more marks. That there will be none is nothing to wake up for.
async fn marks_grown(streams: &Streams, marks: u64) {
    streams.marks.grown(marks).await;
    if streams.marks.view().size <= marks {
        std::future::pending::<()>().await;
    }
}

/// Renders what has come, marks first. Whether the log has ended and all of it is rendered.
async fn step(
    streams: &Streams,
    renderer: &mut Renderer,
    marks: &mut u64,
) -> Result<bool, StoreError> {
    let view = streams.log.view();
    push_marks(streams, renderer, marks).await?;
    if too_far(renderer.done(), view.size).is_some() {
        jump(streams, renderer).await?;
    }
    let from = renderer.offset();
    let bytes = streams.log.read(from..view.size.min(from + READ)).await?;
    renderer.push(&bytes);
    let is_end = view.ended && renderer.offset() >= view.size;
    if is_end {
        renderer.finish();
    }
    Ok(is_end)
}

async fn push_marks(
    streams: &Streams,
    renderer: &mut Renderer,
    marks: &mut u64,
) -> Result<(), StoreError> {
    while *marks < streams.marks.view().size {
        let bytes = streams
            .marks
            .read(*marks..streams.marks.view().size)
            .await?;
        if bytes.is_empty() {
            break;
        }
        *marks += bytes.len() as u64;
        renderer.push_marks(&bytes);
    }
    Ok(())
}

/// Goes on near the end of a log that grows faster than anybody reads.
async fn jump(streams: &Streams, renderer: &mut Renderer) -> Result<(), StoreError> {
    let extent = Extent::of(streams.log.clone()).await?;
    let Some(left_out) = too_far(renderer.done(), extent.size) else {
        return Ok(());
    };
    let line = extent.first_line(left_out.end).await?;
    if line > renderer.line() {
        renderer.jump(extent.offset_of(line).await?, line);
    }
    Ok(())
}

/// Somebody who watches a log.
pub struct Viewer {
    _permit: OwnedSemaphorePermit,
    hub: Arc<Hub>,
    run: String,
    streams: Streams,
    /// Offset up to which it has been told everything.
    at: u64,
    feed: Option<broadcast::Receiver<Event>>,
    hello: bool,
    is_over: bool,
}

impl Viewer {
    /// The next bytes to send; none where nothing more comes, or the store does not answer: a browser then
    /// asks again, from where it was.
    pub async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.hello) {
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        if self.is_over {
            return None;
        }
        loop {
            let Some(feed) = self.feed.as_mut() else {
                if let Some(missed) = self.catch_up().await.ok()? {
                    return Some(missed);
                }
                continue;
            };
            match timeout(ALIVE, feed.recv()).await {
                Err(_) => return Some(Bytes::from_static(b": alive\n\n")),
                Ok(Ok(event)) if event.at < self.at => {}
                Ok(Ok(event)) => {
                    (self.at, self.is_over) = (event.at, event.is_end);
                    return Some(event.bytes);
                }
                // Too slow, or the task has ended: what was missed is read from the store.
                Ok(Err(_)) => self.feed = None,
            }
        }
    }

    /// Joins the feed and renders what lies before it.
    async fn catch_up(&mut self) -> Result<Option<Bytes>, StoreError> {
        let (feed, place) = self.hub.join(&self.run, &self.streams).await?;
        let mut out = String::new();
        if self.at < place.at {
            let extent = Extent::of(self.streams.log.clone()).await?;
            let line = extent.first_line(self.at).await?;
            let mut renderer = Renderer::at(self.at, line, &self.streams.plain);
            push_marks(&self.streams, &mut renderer, &mut 0).await?;
            jump(&self.streams, &mut renderer).await?;
            while renderer.offset() < place.at {
                let from = renderer.offset();
                let bytes = self.streams.log.read(from..place.at).await?;
                if bytes.is_empty() {
                    break;
                }
                renderer.push(&bytes);
            }
            if extent.view.ended && place.at >= extent.size {
                renderer.finish();
            }
            out = renderer.take();
            self.at = place.at;
        }
        self.feed = Some(feed);
        let partial = place.partial.unwrap_or_default();
        let missed = [out.as_bytes(), &partial].concat();
        Ok((!missed.is_empty()).then(|| missed.into()))
    }
}

#[cfg(test)]
mod tests {
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
}
