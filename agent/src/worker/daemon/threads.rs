//! The threads that wait: for work, for the next heartbeat, for answers.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use protocol::worker::{
    envelope::Envelope,
    wire::{Accepted, Decline, Heartbeat, HeartbeatAnswer, Poll, PollAnswer, Running, Taken},
};

use super::{Message, offer, say};
use crate::worker::{
    bell::Bell,
    clock::{self, steady},
    link::{CallError, Link, Patience, REQUEST},
    policy::No,
};

/// Pause after a poll that was declined: the same offer does not come again at once, but another may.
const AFTER_DECLINE: Duration = Duration::from_secs(1);

/// What the threads know of each other.
#[derive(Default)]
pub struct Shared {
    running: Mutex<Vec<Running>>,
    open: Mutex<Open>,
    trouble: Mutex<Option<String>>,
    distrust: Mutex<Option<String>>,
    busy: Mutex<Option<String>>,
    cancelled: Mutex<BTreeSet<String>>,
    heard: AtomicI64,
    over: AtomicBool,
    draining: AtomicBool,
    declined: AtomicBool,
    poll: Bell,
    beat: Bell,
}

/// Whether work is taken.
#[derive(Clone, Debug, Default)]
struct Open {
    free: usize,
    no: Option<No>,
    disk: u64,
}

impl Shared {
    /// What is held.
    pub fn running(&self) -> Vec<Running> {
        lock(&self.running).clone()
    }

    /// Notes what is held. Whoever waits for something to tell of hears it.
    pub fn set_running(&self, running: Vec<Running>) {
        let mut known = lock(&self.running);
        if known.is_empty() && !running.is_empty() {
            self.beat.ring();
        }
        *known = running;
    }

    /// Notes whether work is taken.
    pub fn set_open(&self, free: usize, no: Option<No>, disk: u64) {
        let mut open = lock(&self.open);
        if free > 0 && open.free == 0 {
            self.poll.ring();
        }
        *open = Open { free, no, disk };
    }

    /// The gateway answered.
    pub fn heard(&self) {
        self.heard.store(clock::own(), Ordering::SeqCst);
        *lock(&self.trouble) = None;
    }

    /// When it answered last.
    pub fn last_heard(&self) -> i64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// What is wrong: the keys, or the connection.
    pub fn trouble(&self) -> Option<String> {
        let distrust = lock(&self.distrust).clone();
        distrust.or_else(|| lock(&self.trouble).clone())
    }

    /// No keys are trusted, or some are again.
    pub fn distrust(&self, why: Option<String>) {
        *lock(&self.distrust) = why;
    }

    /// Whether keys were served that are not to be trusted.
    pub fn distrusts(&self) -> bool {
        lock(&self.distrust).is_some()
    }

    /// What the owner's program said last.
    pub fn busy(&self) -> Option<String> {
        lock(&self.busy).clone()
    }

    /// Notes what the owner's program said.
    pub fn set_busy(&self, why: Option<String>) {
        *lock(&self.busy) = why;
    }

    /// The gateway wants this one stopped.
    pub fn cancelled(&self, id: &str) {
        lock(&self.cancelled).insert(id.to_owned());
    }

    /// Whether it said so; asked once.
    pub fn was_cancelled(&self, id: &str) -> bool {
        lock(&self.cancelled).remove(id)
    }

    /// An offer was declined: the next poll waits a little.
    pub fn declined(&self) {
        self.declined.store(true, Ordering::SeqCst);
    }

    /// A heartbeat is sent now.
    pub fn beat_now(&self) {
        self.beat.ring();
    }

    /// No work is asked for any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.poll.ring();
    }

    /// Everything ends.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.poll.ring();
        self.beat.ring();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Notes what went wrong, once.
    fn failed(&self, error: &CallError) {
        let words = error.to_string();
        let mut trouble = lock(&self.trouble);
        if trouble.as_ref() != Some(&words) {
            say(&format!("{words}; trying again"));
            *trouble = Some(words);
        }
    }

    fn poll(&self) -> Poll {
        let open = lock(&self.open).clone();
        let busy = self.busy();
        let is_open = open.no.is_none() && busy.is_none() && !self.draining.load(Ordering::SeqCst);
        let free = u32::try_from(open.free).unwrap_or(u32::MAX);
        let disk_full =
            matches!(&open.no, Some(no) if no.code == protocol::worker::wire::DeclineCode::Disk);
        Poll {
            free_slots: if is_open { free } else { 0 },
            closed: open
                .no
                .map(|no| no.reason)
                .or(busy)
                .or_else(|| self.trouble()),
            disk_free_mb: Some(open.disk >> 20),
            disk_full,
        }
    }
}

/// Asks for work, for ever. While nothing runs that has heartbeats, it also says that the worker is there.
pub fn poller(
    link: &Arc<Link>,
    shared: &Arc<Shared>,
    to: &Sender<Message>,
    busy_command: Vec<String>,
) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let mut patience = Patience::default();
        // After a power cut of a whole region not all come back in one moment.
        shared
            .poll
            .wait(Duration::from_millis(u64::from(std::process::id() % 500)));
        while !shared.is_over() {
            shared.set_busy(offer::busy(&busy_command));
            let poll = shared.poll();
            let has_nothing_to_ask = poll.free_slots == 0 && !shared.running().is_empty();
            if has_nothing_to_ask {
                shared.poll.wait(Duration::from_secs(2));
                continue;
            }
            let limit = Duration::from_secs(link.timing().poll_seconds + 30);
            let answer = link
                .ensure_session()
                .and_then(|()| link.ask::<PollAnswer>("poll", &poll, limit));
            match answer {
                Ok(answer) => {
                    patience.reset();
                    let (done, decided) = channel();
                    if to.send(Message::Polled(answer, done)).is_err() {
                        return;
                    }
                    // The daemon is gone when nobody decides.
                    let _ = decided.recv();
                    if shared.declined.swap(false, Ordering::SeqCst) {
                        shared.poll.wait(AFTER_DECLINE);
                    }
                }
                Err(error) => {
                    shared.failed(&error);
                    shared.poll.wait(patience.after(&error));
                }
            }
        }
    });
}

/// Says what runs, every few seconds while anything does.
pub fn beater(link: &Arc<Link>, shared: &Arc<Shared>, to: &Sender<Message>) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let mut patience = Patience::default();
        while !shared.is_over() {
            let running = shared.running();
            if running.is_empty() {
                shared.beat.wait(Duration::from_secs(3600));
                continue;
            }
            let disk_full = shared.poll().disk_full;
            let (sent, beat) = (steady(), Heartbeat { running, disk_full });
            let answer = link
                .ensure_session()
                .and_then(|()| link.ask::<HeartbeatAnswer>("heartbeat", &beat, REQUEST));
            let pause = Duration::from_secs(link.timing().heartbeat_seconds.clamp(1, 60));
            match answer {
                Ok(answer) => {
                    patience.reset();
                    if to.send(Message::Beat(sent, answer)).is_err() {
                        return;
                    }
                    shared.beat.wait(pause);
                }
                Err(error) => {
                    shared.failed(&error);
                    shared.beat.wait(patience.after(&error).min(pause));
                }
            }
        }
    });
}

/// Asks for the operator's keys.
pub fn ask_for_keys(link: &Arc<Link>, to: &Sender<Message>) {
    let (link, to) = (link.clone(), to.clone());
    thread::spawn(move || {
        let chain = link.keys().map_err(|error| error.to_string());
        // The daemon is about to end when nobody listens.
        let _ = to.send(Message::Keys(chain));
    });
}

/// Asks for an assignment until there is an answer.
pub fn accept(link: &Arc<Link>, shared: &Arc<Shared>, to: &Sender<Message>, id: String) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let path = format!("assignments/{id}/accept");
        let mut sent = steady();
        let answer = until_answered(&link, &shared, || {
            let _guard = link.hold_session();
            sent = steady();
            link.ask::<Accepted>(&path, &serde_json::json!({}), REQUEST)
        });
        let Some(answer) = answer else { return };
        let _ = to.send(Message::Accepted(id, sent, answer.map(Box::new)));
    });
}

/// Tells that an offer is declined; once, for it comes again if that is lost.
pub fn decline(link: &Arc<Link>, id: &str, no: No) {
    let (link, path) = (link.clone(), format!("assignments/{id}/decline"));
    thread::spawn(move || {
        let decline = Decline {
            code: no.code,
            reason: no.reason,
        };
        if let Err(error) = link.ask::<serde_json::Value>(&path, &decline, REQUEST) {
            say(&format!("the decline was not heard: {error}"));
        }
    });
}

/// Delivers a completion until there is an answer, also after days.
pub fn deliver(
    link: &Arc<Link>,
    shared: &Arc<Shared>,
    to: &Sender<Message>,
    id: String,
    what: Envelope,
) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let path = format!("assignments/{id}/complete");
        let answer = until_answered(&link, &shared, || link.ask::<Taken>(&path, &what, REQUEST));
        let Some(answer) = answer else { return };
        let _ = to.send(Message::Delivered(id, answer.map(drop)));
    });
}

/// Asks until there is an answer that counts; nothing when the daemon ends before.
fn until_answered<A>(
    link: &Link,
    shared: &Shared,
    mut ask: impl FnMut() -> Result<A, CallError>,
) -> Option<Result<A, protocol::worker::fault::FaultCode>> {
    let (mut patience, own) = (Patience::default(), Bell::default());
    while !shared.is_over() {
        match link.ensure_session().and_then(|()| ask()) {
            Ok(answer) => return Some(Ok(answer)),
            Err(error) => match error.never() {
                Some(code) => return Some(Err(code)),
                None => {
                    shared.failed(&error);
                    own.wait(patience.after(&error));
                }
            },
        }
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
