//! Logs of real pods: what a build prints arrives whole, and stays when everything else is gone.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crds::{BuildResult, BuilderRun, PrBuild, RunPhase};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, LogParams},
};
use tests::{cluster::eventually, story::Story};

use super::{runs, with_pages};
use crate::http_get;

const PATIENCE: Duration = Duration::from_secs(120);

/// A builder of one step, a label, and the run when it has a pod.
pub(super) async fn labelled(story: &Story, script: &str) -> (String, BuilderRun) {
    story.builder("printer", runs(script)).await;
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let name = story.name_of(number, story.label(number));
    let run = eventually("the build has its run", PATIENCE, async || {
        story.runs(&name).await.pop().ok_or("none yet".to_owned())
    })
    .await;
    (name, run)
}

fn log_of(story: &Story, run: &BuilderRun) -> String {
    let uid = run.uid().unwrap();
    format!("{}/r/app/runs/{uid}.txt", story.gateway().pages_url())
}

/// Waits until a log that has ended reads as `what` says.
pub(super) async fn eventually_reads(
    url: &str,
    what: &str,
    reads: impl Fn(&str) -> bool,
) -> String {
    eventually(what, PATIENCE, async || {
        let (status, text) = http_get(url).await?;
        match status == 200 && reads(&text) {
            true => Ok(text),
            false => {
                let tail: String = text
                    .chars()
                    .rev()
                    .take(400)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect();
                Err(format!("{status} {} bytes, … {tail}", text.len()))
            }
        }
    })
    .await
}

/// What Kubernetes has of the log: checkout and build, as the containers printed it.
pub(super) async fn as_kubernetes_knows_it(story: &Story, run: &BuilderRun) -> String {
    let pods = story.pods();
    let all = pods.list(&ListParams::default()).await.unwrap();
    let job = crds::names::job_name(&run.uid().unwrap());
    let pod = all
        .items
        .iter()
        .find(|pod| pod.name_any().starts_with(&job))
        .unwrap();
    let mut text = String::new();
    for container in ["checkout", "build"] {
        let which = LogParams {
            container: Some(container.to_owned()),
            ..LogParams::default()
        };
        text += &pods.logs(&pod.name_any(), &which).await.unwrap();
    }
    text
}

#[tokio::test]
async fn a_log_outlives_job_pod_run_and_build_and_a_restart_of_the_gateway() {
    let mut story = with_pages("outlives").await;
    let (name, run) = labelled(&story, "echo hello from the build; exit 3").await;
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Failed));
    let url = log_of(&story, &run);
    let text = eventually_reads(&url, "the whole log", |text| text.contains("✕ Failed")).await;
    assert!(text.contains("hello from the build\n"), "{text}");
    let number = build.spec.request.number.unsigned_abs();
    let head = story
        .forge
        .pull_request(tests::story::REPO, number)
        .head_sha;
    let details = story
        .forge
        .statuses(tests::story::REPO, &head)
        .pop()
        .unwrap()
        .target_url;
    let page = url.strip_suffix(".txt").unwrap().to_owned();
    assert_eq!(
        details,
        Some(page.clone()),
        "Details opens the page of the run"
    );
    eventually("the record is there", PATIENCE, async || {
        let found = story.api::<BuilderRun>().get(&run.name_any()).await;
        let status = found
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        status
            .recorded
            .then_some(())
            .ok_or_else(|| format!("{status:?}"))
    })
    .await;

    let now = DeleteParams::background();
    story
        .in_builds::<Job>()
        .delete_collection(&now, &ListParams::default())
        .await
        .unwrap();
    story
        .in_builds::<Pod>()
        .delete_collection(&now, &ListParams::default())
        .await
        .unwrap();
    story.api::<PrBuild>().delete(&name, &now).await.unwrap();
    eventually("nothing is left of it", PATIENCE, async || {
        // The run may be gone by itself: it is an orphan now.
        let _ = story
            .api::<BuilderRun>()
            .delete(&run.name_any(), &now)
            .await;
        let pods = story.pods().list(&ListParams::default()).await;
        let (runs, pods) = (
            story.runs(&name).await.len(),
            pods.map_or(1, |all| all.items.len()),
        );
        (runs + pods == 0)
            .then_some(())
            .ok_or(format!("{runs} runs, {pods} pods"))
    })
    .await;
    story.kill_gateway();
    story.restart_gateway().await.unwrap();

    let (status, again) = http_get(&url).await.unwrap();
    assert_eq!((status, again), (200, text));
    let (status, html) = http_get(&page).await.unwrap();
    assert_eq!(status, 200);
    for expected in ["hello from the build", "printer", "exit code 3"] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
    story.end().await;
}

/// Prints numbered lines for some seconds.
const COUNTING: &str = "i=0
while [ $i -lt 400 ]; do
    seq $((i * 200)) $((i * 200 + 199))
    i=$((i + 1))
    sleep 0.05
done";

#[tokio::test]
async fn kill_9_of_gateway_and_sidecar_in_a_loop_costs_no_byte() {
    let mut story = with_pages("killed").await;
    let (name, run) = labelled(&story, COUNTING).await;
    let (uid, url) = (run.uid().unwrap(), log_of(&story, &run));
    let (mut gateways, mut sidecars, mut seen) = (0, 0, 0);
    while grows_beyond(&story, &run, &url, &mut seen).await {
        story.kill_gateway();
        gateways += 1;
        // Kubernetes starts a container that ends again and again ever later, and none any more when
        // the build has ended: a third time would be too late.
        if sidecars < 2 && kill_ship(&uid).is_ok() {
            sidecars += 1;
        }
        story.restart_gateway().await.unwrap();
    }
    assert!(gateways > 2 && sidecars > 0, "{gateways} and {sidecars}");
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    let expected = as_kubernetes_knows_it(&story, &run).await;
    let whole = |text: &str| text.len() >= expected.len();
    let text = eventually_reads(&log_of(&story, &run), "the whole log", whole).await;
    assert!(text.contains("\n79999\n"));
    assert!(
        text == expected,
        "the logs differ: {} and {} bytes",
        text.len(),
        expected.len()
    );
    story.end().await;
}

/// Waits until more of a log is there than was seen before. False: the run has ended.
async fn grows_beyond(story: &Story, run: &BuilderRun, url: &str, seen: &mut usize) -> bool {
    let name = run.name_any();
    eventually("the log grows or the run ends", PATIENCE, async || {
        let found = story.api::<BuilderRun>().get(&name).await;
        let status = found.map_err(|error| error.to_string())?.status;
        if status.unwrap_or_default().phase.is_terminal() {
            return Ok(false);
        }
        let (_, text) = http_get(url).await?;
        let grew = text.len() > *seen;
        *seen = (*seen).max(text.len());
        grew.then_some(true).ok_or(format!("{} bytes", text.len()))
    })
    .await
}

/// Kills the sidecar of a run, as a crash would: how many processes that were.
fn kill_ship(run: &str) -> Result<usize, String> {
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")
        .map_err(|error| error.to_string())?
        .flatten()
    {
        let pid: Option<i32> = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
            continue;
        };
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        if arguments.contains("ship") && arguments.contains(run) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)
                .map_err(|error| error.to_string())?;
            killed += 1;
        }
    }
    match killed {
        0 => Err("it does not run".to_owned()),
        _ => Ok(killed),
    }
}

#[tokio::test]
async fn a_build_goes_on_and_is_told_while_no_log_can_be_stored() {
    let mut story = with_pages("no-gateway").await;
    story.kill_gateway();
    let (name, run) = labelled(&story, "echo nobody stores this yet").await;
    let run = run.name_any();
    story
        .eventually_in("it passed", &run, |run: &BuilderRun| {
            let status = run.status.clone().unwrap_or_default();
            (status.phase == RunPhase::Succeeded)
                .then_some(())
                .ok_or(format!("{status:?}"))
        })
        .await;
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.restart_gateway().await.unwrap();
    let run = story.api::<BuilderRun>().get(&run).await.unwrap();
    let stored = |text: &str| text.contains("nobody stores this yet\n");
    eventually_reads(&log_of(&story, &run), "the log arrives afterwards", stored).await;
    story.end().await;
}

/// A small disk over a directory. It goes with this.
struct Disk(PathBuf);

impl Disk {
    fn over(directory: &Path) -> Self {
        let disk = Self(directory.to_owned());
        disk.mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        disk
    }

    fn grow(&self) {
        self.mount(&["-o", "remount,size=64m"]);
    }

    fn mount(&self, how: &[&str]) {
        let mounted = Command::new("mount").args(how).arg(&self.0).status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        assert!(is_mounted, "no disk of {how:?} at {}", self.0.display());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A gateway may just have a file of it open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Prints more than the disk holds and the gateway keeps in memory, and nothing that packing makes less of.
const MUCH: &str = "head -c 8000000 /dev/urandom; echo; echo all is printed";

#[tokio::test]
async fn a_build_passes_while_the_disk_of_the_store_is_full_and_its_log_arrives_when_there_is_room()
{
    const NOTE: &str = "The store of logs is away or full";
    let story = with_pages("full").await;
    let disk = Disk::over(&story.gateway().store);
    let (name, run) = labelled(&story, MUCH).await;
    let url = log_of(&story, &run);
    let page = url.strip_suffix(".txt").unwrap();
    let says_so = async |is_said: bool| {
        let (status, html) = http_get(page).await?;
        match status == 200 && html.contains(NOTE) == is_said {
            true => Ok(()),
            false => Err(format!("{status}, {} bytes", html.len())),
        }
    };
    let what = "the page says that the store is full";
    eventually(what, PATIENCE, async || says_so(true).await).await;
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    eventually(what, PATIENCE, async || says_so(true).await).await;
    disk.grow();
    let whole = |text: &str| text.contains("\nall is printed\n");
    eventually_reads(&url, "the log arrives when there is room", whole).await;
    let what = "the page says nothing of it any more";
    eventually(what, PATIENCE, async || says_so(false).await).await;
    drop(disk);
    story.end().await;
}

/// Replaces the spool under the sidecar's eyes by all that is not a log.
const HOSTILE: &str = "
echo before the attack
sleep 1
ls -la /spool
rm -f /spool/log && ln -s /proc/self/environ /spool/log
sleep 1
rm -f /spool/log && mkfifo /spool/log
sleep 1
rm -rf /spool/log && mkdir /spool/log
sleep 1
rm -rf /spool/log && truncate -s 1T /spool/log
sleep 1
truncate -s 5 /spool/log
rm -f /spool/marks && ln -s ../../proc/1/environ /spool/marks
echo after the attack";

#[tokio::test]
async fn a_build_that_attacks_its_spool_gains_nothing_and_breaks_only_its_own_log() {
    let story = with_pages("spool").await;
    let (name, run) = labelled(&story, HOSTILE).await;
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    // The sidecar had opened the file before it was replaced, or it had not: then it says so.
    let over = |text: &str| {
        text.contains("\nafter the attack\n") || text.contains("\n▲ The log ends here")
    };
    let text = eventually_reads(&log_of(&story, &run), "the log is at its end", over).await;
    assert!(text.contains("checked out "), "what was sent stays: {text}");
    assert!(!text.contains("PRBUILD_LOG_TOKEN"), "{text}");
    let other = story.open_pull_request("other", &[("README", "y\n")]).await;
    story.builder("printer", runs("echo as ever")).await;
    let name = story.name_of(other, story.label(other));
    story.complete_within(&name, PATIENCE).await;
    let run = story.runs(&name).await.pop().unwrap();
    let well = |text: &str| text.contains("as ever\n");
    eventually_reads(&log_of(&story, &run), "the next log is whole", well).await;
    story.end().await;
}
