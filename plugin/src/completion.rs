//! What shells need to complete the commands.

use clap::Command;
use clap_complete::Shell;

use crate::cli::Completed;

/// Prints it.
pub fn print(asked: Completed, mut command: Command) {
    let shell = match asked {
        Completed::Bash => Shell::Bash,
        Completed::Elvish => Shell::Elvish,
        Completed::Fish => Shell::Fish,
        Completed::Powershell => Shell::PowerShell,
        Completed::Zsh => Shell::Zsh,
        Completed::Kubectl => return print!("{}", for_kubectl(&command)),
    };
    clap_complete::generate(
        shell,
        &mut command,
        "kubectl-prbuild",
        &mut std::io::stdout(),
    );
}

/// The program that kubectl asks, with the words so far, what may come next: one answer a line, and in the
/// end `:4`, which keeps files from being offered.
///
/// <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>
fn for_kubectl(command: &Command) -> String {
    let mut script = String::from(
        "#!/bin/sh\n# Put this on PATH as kubectl_complete-prbuild: kubectl completes `kubectl prbuild` by it.\ncase \"$#:$1\" in\n",
    );
    script.push_str(&format!("0:*|1:*) printf '%s\\n' {} ;;\n", names(command)));
    for inner in command.get_subcommands() {
        let words = names(inner);
        if !words.is_empty() {
            script.push_str(&format!(
                "2:{}) printf '%s\\n' {words} ;;\n",
                inner.get_name()
            ));
        }
    }
    script.push_str("esac\necho :4\n");
    script
}

fn names(command: &Command) -> String {
    let names = command.get_subcommands().map(Command::get_name);
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn answer(script: &str, words: &[&str]) -> String {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-c", script, "x"]).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    #[test]
    fn kubectl_is_told_the_commands_and_those_beneath_them() {
        let script = for_kubectl(&Cli::command());
        let first = answer(&script, &[""]);
        assert!(
            first.starts_with("status\n") && first.ends_with("\n:4\n"),
            "{first}"
        );
        assert_eq!(answer(&script, &["worker", ""]), "list\ndrain\n:4\n");
        assert_eq!(answer(&script, &["status", ""]), ":4\n");
    }
}
