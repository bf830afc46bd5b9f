//! `cargo xtask bench`: ratios measured in one run, each beside its floor: the same writes, or the
//! same answers, without PrBuild.
//!
//! Everything shares the machine: API server, etcd, the controllers, the forge, the load, and PrBuild.
//! Compare numbers of one run with each other, not with those of another machine.

mod floor;
mod load;
mod procfs;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tests::cluster::{ControlPlane, ControlPlaneOptions, Ending, Fate};
use tests::parts::{self, Cache, Loudness};
use tests::story::{Setting, Story};

use crate::Result;
use crate::cargo::{Cargo, workspace};
use crate::stop::run_until_stopped;
use load::{Load, Shape};
use procfs::Usage;
use table::{Goal, Table};

/// Pull requests that labels are added to, in turn.
const PULL_REQUESTS: usize = 500;
/// Builders `b0` to `b9`, without limit; `l0` to `l9` have one.
const BUILDERS: usize = 10;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A tenth of the load, to see that everything works; its numbers mean little
    #[arg(long)]
    quick: bool,
    /// Also write the numbers to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures.
pub fn run(args: Args) -> Result {
    let cache = Cache::of_user();
    parts::obtain_all(parts::control_plane(), &cache, Loudness::Normal)?;
    run_until_stopped(async {
        if cfg!(debug_assertions) {
            return again_in_release(&args).await;
        }
        let options = ControlPlaneOptions {
            fast_controllers: true,
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let mut table = Table::default();
        measure(&plane, args.quick, &mut table).await?;
        plane.stop().await?;
        println!("\n{table}");
        if let Some(path) = &args.json {
            std::fs::write(path, table.json())?;
        }
        Ok(if table.all_reached() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

/// An unoptimized forge would be measured instead of PrBuild.
async fn again_in_release(args: &Args) -> Result {
    Cargo::run(&["build", "--release", "--workspace", "--bins"]).await?;
    let mut command = tokio::process::Command::new(workspace().join("target/release/xtask"));
    command.arg("bench");
    if args.quick {
        command.arg("--quick");
    }
    if let Some(path) = &args.json {
        command.arg("--json").arg(path);
    }
    let status = command.kill_on_drop(true).status().await?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
    ))
}

async fn measure(plane: &ControlPlane, quick: bool, table: &mut Table) -> Result<()> {
    let access = plane.access();
    let setting = Setting {
        validate: false,
        ..Setting::default()
    };
    let mut story = Story::begin(access, "bench", setting).await?;
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
    println!("floors …");
    let floor = floor::measure(&story, if quick { 10 } else { 60 }).await?;
    story.start_operator().await?;
    story.start_webhook_with(&["--no-sweep"]).await?;
    let idle = Usage::of(&mut story).await?;
    println!("making pull requests …");
    let pulls = if quick { 50 } else { PULL_REQUESTS };
    let mut load = Load::prepare(&story, pulls).await;
    story.pods_go(|_| Fate::passes());
    scenarios(&mut story, &mut load, &floor, quick, table).await?;
    resident(&mut story, &mut load, idle, quick, table).await?;
    story.end().await;
    Ok(())
}

async fn scenarios(
    story: &mut Story,
    load: &mut Load,
    floor: &floor::Floor,
    quick: bool,
    table: &mut Table,
) -> Result<()> {
    let scale = |events: usize| if quick { events.div_ceil(10) } else { events };

    println!("1 event a second, 1 builder …");
    let before = Usage::of(story).await?;
    let one = load
        .run(
            story,
            Shape {
                label: "one",
                builders: 1,
                events: scale(30),
                per_second: 1.0,
            },
        )
        .await?;
    let used = Usage::of(story).await?.since(&before);
    let chain = floor.create + floor.slowest_answer;
    table.ratio(
        "webhook ack, object stored",
        one.ack.p50(),
        chain,
        Goal::AtMost(1.5),
        "2.4–3.9 ms, nothing stored",
    );
    table.time(
        "label → Job object, beyond the ack",
        one.job_after_ack.p50(),
        Goal::AtMost(0.020),
        "–",
    );
    table.time(
        "label → final status, p50",
        one.last.p50(),
        Goal::AtMost(0.070),
        "147 ms",
    );
    table.time(
        "  the bare writes of a build, p50",
        floor.build,
        Goal::None,
        "",
    );
    table.count(
        "API writes of a build with one builder",
        used.writes / one.builds(),
        Goal::AtMost(8.0),
        "7",
    );

    println!("10 events a second, 1 builder …");
    let before = Usage::of(story).await?;
    let ten = load
        .run(
            story,
            Shape {
                label: "one",
                builders: 1,
                events: scale(200),
                per_second: 10.0,
            },
        )
        .await?;
    let used = Usage::of(story).await?.since(&before);
    table.time(
        "10 events/s: label → final status, p99",
        ten.last.p99(),
        Goal::AtMost(1.0),
        "59.7 s",
    );
    table.time(
        "CPU of webhook and operator per build",
        used.cpu / ten.builds(),
        Goal::AtMost(0.004),
        "22–30 ms",
    );

    println!("50 events a second, 1 builder …");
    let fifty = load
        .run(
            story,
            Shape {
                label: "one",
                builders: 1,
                events: scale(500),
                per_second: 50.0,
            },
        )
        .await?;
    table.rate(
        "50 events/s: drained",
        fifty.drained(),
        Goal::AtLeast(25.0),
        "2.5/s",
    );
    table.share(
        "  of the bare writes from 8 clients",
        fifty.drained(),
        floor.builds_per_second,
        Goal::AtLeast(0.5),
    );

    println!("1 event a second, 10 builders …");
    let many = load
        .run(
            story,
            Shape {
                label: "many",
                builders: BUILDERS,
                events: scale(20),
                per_second: 1.0,
            },
        )
        .await?;
    table.time(
        "10 builders, 1 event/s: all final, p50",
        many.last.p50(),
        Goal::AtMost(1.0),
        "64 s",
    );

    println!("10 builders with a limit …");
    let before = Usage::of(story).await?;
    let limited = load
        .run(
            story,
            Shape {
                label: "limited",
                builders: BUILDERS,
                events: scale(20),
                per_second: 1.0,
            },
        )
        .await?;
    let used = Usage::of(story).await?.since(&before);
    let runs = limited.builds() * BUILDERS as f64;
    table.count(
        "API writes per run, ten builders with a limit",
        used.writes / runs,
        Goal::AtMost(6.0),
        "7",
    );
    Ok(())
}

/// Memory at rest, and with a thousand runs that go on.
async fn resident(
    story: &mut Story,
    load: &mut Load,
    idle: Usage,
    quick: bool,
    table: &mut Table,
) -> Result<()> {
    println!("1,000 live runs …");
    story.pods_go(|_| Fate::ends(Ending::Never));
    let builds = if quick { 10 } else { 100 };
    load.start_and_leave(
        story,
        "many",
        builds,
        builds * BUILDERS,
        Duration::from_secs(180),
    )
    .await?;
    let busy = Usage::of(story).await?;
    table.memory(
        "resident memory, idle",
        idle.resident,
        Goal::AtMost(40e6),
        "238 MB",
    );
    table.memory(
        &format!("resident memory, {} live runs", builds * BUILDERS),
        busy.resident,
        Goal::AtMost(80e6),
        "282 MB",
    );
    Ok(())
}
