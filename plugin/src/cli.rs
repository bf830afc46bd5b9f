//! What can be asked for.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Look at builds, stop and repeat them, find out what is wrong. Exit codes: 0 done, 1 not done, 2 wrong
/// arguments.
#[derive(Debug, Parser)]
#[command(name = "kubectl prbuild", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Namespace of PrBuild's objects; that of the context where nothing is said
    #[arg(long, short, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// The kubeconfig, instead of those that KUBECONFIG names, or ~/.kube/config
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Where it is done.
    pub fn way(&self) -> Way {
        Way {
            namespace: self.namespace.clone(),
            context: self.context.clone(),
            kubeconfig: self.kubeconfig.clone(),
        }
    }
}

/// Which cluster is meant, and what part of it; nothing where nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Namespace of PrBuild's objects.
    pub namespace: Option<String>,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show builds, or the runs of one
    Status {
        /// Name of a build, or number of a pull request
        what: Option<String>,
    },
    /// Print what a run printed
    Logs {
        /// Name of a run: BUILD-BUILDER-ATTEMPT
        run: String,
        /// Go on as it prints more
        #[arg(long, short)]
        follow: bool,
    },
    /// Stop a build, or one builder of it
    Cancel {
        /// Name of a build
        build: String,
        /// Stop only this builder
        #[arg(long)]
        builder: Option<String>,
        /// Why; the statuses on GitHub say it
        #[arg(long, default_value = "it is not wanted any more")]
        reason: String,
        /// Stop only what has not started
        #[arg(long)]
        waiting_only: bool,
    },
    /// Build the same commits again. Takes the verb `authorize` on prbuilds
    Rerun {
        /// Name of a build
        build: String,
        /// Only these builders; all of the build where nothing is said
        #[arg(long = "builder")]
        builders: Vec<String>,
    },
    /// Say why a build or run waits, was refused, or ended as it did
    Explain {
        /// Name of a build, a run, or an answer, or number of a pull request
        what: String,
    },
    /// Let no new run of a builder begin; what runs goes on
    Pause {
        #[command(flatten)]
        /// Of what.
        what: Paused,
    },
    /// Let runs begin again
    Resume {
        #[command(flatten)]
        /// Of what.
        what: Paused,
    },
    /// Look at workers, and send them home
    Worker {
        /// What to do with them.
        #[command(subcommand)]
        command: WorkerCommand,
    },
    /// Look at an install: what is ready, what is missing, what you may do
    Doctor,
    /// Print what a shell needs to complete these commands
    Completion {
        /// For which shell; `kubectl` is the program by which kubectl completes `kubectl prbuild` itself: put
        /// it on PATH as `kubectl_complete-prbuild`
        shell: Completed,
    },
}

/// Who completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Completed {
    /// bash, for `kubectl-prbuild`
    Bash,
    /// Elvish, for `kubectl-prbuild`
    Elvish,
    /// fish, for `kubectl-prbuild`
    Fish,
    /// PowerShell, for `kubectl-prbuild`
    Powershell,
    /// Z shell, for `kubectl-prbuild`
    Zsh,
    /// kubectl, for `kubectl prbuild` in any shell
    Kubectl,
}

/// What is paused.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Paused {
    /// Name of a Builder
    pub builder: Option<String>,
    /// Name of a Repository: nothing of it begins, and no new builds are taken
    #[arg(long)]
    pub repository: Option<String>,
    /// All Builders
    #[arg(long)]
    pub all: bool,
}

/// What to do with workers.
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Show all workers
    List,
    /// Give a worker nothing new; what it runs goes on
    Drain {
        /// Name of a worker
        worker: String,
        /// Give it work again
        #[arg(long)]
        undo: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound_and_pausing_needs_exactly_one_object() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let parse = |args: &[&str]| Cli::try_parse_from([&["x"], args].concat());
        assert!(parse(&["pause", "debian"]).is_ok());
        assert!(parse(&["pause", "--all"]).is_ok());
        assert!(parse(&["pause"]).is_err());
        assert!(parse(&["pause", "debian", "--all"]).is_err());
        assert!(parse(&["-n", "prbuild", "logs", "-f", "run"]).is_ok());
        let said = ["status", "--kubeconfig", "other", "--context", "test"];
        let way = Way {
            namespace: None,
            context: Some("test".to_owned()),
            kubeconfig: Some("other".into()),
        };
        assert_eq!(parse(&said).unwrap().way(), way);
    }
}
