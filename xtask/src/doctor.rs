//! `cargo xtask doctor`: what is there, from where, and what is missing. It builds nothing.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use ::tests::parts::{self, Cache, Found, Machine, Need, NpmPackage, Origin, Part, Version};

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
    println!("{:<28}{:<12}FROM", "PART", "VERSION");
    for part in parts::ALL {
        let row = row(part, parts::find(part, &cache), &machine, &cache);
        missing |= row.missing;
        println!("{:<28}{:<12}{}", part.name, row.version, row.from);
    }
    for package in parts::DESCRIPTIONS.into_iter().chain(parts::OF_TESTS) {
        let row = described(&package, package.found(&cache));
        println!("{:<28}{:<12}{}", package.name, row.version, row.from);
    }
    println!();
    for tool in tools(&machine) {
        let row = tool.row(parts::on_path(tool.program));
        missing |= row.missing;
        println!("{:<28}{:<12}{}", tool.program, row.version, row.from);
    }
    let root = if machine.root { "yes" } else { "no" };
    missing |= !machine.root;
    println!(
        "{:<28}{root:<12}a node needs root; all else does not",
        "root"
    );
    println!(
        "{:<28}{:<12}{}",
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

/// A package of npm.
fn described(package: &NpmPackage, found: Option<PathBuf>) -> Row {
    Row {
        version: package.version.to_owned(),
        from: match found {
            Some(path) => format!("cache: {}", path.display()),
            None => format!("to be fetched from npm; for {}", package.needed_for),
        },
        missing: false,
    }
}

/// A program that is found on PATH or has to be installed.
struct Tool {
    program: &'static str,
    version: Option<Version>,
    needed_for: &'static str,
}

impl Tool {
    fn row(&self, path: Option<PathBuf>) -> Row {
        let needed_for = self.needed_for;
        match (self.version, path) {
            (Some(version), Some(path)) => Row {
                version: version.to_string(),
                from: format!("PATH: {}; {needed_for}", path.display()),
                missing: false,
            },
            _ => Row {
                version: "missing".to_owned(),
                from: needed_for.to_owned(),
                missing: true,
            },
        }
    }
}

fn tools(machine: &Machine) -> [Tool; 4] {
    let tool = |program, version, needed_for| Tool {
        program,
        version,
        needed_for,
    };
    [
        tool("rustc", machine.rust, "builds PrBuild"),
        tool("cc", machine.cc, "builds the C in some crates, and links"),
        tool(
            "go",
            machine.go,
            "builds Kubernetes, where no fitting one is found",
        ),
        tool(
            "git",
            machine.git.filter(|git| *git >= parts::GIT),
            "2.38 or later: repositories of the forge, and the checkout image",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_github_and_the_compiler_have_a_row_with_version_and_origin() {
        let octokit = parts::DESCRIPTIONS.map(|package| package.name);
        assert!(octokit.iter().all(|name| name.starts_with("@octokit/")));
        let cached = described(&parts::OPENAPI, Some("/cache/npm-x".into()));
        assert_eq!(cached.version, parts::OPENAPI.version);
        assert_eq!(cached.from, "cache: /cache/npm-x");
        let absent = described(&parts::OPENAPI, None);
        assert!(
            absent.from.starts_with("to be fetched from npm"),
            "{}",
            absent.from
        );
        let machine = Machine {
            cc: Some(Version::new(12, 2, 0)),
            ..Machine::default()
        };
        let tools = tools(&machine);
        let cc = tools.iter().find(|tool| tool.program == "cc").unwrap();
        let row = cc.row(Some("/usr/bin/cc".into()));
        assert_eq!((row.version.as_str(), row.missing), ("12.2.0", false));
        assert!(row.from.starts_with("PATH: /usr/bin/cc"), "{}", row.from);
        assert!(
            tools.iter().any(|tool| tool.row(None).missing),
            "what is not there is missing"
        );
    }
}
