//! A bare repository kept between runs, one for each address: only what is new crosses the network.
//! Only the agent's user reads and writes it, and nothing of a pull request runs as that user.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use protocol::Source;

use crate::{
    checkout::{self, CheckoutError, FetchLimits, LOCAL, output_of},
    git::{self, Git},
    log::Log,
    os::Signals,
    source::Scheme,
};

/// Commits that a mirror keeps, so that the next fetch has something to build on.
const KEPT: usize = 30;

/// What git leaves where it was killed, beside locks: it tidies nothing for half a day while this names a process.
/// And where it packed references, which [`COLLECT`] forbids: nothing would let go of those.
const LEFT: [&str; 2] = ["gc.pid", "packed-refs"];

/// Tidies a mirror when it is worth it. In the foreground: what goes on behind a command is killed with it.
const COLLECT: &[&str] = &[
    "-c",
    "gc.auto=256",
    "-c",
    "gc.autoDetach=false",
    "-c",
    "gc.packRefs=false",
    "gc",
    "--auto",
    "--quiet",
    "--prune=now",
];

/// A mirror or a hand-over that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A directory or file of the mirror.
    #[error("the mirror `{path}` is not usable: {source}")]
    Directory {
        /// The mirror.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The repository that the agent laid down for the build.
    #[error("the repository `{path}` could not be taken over: {source}")]
    HandOver {
        /// The repository.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// The mirror of one repository.
pub struct Mirror<'a> {
    source: &'a Source,
    path: PathBuf,
    git: Git,
    /// It was there before this run, so what fails may be its own fault.
    is_old: bool,
}

impl<'a> Mirror<'a> {
    /// Opens a mirror, or makes an empty one. Nothing else works in it: one checkout at a time.
    pub fn open(
        mirrors: &Path,
        home: &Path,
        source: &'a Source,
        scheme: Scheme,
        signals: &mut Signals,
    ) -> Result<Self, CheckoutError> {
        let path = mirrors.join(name_of(source));
        let is_old = path.join("HEAD").is_file();
        fs::create_dir_all(&path).map_err(|source| directory(&path, source))?;
        let git = Git::new(&path, home, scheme);
        if is_old {
            unlock(&path).map_err(|source| directory(&path, source))?;
        } else {
            checkout::init(&git, source, &["--bare"], signals)?;
            // The hand-over asks for a commit by its SHA.
            let setting = ["config", "uploadpack.allowAnySHA1InWant", "true"];
            output_of(git.run(&setting, LOCAL, signals)?, "set the mirror up")?;
        }
        Ok(Self {
            source,
            path,
            git,
            is_old,
        })
    }

    /// Throws a mirror away and makes an empty one.
    pub fn anew(
        mirrors: &Path,
        home: &Path,
        source: &'a Source,
        scheme: Scheme,
        signals: &mut Signals,
    ) -> Result<Self, CheckoutError> {
        let path = mirrors.join(name_of(source));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(directory(&path, error));
            }
            _ => {}
        }
        Self::open(mirrors, home, source, scheme, signals)
    }

    /// Fetches the source's commit, proves that it is the one, and keeps it for the next fetch.
    pub fn fetch(
        &mut self,
        limits: FetchLimits,
        signals: &mut Signals,
        log: &mut Log,
    ) -> Result<(), CheckoutError> {
        checkout::fetch(&self.git, self.source, limits, signals, log)?;
        checkout::verify(&self.git, self.source, signals)?;
        let commit = &self.source.commit;
        let name = format!("refs/prbuild/{commit}");
        let kept = self
            .git
            .run(&["update-ref", &name, commit], LOCAL, signals)?;
        output_of(kept, "keep the commit")?;
        self.tidy(limits, signals)
    }

    /// Fetches the commit from here into another repository on this disk.
    pub fn give_to(
        &self,
        to: &Git,
        limits: FetchLimits,
        signals: &mut Signals,
    ) -> Result<(), CheckoutError> {
        let path = self.path.display().to_string();
        let fetch = git::fetch_of(&path, &self.source.commit);
        let given = to.run(&fetch, limits.on_disk(), signals)?;
        output_of(given, "read the mirror").map(drop)
    }

    /// Whether the mirror itself can be the reason of an error.
    pub fn may_be_broken(&self, error: &CheckoutError) -> bool {
        let is_local = matches!(
            error,
            CheckoutError::Local { .. } | CheckoutError::Refused(_) | CheckoutError::Network { .. }
        );
        // A network that fails looks like pieces that are missing only if git says so.
        let is_network = matches!(error, CheckoutError::Network { last, .. } if !is_corrupt(last));
        self.is_old && is_local && !is_network
    }

    /// Lets go of all but the newest commits, and of their objects now and then.
    fn tidy(&self, limits: FetchLimits, signals: &mut Signals) -> Result<(), CheckoutError> {
        let refs = self.path.join("refs/prbuild");
        let mut kept: Vec<_> = fs::read_dir(&refs)
            .map_err(|source| directory(&refs, source))?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        kept.sort();
        let old = kept.len().saturating_sub(KEPT);
        for (_, path) in &kept[..old] {
            fs::remove_file(path).map_err(|source| directory(path, source))?;
        }
        if old > 0 {
            let collected = self.git.run(COLLECT, limits.on_disk(), signals)?;
            output_of(collected, "tidy the mirror")?;
        }
        Ok(())
    }
}

fn directory(path: &Path, source: io::Error) -> CheckoutError {
    let path = path.display().to_string();
    MirrorError::Directory { path, source }.into()
}

/// Words of git about its own objects.
fn is_corrupt(words: &str) -> bool {
    [
        "corrupt",
        "is empty",
        "loose object",
        "packfile",
        "index-pack",
        "unable to read",
        "bad object",
    ]
    .iter()
    .any(|word| words.contains(word))
}

/// The mirror's directory: the address, with nothing in it that means something in a path.
fn name_of(source: &Source) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let name: String = source.clone_url.chars().map(plain).collect();
    let kind = if source.commit.len() == 64 {
        "-sha256"
    } else {
        ""
    };
    format!("{name}{kind}.git")
}

/// Removes locks and what else is in the way of a git that comes after one that was killed. Nothing else works in the
/// mirror now.
fn unlock(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_lock = path.extension().is_some_and(|end| end == "lock");
        if entry.file_type()?.is_dir() && name != "objects" {
            unlock(&path)?;
        } else if is_lock || LEFT.iter().any(|left| name == *left) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
