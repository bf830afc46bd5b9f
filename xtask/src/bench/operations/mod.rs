//! `cargo xtask bench operations`: what an infrastructure team waits for. A standing install on a control
//! plane; with root also a release on a node.

mod cold;
mod hand_over;
mod node;

use tests::cluster::{Binary, ControlPlane};
use tests::story::{Setting, Story};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::procfs;
use super::table::{Goal, Table};
use crate::Result;
use hand_over::{Leaves, Pair};

/// How often the next leader takes over from one that was asked to stop, and from one that was killed.
const STOPS: usize = 5;
const KILLS: usize = 2;
/// After this long at rest an install is what it is.
const REST: Duration = Duration::from_secs(10);
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Measures what needs no node.
pub async fn measure(plane: &ControlPlane, quick: bool) -> Result<Table> {
    let mut table = Table::default();
    let mut story = begin(plane, "bench-stands").await?;
    let pair = stand(&mut story, &mut table).await?;
    hand_over(&mut story, pair, quick, &mut table).await?;
    story.end().await;
    let mut story = begin(plane, "bench-cold").await?;
    let (finished, live) = match quick {
        true => (1_000, 100),
        false => (10_000, 1_000),
    };
    let seconds = cold::start(&mut story, finished, live).await?;
    table.time(
        &format!("operator's start: {finished} finished, {live} live"),
        seconds,
        Goal::AtMost(3.0),
        "",
    );
    let operator = story.operator().ok_or("there is no operator")?;
    let resident = procfs::resident(pid(&mut story, operator)?)?;
    table.memory("  resident then", resident, Goal::None, "");
    story.kill_operator().await;
    story.end().await;
    Ok(table)
}

/// Measures a release on a node.
///
/// # Errors
/// There is no node to be had, or the release does not come up.
pub async fn measure_on_node(table: &mut Table, quick: bool) -> Result<()> {
    node::measure(table, quick).await
}

async fn begin(plane: &ControlPlane, name: &str) -> Result<Story> {
    let setting = Setting {
        validate: false,
        ..Setting::default()
    };
    let story = Story::begin(plane.access(), name, setting).await?;
    story.forge.limits().turn_off();
    Ok(story)
}

/// An install as the chart makes it: two webhooks, two operators, a gateway. Measures its memory at rest.
async fn stand(story: &mut Story, table: &mut Table) -> Result<Pair> {
    println!("an install at rest …");
    story.start_gateway().await?;
    story.start_operator().await?;
    let leader = story.operator().ok_or("there is no operator")?;
    let follower = hand_over::follower(story).await?;
    for _ in 0..2 {
        story.start_webhook().await?;
    }
    sleep(REST).await;
    let mut resident = 0.0;
    let mut programs = 0;
    while let Some(program) = story.install.program(programs) {
        resident += procfs::resident(program.pid())?;
        programs += 1;
    }
    table.memory(
        &format!("resident memory of {programs} programs, idle"),
        resident,
        Goal::AtMost(100e6),
        "",
    );
    Ok(Pair { leader, follower })
}

async fn hand_over(
    story: &mut Story,
    mut pair: Pair,
    quick: bool,
    table: &mut Table,
) -> Result<()> {
    for (leaves, times, goal) in [(Leaves::Stopped, STOPS, 2.0), (Leaves::Killed, KILLS, 20.0)] {
        println!("a leader is {} …", leaves.word());
        let times = if quick { 1 } else { times };
        let mut slowest: f64 = 0.0;
        for _ in 0..times {
            slowest = slowest.max(pair.hands_over(story, leaves).await?);
        }
        table.time(
            &format!("hand-over when the leader is {}, slowest", leaves.word()),
            slowest,
            Goal::AtMost(goal),
            "",
        );
    }
    Ok(())
}

fn pid(story: &mut Story, program: usize) -> Result<u32> {
    let program = story.install.program(program);
    let program = program.ok_or_else(|| format!("there is no {}", Binary::Operator.name()))?;
    Ok(program.pid())
}

/// Waits until a program has logged these words. Returns when.
async fn says(story: &mut Story, program: usize, words: &str) -> Result<Instant> {
    let waiting = async {
        loop {
            let log = story.install.program(program).map(|program| program.log());
            if log.is_some_and(|log| log.contains(words)) {
                return Instant::now();
            }
            sleep(LOOK).await;
        }
    };
    let said = timeout(PATIENCE, waiting).await;
    said.map_err(|_| format!("a program did not say `{words}` within {PATIENCE:?}").into())
}
