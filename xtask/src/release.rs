//! `cargo xtask release`: looks whether everything agrees that has to before a version is released, and makes what
//! is handed out: `steps`.

mod steps;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ::tests::parts::{self, Cache, Loudness};
use serde_json::Value;

use crate::cargo::workspace;
use crate::{Result, crds};

/// Arguments of `cargo xtask release`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only check: versions, changelog, chart, generated files
    #[arg(long)]
    check: bool,
    /// Check, and make chart, programs and images, but push and tag nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// Push the images to this registry, with a path if need be: registry.example.org/prbuild. Without it they
    /// stay files
    #[arg(long, value_name = "REGISTRY", conflicts_with_all = ["check", "dry_run"])]
    registry: Option<String>,
}

/// Values without which the chart renders nothing.
const NEEDED: &str = "host=prbuild.example.org,image.registry=registry.example.org/prbuild";

/// Checks, and takes the steps that were asked for.
pub fn run(args: Args) -> Result {
    let facts = Facts::read(&workspace())?;
    let mut wrong = judge(&facts);
    let wanted = steps::of(&args);
    if wanted.contains(&steps::Step::Tag) {
        wrong.extend(unclean(&facts));
    }
    let helm = parts::obtain(&parts::HELM_CLI, &Cache::of_user(), Loudness::Normal)?;
    wrong.extend(lint(&helm, &chart())?);
    wrong.extend(
        crds::run(crds::Args::check())
            .err()
            .map(|error| error.to_string()),
    );
    for one in &wrong {
        println!("✕ {one}");
    }
    if !wrong.is_empty() {
        return Err(format!("{} is not ready to be released", facts.version).into());
    }
    println!(
        "● {}: versions, changelog, chart and generated files agree",
        facts.version
    );
    for step in wanted {
        step.take(&helm, &facts, args.registry.as_deref())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is looked at.
#[derive(Clone, Debug)]
struct Facts {
    /// Of the workspace, and so of every program and image.
    version: String,
    /// The chart's own.
    chart: String,
    /// Of the images that the chart installs.
    app: String,
    changelog: String,
    /// Commits that tags of releases name, and the one that is checked out.
    tagged: Option<String>,
    head: Option<String>,
    changed: bool,
}

impl Facts {
    fn read(root: &Path) -> Result<Self> {
        let read = |path: &str| {
            fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
        };
        let chart: Value = serde_saphyr::from_str(&read("charts/prbuild/Chart.yaml")?)?;
        let text = |field: &str| chart[field].as_str().unwrap_or_default().to_owned();
        let git = |args: &[&str]| {
            let output = Command::new("git")
                .args(args)
                .current_dir(root)
                .output()
                .ok()?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(said)
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let tag = format!("v{version}^{{commit}}");
        Ok(Self {
            chart: text("version"),
            app: text("appVersion"),
            changelog: read("CHANGELOG.md")?,
            tagged: git(&["rev-parse", "--verify", "--quiet", &tag]),
            head: git(&["rev-parse", "HEAD"]),
            changed: git(&["status", "--porcelain"]).is_some_and(|said| !said.is_empty()),
            version,
        })
    }
}

/// What does not agree. Pure.
fn judge(facts: &Facts) -> Vec<String> {
    let version = &facts.version;
    let mut wrong = Vec::new();
    for (field, found) in [("version", &facts.chart), ("appVersion", &facts.app)] {
        if found != version {
            wrong.push(format!(
                "charts/prbuild/Chart.yaml: {field} is {found}, and Cargo.toml says {version}"
            ));
        }
    }
    match section(&facts.changelog, version) {
        None => wrong.push(format!("CHANGELOG.md has no section `## {version}`")),
        Some("") => wrong.push(format!("CHANGELOG.md says nothing about {version}")),
        Some(_) => {}
    }
    if section(&facts.changelog, "Unreleased").is_some_and(|text| !text.is_empty()) {
        wrong.push(format!(
            "CHANGELOG.md has changes that are `Unreleased`; move them to {version}"
        ));
    }
    if facts.tagged.is_some() && facts.tagged != facts.head {
        wrong.push(format!(
            "v{version} was released from another commit; raise the version in Cargo.toml and Chart.yaml"
        ));
    }
    wrong
}

/// What keeps this checkout from being a release: it is no commit. Where git says nothing, it cannot be tagged when
/// all is pushed.
fn unclean(facts: &Facts) -> Option<String> {
    let said = match (&facts.head, facts.changed) {
        (None, _) => {
            "git names no commit here; release from a checkout of git that is yours, and see what `git status` says"
        }
        (Some(_), true) => {
            "files were changed since the last commit; commit them, or put them away"
        }
        (Some(_), false) => return None,
    };
    Some(said.to_owned())
}

/// What a changelog says about a version: what stands below its heading.
fn section<'a>(changelog: &'a str, version: &str) -> Option<&'a str> {
    let mut sections = changelog.split("\n## ").skip(1);
    sections.find_map(|section| {
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        let named = heading.split_whitespace().next()?;
        (named == version).then(|| text.trim())
    })
}

/// What helm has against the chart.
fn lint(helm: &Path, chart: &Path) -> Result<Option<String>> {
    let mut lint = Command::new(helm);
    lint.args(["lint", "--strict", "--quiet", "--set", NEEDED]);
    let output = lint.arg(chart).output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((!output.status.success()).then_some(said))
}

fn chart() -> PathBuf {
    workspace().join("charts/prbuild")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2026-11-28)\n\n- It builds.\n\n## 1.1.0\n";

    fn facts() -> Facts {
        Facts {
            version: "1.2.0".into(),
            chart: "1.2.0".into(),
            app: "1.2.0".into(),
            changelog: CHANGELOG.into(),
            tagged: None,
            head: Some("a".into()),
            changed: false,
        }
    }

    #[test]
    fn a_release_on_which_all_agree_has_nothing_against_it() {
        assert_eq!(judge(&facts()), [""; 0]);
        let again = Facts {
            tagged: Some("a".into()),
            ..facts()
        };
        assert_eq!(judge(&again), [""; 0], "its own tag is no other release");
    }

    #[test]
    fn whatever_does_not_agree_is_named_with_its_file() {
        let unreleased = CHANGELOG.replace("Unreleased\n", "Unreleased\n\n- More.\n");
        for (facts, says) in [
            (
                Facts {
                    chart: "1.1.0".into(),
                    ..facts()
                },
                "Chart.yaml: version is 1.1.0",
            ),
            (
                Facts {
                    app: "1.1.0".into(),
                    ..facts()
                },
                "Chart.yaml: appVersion is 1.1.0",
            ),
            (
                Facts {
                    changelog: "# Changelog\n".into(),
                    ..facts()
                },
                "no section `## 1.2.0`",
            ),
            (
                Facts {
                    version: "1.1.0".into(),
                    chart: "1.1.0".into(),
                    app: "1.1.0".into(),
                    ..facts()
                },
                "says nothing about 1.1.0",
            ),
            (
                Facts {
                    changelog: unreleased,
                    ..facts()
                },
                "`Unreleased`",
            ),
            (
                Facts {
                    tagged: Some("b".into()),
                    ..facts()
                },
                "from another commit",
            ),
        ] {
            let wrong = judge(&facts);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].contains(says), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_committed_is_no_release() {
        assert_eq!(unclean(&facts()), None);
        let changed = Facts {
            changed: true,
            ..facts()
        };
        let said = unclean(&changed).unwrap();
        assert!(said.starts_with("files were changed"), "{said}");
        let no_commit = Facts {
            head: None,
            ..facts()
        };
        let said = unclean(&no_commit).unwrap();
        assert!(said.starts_with("git names no commit"), "{said}");
    }

    #[test]
    fn a_chart_that_helm_does_not_take_is_no_release() {
        let helm = parts::existing(&parts::HELM_CLI).unwrap();
        assert_eq!(lint(&helm, &chart()).unwrap(), None);
        let broken = std::env::temp_dir().join(format!("prbuild-chart-{}", std::process::id()));
        fs::create_dir_all(broken.join("templates")).unwrap();
        let described = "apiVersion: v2\nname: broken\nversion: 1.0.0\n";
        fs::write(broken.join("Chart.yaml"), described).unwrap();
        fs::write(broken.join("values.yaml"), "{}\n").unwrap();
        fs::write(broken.join("templates/x.yaml"), "a: {{ .Values.b.c }\n").unwrap();
        let said = lint(&helm, &broken).unwrap();
        fs::remove_dir_all(&broken).unwrap();
        let said = said.unwrap();
        assert!(said.contains("x.yaml"), "{said}");
    }

    #[test]
    fn what_is_checked_out_agrees() {
        let facts = Facts::read(&workspace()).unwrap();
        // Which commit is tagged matters when it is released.
        let facts = Facts {
            tagged: None,
            ..facts
        };
        let wrong = judge(&facts);
        let serious = wrong.iter().filter(|one| !one.contains("Unreleased"));
        assert_eq!(serious.count(), 0, "{wrong:?}");
    }
}
