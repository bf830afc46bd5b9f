//! Pages of what has ended: how soon they are there, how small they are, and that they list nothing.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use protocol::record::{BuilderHistory, HistoryRun, PullRef, RunRecord, RunResult};
use tokio::time::Instant;

use super::sender::{Chunk, lines};
use super::{CHUNK, Logs};
use crate::Result;
use crate::bench::load::Sample;
use crate::bench::table::Goal;

/// Chunks of a log of 100 MB. A bench that is quick has no shorter one: that is what it is about.
const LONG: usize = 96;
/// How often each page is asked for.
const TIMES: usize = 20;

/// A page that was asked for.
struct Page {
    status: StatusCode,
    /// Seconds to its first byte.
    first: f64,
    /// Seconds to its last byte.
    whole: f64,
    bytes: usize,
}

impl Logs {
    /// The page of a log of 100 MB that has ended and is one file, first of a gateway that has read nothing
    /// yet. After that every page, of a gateway that counts how often it lists its store.
    pub(super) async fn page_of_a_long_log(&mut self) -> Result<()> {
        let run = self.long_log().await?;
        self.put_history().await?;
        self.restart().await?;
        let path = format!("/r/app/runs/{run}");
        let cold = self.get(&path).await?;
        let mut first = Vec::new();
        for _ in 0..TIMES {
            first.push(self.get(&path).await?.first);
        }
        self.table.time(
            "page of a log of 100 MB: first byte, p50",
            Sample::from(first).p50(),
            Goal::AtMost(0.05),
            "",
        );
        self.table.time(
            "… of a gateway that has read nothing yet",
            cold.first,
            Goal::AtMost(0.05),
            "",
        );
        let size = cold.bytes as f64 / 1e3;
        self.table
            .count("… its size, kB", size, Goal::AtMost(100.0), "");
        let ends = [
            ".json",
            ".txt",
            "?line=500000",
            "?q=TestCase_96",
            "/lines?before=1000",
            "/live?from=0",
            "/state",
        ];
        let mut all: Vec<String> = ends.map(|end| format!("{path}{end}")).into();
        all.extend(
            [
                "/",
                "/builders",
                "/builders/linux",
                "/r/app/pull/7",
                "/r/app/builds/app-7-l1",
                "/r/app/runs/unknown",
            ]
            .map(str::to_owned),
        );
        for page in &all {
            let answered = self.ask(page).await?.status;
            if answered.is_server_error() {
                return Err(format!("{page}: {answered}").into());
            }
        }
        let listings = self.listings().await?;
        self.table.count(
            "… listings of the store by all kinds of pages",
            listings,
            Goal::AtMost(0.0),
            "",
        );
        Ok(())
    }

    /// The uid of a run whose log has 100 MB and has ended.
    async fn long_log(&mut self) -> Result<String> {
        let run = self.uid();
        let mut sender = self.sender(&run);
        for n in 0..LONG {
            sender.send(&Chunk::of(&lines(n * 10_000, CHUNK))?).await?;
        }
        sender.end().await?;
        self.archived(&run).await?;
        self.story.gateway().put_run(&record(&run)).await?;
        Ok(run)
    }

    /// The page of a builder with as many results as are kept.
    pub(super) async fn history(&mut self) -> Result<()> {
        self.put_history().await?;
        let mut took = Vec::new();
        for _ in 0..TIMES {
            took.push(self.get("/builders/linux").await?.whole);
        }
        self.table.time(
            "history of a builder, 200 runs: last byte, p50",
            Sample::from(took).p50(),
            Goal::AtMost(0.05),
            "",
        );
        Ok(())
    }

    async fn put_history(&mut self) -> Result<()> {
        let runs: Vec<String> = (0..200).map(|_| self.uid()).collect();
        let run = |(n, run): (i64, &String)| HistoryRun {
            run: run.clone(),
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
            finished_ms: 1_790_000_000_000 - n * 1000,
            seconds: Some(600.0 + n as f64),
            failures: vec![format!("test_{}", n % 7)],
        };
        let history = BuilderHistory {
            builder: "linux".to_owned(),
            display_name: "Linux".to_owned(),
            runs: (0..).zip(&runs).map(run).collect(),
        };
        self.story.gateway().put_history(&history).await?;
        Ok(())
    }

    /// How often the gateway has listed its store since it started.
    async fn listings(&self) -> Result<f64> {
        let uri = format!("http://{}/metrics", self.story.gateway().metrics);
        let request = Request::get(uri).body(Full::<Bytes>::default())?;
        let body = self.http.request(request).await?.into_body();
        let text = String::from_utf8(body.collect().await?.to_bytes().into())?;
        let name = "prbuild_gateway_store_listings_total ";
        let count = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(count.ok_or("the gateway counts no listings")?.parse()?)
    }

    /// A page that is there.
    async fn get(&self, path: &str) -> Result<Page> {
        let page = self.ask(path).await?;
        match page.status.is_success() {
            true => Ok(page),
            false => Err(format!("{path}: {}", page.status).into()),
        }
    }

    async fn ask(&self, path: &str) -> Result<Page> {
        let uri = format!("{}{path}", self.story.gateway().pages_url());
        let began = Instant::now();
        let request = Request::get(uri).body(Full::<Bytes>::default())?;
        let answer = self.http.request(request).await?;
        let status = answer.status();
        let (mut body, mut bytes, mut first) = (answer.into_body(), 0, None);
        while let Some(frame) = body.frame().await {
            first.get_or_insert_with(|| began.elapsed().as_secs_f64());
            bytes += frame?.data_ref().map_or(0, Bytes::len);
        }
        let whole = began.elapsed().as_secs_f64();
        Ok(Page {
            status,
            first: first.unwrap_or(whole),
            whole,
            bytes,
        })
    }
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
