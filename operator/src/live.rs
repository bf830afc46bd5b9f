//! What is known only in this process, by uid. All of it can be lost: a restart finds out again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crds::{BuilderRun, Waiting};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    admission::guard::Hold, report::comment_due::Shown, run::tell::Recorded, worker::fleet::Choice,
};

/// What is known of live runs only in this process, by uid. All of it can be lost.
#[derive(Default)]
pub struct Live(Mutex<HashMap<String, LiveRun>>);

/// What is known of one run.
#[derive(Clone, Debug, Default)]
pub struct LiveRun {
    /// It may have a Job.
    pub granted: bool,
    /// It has a Job, since when.
    pub job_since: Option<Instant>,
    /// A pod of it was seen.
    pub pod_seen: bool,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// When `waiting` was last written down.
    pub waiting_written: Option<Instant>,
    /// GitHub was told a pending state.
    pub pending_told: bool,
    /// GitHub was told that another attempt follows it, which may not be written down yet.
    pub retry_told: bool,
    /// When the API server was last asked whether its slot is free.
    pub slot_asked: Option<Instant>,
    /// How telling the final state goes.
    pub telling: Telling,
    /// How often the reporter was told one.
    asked: u64,
    /// Somebody was told that the gateway refuses its record.
    pub refused_told: bool,
    /// Since when it queues, after its build was held or it waited for another build's run in vain.
    pub released: Option<Timestamp>,
    /// Workers that may take it: their room is promised to it.
    pub chosen: Option<Choice>,
    /// Workers that did not want it.
    pub declined: Vec<DeclinedBy>,
}

/// A worker that did not want a run.
#[derive(Clone, Debug)]
pub struct DeclinedBy {
    /// Name of the Worker.
    pub worker: String,
    /// Why, as it said.
    pub reason: String,
    /// When that was seen here.
    pub at: Instant,
}

/// How telling a final state goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Nobody was told.
    #[default]
    Not,
    /// The reporter was told, GitHub has not answered yet.
    Asked,
    /// What is to be recorded.
    Done(Recorded),
}

impl LiveRun {
    /// Notes that the reporter is told a final state. Returns the number of that.
    pub fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.telling = Telling::Asked;
        self.asked
    }

    /// Notes what became of a final state. Of one that another has replaced since it says nothing of that one.
    pub fn hear(&mut self, question: u64, sent: Recorded) {
        if self.asked == question {
            self.telling = Telling::Done(sent);
        }
    }
}

impl Live {
    /// Runs to which the room of workers is promised, by uid.
    pub fn chosen(&self) -> Vec<(String, Choice)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = all.iter();
        chosen
            .filter_map(|(uid, live)| Some((uid.clone(), live.chosen.clone()?)))
            .collect()
    }

    /// What is known of a run.
    pub fn get(&self, uid: &str) -> LiveRun {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).cloned().unwrap_or_default()
    }

    /// Whether a run may have a Job.
    pub fn is_granted(&self, uid: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).is_some_and(|live| live.granted)
    }

    /// Changes what is known of a run.
    pub fn update<R>(&self, uid: &str, change: impl FnOnce(&mut LiveRun) -> R) -> R {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(uid) {
            return change(known);
        }
        change(all.entry(uid.to_owned()).or_default())
    }

    /// Forgets a run that is over.
    pub fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    /// Forgets runs that are gone: who had read one before it went may have noted something of it after it
    /// was forgotten. `there` names those that there are; it is asked once it is known of which something is noted.
    pub fn forget_gone(&self, there: impl FnOnce() -> HashSet<String>) {
        forget_gone(&self.0, there);
    }
}

/// What is known of builds only in this process, by uid. All of it can be lost.
#[derive(Default)]
pub struct LiveBuilds(Mutex<HashMap<String, LiveBuild>>);

/// What is known of one build.
#[derive(Clone, Debug)]
pub struct LiveBuild {
    /// When this process saw it first.
    pub seen: Instant,
    /// Its first attempts exist.
    pub dispatched: bool,
    /// What is to be said at its start was said.
    pub talked: bool,
    /// A comment of ours may stand already: look before writing one.
    pub maybe_posted: bool,
    /// It was made while this process was acting: nothing was said of it before.
    pub born_here: bool,
    /// What its comment shows.
    pub comment: Shown,
    /// The highest attempt that was made for a builder: one that is missing was deleted.
    pub attempts: Arc<HashMap<String, i64>>,
    /// Why its runs do not start, as far as that is known.
    pub hold: Option<Hold>,
    /// Its runs may start, after they might not.
    pub opened: bool,
    /// Builders whose runs are missing, and whether GitHub knows.
    pub missing_told: HashMap<String, bool>,
    /// Runs that somebody deleted, by builder: how GitHub was told of them, they alone know.
    pub deleted: HashMap<String, Arc<BuilderRun>>,
    /// Conditions that come from talking to GitHub.
    pub said: Vec<Said>,
    /// When the last of its runs had ended, as this process saw it.
    pub ended: Option<Instant>,
    /// The history of its pull request was told of it, should a restart have lost that.
    pub history_told: bool,
    /// When its status was last written.
    pub written: Option<Instant>,
}

/// A condition that comes from talking to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Type of the condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Default for LiveBuild {
    fn default() -> Self {
        Self {
            seen: Instant::now(),
            dispatched: false,
            talked: false,
            maybe_posted: true,
            born_here: false,
            comment: Shown::default(),
            attempts: Arc::default(),
            hold: None,
            opened: false,
            missing_told: HashMap::new(),
            deleted: HashMap::new(),
            said: Vec::new(),
            ended: None,
            history_told: false,
            written: None,
        }
    }
}

impl LiveBuilds {
    /// Changes, or just reads, what is known of a build.
    pub fn update<R>(&self, uid: &str, change: impl FnOnce(&mut LiveBuild) -> R) -> R {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(uid) {
            return change(known);
        }
        change(all.entry(uid.to_owned()).or_default())
    }

    /// What its summary is made of beside its runs: the highest attempts, and which runs are missing.
    pub fn family(&self, uid: &str) -> (Arc<HashMap<String, i64>>, HashMap<String, bool>) {
        self.update(uid, |live| {
            (live.attempts.clone(), live.missing_told.clone())
        })
    }

    /// Forgets a build that is over.
    pub fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    /// Forgets builds that are gone, as [`Live::forget_gone`] does runs.
    pub fn forget_gone(&self, there: impl FnOnce() -> HashSet<String>) {
        forget_gone(&self.0, there);
    }
}

/// Whatever is noted belongs to an object that was there. So what is missing among those that are there after
/// the notes were listed is gone, and no new one is taken for it.
fn forget_gone<T>(all: &Mutex<HashMap<String, T>>, there: impl FnOnce() -> HashSet<String>) {
    let lock = || all.lock().unwrap_or_else(PoisonError::into_inner);
    let noted: Vec<String> = lock().keys().cloned().collect();
    let there = there();
    let mut all = lock();
    for gone in noted.iter().filter(|uid| !there.contains(*uid)) {
        all.remove(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_worker_is_promised_to_no_run_that_is_gone() {
        let live = Live::default();
        let promise = |uid: &str| {
            let choice = Choice {
                to: vec!["mac".to_owned()],
                pool: false,
            };
            live.update(uid, |live| live.chosen = Some(choice));
        };
        promise("there");
        live.forget("gone");
        // Admission had read it before it was deleted.
        promise("gone");
        live.forget_gone(|| {
            promise("made meanwhile");
            HashSet::from(["there".to_owned()])
        });
        let mut left: Vec<String> = live.chosen().into_iter().map(|(uid, _)| uid).collect();
        left.sort();
        assert_eq!(left, ["made meanwhile", "there"]);
    }

    #[test]
    fn of_a_build_that_is_gone_nothing_is_remembered() {
        let builds = LiveBuilds::default();
        for uid in ["there", "gone"] {
            builds.update(uid, |live| live.talked = true);
        }
        builds.forget_gone(|| HashSet::from(["there".to_owned()]));
        assert!(builds.update("there", |live| live.talked));
        assert!(!builds.update("gone", |live| live.talked));
    }

    #[test]
    fn what_became_of_a_state_that_was_replaced_is_not_taken_for_what_becomes_of_the_next() {
        let mut run = LiveRun::default();
        let passed = run.ask();
        // It was cancelled before it was written down that it passed.
        let cancelled = run.ask();
        run.hear(passed, Recorded::sent("settled"));
        assert_eq!(run.telling, Telling::Asked);
        run.hear(cancelled, Recorded::sent("error"));
        assert_eq!(run.telling, Telling::Done(Recorded::sent("error")));
    }
}
