//! The daemon: one thread decides, others wait. What is decided is
//! `protocol::worker::agent::Journal`; this carries it out.

mod carry;
mod happen;
mod keys;
mod offer;
mod poller;
mod reap;
mod shared;
mod threads;
mod watch;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use protocol::worker::{
    agent::Event,
    fault::FaultCode,
    keys::KeyChain,
    session::{Close, SessionRequest},
    wire::{Accepted, HeartbeatAnswer, Instruction, PollAnswer},
};

use super::{
    breaker::Breaker,
    builder::Builder,
    clock::{Clock, steady},
    config::Config,
    control::{State, Wish},
    files::{self, FileError},
    history::History,
    identity::{self, IdentityError},
    journal::Book,
    keyset::{self, Pinned},
    layout::Layout,
    link::{CallError, Link, REQUEST},
    policy,
    run::{Finished, Site, Stop, Why},
    shipping::Shipping,
};
use crate::{
    os::{self, Signals},
    text::one_line,
};
use shared::Shared;

/// Time between two looks at what nobody tells: leases, the owner's wishes, the disk.
const LOOK: Duration = Duration::from_secs(1);
/// The same while nothing runs: an idle machine is its owner's. Offers are judged by what holds when they come.
const IDLE_LOOK: Duration = Duration::from_secs(3);

/// Why the daemon cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file of its own.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another one runs with the same state.
    #[error("another agent runs already with the state in `{0}`")]
    Twice(String),
    /// What an earlier start left running cannot be killed.
    #[error("an earlier start of this agent left a build running that cannot be killed: {0}")]
    Orphans(String),
    /// The system refused something.
    #[error("the system refused what the agent needs: {0}")]
    System(#[from] std::io::Error),
}

/// What one thread tells the one that decides.
enum Message {
    /// The gateway answered a poll; the poller waits until it is decided.
    Polled(PollAnswer, Sender<()>),
    /// It answered a heartbeat that was sent at that moment.
    Beat(u64, HeartbeatAnswer),
    /// A session was opened, as asked for at that moment.
    Opened(u64, Vec<Instruction>, u64),
    /// It answered to an accept that was sent at that moment.
    Accepted(String, u64, Result<Box<Accepted>, FaultCode>),
    /// The last process of a run is gone.
    Gone(String, Box<Finished>),
    /// Its log is where it belongs, or has kept it waiting for long enough: its end may be delivered.
    Logged(String),
    /// The gateway answered to a completion.
    Delivered(String, Result<(), FaultCode>),
    /// It served the operator's keys, or did not.
    Keys(Result<KeyChain, CallError>),
    /// Somebody wants the daemon to end.
    Stop,
}

/// One held assignment.
struct Live {
    name: String,
    stop: Arc<Stop>,
    shipping: Arc<Shipping>,
    /// Its end is not delivered before its log.
    log_comes_first: bool,
}

/// The thread that decides.
pub struct Daemon {
    site: Arc<Site>,
    link: Arc<Link>,
    clock: Arc<Clock>,
    book: Book,
    pinned: Option<Pinned>,
    breaker: Breaker,
    history: History,
    /// What has happened once and could not be written down yet.
    unwritten: VecDeque<Event>,
    live: HashMap<String, Live>,
    to_self: Sender<Message>,
    inbox: Receiver<Message>,
    shared: Arc<Shared>,
    /// Wishes to end: the first one drains, the second one stops what runs.
    stops: u32,
    asked_for_keys: bool,
    /// When an offer was not believed last, of those that were noted.
    unbelieved: Option<Instant>,
    looked: Instant,
    /// Builds of the last 24 hours, and when they were counted.
    counted: Option<(usize, Instant)>,
    /// The project wants this worker empty.
    unwanted: bool,
    /// What was said last, and when it was written.
    said: Option<(State, Instant)>,
    _lock: std::fs::File,
}

/// Runs the daemon until somebody wants it to end and nothing runs any more.
pub fn run(config: Config, builder: Builder) -> Result<(), DaemonError> {
    let layout = Layout::new(&config.state_dir);
    layout.make_own()?;
    let lock = lock(&layout)?;
    os::adopt_orphans()?;
    os::hide_memory()?;
    let wish = Wish::load(&layout);
    if wish.drain {
        // It was carried out when the daemon ended.
        Wish {
            drain: false,
            ..wish
        }
        .save(&layout)?;
    }
    let site = Arc::new(Site::new(config, layout, builder));
    reap::earlier(&site)?;
    let mut daemon = Daemon::new(site, lock)?;
    daemon.begin()?;
    daemon.serve();
    Ok(())
}

/// One daemon for one state directory.
fn lock(layout: &Layout) -> Result<std::fs::File, DaemonError> {
    let path = layout.own("lock");
    let file = std::fs::File::create(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(DaemonError::Twice(layout.agent().display().to_string())),
    }
}

impl Daemon {
    fn new(site: Arc<Site>, lock: std::fs::File) -> Result<Self, DaemonError> {
        let (config, layout) = (&site.config, &site.layout);
        let (to_self, inbox) = channel();
        let (clock, shared) = (Arc::new(Clock::default()), Arc::new(Shared::default()));
        let (book, left) = Book::open(layout)?;
        let opened = {
            let to_self = to_self.clone();
            move |sent, opened: protocol::worker::session::SessionOpened| {
                // The daemon is about to end when nobody listens.
                let _ = to_self.send(Message::Opened(sent, opened.verdicts, opened.keys));
            }
        };
        let link = Arc::new(Link::new(
            &config.server,
            &config.name,
            identity::load_key(layout)?,
            clock.clone(),
            Box::new(introduction(&site, &shared)?),
            Box::new(opened),
        ));
        let mut daemon = Self {
            pinned: keyset::load(layout, &config.operator)?,
            breaker: files::read_json(&layout.own("breaker.json"))?.unwrap_or_default(),
            history: History::of(layout),
            link,
            clock,
            book,
            unwritten: VecDeque::new(),
            live: HashMap::new(),
            to_self,
            inbox,
            shared,
            stops: 0,
            asked_for_keys: false,
            unbelieved: None,
            looked: Instant::now(),
            counted: None,
            unwanted: false,
            said: None,
            site,
            _lock: lock,
        };
        daemon.breaker.booted(&os::boot_id(), steady());
        daemon.tell_running();
        daemon.resume(left);
        daemon.finish_logs();
        Ok(daemon)
    }

    /// Starts the threads that wait.
    fn begin(&mut self) -> Result<(), DaemonError> {
        self.look_around();
        let sender = self.to_self.clone();
        let mut signals = Signals::of_this_process()?;
        std::thread::Builder::new().spawn(move || {
            loop {
                while !signals.stopping() {
                    let _ = os::wait(&mut signals, None, None, Duration::from_secs(60));
                }
                let more = Signals::of_this_process();
                match (sender.send(Message::Stop), more) {
                    // The next one means: now.
                    (Ok(()), Ok(more)) => signals = more,
                    _ => return,
                }
            }
        })?;
        let busy_command = self.site.config.policy.busy_command.clone();
        poller::begin(&self.link, &self.shared, &self.to_self, busy_command);
        threads::beater(&self.link, &self.shared, &self.to_self);
        Ok(())
    }

    fn serve(&mut self) {
        loop {
            let every = match self.book.journal().held.is_empty() {
                true => IDLE_LOOK,
                false => LOOK,
            };
            match self.inbox.recv_timeout(every) {
                Ok(message) => self.hear(message),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(_) => return,
            }
            self.happen(Event::Tick { now: steady() });
            self.follow_hints();
            if self.looked.elapsed() >= every {
                self.look_around();
            }
            if self.stops > 0 && self.book.journal().held.is_empty() {
                break;
            }
        }
        self.shared.end();
        let reason = "its owner stopped it".to_owned();
        // It counts as off-line a minute later all the same.
        let _ = self
            .link
            .ask::<serde_json::Value>("sessions/close", &Close { reason }, REQUEST);
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Polled(answer, done) => {
                self.answered(answer.keys);
                self.told_to_drain(answer.drain);
                if let Some(offer) = answer.offer {
                    self.offered(offer);
                }
                // The poller is gone only when the daemon ends.
                let _ = done.send(());
            }
            Message::Beat(sent, answer) => {
                self.answered(answer.keys);
                self.told_to_drain(answer.drain);
                self.instructed(sent, answer.verdicts);
            }
            Message::Opened(sent, verdicts, keys) => {
                self.answered(keys);
                self.instructed(sent, verdicts);
            }
            Message::Accepted(id, sent, answer) => self.accepted(id, sent, answer),
            Message::Gone(id, finished) => self.gone(&id, *finished),
            Message::Logged(id) => self.logged(id),
            Message::Delivered(id, answer) => self.happen(Event::Delivered { id, answer }),
            Message::Keys(chain) => self.keys(chain),
            Message::Stop => self.asked_to_end(),
        }
    }

    fn asked_to_end(&mut self) {
        self.stops += 1;
        if self.stops == 1 {
            say("stops when what runs has ended; a second signal stops that, too");
            self.shared.drain();
        } else {
            self.stop_all("its owner stopped the agent");
        }
    }

    fn stop_all(&self, why: &str) {
        for live in self.live.values() {
            live.stop.stop(Why::Machine(why.to_owned()));
        }
    }

    fn follow_hints(&self) {
        if self.live.values().any(|live| live.stop.take_hint()) {
            self.shared.beat_now();
        }
    }
}

/// What this worker says of itself when a session opens.
fn introduction(
    site: &Arc<Site>,
    shared: &Arc<Shared>,
) -> Result<impl Fn(String) -> SessionRequest + Send + Sync + 'static, IdentityError> {
    let known = SessionRequest {
        worker: site.config.name.clone(),
        instance: identity::instance(&site.layout)?,
        boot: os::boot_id(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        facts: super::doctor::facts(&site.layout),
        isolated: site.builder.isolated(),
        policy: policy::in_words(&site.config),
        ..SessionRequest::default()
    };
    let shared = shared.clone();
    Ok(move |nonce| SessionRequest {
        nonce,
        running: shared.running(),
        ..known.clone()
    })
}

/// A line for whoever reads the daemon's own log.
fn say(text: &str) {
    eprintln!("prbuild-agent: {}", one_line(text, 500));
}
