//! The thread that asks for work, for ever. While nothing runs that has heartbeats, it also says that the
//! worker is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, TryRecvError, channel},
    },
    thread,
    time::Duration,
};

use protocol::worker::wire::{Poll, PollAnswer};

use super::{Message, offer, shared::Shared};
use crate::worker::link::{CallError, Link, Patience};

/// Pause after a poll that was declined: the same offer does not come again at once, but another may.
const AFTER_DECLINE: Duration = Duration::from_secs(1);
/// Time between two questions to the owner's program while it says that the machine is used.
const BUSY_AGAIN: Duration = Duration::from_secs(10);
/// Time between two looks where nothing rings.
const LOOK: Duration = Duration::from_secs(60);
/// Polls that are under way at the same time, with those that were given up for another one.
const POLLS: usize = 4;

/// Begins to ask.
pub fn begin(
    link: &Arc<Link>,
    shared: &Arc<Shared>,
    to: &Sender<Message>,
    busy_command: Vec<String>,
) {
    let poller = Poller {
        link: link.clone(),
        shared: shared.clone(),
        to: to.clone(),
        busy_command,
        under_way: Arc::default(),
    };
    thread::spawn(move || poller.run());
}

struct Poller {
    link: Arc<Link>,
    shared: Arc<Shared>,
    to: Sender<Message>,
    busy_command: Vec<String>,
    under_way: Arc<AtomicUsize>,
}

impl Poller {
    fn run(self) {
        let mut patience = Patience::default();
        // After a power cut of a whole region not all come back in one moment.
        let spread = u64::from(std::process::id() % 500);
        thread::sleep(Duration::from_millis(spread));
        while !self.shared.is_over() {
            self.ask_owner();
            let poll = self.shared.poll();
            if poll.free_slots == 0 && !self.shared.running().is_empty() {
                self.shared.wait_to_poll(self.rest());
                continue;
            }
            match self.answer_to(&poll) {
                None => {}
                Some(Ok(answer)) => {
                    patience.reset();
                    if !self.decided(answer) {
                        return;
                    }
                }
                Some(Err(error)) => {
                    self.shared.failed(&error);
                    self.pause(patience.after(&error));
                }
            }
        }
    }

    /// Asks the owner's program, where nothing else is against a run.
    fn ask_owner(&self) {
        if self.shared.is_free() {
            self.shared.set_busy(offer::busy(&self.busy_command));
        }
    }

    /// How long nothing new is to be expected, unless it rings.
    fn rest(&self) -> Duration {
        match self.shared.busy() {
            Some(_) => BUSY_AGAIN,
            None => LOOK,
        }
    }

    /// Polls, and waits for the answer; nothing where meanwhile another question is to be asked. The gateway
    /// holds a poll for most of a minute: a slot that gets free does not wait for that.
    fn answer_to(&self, poll: &Poll) -> Option<Result<PollAnswer, CallError>> {
        let (to, answer) = channel();
        let (link, shared, said) = (self.link.clone(), self.shared.clone(), poll.clone());
        let under_way = self.under_way.clone();
        under_way.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let limit = Duration::from_secs(link.timing().poll_seconds + 30);
            let answer = link
                .ensure_session()
                .and_then(|()| link.ask::<PollAnswer>("poll", &said, limit));
            under_way.fetch_sub(1, Ordering::SeqCst);
            // Where nobody waits any more another poll is under way, and gets the same offer.
            let _ = to.send(answer);
            shared.poll_was_answered();
        });
        loop {
            match answer.try_recv() {
                Ok(answer) => return Some(answer),
                Err(TryRecvError::Empty) => {}
                // Its thread has said why it ended.
                Err(TryRecvError::Disconnected) => {
                    let why = "a poll ended without an answer".to_owned();
                    return Some(Err(CallError::Unreachable(why)));
                }
            }
            let is_other = takes(&self.shared.poll()) != takes(poll);
            let may_ask = self.under_way.load(Ordering::SeqCst) < POLLS;
            if self.shared.is_over() || (is_other && may_ask) {
                return None;
            }
            self.shared.wait_to_poll(self.rest());
            if self.shared.busy().is_some() {
                self.ask_owner();
            }
        }
    }

    /// Hands an answer to the thread that decides, and waits for that; whether there is still one.
    fn decided(&self, answer: PollAnswer) -> bool {
        let (done, decided) = channel();
        if self.to.send(Message::Polled(answer, done)).is_err() {
            return false;
        }
        // The daemon is gone when nobody decides.
        let _ = decided.recv();
        if self.shared.has_declined() {
            self.pause(AFTER_DECLINE);
        }
        true
    }

    /// Waits for so long, unless something new rings meanwhile.
    fn pause(&self, time: Duration) {
        // What rang for the answer that was just looked at is no news.
        self.shared.wait_to_poll(Duration::ZERO);
        self.shared.wait_to_poll(time);
    }
}

/// Whether a poll asks for work.
fn takes(poll: &Poll) -> bool {
    poll.free_slots > 0 && poll.closed.is_none()
}
