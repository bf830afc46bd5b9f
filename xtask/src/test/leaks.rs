//! Nothing secret is printed by anything: when all tests are over, what programs, pods and the tests
//! themselves printed is looked through for every secret that a story used.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::tests::secrets::{self, Secrets};
use tokio::task::JoinHandle;

use crate::Result;
use crate::clusters::Clusters;

/// How often logs of pods are looked for. A pod that is deleted has ended some seconds before.
const EVERY: Duration = Duration::from_millis(300);

/// What is to be looked through.
pub(super) struct Look {
    berths: Vec<PathBuf>,
    suite: String,
    keeping: Option<JoinHandle<()>>,
}

impl Look {
    /// Keeps logs of pods from now on.
    pub(super) fn begin(clusters: &Clusters) -> Self {
        let node = clusters.node.as_ref().map(|node| node.access().dir());
        let keeping = node.map(|node| tokio::spawn(keep(node.to_owned())));
        let all = [Some(clusters.control.access().dir()), node];
        Self {
            berths: all.into_iter().flatten().map(Path::to_owned).collect(),
            suite: String::new(),
            keeping,
        }
    }

    /// The tests themselves printed this.
    pub(super) fn suite(&mut self, text: &str) {
        self.suite.push_str(text);
        self.suite.push('\n');
    }

    /// Looks through everything.
    pub(super) fn end(mut self) -> Result<Leaks> {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
        }
        let berths: Vec<&Path> = self.berths.iter().map(PathBuf::as_path).collect();
        let secrets = Secrets::noted(&berths)?;
        let mut leaks = Leaks {
            secrets: secrets.count(),
            bytes: 0,
            found: BTreeSet::new(),
        };
        leaks.look(&secrets, "the output of the tests", self.suite.as_bytes());
        for log in secrets::printed(&berths) {
            let name = log.file_name().unwrap_or_default().to_string_lossy();
            leaks.look(&secrets, &name, &std::fs::read(&log)?);
        }
        Ok(leaks)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.abort();
        }
    }
}

async fn keep(node: PathBuf) {
    loop {
        secrets::keep_pod_logs(&node);
        tokio::time::sleep(EVERY).await;
    }
}

/// What was found.
pub(super) struct Leaks {
    secrets: usize,
    bytes: usize,
    found: BTreeSet<String>,
}

impl Leaks {
    fn look(&mut self, secrets: &Secrets, place: &str, text: &[u8]) {
        self.bytes += text.len();
        let found = secrets.found_in(text).into_iter();
        self.found
            .extend(found.map(|what| format!("{what} is in {place}")));
    }

    /// Nothing secret was printed.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        let found = self.found.len();
        write!(
            f,
            "{found} of {} secrets in {megabytes:.1} MB that programs, pods and tests printed",
            self.secrets
        )?;
        for leak in &self.found {
            write!(f, "\nprinted: {leak}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_printed_is_named_with_its_place_and_never_itself() {
        let mut secrets = Secrets::default();
        secrets.add("the key of app", "0123456789abcdef");
        let mut leaks = Leaks {
            secrets: secrets.count(),
            bytes: 0,
            found: BTreeSet::new(),
        };
        leaks.look(&secrets, "one.log", b"nothing");
        assert!(leaks.is_empty());
        leaks.look(&secrets, "two.log", b"it is 0123456789abcdef.");
        assert_eq!(
            leaks.to_string(),
            "1 of 1 secrets in 0.0 MB that programs, pods and tests printed\n\
             printed: the key of app is in two.log"
        );
    }
}
