//! One machine with the real agent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crds::{Assignment, BuilderSpec};
use futures::StreamExt as _;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tests::cluster::{Binary, eventually};
use tests::story::{ADA, REPO, Story};
use tests::worker::{Lent, Machine};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::super::load::Sample;
use super::super::procfs;
use crate::Result;

/// Seconds between two heartbeats, and those that processes get to end by themselves (docs/workers.md).
pub const HEARTBEAT: f64 = 10.0;
pub const GRACE: f64 = 5.0;
/// Name of its Worker.
const NAME: &str = "real";
const PATIENCE: Duration = Duration::from_secs(60);

/// The machine, and a directory that its builds and the bench see.
pub struct Real {
    machine: Machine,
    dir: PathBuf,
}

impl Real {
    /// Lends the machine that this runs on, to the builders `real` and `slow`.
    pub async fn lend(story: &Story) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("prbuild-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let lent = Lent {
            program: &Binary::Agent.path()?,
            dir: dir.join("machine"),
            server: &story.gateway().workers_url(),
            name: NAME,
            operator: &story.gateway().operator_fingerprint()?,
            labels: &[],
        };
        let machine = Machine::lend(story, lent).await?;
        let at = dir.display();
        let began = format!("date +%s%N > {at}/began.new && mv {at}/began.new {at}/began");
        story.builder("real", on(NAME, "real", began)).await;
        let sleeps = format!("sleep 600 & echo $! > {at}/pid.new; mv {at}/pid.new {at}/pid; wait");
        story.builder("slow", on(NAME, "slow", sleeps)).await;
        Ok(Self { machine, dir })
    }

    /// Seconds from the moment that a watch shows an assignment until its first step begins, median.
    pub async fn begins(&self, story: &Story, runs: usize) -> Result<f64> {
        let mut made = watch(story.api());
        let file = self.dir.join("began");
        let mut took = Vec::new();
        for n in 0..=runs {
            let number = story
                .open_pull_request(&format!("real-{n}"), &[("README", &n.to_string())])
                .await;
            let build = story.name_of(number, story.forge.add_label(REPO, number, "real", ADA));
            let offered = tokio::time::timeout(PATIENCE, made.recv()).await?;
            let offered = offered.ok_or("the watch of assignments ended")?;
            let began: f64 = appears(&file).await?.trim().parse::<f64>()? / 1e9;
            std::fs::remove_file(&file)?;
            story.complete(&build).await;
            // The first one fills the mirror.
            if n > 0 {
                took.push(began - offered);
            }
        }
        Ok(Sample::from(took).p50())
    }

    /// Seconds of a checkout by hand: what git takes for one commit, fetched into a mirror that has its parent.
    pub async fn checkout(&self, story: &Story, runs: usize) -> Result<f64> {
        let (mirror, tree) = (self.dir.join("mirror"), self.dir.join("tree"));
        let url = format!(
            "{}/{REPO}.git",
            story.forge.git_url(story.forge.address().ip())
        );
        git(&self.dir, &["init", "--quiet", "--bare", "mirror"])?;
        let mut took = Vec::new();
        for n in 0..=runs {
            let number = story
                .open_pull_request(&format!("bare-{n}"), &[("README", &n.to_string())])
                .await;
            let sha = story.forge.pull_request(REPO, number).head_sha;
            std::fs::create_dir_all(&tree)?;
            let began = Instant::now();
            git(
                &mirror,
                &["fetch", "--quiet", "--depth=1", "--no-tags", &url, &sha],
            )?;
            let work = format!("--work-tree={}", tree.display());
            git(&mirror, &[&work, "checkout", "--quiet", "--force", &sha])?;
            if n > 0 {
                took.push(began.elapsed().as_secs_f64());
            }
            std::fs::remove_dir_all(&tree)?;
        }
        Ok(Sample::from(took).p50())
    }

    /// Seconds from the wish to cancel until the last process of a build is gone, the longest of three.
    pub async fn is_stopped(&self, story: &Story) -> Result<f64> {
        let file = self.dir.join("pid");
        let mut longest: f64 = 0.0;
        for n in 0..3 {
            let number = story
                .open_pull_request(&format!("slow-{n}"), &[("README", &n.to_string())])
                .await;
            let build = story.name_of(number, story.forge.add_label(REPO, number, "slow", ADA));
            let pid = appears(&file).await?;
            std::fs::remove_file(&file)?;
            let process = PathBuf::from(format!("/proc/{}", pid.trim()));
            let began = Instant::now();
            story.cancel(&build).await;
            while process.exists() {
                if began.elapsed() > PATIENCE {
                    return Err(format!("{} is still there", process.display()).into());
                }
                sleep(Duration::from_millis(10)).await;
            }
            longest = longest.max(began.elapsed().as_secs_f64());
            story.complete(&build).await;
        }
        Ok(longest)
    }

    /// Resident bytes of the agent, which has nothing to do.
    pub fn idle(&self) -> Result<f64> {
        procfs::resident(self.machine.pid())
    }

    /// Ends the agent.
    pub async fn end(self) {
        self.machine.end().await;
        // Nobody else has it.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn on(worker: &str, tag: &str, script: String) -> impl FnOnce(&mut BuilderSpec) {
    let (worker, tag) = (worker.to_owned(), tag.to_owned());
    move |spec| {
        spec.tags = vec![tag];
        spec.kubernetes = None;
        spec.worker = serde_json::from_value(json!({ "name": worker, "allowShared": true })).ok();
        spec.steps[0].run = script;
    }
}

/// When each assignment was first seen, in seconds since 1970.
fn watch(api: Api<Assignment>) -> mpsc::UnboundedReceiver<f64> {
    let (seen, when) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut known = std::collections::HashSet::new();
        let stream = watcher(api, watcher::Config::default()).applied_objects();
        let mut stream = std::pin::pin!(stream);
        while let Some(next) = stream.next().await {
            let Ok(assignment) = next else { continue };
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            if known.insert(assignment.metadata.uid) && seen.send(now.as_secs_f64()).is_err() {
                return;
            }
        }
    });
    when
}

/// The text of a file, as soon as it is there.
async fn appears(file: &Path) -> Result<String> {
    eventually(
        format!("{} appears", file.display()),
        PATIENCE,
        async || file.exists().then_some(()).ok_or("not yet".to_owned()),
    )
    .await;
    Ok(std::fs::read_to_string(file)?)
}

fn git(dir: &Path, args: &[&str]) -> Result<()> {
    let status = Command::new("git").current_dir(dir).args(args).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("git {}: {status}", args.join(" ")).into()),
    }
}
