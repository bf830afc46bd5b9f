//! One log, many who watch it: it is rendered once, and what is sent to all of them is the same bytes.
//!
//! A task follows each log that somebody watches, and publishes what comes. Whoever joins renders what it
//! misses itself, from the store and in pieces, up to where the task is; so does whoever was too slow and
//! lost events. So nobody is waited for, and no queue grows. What changed right where somebody joins is told
//! twice rather than never: who watches knows the steps that it has.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    time::{Instant, sleep, timeout},
};

use super::{
    extent::Extent,
    render::{Renderer, push_event},
    streams::{Streams, few_lines},
};
use crate::store::StoreError;

/// How many may watch logs at once: fewer than there are connections, so that pages still open.
pub const VIEWERS: usize = 3072;
/// Events that a viewer may be behind before it has to read for itself.
const QUEUE: usize = 32;
/// The least time between two events: one of them costs a write for each viewer.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a line may be without an end before it is shown without.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a connection shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// Bytes of a log that a viewer renders for itself at once: colours can make ten times as much of them.
const PIECE: u64 = 32 << 10;
/// How long to wait after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(2);

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

/// When the line that has not ended is shown without its end.
#[derive(Debug, Default)]
struct Partial {
    /// Offset up to which it was shown.
    shown: Option<u64>,
    /// When what came since then is shown.
    due: Option<Instant>,
}

impl Partial {
    /// How long to wait for more.
    fn wait(&mut self, open: Option<u64>, now: Instant) -> Duration {
        if open.is_none() || open == self.shown {
            self.due = None;
            return ALIVE;
        }
        self.due
            .get_or_insert(now + PATIENCE)
            .saturating_duration_since(now)
    }

    /// Whether it is shown now, up to there.
    fn is_due(&mut self, open: Option<u64>, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due {
            *self = Self {
                shown: open,
                due: None,
            };
        }
        is_due
    }
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
            missed: None,
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
        let mut partial = Partial::default();
        while !hub.leave(run, self) {
            match streams.render(&mut renderer, &mut marks).await {
                Ok(is_end) => {
                    let mut text = renderer.take();
                    if is_end {
                        push_event(&mut text, None, "end", "");
                    }
                    if !text.is_empty() {
                        partial = Partial::default();
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
            let wait = partial.wait(open, Instant::now());
            streams.grown(renderer.offset(), marks, wait).await;
            if partial.is_due(open, Instant::now()) {
                let text = renderer.partial();
                text.into_iter().for_each(|text| self.publish_partial(text));
            }
        }
        // Who joins from now on begins anew, and learns that way that the log has ended.
        hub.followed()
            .retain(|_, other| !std::ptr::eq(&**other, self));
    }
}

/// Somebody who watches a log.
pub struct Viewer {
    _permit: OwnedSemaphorePermit,
    hub: Arc<Hub>,
    run: String,
    streams: Streams,
    /// Offset up to which it has been told everything.
    at: u64,
    missed: Option<Missed>,
    feed: Option<broadcast::Receiver<Event>>,
    hello: bool,
    is_over: bool,
}

/// What somebody has missed, and renders piece by piece before the feed goes on.
struct Missed {
    feed: broadcast::Receiver<Event>,
    place: Place,
    renderer: Renderer,
    /// The log ends there.
    is_end: bool,
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

    /// Renders the next piece of what lies before the feed. None where there is nothing to tell: then the
    /// next piece follows, or the feed.
    async fn catch_up(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut missed = match self.missed.take() {
            Some(missed) => missed,
            None => self.join().await?,
        };
        let (renderer, end) = (&mut missed.renderer, missed.place.at);
        let from = renderer.offset();
        let bytes = self.streams.log.read(from..end.min(from + PIECE)).await?;
        renderer.push(few_lines(&bytes));
        if !bytes.is_empty() && renderer.offset() < end {
            let out = renderer.take();
            self.missed = Some(missed);
            return Ok((!out.is_empty()).then(|| out.into()));
        }
        if missed.is_end {
            renderer.finish();
        }
        let mut out = renderer.take().into_bytes();
        if self.at <= end {
            out.extend_from_slice(&missed.place.partial.unwrap_or_default());
        }
        self.at = self.at.max(end).max(renderer.done());
        self.feed = Some(missed.feed);
        Ok((!out.is_empty()).then(|| out.into()))
    }

    /// Joins the feed. What lies before it begins with the marks: a step that printed nothing since is
    /// nowhere else.
    async fn join(&self) -> Result<Missed, StoreError> {
        let (feed, place) = self.hub.join(&self.run, &self.streams).await?;
        let extent = Extent::of(self.streams.log.clone()).await?;
        let line = extent.first_line(self.at).await?;
        let mut renderer = Renderer::at(self.at, line, &self.streams.plain);
        self.streams.push_marks(&mut renderer, &mut 0).await?;
        if self.at < place.at {
            self.streams.jump(&mut renderer).await?;
        }
        Ok(Missed {
            feed,
            renderer,
            is_end: extent.view.ended && place.at >= extent.size,
            place,
        })
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
