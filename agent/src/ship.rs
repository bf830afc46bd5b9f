//! The sidecar of a pod: sends what the executors write into their spools to the gateway while they
//! write it, and the rest after they ended.
//!
//! The spool of the build is in the hands of the code of the pull request, and the gateway may be
//! away for as long as it likes. Neither fails a build, and what is held in memory stays within a few
//! MiB: the bytes lie in the spool until they are stored.

pub mod backoff;
pub mod client;
pub mod collect;
pub mod marks;
pub mod reader;
pub mod state;
pub mod stream;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use protocol::log::{CHUNK_LIMIT, LogEnd, LogLimits, LogTaken, RefusalCode, Stream};

use crate::os::{self, Signals};
use backoff::BackOff;
use client::{Client, ClientError, Destination, SendError};
use collect::Collector;
use reader::SpoolReader;
use state::State;

/// Time between two looks at the spools. A line waits half of it, on average.
const LOOK: Duration = Duration::from_millis(80);
/// Time between two questions whether the gateway has stored by now what it took.
const ASK: Duration = Duration::from_secs(2);

/// What is sent, and where to.
#[derive(Debug)]
pub struct Shipment {
    /// The checkout's spool.
    pub checkout: PathBuf,
    /// The build's.
    pub build: PathBuf,
    /// A directory that this sidecar finds again when it is restarted.
    pub state: PathBuf,
    /// Where to.
    pub to: Destination,
    /// What proves that this is the run, to the gateway.
    pub token: String,
    /// How much of the log is kept.
    pub limits: LogLimits,
    /// For how long the rest is sent after somebody asked to stop.
    pub grace: Duration,
}

/// How sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All is stored.
    All,
    /// The gateway wants no more of it, ever.
    Refused,
    /// There was no more time.
    Late,
}

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The gateway's address, or what it is told.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system did not give what is needed: randomness, a way to wait.
    #[error("the log cannot be sent: {0}")]
    System(#[from] io::Error),
}

/// Sends until all is stored or the grace is over. Returns only after somebody asked to stop: a
/// sidecar that ends before that is started again.
pub fn run(shipment: Shipment, signals: &mut Signals) -> Result<(), ShipError> {
    send_all(shipment, signals)?;
    while !signals.stopping() {
        os::wait(signals, None, None, Duration::from_secs(3600))?;
    }
    Ok(())
}

/// Sends until all is stored, or the grace after the wish to stop is over.
pub fn send_all(shipment: Shipment, signals: &mut Signals) -> Result<Sent, ShipError> {
    let state = State::load(&shipment.state)?;
    let mut shipper = Shipper {
        client: Client::new(&shipment.to, &shipment.token, state.writer())?,
        collector: Collector::new(
            SpoolReader::new(shipment.checkout),
            SpoolReader::new(shipment.build),
            shipment.limits,
            state.lost(),
        ),
        state,
        taken: None,
        asked: Instant::now(),
        left: Duration::MAX,
        back_off: BackOff::default(),
        is_full: false,
    };
    Ok(shipper.send_all(shipment.grace, signals)?)
}

/// A line for whoever reads the log of the sidecar itself.
fn say(text: &str) {
    eprintln!("ship: {text}");
}

struct Shipper {
    client: Client,
    collector: Collector,
    state: State,
    /// What the gateway has; not known at first, nor after anything went wrong.
    taken: Option<Taken>,
    /// When it was asked last.
    asked: Instant,
    /// Time that is left for everything.
    left: Duration,
    back_off: BackOff,
    /// The gateway takes no more of this log: it keeps less of one than was planned.
    is_full: bool,
}

/// What the gateway has of both streams.
#[derive(Clone, Copy, Debug)]
struct Taken {
    log: LogTaken,
    marks: LogTaken,
}

/// How far a turn got.
enum Turn {
    /// There is more to send.
    More,
    /// Everything so far is sent.
    Idle,
    /// Everything is sent, and nothing more comes.
    Done,
}

impl Shipper {
    /// Sends until there is nothing more to send or no sense in it.
    fn send_all(&mut self, grace: Duration, signals: &mut Signals) -> io::Result<Sent> {
        let mut deadline = None;
        loop {
            let stopping = signals.stopping();
            if stopping {
                let end = *deadline.get_or_insert_with(|| Instant::now() + grace);
                self.left = end.saturating_duration_since(Instant::now());
                if self.left.is_zero() {
                    say("the time to send the rest of the log is over");
                    return Ok(Sent::Late);
                }
            }
            let pause = match self.turn(stopping) {
                Ok(Turn::Done) => return Ok(Sent::All),
                Ok(turn) => self.went_well(&turn),
                Err(SendError::Refused {
                    code: RefusalCode::Limit,
                    message,
                }) if !self.is_full => {
                    say(&format!("the rest of the log is not sent: {message}"));
                    (self.is_full, self.taken) = (true, None);
                    Duration::ZERO
                }
                Err(SendError::Refused { code, message }) if !code.may_heal() => {
                    say(&format!("the gateway refuses this log for good: {message}"));
                    return Ok(Sent::Refused);
                }
                Err(error) => self.went_wrong(&error),
            };
            if !pause.is_zero() {
                os::wait(signals, None, None, pause.min(self.left))?;
            }
        }
    }

    fn went_well(&mut self, turn: &Turn) -> Duration {
        if !self.back_off.is_reset() {
            say("the gateway takes the log again");
            self.back_off.reset();
        }
        match turn {
            Turn::More | Turn::Done => Duration::ZERO,
            Turn::Idle => LOOK,
        }
    }

    fn went_wrong(&mut self, error: &SendError) -> Duration {
        if self.back_off.is_reset() {
            say(&format!("{error}; trying again"));
        }
        // Only the gateway knows what came over. Where it wants to have bytes again, it gets them.
        self.taken = None;
        let random = RandomState::new().build_hasher().finish();
        self.back_off.pause(random)
    }

    /// Looks what there is, and sends a part of it.
    fn turn(&mut self, stopping: bool) -> Result<Turn, SendError> {
        let mut taken = match self.taken {
            Some(taken) => taken,
            None => self.ask()?,
        };
        self.collector.look(taken.log.received, stopping);
        if !self.is_full && self.send_both(&mut taken)? {
            return Ok(Turn::More);
        }
        if let Some(ended) = self.collector.ended() {
            let unsent = self
                .collector
                .log()
                .len()
                .saturating_sub(taken.log.received);
            let end = LogEnd {
                log: taken.log.received,
                marks: taken.marks.received,
                left_out: ended.left_out + unsent,
                unfinished: ended.unfinished,
            };
            return self.client.end(end, self.left).map(|_| Turn::Done);
        }
        let is_stored = |taken: LogTaken| taken.durable >= taken.received;
        let is_safe = is_stored(taken.log) && is_stored(taken.marks);
        if !is_safe && self.asked.elapsed() >= ASK {
            // A gateway that was restarted may have forgotten what it took, and nobody prints now.
            self.ask()?;
        }
        Ok(Turn::Idle)
    }

    /// Sends what there is of both streams, or a part of it; answers whether there is more.
    fn send_both(&mut self, taken: &mut Taken) -> Result<bool, SendError> {
        // Marks first: who shows bytes of the log knows what they are.
        while let Some(answer) = self.send_marks(taken.marks.received)? {
            taken.marks = answer;
            self.taken = Some(*taken);
        }
        if let Some(answer) = self.send_log(taken.log.received)? {
            taken.log = answer;
            self.taken = Some(*taken);
            return Ok(answer.received < self.collector.log().len());
        }
        Ok(false)
    }

    /// Asks what the gateway has.
    fn ask(&mut self) -> Result<Taken, SendError> {
        let taken = Taken {
            log: self.client.put(Stream::Log, 0, &[], self.left)?,
            marks: self.client.put(Stream::Marks, 0, &[], self.left)?,
        };
        self.asked = Instant::now();
        self.taken = Some(taken);
        Ok(taken)
    }

    /// Sends marks, if there are more than the gateway has.
    fn send_marks(&mut self, from: u64) -> Result<Option<LogTaken>, SendError> {
        let begin = usize::try_from(from).unwrap_or(usize::MAX);
        let bytes = self.collector.marks().get(begin..).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(CHUNK_LIMIT)];
        send(&mut self.client, Stream::Marks, from, bytes, self.left)
    }

    /// Sends bytes of the log, if there are more than the gateway has.
    fn send_log(&mut self, from: u64) -> Result<Option<LogTaken>, SendError> {
        let log = self.collector.log();
        let bytes = log.read(from, CHUNK_LIMIT);
        if log.lost() != self.state.lost()
            && let Some(at) = log.lost()
        {
            say("the log of the build was spoilt; the rest of it is not sent");
            self.state.lose(at);
        }
        send(&mut self.client, Stream::Log, from, &bytes, self.left)
    }
}

/// Sends bytes, if there are any. An answer that takes us no further is as good as none: it would be
/// sent the same bytes for ever.
fn send(
    client: &mut Client,
    stream: Stream,
    from: u64,
    bytes: &[u8],
    limit: Duration,
) -> Result<Option<LogTaken>, SendError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let answer = client.put(stream, from, bytes, limit)?;
    if answer.received <= from {
        let what = format!("it took none of {} bytes", bytes.len());
        return Err(SendError::Unreachable(what));
    }
    Ok(Some(answer))
}

#[cfg(test)]
#[path = "ship_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ship_giving_up_tests.rs"]
mod giving_up_tests;

#[cfg(test)]
#[path = "ship_hostile_tests.rs"]
mod hostile_tests;
