//! Where things are beneath the state directory. Three parts with three owners: the agent's own, what
//! the agent hands over to builds, and the builds.

use std::path::{Path, PathBuf};

use protocol::worker::key::sha256;

use super::files::{self, FileError};

/// The directories of a worker.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Beneath a state directory.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The agent's own directory, which no build reads.
    pub fn agent(&self) -> PathBuf {
        self.root.join("agent")
    }

    /// A file of the agent's own.
    pub fn own(&self, name: &str) -> PathBuf {
        self.agent().join(name)
    }

    /// The agent's private key.
    pub fn key(&self) -> PathBuf {
        self.own("key.pem")
    }

    /// Mirrors of repositories.
    pub fn mirrors(&self) -> PathBuf {
        self.own("mirrors")
    }

    /// What is known of one held assignment.
    pub fn held(&self, id: &str) -> PathBuf {
        self.own("held").join(format!("{}.json", name_of(id)))
    }

    /// Which process runs a held assignment.
    pub fn executor(&self, id: &str) -> PathBuf {
        self.own("held").join(format!("{}.executor", name_of(id)))
    }

    /// All directories of spools.
    pub fn spools(&self) -> PathBuf {
        self.own("spool")
    }

    /// What one held assignment printed.
    pub fn spool(&self, id: &str) -> PathBuf {
        self.spools().join(name_of(id))
    }

    /// Where a slot's repository is laid down for the build user to take.
    pub fn hand_over(&self, slot: u32) -> PathBuf {
        self.root.join("hand-over").join(slot.to_string())
    }

    /// The directories of all builds.
    pub fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    /// The directory of a slot's build.
    pub fn build(&self, slot: u32) -> PathBuf {
        self.builds().join(slot.to_string()).join("run")
    }

    /// Makes the agent's own directories.
    pub fn make_own(&self) -> Result<(), FileError> {
        // Builds pass through it to their own directory.
        std::fs::create_dir_all(&self.root)
            .map_err(|source| FileError::new(&self.root, "made", source))?;
        files::private_directory(&self.agent())?;
        files::private_directory(&self.own("held"))?;
        files::private_directory(&self.spools())
    }
}

/// An id as a file's name: it is the gateway's text, and could be a path.
fn name_of(id: &str) -> String {
    sha256(id.as_bytes())[..32].to_owned()
}
