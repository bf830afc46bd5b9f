//! Somebody's terminal, in which the commands of a page of docs/ are run as they stand there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::cluster::{Access, Release};
use tests::parts;
use tests::story::Story;

use crate::beside;

/// The blocks of commands below a heading of a page, without what they print.
pub(crate) fn commands(page: &str, heading: &str) -> Vec<String> {
    let file = Release::chart().join("../../docs").join(page);
    let text = std::fs::read_to_string(file).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("{page} has no part `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```console\n").skip(1);
    blocks
        .map(|block| typed(block.split("\n```").next().unwrap()))
        .collect()
}

/// What is typed of a block: lines behind a prompt, and those that they go on in.
fn typed(block: &str) -> String {
    let mut lines = Vec::new();
    let (mut goes_on, mut until) = (false, None);
    for line in block.lines() {
        if let Some(end) = until {
            lines.push(line);
            until = (line != end).then_some(end);
            continue;
        }
        let command = line.strip_prefix("$ ");
        if command.is_none() && !goes_on {
            continue;
        }
        let command = command.unwrap_or(line);
        goes_on = command.ends_with('\\');
        until = command.contains("<<'EOF'").then_some("EOF");
        lines.push(command);
    }
    lines.join("\n")
}

/// A directory, a cluster, variables that last.
pub(crate) struct Terminal {
    dir: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    builds: String,
    words: BTreeMap<&'static str, String>,
}

impl Terminal {
    /// In the namespaces of a story, as its administrator.
    pub(crate) fn open(story: &Story) -> Self {
        let dir = story.install.dir().unwrap().join("terminal");
        let install = &story.install;
        Self::within(dir, install.access()).about(install.namespace(), install.builds())
    }

    /// In a cluster of its own, whose namespaces are called as in the pages.
    pub(crate) fn within(dir: PathBuf, access: &Access) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        let charts = Release::chart().join("..").canonicalize().unwrap();
        std::os::unix::fs::symlink(charts, dir.join("charts")).unwrap();
        Self {
            dir,
            kubeconfig: access.kubeconfig().to_owned(),
            namespace: "prbuild".to_owned(),
            builds: "prbuild-builds".to_owned(),
            words: BTreeMap::new(),
        }
    }

    fn about(mut self, namespace: &str, builds: &str) -> Self {
        self.namespace = namespace.to_owned();
        self.builds = builds.to_owned();
        self
    }

    /// What stands for something in the page is this here.
    pub(crate) fn says(&mut self, word: &'static str, is: &str) {
        self.words.insert(word, is.to_owned());
    }

    /// Runs a block; variables are those of the blocks before. Returns what it printed.
    pub(crate) async fn run(&self, block: &str) -> String {
        let mut block = here(block, &self.namespace, &self.builds);
        for (word, is) in &self.words {
            block = block.replace(word, is);
        }
        let script = format!(
            "set -euo pipefail\n[ -f kept ] && . ./kept\n{block}\necho \"NEW=${{NEW:-}}\" >kept\n"
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).current_dir(&self.dir);
        shell
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", path());
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{block}\n{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Writes a file that a command reads.
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.dir.join(file), text).unwrap();
    }

    /// What the variable `NEW` is.
    pub(crate) fn new_secret(&self) -> String {
        let kept = std::fs::read_to_string(self.dir.join("kept")).unwrap();
        kept.trim().strip_prefix("NEW=").unwrap().to_owned()
    }
}

/// A block with other namespaces than those of the page.
fn here(block: &str, namespace: &str, builds: &str) -> String {
    let mut block = format!("{block}\n");
    for before in ["-n ", "--namespace ", "create namespace "] {
        for (name, is) in [("prbuild", namespace), ("prbuild-builds", builds)] {
            for after in [" ", "\n"] {
                let (from, to) = (
                    format!("{before}{name}{after}"),
                    format!("{before}{is}{after}"),
                );
                block = block.replace(&from, &to);
            }
        }
    }
    block.trim_end().to_owned()
}

/// PATH of a person who has installed what the pages need.
fn path() -> OsString {
    let ours = beside("kubectl-prbuild");
    let kubectl = parts::existing(&parts::KUBECTL).unwrap();
    let helm = parts::existing(&parts::HELM_CLI).unwrap();
    let folders = [&ours, &kubectl, &helm].map(|program| folder(program));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap()
}

fn folder(program: &Path) -> PathBuf {
    program.parent().unwrap().to_owned()
}

#[test]
fn what_a_command_prints_is_not_typed_and_commands_go_on_where_they_do() {
    let block =
        "$ first \\\n    --more\nprinted: 1\n$ apply <<'EOF'\na: 1\n$ no: prompt\nEOF\n$ last";
    let typed = typed(block);
    assert_eq!(
        typed,
        "first \\\n    --more\napply <<'EOF'\na: 1\n$ no: prompt\nEOF\nlast"
    );
}

#[test]
fn commands_are_about_the_namespaces_of_the_story() {
    let block = "kubectl create namespace prbuild\nkubectl -n prbuild-builds get x\nhelm -n prbuild get values prbuild";
    assert_eq!(
        here(block, "a", "b"),
        "kubectl create namespace a\nkubectl -n b get x\nhelm -n a get values prbuild"
    );
}
