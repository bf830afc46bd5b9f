//! Running cargo, so that it and all that it starts end with this program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// The workspace of this program.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A cargo that runs in a process group of its own. Dropping it ends the group.
pub struct Cargo {
    /// The process, to wait for and to read from.
    pub child: Child,
}

impl Cargo {
    /// Starts cargo in the workspace. `piped`: what it prints is read, not shown.
    pub fn start(
        args: &[&str],
        environment: &[(&str, &Path)],
        piped: bool,
    ) -> std::io::Result<Self> {
        let mut cargo = Command::from(::tests::cargo::cargo());
        cargo
            .args(args)
            .current_dir(workspace())
            .envs(environment.iter().copied());
        cargo.stdin(Stdio::null()).process_group(0);
        if piped {
            cargo.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        Ok(Self {
            child: cargo.spawn()?,
        })
    }

    /// Runs cargo to its end and returns what it printed.
    pub async fn read(args: &[&str]) -> crate::Result<String> {
        let output = Command::from(::tests::cargo::cargo())
            .args(args)
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        if output.status.success() {
            Ok(String::from_utf8(output.stdout)?)
        } else {
            Err(failed(args))
        }
    }

    /// Runs cargo to its end.
    pub async fn run(args: &[&str]) -> crate::Result<()> {
        let status = Self::start(args, &[], false)?.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(args))
        }
    }
}

fn failed(args: &[&str]) -> Box<dyn std::error::Error + Send + Sync> {
    format!("cargo {} failed", args.join(" ")).into()
}

impl Drop for Cargo {
    fn drop(&mut self) {
        // `id` is there only until it was waited for.
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = pid {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_program_is_built_with_every_crate_so_that_features_agree_and_nothing_is_compiled_twice()
    {
        let all = include_str!("../../Cargo.toml");
        let members = all.lines().find_map(|line| line.strip_prefix("members = "));
        let members: Vec<String> = serde_json::from_str(members.unwrap()).unwrap();
        let own = include_str!("../Cargo.toml");
        for member in members.iter().filter(|member| *member != "xtask") {
            let depends = own
                .lines()
                .any(|line| line.split([' ', '.']).next() == Some(member.as_str()));
            assert!(depends, "{member}");
        }
    }
}
