//! The git side of the forge: bare repositories on disk, one store of objects for a whole network of
//! forks, commits by `git fast-import` and test merges by `git merge-tree`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::model::MergeCommit;

/// Forty zeros: the commit of a branch that is not.
pub const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Where a command works: one repository and the objects of its network.
#[derive(Clone, Debug)]
pub struct Store {
    /// The bare repository.
    pub dir: PathBuf,
    /// The objects that all forks share.
    pub objects: PathBuf,
}

/// A commit to be made.
#[derive(Debug)]
pub struct NewCommit<'a> {
    /// The branch that moves to it.
    pub branch: &'a str,
    /// The parent; a root commit when none.
    pub parent: Option<&'a str>,
    /// Paths and contents that change. A file that begins with `#!` is executable.
    pub files: &'a [(&'a str, &'a str)],
    /// The message.
    pub message: &'a str,
    /// The login of the author.
    pub author: &'a str,
    /// What the commit says about its own age, which nobody should believe.
    pub time: Timestamp,
}

impl Store {
    /// Makes an empty bare repository on the objects of a network, as `git init` would.
    pub fn create(dir: PathBuf, objects: PathBuf) -> std::io::Result<Self> {
        for folder in ["objects/info", "refs/heads", "refs/pull"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::create_dir_all(&objects)?;
        fs::write(dir.join("HEAD"), "ref: refs/heads/main\n")?;
        fs::write(
            dir.join("objects/info/alternates"),
            format!("{}\n", objects.display()),
        )?;
        let config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n\
                      \tallowFilter = true\n[http]\n\treceivepack = false\n[gc]\n\tauto = 0\n";
        fs::write(dir.join("config"), config)?;
        Ok(Self { dir, objects })
    }

    /// Points a ref to a commit.
    pub fn set_ref(&self, name: &str, commit: &str) {
        let path = self.dir.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| {
                let next = path.with_extension("next");
                fs::write(&next, format!("{commit}\n"))?;
                fs::rename(next, &path)
            });
        if let Err(error) = written {
            panic!("forge: cannot write {}: {error}", path.display());
        }
    }

    /// Removes a ref.
    pub fn remove_ref(&self, name: &str) {
        let _ = fs::remove_file(self.dir.join(name));
    }

    /// Makes a commit and moves the branch to it, forced if need be. Returns its SHA.
    pub async fn commit(&self, new: &NewCommit<'_>) -> String {
        let input = fast_import(new);
        let arguments = ["fast-import", "--quiet", "--force", "--done"];
        let (code, output) = self.git(&arguments, &input).await;
        let sha = output.trim().to_owned();
        assert!(
            code == 0 && sha.len() == 40,
            "forge: git fast-import failed in {}",
            self.dir.display()
        );
        sha
    }

    /// The merge of a head into a base; none when they conflict.
    pub async fn merge(&self, base: &str, head: &str, time: Timestamp) -> Option<MergeCommit> {
        let (code, output) = self
            .git(&["merge-tree", "--write-tree", base, head], b"")
            .await;
        if code != 0 {
            return None;
        }
        let tree = output.lines().next()?.to_owned();
        let message = format!("Merge {head} into {base}");
        let date = format!("{} +0000", time.as_second());
        let mut command =
            self.command(&["commit-tree", &tree, "-p", base, "-p", head, "-m", &message]);
        command
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date);
        let (_, output) = run(command, b"").await;
        let oid = output.trim().to_owned();
        Some(MergeCommit {
            oid,
            tree,
            parents: [base.to_owned(), head.to_owned()],
        })
    }

    /// Whether a branch that moves from one commit to another only goes forward.
    pub async fn is_forward(&self, from: &str, to: &str) -> bool {
        self.git(&["merge-base", "--is-ancestor", from, to], b"")
            .await
            .0
            == 0
    }

    /// Whether the network has this commit.
    pub async fn has_commit(&self, sha: &str) -> bool {
        self.git(&["cat-file", "-e", &format!("{sha}^{{commit}}")], b"")
            .await
            .0
            == 0
    }

    async fn git(&self, arguments: &[&str], input: &[u8]) -> (i32, String) {
        run(self.command(arguments), input).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = hardened(&self.dir);
        command
            .args(arguments)
            .env("GIT_DIR", &self.dir)
            .env("GIT_OBJECT_DIRECTORY", &self.objects);
        command
            .env("GIT_AUTHOR_NAME", "GitHub")
            .env("GIT_AUTHOR_EMAIL", "noreply@github.com")
            .env("GIT_COMMITTER_NAME", "GitHub")
            .env("GIT_COMMITTER_EMAIL", "noreply@github.com");
        command
    }
}

/// A `git` that reads neither the person's nor the machine's configuration.
pub fn hardened(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(dir)
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command, input: &[u8]) -> (i32, String) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("forge: cannot start git ({error}); install git 2.38 or newer"),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // git may have ended already; its exit code tells.
        let _ = stdin.write_all(input).await;
    }
    match child.wait_with_output().await {
        Ok(output) => {
            if !output.stderr.is_empty() {
                tracing::debug!(stderr = %String::from_utf8_lossy(&output.stderr), "git");
            }
            (
                output.status.code().unwrap_or(-1),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        }
        Err(error) => panic!("forge: git was lost: {error}"),
    }
}

/// The stream that `git fast-import` reads.
fn fast_import(new: &NewCommit<'_>) -> Vec<u8> {
    let who = format!(
        "{} <{}@example.com> {} +0000",
        new.author,
        new.author,
        new.time.as_second()
    );
    let mut out = format!(
        "commit refs/heads/{}\nmark :1\nauthor {who}\ncommitter {who}\ndata {}\n{}\n",
        new.branch,
        new.message.len(),
        new.message
    );
    match new.parent {
        Some(parent) => out.push_str(&format!("from {parent}\n")),
        // Without it, fast-import goes on from where the branch is.
        None => out.push_str(&format!("from {NO_COMMIT}\n")),
    }
    for (path, content) in new.files {
        let mode = if content.starts_with("#!") {
            "100755"
        } else {
            "100644"
        };
        out.push_str(&format!(
            "M {mode} inline {path}\ndata {}\n{content}\n",
            content.len()
        ));
    }
    out.push_str("\nget-mark :1\ndone\n");
    out.into_bytes()
}
