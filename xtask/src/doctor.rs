//! `cargo xtask doctor`: what is there, from where, and what is missing. It builds nothing.

use std::process::{Command, ExitCode};

use tests::parts::{self, Cache, Found, Machine, Need, Origin, Part, Version};

use crate::Result;

/// Arguments of `cargo xtask doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints one line for each part and tool. The exit code is 1 if something is missing that cannot be
/// obtained by itself.
pub fn run(_: Args) -> Result {
    let machine = Machine::look();
    let cache = Cache::of_user();
    let mut missing = false;
    println!("{:<26}{:<12}FROM", "PART", "VERSION");
    for part in parts::ALL {
        let row = row(part, parts::find(part, &cache), &machine, &cache);
        missing |= row.missing;
        println!("{:<26}{:<12}{}", part.name, row.version, row.from);
    }
    println!();
    for (name, version, needed_for) in tools(&machine) {
        missing |= version.is_none();
        let version = version.map_or_else(|| "missing".to_owned(), |version| version.to_string());
        println!("{name:<26}{version:<12}{needed_for}");
    }
    let root = if machine.root { "yes" } else { "no" };
    missing |= !machine.root;
    println!(
        "{:<26}{root:<12}a node needs root; all else does not",
        "root"
    );
    println!(
        "{:<26}{:<12}{}",
        "free space",
        free_space(),
        cache.root().display()
    );
    if missing {
        eprintln!(
            "\nerror: something is missing\n  try: the remedy beside it, or `cargo xtask test --no-node`"
        );
    }
    Ok(if missing {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

struct Row {
    version: String,
    from: String,
    missing: bool,
}

fn row(part: &Part, found: Option<Found>, machine: &Machine, cache: &Cache) -> Row {
    if let Some(found) = found {
        let origin = match found.origin {
            Origin::Assets => "KUBEBUILDER_ASSETS",
            Origin::Path => "PATH",
            Origin::Cache => "cache",
        };
        return Row {
            version: found
                .version
                .map_or_else(|| "any".to_owned(), |version| version.to_string()),
            from: format!("{origin}: {}", found.path.display()),
            missing: false,
        };
    }
    match parts::obstacle(part, machine) {
        None => {
            let verb = if matches!(part.recipe, parts::Recipe::Apt { .. }) {
                "installed"
            } else {
                "built"
            };
            Row {
                version: part.version.to_owned(),
                from: format!("to be {verb}: about {}", parts::expected(part, cache)),
                missing: false,
            }
        }
        Some(obstacle) => Row {
            version: "missing".to_owned(),
            from: format!("{}: {}", obstacle.missing, obstacle.remedy),
            // A part that only a check needs keeps nobody from testing.
            missing: part.needed_for != Need::Checks,
        },
    }
}

fn tools(machine: &Machine) -> [(&'static str, Option<Version>, &'static str); 3] {
    [
        ("rust", machine.rust, "builds PrBuild"),
        (
            "go",
            machine.go,
            "builds Kubernetes, where no fitting one is found",
        ),
        (
            "git",
            machine.git,
            "repositories of the forge, and the checkout image",
        ),
    ]
}

/// Free space where the cache is, as `df` says it.
fn free_space() -> String {
    let cache = Cache::of_user();
    let mut dir = cache.root();
    while !dir.exists() {
        match dir.parent() {
            Some(parent) => dir = parent,
            None => break,
        }
    }
    let df = Command::new("df")
        .args(["--output=avail", "-BG"])
        .arg(dir)
        .output();
    let printed = df.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let printed = printed.unwrap_or_default();
    printed.lines().nth(1).map_or_else(
        || "unknown".to_owned(),
        |line| line.trim().replace('G', " GB"),
    )
}
