//! What nobody tells the daemon: the owner's wishes, the disk, the hour. And what it says of itself.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use protocol::worker::agent::HeldState;

use super::{Daemon, say};
use crate::{
    os,
    worker::{
        clock::{self, steady},
        control::{State, Wish},
        policy::{self, Machine},
    },
};

/// Time after which the owner is told again what has not changed: a small disk has few writes.
const TELL: Duration = Duration::from_secs(10);
/// What its owner reads while the project gives it nothing.
const UNWANTED: &str = "the project's people want it empty, and give it no new builds";
/// Time between two counts of a day's builds, beside those that begin.
const COUNT: Duration = Duration::from_secs(60);

impl Daemon {
    /// Looks at what nobody tells, and says how it is.
    pub(super) fn look_around(&mut self) {
        self.looked = Instant::now();
        let wish = Wish::load(&self.site.layout);
        if wish.drain && self.stops == 0 {
            self.asked_to_end();
        }
        let machine = self.machine(&wish);
        let floor = self.site.config.limits.min_free_disk.0.min(1 << 30) / 2;
        if machine.free_disk < floor && !self.live.is_empty() {
            self.stop_all("its disk ran full");
        }
        let no = policy::closed(&self.site.config, &machine).err();
        self.shared.set_closed(no.clone(), machine.free_disk);
        let own = no.map(|no| no.reason).or_else(|| self.shared.busy());
        let why = own.or_else(|| self.unwanted.then(|| UNWANTED.to_owned()));
        self.tell_owner(why);
    }

    /// The gateway says whether the project wants this worker empty. It gives it nothing then, so all that is left
    /// to do is to tell its owner; what is said in polls is why the owner closed it.
    pub(super) fn told_to_drain(&mut self, drain: bool) {
        if self.unwanted != drain {
            self.unwanted = drain;
            say(match drain {
                true => UNWANTED,
                false => "the project's people give it builds again",
            });
        }
    }

    /// Writes down how it is, where that has changed or was long ago.
    fn tell_owner(&mut self, closed: Option<String>) {
        let mut state = State {
            pid: std::process::id(),
            at: 0,
            answered: self.shared.last_heard(),
            trouble: self.shared.trouble(),
            closed,
            runs: self.in_words(),
            isolated: self.site.builder.isolated(),
        };
        let is_news = |(said, at): &(State, Instant)| {
            let same = State {
                answered: said.answered,
                ..state.clone()
            };
            *said != same || at.elapsed() >= TELL
        };
        if self.said.as_ref().is_some_and(|said| !is_news(said)) {
            return;
        }
        self.said = Some((state.clone(), Instant::now()));
        state.at = clock::own();
        if let Err(error) = state.save(&self.site.layout) {
            say(&format!("the status cannot be written: {error}"));
        }
    }

    pub(super) fn machine(&mut self, wish: &Wish) -> Machine {
        Machine {
            now: Timestamp::now(),
            load: os::load(),
            free_disk: os::free_disk(&self.site.layout.agent()).unwrap_or(0),
            builds_today: self.builds_today(),
            busy: None,
            closed: wish
                .closed()
                .or_else(|| (self.stops > 0).then(|| "its owner stops it".to_owned()))
                .or_else(|| self.breaker.closed(steady()))
                .or_else(|| self.clock.ahead().map(clock::in_words)),
        }
    }

    /// Builds that began in the last 24 hours, where the owner limits them.
    fn builds_today(&mut self) -> usize {
        if self.site.config.policy.max_builds_per_day.is_none() {
            return 0;
        }
        match self.counted {
            Some((count, at)) if at.elapsed() < COUNT => count,
            _ => {
                let count = self.history.begun_since(clock::own() - 86_400);
                self.counted = Some((count, Instant::now()));
                count
            }
        }
    }

    fn in_words(&self) -> Vec<(String, String)> {
        let held = self.book.journal().held.values();
        held.map(|held| {
            let state = match held.state {
                HeldState::Accepting => "is being accepted",
                HeldState::Running { .. } => "runs",
                HeldState::Done => "has ended, and is being told",
                _ => "is being stopped",
            };
            (held.run.name.clone(), state.to_owned())
        })
        .collect()
    }
}
