//! Agents that speak the protocol and run nothing, as many as are wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crds::Worker;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::DeleteParams;
use protocol::Verdict;
use protocol::worker::assignment::Assignment;
use protocol::worker::key::PublicKey;
use protocol::worker::wire::{Offer, Poll};
use serde_json::json;
use tests::story::{Story, apply};
use tests::worker::Driver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::Result;

/// Workers that are set up at a time.
const AT_A_TIME: usize = 16;
/// How long a gateway may take to know a Worker that was just applied.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// Pause of an agent whose gateway does not answer.
const AGAIN: Duration = Duration::from_millis(100);

/// What agents do with what is offered to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Take it and keep it.
    Hoard,
    /// Take it, and say at once that it passed.
    Pass,
}

/// Workers whose agents are on-line. Dropped, they are gone.
pub struct Agents {
    names: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
    taken: Arc<AtomicUsize>,
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Agents {
    /// Applies the Workers `{pool}-0`, `{pool}-1` … with the label `pool`, and lets their agents come in and ask for
    /// work.
    pub async fn lend(story: &Story, pool: &str, count: usize, habit: Habit) -> Result<Self> {
        let lend = |n: usize| lend_one(story, pool, n);
        let drivers = stream::iter((0..count).map(lend)).buffer_unordered(AT_A_TIME);
        let drivers: Vec<Driver> = drivers.try_collect().await?;
        let keys = match drivers.first() {
            Some(driver) => driver.operator_keys().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let (keys, taken) = (
            Arc::<[PublicKey]>::from(keys),
            Arc::<AtomicUsize>::default(),
        );
        let work = |driver| tokio::spawn(work(driver, habit, keys.clone(), taken.clone()));
        Ok(Self {
            names: (0..count).map(|n| name_of(pool, n)).collect(),
            tasks: drivers.into_iter().map(work).collect(),
            taken: taken.clone(),
        })
    }

    /// Ends them, and takes their Workers away: otherwise the gateway writes down a minute later that each is off-line,
    /// in the middle of what is measured then.
    pub async fn leave(self, story: &Story) -> Result<()> {
        let (api, names) = (story.api::<Worker>(), self.names.clone());
        drop(self);
        let delete = |name: String| {
            let api = &api;
            async move { api.delete(&name, &DeleteParams::default()).await.map(drop) }
        };
        let deleted = stream::iter(names.into_iter().map(delete));
        let deleted = deleted.buffer_unordered(AT_A_TIME);
        deleted.try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Assignments that they took so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

fn name_of(pool: &str, n: usize) -> String {
    format!("{pool}-{n}")
}

async fn lend_one(story: &Story, pool: &str, n: usize) -> Result<Driver> {
    let name = name_of(pool, n);
    let number = u32::try_from(n)? + 1;
    let mut driver = Driver::new(&story.gateway().workers_url(), &name, number);
    let spec = json!({
        "contact": "Ada <ada@example.org>", "labels": { "pool": pool }, "slots": 16,
        "publicKeys": [driver.public_key()],
    });
    let _: Worker = apply(&story.api(), &name, json!({ "spec": spec })).await;
    let began = Instant::now();
    while let Err(fault) = driver.open().await {
        if began.elapsed() > KNOWN_WITHIN {
            return Err(format!("{name} does not come in: {fault:?}").into());
        }
        sleep(AGAIN).await;
    }
    Ok(driver)
}

/// Asks for work for ever.
async fn work(mut driver: Driver, habit: Habit, keys: Arc<[PublicKey]>, taken: Arc<AtomicUsize>) {
    let said = Poll {
        free_slots: 1,
        ..Poll::default()
    };
    loop {
        match driver.poll(&said).await {
            Ok(answer) => {
                if let Some(offer) = answer.offer
                    && driver.accept(&offer.id).await.is_ok()
                {
                    taken.fetch_add(1, Ordering::Relaxed);
                    if habit == Habit::Pass {
                        pass(&mut driver, &offer, &keys).await;
                    }
                }
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn pass(driver: &mut Driver, offer: &Offer, keys: &[PublicKey]) {
    let Ok(ordered) = offer.signed.open::<Assignment>(keys) else {
        return;
    };
    let passed = driver.ran(&offer.id, &ordered, Verdict::Passed, 0);
    while driver.complete(&passed).await.is_err() {
        sleep(AGAIN).await;
    }
}
