//! Logs that somebody watches: how soon a line is seen.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use super::pod::Pod;
use super::sender::{Chunk, Http};
use super::viewer::Viewers;
use super::{Logs, PATIENCE};
use crate::Result;
use crate::bench::load::Sample;
use crate::bench::procfs;
use crate::bench::table::Goal;

/// Viewers of one log, and lines that they see.
const VIEWERS: usize = 2000;
const LINES: usize = 10;
/// Lines that a step prints.
const PRINTED: usize = 40;

impl Logs {
    /// From a line that a step prints, through executor, spool, sidecar and gateway, to an open page.
    pub(super) async fn visible(&mut self) -> Result<()> {
        let run = self.uid();
        let dir = self.story.install.dir()?.join("pods").join(&run);
        let gateway = self.story.gateway();
        let mut pod = Pod::start(&dir, gateway, &run)?;
        let path = format!("/r/app/runs/{run}/live?from=0");
        let pages = gateway.pages;
        wait_for(&self.http, &format!("http://{pages}{path}")).await?;
        let mut viewers = Viewers::open(pages, &path, 1, "needle-").await?;
        let mut took = Vec::new();
        for n in 0..PRINTED {
            // Not in step with anything that happens at intervals.
            sleep(Duration::from_millis(150 + 7 * n as u64)).await;
            let sent = Instant::now();
            pod.print(n)?;
            took.extend(viewers.see(n, sent).await?);
        }
        let took = Sample::from(took);
        self.table.time(
            "line printed by a step → in an open page, p50",
            took.p50(),
            Goal::AtMost(0.3),
            "does not follow",
        );
        self.table.time("… p99", took.p99(), Goal::None, "");
        Ok(())
    }

    /// Many viewers of one live log.
    pub(super) async fn many_viewers(&mut self) -> Result<()> {
        let (run, pid, count) = (self.uid(), self.pid()?, self.scaled(VIEWERS));
        let mut sender = self.sender(&run);
        sender.send(&Chunk::of(b"a log begins\n")?).await?;
        let path = format!("/r/app/runs/{run}/live?from=0");
        let pages = self.story.gateway().pages;
        let mut viewers = Viewers::open(pages, &path, count, "needle-").await?;
        let (mut took, before) = (Vec::new(), procfs::cpu(pid)?);
        for n in 0..LINES {
            let sent = Instant::now();
            sender
                .send(&Chunk::of(format!("needle-{n} of the log\n").as_bytes())?)
                .await?;
            took.extend(viewers.see(n, sent).await?);
        }
        let each = (procfs::cpu(pid)? - before) / LINES as f64;
        let (took, resident) = (Sample::from(took), procfs::resident(pid)?);
        self.table.time(
            &format!("{count} viewers: line sent → seen by one, p50"),
            took.p50(),
            Goal::None,
            "",
        );
        self.table.time("… p99", took.p99(), Goal::AtMost(2.0), "");
        self.table
            .time("… processor time a line", each, Goal::None, "");
        self.table.memory("… memory", resident, Goal::None, "");
        Ok(())
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
        if began.elapsed() > PATIENCE {
            return Err(format!("{uri}: {}", answer.status()).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
}
