//! What to look at next: keys, each at most once in the queue and never worked on twice at a time.
//!
//! A key that is added while it is being worked on comes again afterwards. Failures come again with
//! a growing delay of their own.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a reconcile wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before something changes.
    Wait,
    /// Another look after this time, if nothing changes before.
    After(Duration),
}

impl Next {
    /// The sooner of two.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(a), Self::After(b)) => Self::After(a.min(b)),
            (Self::After(a), Self::Wait) | (Self::Wait, Self::After(a)) => Self::After(a),
            (Self::Wait, Self::Wait) => Self::Wait,
        }
    }
}

/// Sleeps until then; for ever where there is nothing to wait for.
pub(crate) async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// A queue of names.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<String>,
    waiting: HashSet<String>,
    active: HashMap<String, Again>,
    later: BTreeMap<(Instant, u64), String>,
    due: HashMap<String, (Instant, u64)>,
    failures: HashMap<String, u32>,
    counter: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

impl Queue {
    /// Adds a key, to be looked at as soon as possible.
    pub fn add(&self, key: &str) {
        self.lock().add(key);
        self.wake.notify_one();
    }

    /// Adds a key that nothing is known of: one that waits, now or later, or is being worked on keeps
    /// its own time.
    pub fn add_new(&self, key: &str) {
        let mut state = self.lock();
        if !state.due.contains_key(key) && !state.active.contains_key(key) {
            state.add(key);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Adds a key for later, or sooner if it was to come later still.
    pub fn add_after(&self, key: &str, delay: Duration) {
        self.lock().add_at(key, Instant::now() + delay);
        self.wake.notify_one();
    }

    /// Keys that wait, now or later.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.ready.len() + state.later.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Works until `stop`: at most `concurrency` keys at a time, each with `work`. Work that has
    /// begun is finished.
    pub async fn run<F, E>(
        self: Arc<Self>,
        concurrency: usize,
        stop: CancellationToken,
        work: impl Fn(String) -> F,
    ) where
        F: Future<Output = Result<Next, E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let mut busy = JoinSet::new();
        // Once: listening anew for each key takes locks.
        let mut stopped = std::pin::pin!(stop.cancelled());
        loop {
            while let Some(done) = busy.try_join_next() {
                log_panic(done);
            }
            let next = if busy.len() < concurrency {
                self.lock().take()
            } else {
                Take::Nothing
            };
            match next {
                Take::Key(key) => {
                    // A look is a future of many kilobytes, and is moved five times from here to its
                    // end in a task. In a box only its address is.
                    let (queue, work) = (self.clone(), Box::pin(work(key.clone())));
                    busy.spawn(async move {
                        let finish = Finish {
                            queue: &queue,
                            key: &key,
                        };
                        let result = work.await;
                        finish.with(result);
                    });
                    continue;
                }
                Take::Nothing => {
                    tokio::select! {
                        () = &mut stopped => break,
                        () = self.wake.notified() => {}
                        Some(done) = busy.join_next(), if !busy.is_empty() => log_panic(done),
                    }
                }
                Take::At(due) => {
                    tokio::select! {
                        () = &mut stopped => break,
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                        Some(done) = busy.join_next(), if !busy.is_empty() => log_panic(done),
                    }
                }
            }
        }
        while let Some(done) = busy.join_next().await {
            log_panic(done);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a key as no longer worked on, also when the work panicked.
struct Finish<'a> {
    queue: &'a Queue,
    key: &'a str,
}

impl Finish<'_> {
    fn with<E: std::fmt::Display>(&self, result: Result<Next, E>) {
        let mut state = self.queue.lock();
        match result {
            Ok(next) => {
                state.failures.remove(self.key);
                if let Next::After(delay) = next {
                    state.add_at(self.key, Instant::now() + delay);
                }
            }
            Err(error) => {
                let failures = state.failures.entry(self.key.to_owned()).or_default();
                *failures += 1;
                let delay = delay_after(*failures);
                tracing::warn!(key = self.key, %error, retry_in = ?delay, "could not finish; it will be tried again");
                state.add_at(self.key, Instant::now() + delay);
            }
        }
    }
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let again = state.active.remove(self.key);
        if std::thread::panicking() {
            state.add_at(self.key, Instant::now() + LONGEST_DELAY);
        } else if again == Some(Again::Yes) {
            state.add(self.key);
        }
        drop(state);
        self.queue.wake.notify_one();
    }
}

enum Take {
    Key(String),
    At(Instant),
    Nothing,
}

impl State {
    fn add(&mut self, key: &str) {
        if let Some(due) = self.due.remove(key) {
            self.later.remove(&due);
        }
        if let Some(again) = self.active.get_mut(key) {
            *again = Again::Yes;
        } else if self.waiting.insert(key.to_owned()) {
            self.ready.push_back(key.to_owned());
        }
    }

    fn add_at(&mut self, key: &str, at: Instant) {
        if self.waiting.contains(key) {
            return;
        }
        if let Some(due) = self.due.get(key).copied() {
            if due.0 <= at {
                return;
            }
            self.later.remove(&due);
        }
        self.counter += 1;
        let due = (at, self.counter);
        self.due.insert(key.to_owned(), due);
        self.later.insert(due, key.to_owned());
    }

    fn take(&mut self) -> Take {
        let now = Instant::now();
        while let Some((&due, _)) = self.later.first_key_value() {
            if due.0 > now {
                break;
            }
            if let Some(key) = self.later.remove(&due) {
                self.add(&key);
            }
        }
        if let Some(key) = self.ready.pop_front() {
            self.waiting.remove(&key);
            self.active.insert(key.clone(), Again::No);
            return Take::Key(key);
        }
        match self.later.first_key_value() {
            Some((due, _)) => Take::At(due.0),
            None => Take::Nothing,
        }
    }
}

fn delay_after(failures: u32) -> Duration {
    let factor = 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY)
}

fn log_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        tracing::error!(%error, "a reconcile panicked; its object is tried again in a minute");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn keys(state: &mut State) -> Vec<String> {
        std::iter::from_fn(|| match state.take() {
            Take::Key(key) => Some(key),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn a_key_waits_once_however_often_it_is_added() {
        let mut state = State::default();
        state.add("a");
        state.add("b");
        state.add("a");
        assert_eq!(keys(&mut state), ["a", "b"]);
    }

    #[test]
    fn a_key_that_is_worked_on_is_not_given_out_again() {
        let queue = Queue::default();
        queue.add("a");
        let Take::Key(key) = queue.lock().take() else {
            panic!("nothing to do")
        };
        queue.add("a");
        assert!(matches!(queue.lock().take(), Take::Nothing));
        drop(Finish {
            queue: &queue,
            key: &key,
        });
        assert!(
            matches!(queue.lock().take(), Take::Key(_)),
            "the change in between was lost"
        );
    }

    #[test]
    fn a_key_that_backs_off_is_not_hurried_by_being_new() {
        let queue = Queue::default();
        queue.add_after("a", Duration::from_secs(60));
        queue.add_new("a");
        assert!(matches!(queue.lock().take(), Take::At(_)));
        queue.add_new("b");
        assert!(matches!(queue.lock().take(), Take::Key(key) if key == "b"));
    }

    #[test]
    fn the_sooner_of_two_times_counts() {
        let mut state = State::default();
        let now = Instant::now();
        state.add_at("a", now + Duration::from_secs(60));
        state.add_at("a", now);
        state.add_at("a", now + Duration::from_secs(90));
        assert_eq!(keys(&mut state), ["a"]);
        assert!(state.later.is_empty());
    }

    #[test]
    fn delays_grow_to_a_minute() {
        assert_eq!(delay_after(1), FIRST_DELAY);
        assert_eq!(delay_after(2), FIRST_DELAY * 2);
        assert_eq!(delay_after(40), LONGEST_DELAY);
    }

    #[tokio::test]
    async fn a_failure_is_tried_again_until_it_succeeds() {
        let queue = Arc::new(Queue::default());
        let (stop, tries) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        queue.add("a");
        let (done, seen) = (stop.clone(), tries.clone());
        let work = move |_key| {
            let (done, seen) = (done.clone(), seen.clone());
            async move {
                if seen.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err("not yet");
                }
                done.cancel();
                Ok(Next::Wait)
            }
        };
        queue.run(4, stop, work).await;
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }
}
