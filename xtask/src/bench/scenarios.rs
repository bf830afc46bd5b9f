//! What is measured, each beside its floor.

use std::time::Duration;

use clap::ValueEnum;
use tests::cluster::{ControlPlane, Ending, Fate};
use tests::story::{Setting, Story};

use super::floor::Bare;
use super::load::{self, Load, Shape, Times};
use super::procfs::Usage;
use super::table::{Goal, Table};
use crate::Result;

/// Pull requests that labels are added to, in turn.
const PULL_REQUESTS: usize = 500;
/// Builders `b0` to `b9`, without limit; `l0` to `l9` have one.
const BUILDERS: usize = 10;

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 1 label a second, 1 builder: how soon what happens
    Idle,
    /// 10 labels a second, 1 builder
    Busy,
    /// 50 labels a second, 1 builder: more than the machine can do
    Flood,
    /// 1 label a second, 10 builders
    Fleet,
    /// 10 builders with a limit
    Limited,
    /// Memory with 1,000 runs that go on
    Memory,
}

/// A cluster, PrBuild, the load, and the numbers.
pub struct Bench {
    plane: ControlPlane,
    story: Story,
    bare: Bare,
    load: Load,
    idle: Usage,
    quick: bool,
    table: Table,
}

impl Bench {
    /// Starts PrBuild and opens pull requests.
    pub async fn begin(mut plane: ControlPlane, quick: bool) -> Result<Self> {
        let setting = Setting {
            validate: false,
            ..Setting::default()
        };
        let bare = Bare::begin(plane.access(), setting.clone()).await?;
        let mut story = Story::begin(plane.access(), "bench", setting).await?;
        // github.com would refuse this load, and PrBuild would wait for its limits.
        story.forge.limits().turn_off();
        for n in 0..BUILDERS {
            story
                .builder(&format!("b{n}"), |spec| {
                    spec.tags = vec!["free".into(), format!("n{n}")]
                })
                .await;
            story
                .builder(&format!("l{n}"), |spec| {
                    spec.tags = vec!["limited".into()];
                    spec.max_concurrent = Some(4);
                })
                .await;
        }
        story.repository(load::labels).await;
        story.start_operator().await?;
        story.start_webhook_with(&["--no-sweep"]).await?;
        let idle = Usage::of(&mut story, &mut plane).await?;
        println!("making pull requests …");
        let pulls = if quick { 50 } else { PULL_REQUESTS };
        let load = Load::prepare(&story, pulls).await;
        story.pods_go(|_| Fate::passes());
        Ok(Self {
            plane,
            story,
            bare,
            load,
            idle,
            quick,
            table: Table::default(),
        })
    }

    /// Takes everything down.
    pub async fn end(self) -> Result<Table> {
        drop(self.load);
        self.bare.end().await;
        self.story.end().await;
        self.plane.stop().await?;
        Ok(self.table)
    }

    /// Measures one thing.
    pub async fn measure(&mut self, scenario: Scenario) -> Result<()> {
        match scenario {
            Scenario::Idle => self.idle().await,
            Scenario::Busy => self.busy().await,
            Scenario::Flood => self.flood().await,
            Scenario::Fleet => self.fleet().await,
            Scenario::Limited => self.limited().await,
            Scenario::Memory => self.memory().await,
        }
    }

    fn scaled(&self, events: usize) -> usize {
        if self.quick {
            events.div_ceil(10)
        } else {
            events
        }
    }

    /// Applies a load, and says what it took.
    async fn run(&mut self, shape: Shape) -> Result<(Times, Usage)> {
        let events = self.scaled(shape.events);
        println!(
            "{} a second, {} builders …",
            shape.per_second, shape.builders
        );
        let before = Usage::of(&mut self.story, &mut self.plane).await?;
        let times = self.load.run(&self.story, Shape { events, ..shape }).await;
        let times = match times {
            Ok(times) => times,
            Err(missing) => return Err(missing.explain(&mut self.story).await.into()),
        };
        if times.refused > 0 {
            let refused = times.refused;
            println!("  deliveries that the webhook sent away at first: {refused}");
        }
        let used = Usage::of(&mut self.story, &mut self.plane).await?;
        let used = used.since(&before);
        println!("  each build: {}", used.by_program(times.builds()));
        Ok((times, used))
    }

    async fn idle(&mut self) -> Result<()> {
        let times = self.scaled(60);
        let pace = Duration::from_secs(1);
        let create = self.bare.create(times.div_ceil(2), pace).await?;
        let answer = self.bare.slowest_answer(times.div_ceil(2), pace).await?;
        let build = self.bare.build(times).await?;
        let shape = Shape {
            label: "one",
            builders: 1,
            events: 30,
            per_second: 1.0,
        };
        let (seen, used) = self.run(shape).await?;
        let table = &mut self.table;
        table.ratio(
            "webhook ack, object stored",
            seen.ack.p50(),
            create + answer,
            Goal::AtMost(1.5),
            "2.4–3.9 ms, nothing stored",
        );
        table.time(
            "label → Job object, beyond the ack",
            seen.job_after_ack.p50(),
            Goal::AtMost(0.020),
            "–",
        );
        table.time(
            "label → final status, p50",
            seen.last.p50(),
            Goal::AtMost(0.070),
            "147 ms",
        );
        table.time("  the bare writes of a build, p50", build, Goal::None, "");
        table.count(
            "API writes of a build with one builder",
            used.writes / seen.builds(),
            Goal::AtMost(8.0),
            "7",
        );
        Ok(())
    }

    async fn busy(&mut self) -> Result<()> {
        let shape = Shape {
            label: "one",
            builders: 1,
            events: 200,
            per_second: 10.0,
        };
        let (seen, used) = self.run(shape).await?;
        let table = &mut self.table;
        table.time(
            "10 events/s: label → final status, p99",
            seen.last.p99(),
            Goal::AtMost(1.0),
            "59.7 s; drains 2.5/s",
        );
        table.time(
            "CPU of webhook and operator per build",
            used.ours() / seen.builds(),
            Goal::AtMost(0.004),
            "22–30 ms",
        );
        table.time(
            "  of that, the webhook",
            used.cpu("webhook") / seen.builds(),
            Goal::None,
            "",
        );
        table.time(
            "  the API server and etcd, beside it",
            (used.cpu("kube-apiserver") + used.cpu("etcd")) / seen.builds(),
            Goal::None,
            "72–107 ms",
        );
        Ok(())
    }

    async fn flood(&mut self) -> Result<()> {
        // Before and after: both are to meet the machine as it is in that minute.
        let builds = self.scaled(240);
        let before = self.bare.builds_per_second(builds).await?;
        let shape = Shape {
            label: "one",
            builders: 1,
            events: 500,
            per_second: 50.0,
        };
        let (seen, _) = self.run(shape).await?;
        let after = self.bare.builds_per_second(builds).await?;
        println!("  bare writes before and after: {before:.1}/s, {after:.1}/s");
        self.table.rate(
            "50 events/s: drained",
            seen.drained(),
            Goal::AtLeast(25.0),
            "2.5/s",
        );
        self.table.count(
            "  deliveries sent away at first, and sent again",
            seen.refused as f64,
            Goal::None,
            "",
        );
        self.table.share(
            "  of the bare writes from 8 clients",
            seen.drained(),
            f64::midpoint(before, after),
            Goal::AtLeast(0.5),
        );
        Ok(())
    }

    async fn fleet(&mut self) -> Result<()> {
        let shape = Shape {
            label: "many",
            builders: BUILDERS,
            events: 20,
            per_second: 1.0,
        };
        let (seen, _) = self.run(shape).await?;
        self.table.time(
            "10 builders, 1 event/s: all final, p50",
            seen.last.p50(),
            Goal::AtMost(1.0),
            "64 s",
        );
        Ok(())
    }

    async fn limited(&mut self) -> Result<()> {
        let shape = Shape {
            label: "limited",
            builders: BUILDERS,
            events: 20,
            per_second: 1.0,
        };
        let (seen, used) = self.run(shape).await?;
        let runs = seen.builds() * BUILDERS as f64;
        self.table.count(
            "API writes per run, ten builders with a limit",
            used.writes / runs,
            Goal::AtMost(6.0),
            "7",
        );
        Ok(())
    }

    /// Memory at rest, and with a thousand runs that go on.
    async fn memory(&mut self) -> Result<()> {
        println!("1,000 live runs …");
        self.story.pods_go(|_| Fate::ends(Ending::Never));
        let builds = self.scaled(100);
        let runs = builds * BUILDERS;
        let patience = Duration::from_secs(180);
        self.load
            .start_and_leave(&self.story, "many", builds, runs, patience)
            .await?;
        let busy = Usage::of(&mut self.story, &mut self.plane).await?;
        self.table.memory(
            "resident memory, idle",
            self.idle.resident,
            Goal::AtMost(40e6),
            "238 MB",
        );
        self.table.memory(
            &format!("resident memory, {runs} live runs"),
            busy.resident,
            Goal::AtMost(80e6),
            "282 MB",
        );
        Ok(())
    }
}
