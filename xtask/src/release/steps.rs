//! What a release is made of, when all agrees. What cannot be taken back comes last: first what only takes up a
//! disk, then what others can fetch, then the tag. Whatever fails can be mended, and the command given again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Args, Facts, chart};
use crate::cargo::workspace;
use crate::images::succeed;
use crate::{Result, cross, images};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The chart, as one file.
    Chart,
    /// What runs outside of a cluster, for every system.
    Programs,
    /// The images, for every kind of machine; pushed where a registry was named.
    Images,
    /// The tag on the commit.
    Tag,
}

/// The steps that were asked for, in their order. Pure.
pub(super) fn of(args: &Args) -> Vec<Step> {
    let made = [Step::Chart, Step::Programs, Step::Images];
    match (args.check, args.dry_run) {
        (true, _) => Vec::new(),
        (false, true) => made.to_vec(),
        (false, false) => [&made[..], &[Step::Tag]].concat(),
    }
}

impl Step {
    /// Does it.
    pub(super) fn take(self, helm: &Path, facts: &Facts, registry: Option<&str>) -> Result<()> {
        let files = workspace().join("target/release-files");
        match self {
            Self::Chart => pack(helm, &files, &facts.version),
            Self::Programs => programs(&files, &facts.version),
            Self::Images => {
                println!("== images");
                let _ = images::run(images::Args::of_release(registry.map(str::to_owned)))?;
                Ok(())
            }
            Self::Tag => tag(&workspace(), facts),
        }
    }
}

fn pack(helm: &Path, files: &Path, version: &str) -> Result<()> {
    println!("== chart");
    let mut pack = Command::new(helm);
    pack.arg("package").arg(chart());
    succeed(pack.arg("--destination").arg(files))?;
    let packed = files.join(format!("prbuild-{version}.tgz"));
    println!("{}", packed.display());
    Ok(())
}

/// Builds them, and puts them beside the chart under names that differ.
fn programs(files: &Path, version: &str) -> Result<()> {
    let _ = cross::run(cross::Args::all())?;
    fs::create_dir_all(files)?;
    for file in cross::files() {
        let to = files.join(name(&file, version));
        fs::copy(&file, &to).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}", to.display());
    }
    Ok(())
}

/// What a program is called that is handed out: `kubectl-prbuild-0.1.0-x86_64-unknown-linux-musl`. Where cargo has it,
/// only the directories differ. Pure.
fn name(file: &Path, version: &str) -> String {
    let text = |part: Option<&std::ffi::OsStr>| {
        let part = part.unwrap_or_default();
        part.to_string_lossy().into_owned()
    };
    // Below the target's directory is that of the profile.
    let target = text(file.ancestors().nth(2).and_then(Path::file_name));
    let program = text(file.file_stem());
    match file.extension() {
        None => format!("{program}-{version}-{target}"),
        ending => format!("{program}-{version}-{target}.{}", text(ending)),
    }
}

/// Tags the commit that was looked at, whatever is checked out by now. Not pushed: that is a person's to do.
fn tag(root: &Path, facts: &Facts) -> Result<()> {
    let version = &facts.version;
    match (&facts.tagged, &facts.head) {
        (Some(_), _) => {}
        (None, None) => {
            return Err("there is no commit to tag; release from a checkout of git".into());
        }
        (None, Some(head)) => {
            let mut git = Command::new("git");
            git.current_dir(root).args(["tag", "--annotate"]);
            git.args(["--message", &format!("PrBuild {version}")]);
            succeed(git.args([&format!("v{version}"), head]))?;
        }
    }
    println!("● v{version} is tagged");
    println!("next: git push origin v{version}");
    Ok(())
}

#[cfg(test)]
mod tests_of_steps {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Release {
        #[command(flatten)]
        args: Args,
    }

    fn asked(words: &[&str]) -> std::result::Result<Vec<Step>, clap::Error> {
        let words = [&["release"][..], words].concat();
        Release::try_parse_from(words).map(|release| of(&release.args))
    }

    #[test]
    fn one_command_does_all_and_the_tag_comes_last() {
        let all = [Step::Chart, Step::Programs, Step::Images, Step::Tag];
        assert_eq!(asked(&[]).unwrap(), all);
        let pushed = asked(&["--registry", "registry.example.org/prbuild"]);
        assert_eq!(pushed.unwrap(), all);
        assert_eq!(asked(&["--dry-run"]).unwrap(), all[..3]);
        assert!(asked(&["--check"]).unwrap().is_empty());
        for both in [
            &["--check", "--dry-run"][..],
            &["--dry-run", "--registry", "r.example.org"],
        ] {
            assert!(asked(both).is_err(), "{both:?}");
        }
    }

    #[test]
    fn programs_of_all_systems_have_names_of_their_own() {
        let names: Vec<String> = cross::files()
            .iter()
            .map(|file| name(file, "1.2.0"))
            .collect();
        let mut differ = names.clone();
        differ.sort();
        differ.dedup();
        assert_eq!(differ.len(), names.len(), "{names:?}");
        for wanted in [
            "kubectl-prbuild-1.2.0-aarch64-unknown-linux-musl",
            "prbuild-agent-1.2.0-x86_64-pc-windows-gnu.exe",
        ] {
            assert!(names.iter().any(|name| name == wanted), "{names:?}");
        }
    }

    #[test]
    fn the_commit_that_was_checked_is_tagged_once() {
        let root = std::env::temp_dir().join(format!("prbuild-tag-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            let output = git.args(args).current_dir(&root).output().unwrap();
            assert!(output.status.success(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet"]);
        git(&["config", "user.name", "Ada"]);
        git(&["config", "user.email", "ada@example.org"]);
        for message in ["checked", "later"] {
            git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        }
        let mut facts = Facts {
            version: "1.2.0".into(),
            chart: "1.2.0".into(),
            app: "1.2.0".into(),
            changelog: String::new(),
            tagged: None,
            head: Some(git(&["rev-parse", "HEAD~1"])),
            changed: false,
        };
        tag(&root, &facts).unwrap();
        let tagged = git(&["rev-parse", "v1.2.0^{commit}"]);
        assert_eq!(Some(&tagged), facts.head.as_ref());
        facts.tagged = Some(tagged);
        tag(&root, &facts).unwrap();
        fs::remove_dir_all(&root).unwrap();
        (facts.tagged, facts.head) = (None, None);
        let said = tag(&root, &facts).unwrap_err().to_string();
        assert!(said.starts_with("there is no commit to tag"), "{said}");
    }
}
