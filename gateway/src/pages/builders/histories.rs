//! The last results of every builder, kept for some seconds: a hundred files are not read for each look at
//! the page.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};

use crate::{
    pages::{
        problem::Problem,
        site::kept,
        strip::{self, Past},
    },
    records::Records,
};

/// How old what is kept may be.
const FRESH: Duration = Duration::from_secs(15);
/// Files that are read at a time.
const AT_A_TIME: usize = 16;

/// The last runs of builders, as they were read last.
#[derive(Default)]
pub struct Histories(Mutex<HashMap<String, Held>>);

#[derive(Clone)]
struct Held {
    read: Instant,
    runs: Arc<Vec<Past>>,
}

/// What was asked for.
pub(super) struct Found {
    /// The last runs of each builder, newest first.
    pub by_name: HashMap<String, Arc<Vec<Past>>>,
    /// Why they may be old or missing.
    pub note: Option<String>,
}

impl Histories {
    /// The last runs of these builders; others are forgotten.
    pub(super) async fn of(&self, records: &Records, names: impl Iterator<Item = String>) -> Found {
        let mut held = self.held();
        let read = stream::iter(names.map(|name| {
            let known = held.remove(&name);
            async move {
                match known {
                    Some(known) if known.read.elapsed() < FRESH => (name, Ok(known)),
                    known => {
                        let read = read(records, &name).await;
                        (name, read.map_err(|problem| (problem, known)))
                    }
                }
            }
        }));
        let read: Vec<_> = read.buffer_unordered(AT_A_TIME).collect().await;
        let mut now = HashMap::new();
        let mut trouble = None;
        for (name, result) in read {
            match result {
                Ok(fresh) => drop(now.insert(name, fresh)),
                Err((problem, old)) => {
                    trouble = Some(problem);
                    now.extend(old.map(|old| (name, old)));
                }
            }
        }
        let runs = |(name, held): (&String, &Held)| (name.clone(), held.runs.clone());
        let by_name = now.iter().map(runs).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Found {
            by_name,
            note: trouble.map(|problem| problem.sentence()),
        }
    }

    fn held(&self) -> HashMap<String, Held> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

async fn read(records: &Records, name: &str) -> Result<Held, Problem> {
    let history = kept(records.builder(name)).await?.unwrap_or_default();
    let runs = history.runs.iter().take(strip::RUNS).map(Past::of);
    Ok(Held {
        read: Instant::now(),
        runs: Arc::new(runs.collect()),
    })
}
