//! One machine with the real agent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crds::{Assignment, BuilderSpec};
use futures::StreamExt as _;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use protocol::log::{Mark, MarkKind, SPOOL_MARKS};
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
        story.builder("real", on(NAME, "real", tells(&dir))).await;
        let sleeps = format!("sleep 600 & echo $! > {at}/pid.new; mv {at}/pid.new {at}/pid; wait");
        story.builder("slow", on(NAME, "slow", sleeps)).await;
        Ok(Self { machine, dir })
    }

    /// How long runs take to begin, median.
    pub async fn begins(&self, story: &Story, runs: usize) -> Result<Beginning> {
        let mut made = watch(story.api(), "real");
        let file = self.dir.join("began");
        let (mut beyond, mut checkouts) = (Vec::new(), Vec::new());
        for n in 0..=runs {
            let number = story
                .open_pull_request(&format!("real-{n}"), &[("README", &n.to_string())])
                .await;
            let build = story.name_of(number, story.forge.add_label(REPO, number, "real", ADA));
            let offered = tokio::time::timeout(PATIENCE, made.recv()).await?;
            let offered = offered.ok_or("the watch of assignments ended")?;
            let began: f64 = appears(&file).await?.trim().parse::<f64>()? / 1e9;
            let checkout = checkout_in(&std::fs::read_to_string(self.dir.join("marks"))?)?;
            std::fs::remove_file(&file)?;
            story.complete(&build).await;
            // The first one warms the disk.
            if n > 0 {
                beyond.push(began - offered - checkout);
                checkouts.push(checkout);
            }
        }
        Ok(Beginning {
            beyond: Sample::from(beyond).p50(),
            checkout: Sample::from(checkouts).p50(),
        })
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

    /// What the agent costs while it has nothing to do for that long.
    pub async fn idle(&self, time: Duration) -> Result<Idle> {
        let (before, began) = (procfs::cpu(self.machine.pid())?, Instant::now());
        sleep(time).await;
        let used = procfs::cpu(self.machine.pid())? - before;
        Ok(Idle {
            core: used / began.elapsed().as_secs_f64(),
            resident: procfs::resident(self.machine.pid())?,
            program: std::fs::metadata(Binary::Agent.path()?)?.len() as f64,
        })
    }

    /// Ends the agent.
    pub async fn end(self) {
        self.machine.end().await;
        // Nobody else has it.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// How long runs take to begin.
pub struct Beginning {
    /// Seconds from the moment that a watch shows an assignment until its first step begins, without its checkout:
    /// more than from the offer, which comes after that.
    pub beyond: f64,
    /// Seconds of its checkout.
    pub checkout: f64,
}

/// What an agent costs that has nothing to do.
pub struct Idle {
    /// Share of a core.
    pub core: f64,
    /// Resident bytes.
    pub resident: f64,
    /// Bytes of the program.
    pub program: f64,
}

/// A step that says when it began, and what the agent has noted of the checkout before it.
fn tells(dir: &Path) -> String {
    let at = dir.display();
    format!(
        "date +%s%N >{at}/now\n\
         marks=$(ls -t {at}/machine/state/agent/spool/*/build/{SPOOL_MARKS} | head -n 1)\n\
         until grep -q '\"mark\":\"end\"' \"$marks\"; do sleep 0.01; done\n\
         cp \"$marks\" {at}/marks && mv {at}/now {at}/began"
    )
}

/// Seconds of the checkout, step 0, by the marks of a log.
fn checkout_in(marks: &str) -> Result<f64> {
    let marks: Vec<Mark> = marks
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let at = |is_it: fn(&MarkKind) -> bool| {
        let found = marks.iter().find(|mark| is_it(&mark.what));
        found.map(|mark| mark.ms as f64 / 1e3)
    };
    let began = at(|what| matches!(what, MarkKind::Step { n: 0, .. }));
    let ended = at(|what| matches!(what, MarkKind::End { n: 0, .. }));
    match (began, ended) {
        (Some(began), Some(ended)) => Ok(ended - began),
        _ => Err(format!("the log has no marks of a checkout: {marks:?}").into()),
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

/// When each assignment of a builder was first seen, in seconds since 1970.
fn watch(api: Api<Assignment>, builder: &str) -> mpsc::UnboundedReceiver<f64> {
    let (seen, when) = mpsc::unbounded_channel();
    let builder = builder.to_owned();
    tokio::spawn(async move {
        let mut known = std::collections::HashSet::new();
        let stream = watcher(api, watcher::Config::default()).applied_objects();
        let mut stream = std::pin::pin!(stream);
        while let Some(next) = stream.next().await {
            let Ok(assignment) = next else { continue };
            if assignment.spec.builder != builder {
                continue;
            }
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
