//! The load: labels at a fixed rate whatever comes of them, and a record of when what was seen.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::{LabelRule, RepositorySpec};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tests::forge::{Delivery, DeliveryOutcome, Forge};
use tests::story::{ADA, REPO, Story};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::missing::Missing;
use crate::Result;

/// How long the last result of a scenario is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked for, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The label.
    pub label: &'static str,
    /// Builders that it selects.
    pub builders: usize,
    /// Labels in all.
    pub events: usize,
    /// Labels a second.
    pub per_second: f64,
}

/// The labels of the bench: one builder, ten without a limit, ten with one.
pub fn labels(spec: &mut RepositorySpec) {
    let label = |name: &str, tag: &str| LabelRule {
        name: name.to_owned(),
        flavour: crds::default_flavour(),
        tags: vec![tag.to_owned()],
        ..LabelRule::default()
    };
    spec.labels = vec![
        label("one", "n0"),
        label("many", "free"),
        label("limited", "limited"),
    ];
}

/// Pull requests to label, and what was seen of them.
pub struct Load {
    pulls: Vec<Pull>,
    next: usize,
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

struct Pull {
    number: u64,
    head: String,
}

#[derive(Default)]
struct Seen {
    /// Final statuses by commit.
    finals: HashMap<String, Vec<Instant>>,
    /// Jobs by pull request.
    jobs: HashMap<String, Vec<Instant>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Times of one scenario, in seconds.
#[derive(Debug, Default)]
pub struct Times {
    /// From sending a delivery to its answer.
    pub ack: Sample,
    /// From that answer to the first Job, as a watch saw it.
    pub job_after_ack: Sample,
    /// From the label to the last builder's final status.
    pub last: Sample,
    /// Deliveries that the webhook did not take, and that were sent again.
    pub refused: usize,
    events: usize,
    span: f64,
}

impl Times {
    /// Builds of the scenario.
    pub fn builds(&self) -> f64 {
        self.events as f64
    }

    /// Builds a second, from the first label to the last status.
    pub fn drained(&self) -> f64 {
        self.events as f64 / self.span
    }
}

/// Numbers of which quantiles are told.
#[derive(Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    fn add(&mut self, value: f64) {
        let at = self.0.partition_point(|known| *known <= value);
        self.0.insert(at, value);
    }

    fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        let index = (last * share).round() as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    pub fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    /// All but the highest hundredth lie below.
    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }
}

impl From<Vec<f64>> for Sample {
    fn from(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Load {
    /// Opens pull requests, each with a head of its own, and begins to watch.
    pub async fn prepare(story: &Story, pulls: usize) -> Self {
        let mut made = Vec::new();
        for n in 0..pulls {
            let text = n.to_string();
            let number = story
                .open_pull_request(&format!("branch-{n}"), &[("README", &text)])
                .await;
            let head = story.forge.pull_request(REPO, number).head_sha;
            made.push(Pull { number, head });
        }
        let seen = Arc::new(Mutex::new(Seen::default()));
        let jobs = Api::namespaced(story.install.client(), story.install.builds());
        let tasks = vec![
            tokio::spawn(watch_statuses(story.forge.clone(), seen.clone())),
            tokio::spawn(watch_jobs(jobs, seen.clone())),
        ];
        Self {
            pulls: made,
            next: 0,
            seen,
            tasks,
        }
    }

    /// Adds labels at the rate of `shape` and waits for every result. A delivery that the webhook did
    /// not take is sent again, as a person would redeliver it, and counted; its build is as late as
    /// that makes it.
    ///
    /// # Errors
    /// The first label that had no result.
    pub async fn run(
        &mut self,
        story: &Story,
        shape: Shape,
    ) -> std::result::Result<Times, Missing> {
        let deliveries = story.forge.deliveries().len();
        let began = Instant::now();
        let gap = Duration::from_secs_f64(1.0 / shape.per_second);
        let mut sent = Vec::new();
        for event in 0..shape.events {
            let due = began + gap * u32::try_from(event).unwrap_or(u32::MAX);
            sleep_until(due).await;
            let pull = &self.pulls[self.next % self.pulls.len()];
            self.next += 1;
            let before = self.counts(pull);
            story.forge.add_label(REPO, pull.number, shape.label, ADA);
            sent.push((pull.number, pull.head.clone(), due, before));
        }
        let mut times = Times {
            refused: send_again(story, deliveries, shape.events).await,
            events: shape.events,
            ..Times::default()
        };
        let mut asked = Vec::new();
        for (number, head, due, (finals, jobs)) in sent {
            let done = self.until(|seen| {
                seen.finals
                    .get(&head)?
                    .get(finals + shape.builders - 1)
                    .copied()
            });
            let done = done.await.ok_or(Missing {
                number,
                head,
                since: deliveries,
            })?;
            times.last.add((done - due).as_secs_f64());
            times.span = times.span.max((done - began).as_secs_f64());
            asked.push((number, due, jobs));
        }
        // Only now: to read thousands of deliveries takes the time of those who are measured.
        let acks = acks(story, deliveries);
        for (number, due, jobs) in asked {
            let acked = acks.get(&number).copied().unwrap_or(f64::NAN);
            times.ack.add(acked);
            if let Some(job) =
                self.look(|seen| seen.jobs.get(&number.to_string())?.get(jobs).copied())
            {
                times.job_after_ack.add((job - due).as_secs_f64() - acked);
            }
        }
        Ok(times)
    }

    /// Adds labels as fast as possible and waits only until so many pods are there.
    pub async fn start_and_leave(
        &mut self,
        story: &Story,
        label: &str,
        builds: usize,
        jobs: usize,
        patience: Duration,
    ) -> Result<()> {
        let before = self
            .look(|seen| Some(seen.jobs.values().map(Vec::len).sum::<usize>()))
            .unwrap_or(0);
        for _ in 0..builds {
            let pull = &self.pulls[self.next % self.pulls.len()];
            self.next += 1;
            story.forge.add_label(REPO, pull.number, label, ADA);
            story.forge.deliveries_settled().await;
        }
        let all = |seen: &Seen| {
            let now = seen.jobs.values().map(Vec::len).sum::<usize>();
            (now >= before + jobs).then_some(())
        };
        let waited = timeout(patience, self.until(all)).await.ok().flatten();
        waited
            .ok_or_else(|| format!("{jobs} runs did not get their Jobs within {patience:?}").into())
    }

    fn counts(&self, pull: &Pull) -> (usize, usize) {
        self.look(|seen| {
            let finals = seen.finals.get(&pull.head).map_or(0, Vec::len);
            let jobs = seen.jobs.get(&pull.number.to_string()).map_or(0, Vec::len);
            Some((finals, jobs))
        })
        .unwrap_or_default()
    }

    fn look<T>(&self, look: impl Fn(&Seen) -> Option<T>) -> Option<T> {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn until<T>(&self, look: impl Fn(&Seen) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.look(&look) {
                return Some(found);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// How long the webhook took to answer, by pull request.
fn acks(story: &Story, since: usize) -> HashMap<u64, f64> {
    let deliveries = story.forge.deliveries();
    let first = deliveries[since..].iter().filter(|one| !one.redelivery);
    first
        .filter_map(|one| Some((labeled(one)?, one.took.as_secs_f64())))
        .collect()
}

/// The pull request of a delivery that tells of a label.
pub fn labeled(delivery: &Delivery) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct About {
        number: u64,
    }
    if delivery.action.as_deref() != Some("labeled") {
        return None;
    }
    let about: About = serde_json::from_slice(&delivery.payload).ok()?;
    Some(about.number)
}

/// Sends deliveries of labels again until each was taken. Returns how many times one was not.
async fn send_again(story: &Story, since: usize, labels: usize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let (mut taken, mut refused) = (HashSet::new(), HashSet::new());
    while taken.len() < labels && Instant::now() < deadline {
        let all = story.forge.deliveries();
        let of_labels = all[since..]
            .iter()
            .filter(|one| one.action.as_deref() == Some("labeled"));
        for one in of_labels.filter(|one| one.outcome != DeliveryOutcome::Waiting) {
            if (200..300).contains(&one.outcome.code()) {
                taken.insert(one.guid.clone());
            } else if refused.insert(one.id) {
                story.forge.redeliver(one.id);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refused.len()
}

/// Notes when the forge took a final status.
async fn watch_statuses(forge: Forge, seen: Arc<Mutex<Seen>>) {
    let log = forge.log();
    let mut changes = log.changed();
    let (mut read, mut known) = (0, HashMap::<String, usize>::new());
    loop {
        let new = log.since(read);
        read += new.len();
        let now = Instant::now();
        let posts = new.iter().filter(|one| one.method == "POST");
        for sha in posts.filter_map(|one| {
            one.path
                .split_once("/statuses/")
                .map(|(_, sha)| sha.to_owned())
        }) {
            let all = forge.statuses(REPO, &sha);
            let count = known.entry(sha.clone()).or_default();
            let finals = all
                .iter()
                .skip(*count)
                .filter(|status| status.state != "pending")
                .count();
            *count = all.len();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.finals
                .entry(sha)
                .or_default()
                .extend(std::iter::repeat_n(now, finals));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Notes when a watch brought a Job.
async fn watch_jobs(jobs: Api<Job>, seen: Arc<Mutex<Seen>>) {
    let mut known = std::collections::HashSet::new();
    let stream = watcher(jobs, watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut stream = std::pin::pin!(stream.into_stream());
    while let Some(next) = stream.next().await {
        let Ok(job) = next else { continue };
        if let Some(number) = job.labels().get("prbuild.dev/pull-request")
            && known.insert(job.name_any())
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.jobs
                .entry(number.clone())
                .or_default()
                .push(Instant::now());
        }
    }
}
