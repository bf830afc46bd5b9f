//! What was last seen of each Repository on GitHub, and when it is looked at again.
//!
//! What is wrong is looked at again after as long as it has lasted, within bounds: a mistake that is
//! corrected at once is forgotten at once, and one that lasts, or an outage, costs next to nothing.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::Repository;
use kube::ResourceExt;
use tokio::time::Instant;

use super::entrance::{Probe, Webhooks};

/// How often GitHub is asked about a repository that is built.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How often about one that something keeps from being built: from, to.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// How often it is asked while it does not answer: from, to.
const LOOK_FOR_GITHUB: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// How often a connection is looked for that is not mounted. Nobody is asked.
const LOOK_FOR_CONNECTION: Duration = Duration::from_secs(2);
/// How often the webhook is looked at.
const PROBE_EVERY: Duration = Duration::from_secs(3600);
/// How often while something is wrong with it: from, to.
const PROBE_AGAIN: (Duration, Duration) = (Duration::from_secs(300), PROBE_EVERY);
/// How old what another Repository of the App saw may be after a change of the spec.
const FRESH: Duration = Duration::from_secs(60);

/// How a Repository stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is built, perhaps not with all that its spec asks for.
    Builds,
    /// Its connection is not mounted.
    NoConnection,
    /// GitHub does not answer.
    Away,
    /// Something keeps it from being built.
    Faulty,
}

/// Whether a webhook is to be looked at.
#[derive(Clone, Debug)]
pub enum Due {
    /// Not yet: this is known.
    Known(Box<Probe>),
    /// Now.
    Now {
        /// What was seen of the same spec before.
        before: Option<Box<Probe>>,
        /// How old what another Repository saw of the same App may be.
        shared: Duration,
    },
}

/// What was last seen of each Repository on GitHub. All of it can be lost.
#[derive(Default)]
pub struct Probed(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    glances: HashMap<String, Glance>,
    /// Since when a Repository of this generation is not built.
    faulty: HashMap<String, (Option<i64>, Instant)>,
    /// By connection.
    apps: HashMap<String, Arc<AppGlance>>,
}

/// The App's webhook, and when it was looked at. Whoever looks holds the lock.
type AppGlance = tokio::sync::Mutex<Option<(Instant, Webhooks)>>;

struct Glance {
    generation: Option<i64>,
    at: Instant,
    probe: Probe,
    /// Since when something is wrong.
    wrong_since: Option<Instant>,
}

impl Probed {
    /// When GitHub is asked about a Repository again.
    pub fn next_look(&self, repository: &Repository, standing: Standing, now: Instant) -> Duration {
        let (name, generation) = (repository.name_any(), repository.metadata.generation);
        let mut memory = self.memory();
        let bounds = match standing {
            Standing::Builds => {
                memory.faulty.remove(&name);
                return LOOK_EVERY;
            }
            Standing::NoConnection => return LOOK_FOR_CONNECTION,
            Standing::Away => LOOK_FOR_GITHUB,
            Standing::Faulty => LOOK_AGAIN,
        };
        let began = memory.faulty.entry(name).or_insert((generation, now));
        if began.0 != generation {
            *began = (generation, now);
        }
        as_long_again(now - began.1, bounds)
    }

    /// Whether the webhook of a Repository is to be looked at: when its spec changed, every hour, and
    /// more often while something is wrong.
    pub fn due(&self, repository: &Repository, now: Instant) -> Due {
        let memory = self.memory();
        let generation = repository.metadata.generation;
        let glance = memory.glances.get(&repository.name_any());
        let Some(glance) = glance.filter(|glance| glance.generation == generation) else {
            return Due::Now {
                before: None,
                shared: FRESH,
            };
        };
        let lasts = glance.wrong_since.map_or(PROBE_EVERY, |since| {
            as_long_again(glance.at - since, PROBE_AGAIN)
        });
        let probe = Box::new(glance.probe.clone());
        match now - glance.at < lasts {
            true => Due::Known(probe),
            false => Due::Now {
                before: Some(probe),
                shared: lasts / 2,
            },
        }
    }

    /// Notes what was seen of a webhook.
    pub fn learn(&self, repository: &Repository, probe: Probe, is_well: bool, now: Instant) {
        let (name, generation) = (repository.name_any(), repository.metadata.generation);
        let mut memory = self.memory();
        let before = memory.glances.get(&name);
        let wrong_since = before
            .filter(|before| before.generation == generation)
            .and_then(|before| before.wrong_since)
            .unwrap_or(now);
        let glance = Glance {
            generation,
            at: now,
            probe,
            wrong_since: (!is_well).then_some(wrong_since),
        };
        memory.glances.insert(name, glance);
    }

    /// The webhook of a connection's App: what another Repository saw lately, else by `look`.
    pub async fn of_app(
        &self,
        connection: &str,
        shared: Duration,
        look: impl Future<Output = Webhooks>,
    ) -> Webhooks {
        let app = Arc::clone(self.memory().apps.entry(connection.to_owned()).or_default());
        let mut seen = app.lock().await;
        if let Some((at, webhooks)) = seen.as_ref()
            && at.elapsed() < shared
        {
            return webhooks.clone();
        }
        let webhooks = look.await;
        *seen = Some((Instant::now(), webhooks.clone()));
        webhooks
    }

    /// Forgets Repositories that are gone.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        let mut memory = self.memory();
        memory.glances.retain(|name, _| is_there(name));
        memory.faulty.retain(|name, _| is_there(name));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_long_again(lasted: Duration, (from, to): (Duration, Duration)) -> Duration {
    lasted.clamp(from, to)
}

#[cfg(test)]
#[path = "probed_tests.rs"]
mod tests;
