//! What shells need to complete the commands.
//!
//! kubectl asks a program of its own, `FOR_KUBECTL`, which hands the words to ours: `place` (pure) finds out
//! what may come next, and `offer` asks the cluster where that is the name of an object.

mod offer;
mod place;

use std::ffi::OsString;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, Completed};
use crate::{PluginError, out};

/// The word that asks what may come next, with the words so far behind it. It is no command for people.
const ASK: &str = "__complete";

/// The program that kubectl asks, with the words so far.
///
/// <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>
const FOR_KUBECTL: &str = "#!/bin/sh
# Put this on PATH as kubectl_complete-prbuild: kubectl completes `kubectl prbuild` by it.
exec kubectl-prbuild __complete \"$@\"
";

/// Prints it.
///
/// # Errors
/// Standard output is closed, or full.
pub fn print(asked: Completed, mut command: Command) -> Result<(), PluginError> {
    let shell = match asked {
        Completed::Bash => Shell::Bash,
        Completed::Elvish => Shell::Elvish,
        Completed::Fish => Shell::Fish,
        Completed::Powershell => Shell::PowerShell,
        Completed::Zsh => Shell::Zsh,
        Completed::Kubectl => return out::bytes(FOR_KUBECTL.as_bytes()),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "kubectl-prbuild", &mut script);
    out::bytes(&script)
}

/// The words of a line that is being typed, where a program was called to complete it; the last one is the one
/// that is typed.
pub fn asked(args: impl Iterator<Item = OsString>) -> Option<Vec<String>> {
    let mut args = args.skip(1).map(|arg| arg.to_string_lossy().into_owned());
    (args.next()? == ASK).then(|| args.collect())
}

/// What may come next, as kubectl wants to be told: one answer a line, and in the end `:4`, or `:0` where files
/// are to be offered. What cannot be found out in time is not said: nobody looks for errors while they type.
pub async fn answer(words: &[String]) -> String {
    let command = Cli::command();
    let place = place::of(&command, words);
    let mut lines = offer::names(&place).await;
    lines.retain(|name| name.starts_with(&place.typed));
    lines.push(place.ending().to_owned());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        answer(&words).await
    }

    #[tokio::test]
    async fn kubectl_is_told_the_commands_and_those_beneath_them() {
        let first = told(&[""]).await;
        assert!(
            first.starts_with("status\n") && first.ends_with("\n:4\n"),
            "{first}"
        );
        assert_eq!(told(&["wor"]).await, "worker\n:4\n");
        assert_eq!(told(&["worker", ""]).await, "list\ndrain\n:4\n");
        assert_eq!(told(&["doctor", ""]).await, ":4\n");
        assert_eq!(told(&["status", "--kubeconfig", ""]).await, ":0\n");
        assert_eq!(told(&["completion", "z"]).await, "zsh\n:4\n");
    }

    #[tokio::test]
    async fn what_cannot_be_found_out_is_not_said() {
        let nowhere = ["status", "--kubeconfig", "/nowhere/at/all", ""];
        assert_eq!(told(&nowhere).await, ":4\n");
        let nowhere = ["--kubeconfig", "/nowhere/at/all", "--context", ""];
        assert_eq!(told(&nowhere).await, ":4\n");
    }

    #[test]
    fn only_one_word_asks_for_it() {
        let words = |args: &[&str]| asked(args.iter().map(|arg| OsString::from(*arg)));
        assert_eq!(words(&["kubectl-prbuild", "status"]), None);
        assert_eq!(words(&["kubectl-prbuild"]), None);
        let line = ["kubectl-prbuild", ASK, "logs", "-n", "a", ""];
        assert_eq!(words(&line).unwrap(), ["logs", "-n", "a", ""]);
        assert!(FOR_KUBECTL.contains(ASK), "the program asks by the word");
    }
}
