//! Where somebody is in a line that they type, and what may stand there. Pure.

use clap::{Arg, Command};

use crate::cli::Way;

/// A place in a line.
#[derive(Debug)]
pub(super) struct Place {
    /// Which cluster the line is about, as far as it says so by now.
    pub(super) way: Way,
    /// What is there of the word.
    pub(super) typed: String,
    /// What the word may be.
    pub(super) wanted: Wanted,
}

/// What a word may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of these.
    Words(Vec<String>),
    /// The name of something.
    Names(&'static [Noun]),
    /// The name of a file.
    File,
}

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    /// PrBuilds.
    Builds,
    /// BuilderRuns.
    Runs,
    /// Answers.
    Answers,
    /// Builders.
    Builders,
    /// Repositories.
    Repositories,
    /// Workers.
    Workers,
    /// Namespaces.
    Namespaces,
    /// Contexts of the kubeconfig.
    Contexts,
}

impl Place {
    /// How kubectl is told whether it may offer files.
    pub(super) fn ending(&self) -> &'static str {
        match self.wanted {
            Wanted::File => ":0",
            _ => ":4",
        }
    }
}

/// The place of the last of these words.
pub(super) fn of(root: &Command, words: &[String]) -> Place {
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.clone(), before),
        None => (String::new(), words),
    };
    let mut line = Line {
        root,
        at: root,
        way: Way::default(),
        open: None,
        given: 0,
    };
    before.iter().for_each(|word| line.take(word));
    Place {
        wanted: line.wanted(&typed),
        way: line.way,
        typed,
    }
}

/// A line as far as it was read.
struct Line<'a> {
    root: &'a Command,
    /// The innermost command that was named.
    at: &'a Command,
    way: Way,
    /// An option whose value comes next.
    open: Option<&'a Arg>,
    /// How many names were given to the command.
    given: usize,
}

impl<'a> Line<'a> {
    /// Reads one whole word.
    fn take(&mut self, word: &str) {
        if let Some(option) = self.open.take() {
            return self.note(option, word);
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let option = self.options().find(|arg| arg.get_long() == Some(name));
            return self.opened(option, value);
        }
        if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            let mut letters = short.chars();
            let letter = letters.next();
            let option = self.options().find(|arg| arg.get_short() == letter);
            let value = Some(letters.as_str()).filter(|value| !value.is_empty());
            return self.opened(option, value.map(|value| value.trim_start_matches('=')));
        }
        match self.at.find_subcommand(word) {
            Some(inner) => self.at = inner,
            None => self.given += 1,
        }
    }

    /// The options of the command, and those of all commands.
    fn options(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let outermost = std::ptr::eq(self.at, self.root);
        let of_all = self.root.get_arguments().filter(|arg| arg.is_global_set());
        let of_all = of_all.filter(move |_| !outermost);
        let all = self.at.get_arguments().chain(of_all);
        all.filter(|arg| !arg.is_positional())
    }

    fn opened(&mut self, option: Option<&'a Arg>, value: Option<&str>) {
        let option = option.filter(|option| option.get_action().takes_values());
        match (option, value) {
            (Some(option), Some(value)) => self.note(option, value),
            (option, _) => self.open = option,
        }
    }

    /// Keeps what an option says of the cluster.
    fn note(&mut self, option: &Arg, value: &str) {
        let said = Some(value.to_owned());
        match option.get_id().as_str() {
            "namespace" => self.way.namespace = said,
            "context" => self.way.context = said,
            "kubeconfig" => self.way.kubeconfig = said.map(Into::into),
            _ => {}
        }
    }

    /// What the next word may be, of which this much is there.
    fn wanted(&self, typed: &str) -> Wanted {
        if let Some(option) = self.open {
            return wanted_by(self.at, option);
        }
        if typed.starts_with('-') {
            let long = self.options().filter_map(Arg::get_long);
            return Wanted::Words(long.map(|long| format!("--{long}")).collect());
        }
        let mut inner = self.at.get_subcommands().peekable();
        if inner.peek().is_some() {
            return Wanted::Words(inner.map(|inner| inner.get_name().to_owned()).collect());
        }
        match self.at.get_positionals().nth(self.given) {
            Some(name) => wanted_by(self.at, name),
            None => Wanted::Words(Vec::new()),
        }
    }
}

/// What an argument of a command takes.
fn wanted_by(command: &Command, argument: &Arg) -> Wanted {
    use Noun::*;
    let names: &[Noun] = match (command.get_name(), argument.get_id().as_str()) {
        ("explain", "what") => &[Builds, Runs, Answers],
        (_, "what" | "build") => &[Builds],
        (_, "run") => &[Runs],
        (_, "builder" | "builders") => &[Builders],
        (_, "repository") => &[Repositories],
        (_, "worker") => &[Workers],
        (_, "namespace") => &[Namespaces],
        (_, "context") => &[Contexts],
        (_, "kubeconfig") => return Wanted::File,
        _ => {
            let values = argument.get_possible_values();
            return Wanted::Words(values.iter().map(|one| one.get_name().to_owned()).collect());
        }
    };
    Wanted::Names(names)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn place(words: &[&str]) -> Place {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        of(&Cli::command(), &words)
    }

    #[test]
    fn each_command_is_offered_the_names_of_what_it_takes() {
        use Noun::*;
        let cases: &[(&[&str], &[Noun])] = &[
            (&["status", ""], &[Builds]),
            (&["logs", "cpy"], &[Runs]),
            (&["logs", "-f", ""], &[Runs]),
            (&["cancel", ""], &[Builds]),
            (&["cancel", "b", "--builder", ""], &[Builders]),
            (&["cancel", "--reason", "status", ""], &[Builds]),
            (
                &["rerun", "b", "--builder", "x", "--builder", ""],
                &[Builders],
            ),
            (&["explain", ""], &[Builds, Runs, Answers]),
            (&["pause", ""], &[Builders]),
            (&["resume", "--repository", ""], &[Repositories]),
            (&["worker", "drain", "--undo", ""], &[Workers]),
            (&["-n", ""], &[Namespaces]),
            (&["worker", "list", "--context", ""], &[Contexts]),
        ];
        for (words, names) in cases {
            assert_eq!(place(words).wanted, Wanted::Names(names), "{words:?}");
        }
        assert_eq!(place(&["--kubeconfig", ""]).wanted, Wanted::File);
        let nothing = Wanted::Words(Vec::new());
        assert_eq!(place(&["status", "b", ""]).wanted, nothing);
        assert_eq!(place(&["worker", "list", ""]).wanted, nothing);
    }

    #[test]
    fn options_are_offered_where_they_begin_with_a_dash() {
        let Wanted::Words(words) = place(&["logs", "--"]).wanted else {
            panic!("options are words");
        };
        assert_eq!(
            words,
            ["--follow", "--namespace", "--context", "--kubeconfig"]
        );
        let Wanted::Words(words) = place(&["-"]).wanted else {
            panic!("options are words");
        };
        assert_eq!(words, ["--namespace", "--context", "--kubeconfig"]);
    }

    #[test]
    fn what_the_line_says_of_the_cluster_is_heeded_however_it_is_written() {
        let way = Way {
            namespace: Some("builds".to_owned()),
            context: Some("test".to_owned()),
            kubeconfig: Some("other".into()),
        };
        for words in [
            &[
                "-n",
                "builds",
                "--context",
                "test",
                "--kubeconfig",
                "other",
                "logs",
                "",
            ][..],
            &[
                "logs",
                "--namespace=builds",
                "--context=test",
                "--kubeconfig=other",
                "",
            ],
            &[
                "-nbuilds",
                "logs",
                "--context",
                "test",
                "--kubeconfig=other",
                "x",
            ],
        ] {
            let place = place(words);
            assert_eq!(place.way, way, "{words:?}");
            assert_eq!(place.wanted, Wanted::Names(&[Noun::Runs]), "{words:?}");
        }
    }
}
