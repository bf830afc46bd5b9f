//! `cargo xtask bench workers`: what a gateway with many machines costs, and how fast machines get their work,
//! beside the bare writes that nobody can do without.

mod agents;
mod bare;
mod machine;

use std::time::Duration;

use crds::{BuilderSpec, LabelRule};
use serde_json::json;
use tests::cluster::ControlPlane;
use tests::story::{Setting, Story};
use tokio::time::{Instant, sleep};

use super::load::{Load, Shape};
use super::procfs;
use super::table::{Goal, Table};
use crate::Result;
use agents::{Agents, Habit};

/// Agents that have nothing to do.
const IDLE: usize = 1000;
/// How long they are looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Workers of a pool.
const POOL: usize = 10;
/// Builds that a pool does.
const BUILDS: usize = 300;
/// Pull requests that labels are added to: one for each build, or results of one could be taken for another's.
const PULL_REQUESTS: usize = BUILDS;
/// Builds on a real machine.
const RUNS: usize = 10;

/// A cluster, PrBuild, and the numbers.
pub struct Workers {
    story: Story,
    quick: bool,
    table: Table,
}

impl Workers {
    /// Measures everything.
    pub async fn measure(plane: &ControlPlane, quick: bool) -> Result<Table> {
        let setting = Setting {
            validate: false,
            ..Setting::default()
        };
        let mut story = Story::begin(plane.access(), "bench-workers", setting).await?;
        // github.com would refuse this load, and PrBuild would wait for its limits.
        story.forge.limits().turn_off();
        story.start_gateway().await?;
        story.start_operator().await?;
        story.start_webhook_with(&["--no-sweep"]).await?;
        story
            .repository(|spec| spec.labels = vec![label("one"), label("real"), label("slow")])
            .await;
        let mut workers = Self {
            story,
            quick,
            table: Table::default(),
        };
        workers.idle().await?;
        workers.flood().await?;
        workers.handed_out(plane).await?;
        workers.real_machine().await?;
        workers.story.end().await;
        Ok(workers.table)
    }

    fn scaled(&self, count: usize) -> usize {
        if self.quick {
            count.div_ceil(10)
        } else {
            count
        }
    }

    /// Memory and processor time of a gateway whose agents have nothing to do.
    async fn idle(&mut self) -> Result<()> {
        let count = self.scaled(IDLE);
        println!("{count} idle agents …");
        let agents = Agents::lend(&self.story, "idle", count, Habit::Hoard).await?;
        let pid = self.story.gateway_pid().ok_or("there is no gateway")?;
        // Until the Workers say that they are on-line.
        sleep(Duration::from_secs(5)).await;
        let (before, began) = (procfs::cpu(pid)?, Instant::now());
        sleep(if self.quick { LOOK / 10 } else { LOOK }).await;
        let cpu = (procfs::cpu(pid)? - before) / began.elapsed().as_secs_f64();
        let resident = procfs::resident(pid)?;
        agents.leave(&self.story).await?;
        let what = format!("gateway with {count} idle agents: resident");
        self.table.memory(&what, resident, Goal::AtMost(64e6), "");
        self.table
            .count("… share of a core, %", cpu * 100.0, Goal::AtMost(2.0), "");
        Ok(())
    }

    /// Builds a second of ten workers whose builds are empty.
    async fn flood(&mut self) -> Result<()> {
        self.story.builder("pool", on_pool).await;
        let agents = Agents::lend(&self.story, "pool", POOL, Habit::Pass).await?;
        let pulls = self.scaled(PULL_REQUESTS);
        let mut load = Load::prepare(&self.story, pulls).await;
        let events = self.scaled(BUILDS);
        println!("{events} builds on {POOL} workers …");
        let shape = Shape {
            label: "one",
            builders: 1,
            events,
            per_second: 50.0,
        };
        let times = match load.run(&self.story, shape).await {
            Ok(times) => times,
            Err(missing) => return Err(missing.explain(&mut self.story).await.into()),
        };
        agents.leave(&self.story).await?;
        self.table.rate(
            "ten workers, empty builds: label → final, builds",
            times.drained(),
            Goal::AtLeast(20.0),
            "Buildbot 6–8/s",
        );
        Ok(())
    }

    /// Assignments that are made and taken in a second, beside the same writes without a gateway.
    async fn handed_out(&mut self, plane: &ControlPlane) -> Result<()> {
        let count = self.scaled(BUILDS);
        println!("{count} assignments …");
        let mut bare = bare::Bare::begin(plane.access()).await?;
        let before = bare.written(count).await?;
        let ours = bare.handed_out(count, POOL).await?;
        let after = bare.written(count).await?;
        bare.end().await;
        self.table.share(
            "assignments handed out, beside create and swap",
            ours,
            f64::midpoint(before, after),
            Goal::AtLeast(0.8),
        );
        Ok(())
    }

    /// The real agent: how soon the first step begins, and how soon what is cancelled is gone.
    async fn real_machine(&mut self) -> Result<()> {
        println!("a machine with the real agent …");
        let runs = self.scaled(RUNS).max(3);
        let machine = machine::Real::lend(&self.story).await?;
        let begin = machine.begins(&self.story, runs).await?;
        let by_hand = machine.checkout(&self.story, runs).await?;
        let gone = machine.is_stopped(&self.story).await?;
        let idle = machine
            .idle(if self.quick { LOOK / 10 } else { LOOK })
            .await?;
        machine.end().await;
        self.table.time(
            "assignment made → first step, beyond its checkout",
            begin.beyond,
            Goal::AtMost(0.05),
            "",
        );
        self.table
            .time("  its checkout", begin.checkout, Goal::None, "");
        self.table
            .time("  the same checkout by hand", by_hand, Goal::None, "");
        self.table.time(
            "cancelled → process tree gone",
            gone,
            Goal::AtMost(machine::HEARTBEAT + machine::GRACE),
            "",
        );
        self.table.memory(
            "an idle agent: resident",
            idle.resident,
            Goal::AtMost(10e6),
            "",
        );
        let percent = idle.core * 100.0;
        self.table
            .count("… share of a core, %", percent, Goal::AtMost(0.1), "");
        self.table
            .memory("… its program", idle.program, Goal::AtMost(10e6), "");
        Ok(())
    }
}

fn label(name: &str) -> LabelRule {
    LabelRule {
        name: name.to_owned(),
        flavour: crds::default_flavour(),
        tags: vec![name.to_owned()],
        ..LabelRule::default()
    }
}

fn on_pool(spec: &mut BuilderSpec) {
    spec.tags = vec!["one".to_owned()];
    spec.kubernetes = None;
    spec.worker = serde_json::from_value(json!({ "selector": { "pool": "pool" } })).ok();
}
