//! `cargo xtask bench logs`: how fast logs are taken in, shown and followed, with the same bytes
//! through the same compression as a floor. Each part begins with a gateway that was just started, writes
//! logs of its own, and can be measured alone.

mod intake;
mod pages;
mod pod;
mod sender;
mod viewer;
mod watched;

use std::time::Duration;

use clap::ValueEnum;
use tests::cluster::ControlPlane;
use tests::story::{Setting, Story};
use tokio::time::{Instant, sleep};

use super::table::Table;
use crate::Result;
use sender::{Http, Sender, client};

/// Bytes of one chunk of a log that is sent as fast as it goes.
const CHUNK: usize = 1 << 20;
/// How long something that is begun may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// From a line that a step prints to an open page
    Visible,
    /// Memory with 200 logs that go on
    Streams,
    /// 2,000 viewers of one live log
    Viewers,
    /// Megabytes of log that one core takes in
    Intake,
    /// The page of a log of 100 MB, and listings of the store by all pages
    Page,
    /// The page of a builder
    History,
}

/// A gateway and the numbers.
pub struct Logs {
    story: Story,
    http: Http,
    quick: bool,
    runs: usize,
    table: Table,
}

impl Logs {
    /// Measures these parts; all of them where none is named.
    pub async fn measure(plane: &ControlPlane, quick: bool, only: &[Part]) -> Result<Table> {
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
            runs: 0,
            table: Table::default(),
        };
        for part in Part::value_variants() {
            if only.is_empty() || only.contains(part) {
                logs.restart().await?;
                logs.part(*part).await?;
            }
        }
        logs.story.end().await;
        Ok(logs.table)
    }

    async fn part(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Visible => self.visible().await,
            Part::Streams => self.many_streams().await,
            Part::Viewers => self.many_viewers().await,
            Part::Intake => self.taken_in().await,
            Part::Page => self.page_of_a_long_log().await,
            Part::History => self.history().await,
        }
    }

    /// A gateway that knows nothing but its store.
    async fn restart(&mut self) -> Result<()> {
        self.story.kill_gateway();
        self.story.restart_gateway().await?;
        self.http = client();
        Ok(())
    }

    /// The uid of a run that nobody has heard of yet.
    fn uid(&mut self) -> String {
        self.runs += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.runs)
    }

    fn sender(&self, run: &str) -> Sender {
        Sender::new(&self.http, self.story.gateway(), run)
    }

    fn pid(&mut self) -> Result<u32> {
        self.story
            .gateway_pid()
            .ok_or_else(|| "there is no gateway".into())
    }

    /// So many, or a tenth of them.
    fn scaled(&self, count: usize) -> usize {
        match self.quick {
            true => count.div_ceil(10),
            false => count,
        }
    }

    /// Waits until a log that has ended is one file, and the pieces that it was made of are gone. Its marks
    /// are the last.
    async fn archived(&self, run: &str) -> Result<()> {
        let run = format!("repositories/app/runs/{run}/marks.json");
        let (file, began) = (self.story.gateway().store.join(run), Instant::now());
        while !file.is_file() {
            if began.elapsed() > PATIENCE {
                return Err(format!("there is no {}", file.display()).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}
