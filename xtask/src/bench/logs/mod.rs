//! `cargo xtask bench logs`: how fast logs are taken in, shown and followed, with the same bytes
//! through the same compression as a floor.

mod sender;
mod viewer;

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use http::Request;
use http_body_util::{BodyExt, Full};
use protocol::log::{SPOOL_END, SPOOL_LOG, SpoolEnd};
use protocol::record::{BuilderHistory, HistoryRun, PullRef, RunRecord, RunResult};
use tests::cluster::{Binary, ControlPlane};
use tests::story::{Setting, Story};
use tokio::time::{Instant, sleep, sleep_until};

use super::load::Sample;
use super::procfs;
use super::table::{Goal, Table};
use crate::Result;
use sender::{Chunk, Http, Sender, client, lines};
use viewer::Viewers;

/// Bytes of one chunk of a log that is sent as fast as it goes.
const CHUNK: usize = 1 << 20;
/// Logs that are sent at once, and chunks of each: the last of them is looked at, too.
const LOGS: usize = 8;
const CHUNKS: usize = 100;
/// Logs that go on at the same time, each with 100 kB/s.
const STREAMS: usize = 200;
const PACE: Duration = Duration::from_millis(200);
const PIECE: usize = 20_000;
/// Viewers of one log.
const VIEWERS: usize = 2000;

/// A gateway and the numbers.
pub struct Logs {
    story: Story,
    http: Http,
    quick: bool,
    table: Table,
}

impl Logs {
    /// Measures everything.
    pub async fn measure(plane: &ControlPlane, quick: bool) -> Result<Table> {
        let setting = Setting {
            validate: false,
            ..Setting::default()
        };
        let mut story = Story::begin(plane.access(), "bench-logs", setting).await?;
        story.start_gateway().await?;
        let mut logs = Self {
            story,
            http: client(),
            quick,
            table: Table::default(),
        };
        logs.visible().await?;
        logs.many_streams().await?;
        logs.many_viewers().await?;
        logs.taken_in().await?;
        logs.page_of_a_long_log().await?;
        logs.history().await?;
        logs.story.end().await;
        Ok(logs.table)
    }

    fn sender(&self, run: &str) -> Sender {
        Sender::new(&self.http, self.story.gateway(), run)
    }

    fn pid(&mut self) -> Result<u32> {
        self.story
            .gateway_pid()
            .ok_or_else(|| "there is no gateway".into())
    }

    /// Megabytes of log that one core takes in a second, and what the same bytes cost without us.
    async fn taken_in(&mut self) -> Result<()> {
        let chunks = if self.quick { CHUNKS / 10 } else { CHUNKS };
        let prepared: Vec<Chunk> = (0..8)
            .map(|n| Chunk::of(&lines(n * 10_000, CHUNK)))
            .collect::<Result<_>>()?;
        let total = (LOGS * chunks * CHUNK) as f64 / 1e6;
        let floor = total / floor(&prepared, LOGS * chunks)?;
        let pid = self.pid()?;
        let (before, began) = (procfs::cpu(pid)?, Instant::now());
        let senders = (0..LOGS).map(|n| {
            let mut sender = self.sender(&uid(n));
            let prepared = &prepared;
            async move {
                for chunk in prepared.iter().cycle().take(chunks) {
                    sender.send(chunk).await?;
                }
                sender.end().await
            }
        });
        try_join_all(senders).await?;
        let wall = began.elapsed().as_secs_f64();
        let cpu = procfs::cpu(pid)? - before;
        self.table.rate(
            "log taken in, MB a second of one core",
            total / cpu,
            Goal::AtLeast(150.0),
            "",
        );
        self.table.share(
            "… beside the same bytes through zstd",
            total / cpu,
            floor,
            Goal::None,
        );
        self.table.rate(
            "… MB a second, sender on the same machine",
            total / wall,
            Goal::None,
            "",
        );
        Ok(())
    }

    /// The page of a log of 100 MB that has ended: first byte, and size of the first screen.
    async fn page_of_a_long_log(&mut self) -> Result<()> {
        self.story.gateway().put_run(&record(&uid(0))).await?;
        let path = format!("/r/app/runs/{}", uid(0));
        let (mut first, mut size) = (Vec::new(), 0);
        for _ in 0..20 {
            let (took, bytes) = self.get(&path).await?;
            first.push(took);
            size = bytes;
        }
        self.table.time(
            "page of a log of 100 MB: first byte",
            Sample::from(first).p50(),
            Goal::AtMost(0.05),
            "",
        );
        self.table
            .count("… its size, kB", size as f64 / 1e3, Goal::AtMost(100.0), "");
        Ok(())
    }

    async fn history(&mut self) -> Result<()> {
        let run = |n: i64| HistoryRun {
            run: uid(usize::try_from(n).unwrap_or(0)),
            repository: "app".to_owned(),
            number: n % 40,
            head_sha: format!("{n:040x}"),
            base_ref: "main".to_owned(),
            result: if n % 5 == 0 {
                RunResult::Failed
            } else {
                RunResult::Passed
            },
            warning: false,
            finished_ms: 1_790_000_000_000 + n * 1000,
            seconds: Some(600.0 + n as f64),
            failures: vec![format!("test_{}", n % 7)],
        };
        let history = BuilderHistory {
            builder: "linux".to_owned(),
            display_name: "Linux".to_owned(),
            runs: (0..200).rev().map(run).collect(),
        };
        self.story.gateway().put_history(&history).await?;
        let mut took = Vec::new();
        for _ in 0..20 {
            took.push(self.get("/builders/linux").await?.0);
        }
        self.table.time(
            "history of a builder, 200 runs",
            Sample::from(took).p50(),
            Goal::AtMost(0.05),
            "",
        );
        Ok(())
    }

    /// Memory with many logs that go on.
    async fn many_streams(&mut self) -> Result<()> {
        let pid = self.pid()?;
        let seconds = if self.quick { 2 } else { 15 };
        let pieces = seconds * 1000 / u32::try_from(PACE.as_millis())?;
        let chunk = Chunk::of(&lines(0, PIECE))?;
        let (before, began) = (procfs::cpu(pid)?, Instant::now());
        let senders = (0..STREAMS).map(|n| {
            let mut sender = self.sender(&uid(1000 + n));
            let chunk = &chunk;
            async move {
                let offset = PACE * u32::try_from(n)? / u32::try_from(STREAMS)?;
                for piece in 0..pieces {
                    sleep_until(began + offset + PACE * piece).await;
                    sender.send(chunk).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        });
        try_join_all(senders).await?;
        let wall = began.elapsed().as_secs_f64();
        let cpu = procfs::cpu(pid)? - before;
        let resident = procfs::resident(pid)?;
        self.table.memory(
            "memory with 200 logs of 100 kB/s",
            resident,
            Goal::AtMost(64e6),
            "",
        );
        self.table
            .count("… share of a core, %", cpu / wall * 100.0, Goal::None, "");
        Ok(())
    }

    /// Many viewers of one live log.
    async fn many_viewers(&mut self) -> Result<()> {
        let run = uid(2000);
        let mut sender = self.sender(&run);
        sender.send(&Chunk::of(b"a log begins\n")?).await?;
        let count = if self.quick { VIEWERS / 10 } else { VIEWERS };
        let path = format!("/r/app/runs/{run}/live?from=0");
        let pages = self.story.gateway().pages;
        let mut viewers = Viewers::open(pages, &path, count, "needle-").await?;
        let mut took = Vec::new();
        for n in 0..10 {
            let sent = Instant::now();
            sender
                .send(&Chunk::of(format!("needle-{n} of the log\n").as_bytes())?)
                .await?;
            took.extend(viewers.see(n, sent).await?);
        }
        let took = Sample::from(took);
        self.table.time(
            "2,000 viewers: sent → seen by one, p50",
            took.p50(),
            Goal::None,
            "",
        );
        self.table.time("… p99", took.p99(), Goal::AtMost(2.0), "");
        Ok(())
    }

    /// From a line in the spool of a pod to an open page.
    async fn visible(&mut self) -> Result<()> {
        let run = uid(3000);
        let dir = self.story.install.dir()?.join("spools");
        let (checkout, build, state) = (dir.join("checkout"), dir.join("build"), dir.join("state"));
        for made in [&checkout, &build, &state] {
            fs::create_dir_all(made)?;
        }
        fs::write(checkout.join(SPOOL_LOG), "checked out\n")?;
        fs::write(
            checkout.join(SPOOL_END),
            serde_json::to_vec(&SpoolEnd { bytes: 12 })?,
        )?;
        let gateway = self.story.gateway();
        let ship = Command::new(Binary::Gateway.path()?.with_file_name("prbuild-agent"))
            .env("PRBUILD_LOG_TOKEN", gateway.log_token(&run))
            .arg("ship")
            .args([
                "--to",
                &gateway.ingest_url(),
                "--repository",
                "app",
                "--run",
                &run,
            ])
            .arg("--checkout")
            .arg(&checkout)
            .arg("--build")
            .arg(&build)
            .arg("--state")
            .arg(&state)
            .spawn()?;
        let _ship = Running(ship);
        let mut spool = fs::File::create(build.join(SPOOL_LOG))?;
        let path = format!("/r/app/runs/{run}/live?from=0");
        let pages = gateway.pages;
        wait_for(&self.http, &format!("http://{pages}{path}")).await?;
        let mut viewers = Viewers::open(pages, &path, 1, "needle-").await?;
        let mut took = Vec::new();
        for n in 0..40 {
            sleep(Duration::from_millis(150 + 7 * n as u64)).await;
            let sent = Instant::now();
            std::io::Write::write_all(&mut spool, format!("needle-{n} printed\n").as_bytes())?;
            took.extend(viewers.see(n, sent).await?);
        }
        let took = Sample::from(took);
        self.table.time(
            "line printed → visible, p50",
            took.p50(),
            Goal::AtMost(0.3),
            "does not follow",
        );
        self.table.time("… p99", took.p99(), Goal::None, "");
        Ok(())
    }

    /// Seconds to the first byte of a page, and its size.
    async fn get(&self, path: &str) -> Result<(f64, usize)> {
        let uri = format!("{}{path}", self.story.gateway().pages_url());
        let began = Instant::now();
        let answer = self
            .http
            .request(Request::get(uri).body(Full::<Bytes>::default())?)
            .await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut size = 0;
        let mut first = None;
        while let Some(frame) = body.frame().await {
            first.get_or_insert_with(|| began.elapsed().as_secs_f64());
            size += frame?.data_ref().map_or(0, Bytes::len);
        }
        match status.is_success() {
            true => Ok((first.unwrap_or_else(|| began.elapsed().as_secs_f64()), size)),
            false => Err(format!("{path}: {status}").into()),
        }
    }
}

/// A process that ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a log is there.
async fn wait_for(http: &Http, uri: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = http
            .request(Request::get(uri).body(Full::<Bytes>::default())?)
            .await?;
        if answer.status().is_success() {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(20) {
            return Err(format!("{uri}: {}", answer.status()).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Processor seconds of what nobody can do without: decompress, hash, compress, store.
fn floor(prepared: &[Chunk], chunks: usize) -> Result<f64> {
    use sha2::{Digest, Sha256};
    let dir = std::env::temp_dir().join(format!("prbuild-floor-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let before = procfs::cpu(std::process::id())?;
    for (n, chunk) in prepared.iter().cycle().take(chunks).enumerate() {
        std::hint::black_box(Sha256::digest(&chunk.body));
        let text = zstd::bulk::decompress(&chunk.body, CHUNK)?;
        for (part, piece) in text.chunks(256 * 1024).enumerate() {
            fs::write(
                dir.join(format!("{n}-{part}")),
                zstd::bulk::compress(piece, 1)?,
            )?;
        }
    }
    let took = procfs::cpu(std::process::id())? - before;
    fs::remove_dir_all(&dir)?;
    Ok(took)
}

/// What the operator keeps of a run that ended.
fn record(uid: &str) -> RunRecord {
    RunRecord {
        name: "app-7-l1-linux-1".to_owned(),
        uid: uid.to_owned(),
        build: "app-7-l1".to_owned(),
        builder: "linux".to_owned(),
        display_name: "Linux".to_owned(),
        attempt: 1,
        pull: PullRef {
            repository: "app".to_owned(),
            full_name: "octo/app".to_owned(),
            url: "https://github.com/octo/app".to_owned(),
            number: 7,
        },
        requester: "ada".to_owned(),
        commit: "c0ffee0123456789c0ffee0123456789c0ffee01".to_owned(),
        parents: Vec::new(),
        tree: None,
        head_sha: "c0ffee0123456789c0ffee0123456789c0ffee01".to_owned(),
        base_ref: "main".to_owned(),
        image: None,
        image_digest: None,
        worker: None,
        signed_logs: Vec::new(),
        result: RunResult::Failed,
        warning: false,
        exit_code: Some(1),
        reason: "the step `test` ended with exit code 1".to_owned(),
        followed: false,
        same_as: None,
        queued_ms: 1_790_000_000_000,
        started_ms: Some(1_790_000_001_000),
        finished_ms: 1_790_000_900_000,
        steps: Vec::new(),
        failures: Vec::new(),
        failures_total: 0,
    }
}

/// The uid of a run.
fn uid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}
