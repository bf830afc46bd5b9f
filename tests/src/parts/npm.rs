//! What comes as npm packages, published descriptions and programs, fetched with npm's own client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::make::{last_lines, unpack};
use super::{Cache, Loudness, NPM, Part, PartError, Progress, obtain};

/// A package of npm: its name, and the version that tests are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NpmPackage {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for.
    pub needed_for: &'static str,
    /// What of it is wanted.
    pub wanted: Wanted,
}

/// What is wanted of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its files.
    Files,
    /// The program that it is, which needs other packages beside it.
    Program,
}

/// GitHub's REST description.
pub const OPENAPI: NpmPackage = NpmPackage {
    name: "@octokit/openapi",
    version: "23.0.2",
    needed_for: "the forge: GitHub's REST API",
    wanted: Wanted::Files,
};
/// The schemas of webhook payloads.
pub const WEBHOOKS: NpmPackage = NpmPackage {
    name: "@octokit/webhooks-schemas",
    version: "7.6.1",
    needed_for: "the forge: payloads of deliveries",
    wanted: Wanted::Files,
};
/// Payloads that GitHub published.
pub const WEBHOOK_EXAMPLES: NpmPackage = NpmPackage {
    name: "@octokit/webhooks-examples",
    version: "7.6.1",
    needed_for: "tests: GitHub's own examples of deliveries",
    wanted: Wanted::Files,
};
/// The public GraphQL schema.
pub const GRAPHQL: NpmPackage = NpmPackage {
    name: "@octokit/graphql-schema",
    version: "15.26.1",
    needed_for: "the forge: GitHub's GraphQL API",
    wanted: Wanted::Files,
};

/// What looks for barriers in pages.
pub const AXE: NpmPackage = NpmPackage {
    name: "axe-core",
    version: "4.14.1",
    needed_for: "tests: pages that everybody can use",
    wanted: Wanted::Files,
};
/// Microsoft's own emulator of Azure's storage, in the last version that runs with the Node.js of a
/// distribution.
pub const AZURITE: NpmPackage = NpmPackage {
    name: "azurite",
    version: "3.35.0",
    needed_for: "tests: logs in a container of Azure",
    wanted: Wanted::Program,
};

/// All that describe GitHub.
pub const DESCRIPTIONS: [NpmPackage; 4] = [OPENAPI, WEBHOOKS, WEBHOOK_EXAMPLES, GRAPHQL];
/// What only tests need besides.
pub const OF_TESTS: [NpmPackage; 2] = [AXE, AZURITE];

/// What fetches those of these packages that are not in the cache; nothing where all are.
pub fn fetching(packages: &[NpmPackage], cache: &Cache) -> Option<&'static Part> {
    let missing = packages.iter().any(|one| one.found(cache).is_none());
    missing.then_some(&NPM)
}

impl NpmPackage {
    /// Where it lies, if it was fetched.
    pub fn found(&self, cache: &Cache) -> Option<PathBuf> {
        let entry = cache.entry(&self.kept(), self.version);
        entry.is_dir().then(|| self.within(entry))
    }

    /// Its content, from the cache or fetched into it.
    pub fn obtain(&self) -> Result<PathBuf, PartError> {
        let cache = Cache::of_user();
        let kept = self.kept();
        let entry = cache.entry(&kept, self.version);
        let io = |error: std::io::Error| PartError::io(&entry, &error);
        let _lock = cache.lock(&kept, || ()).map_err(io)?;
        if entry.is_dir() {
            return Ok(self.within(entry));
        }
        let what = format!("npm package {} {}", self.name, self.version);
        let npm = obtain(&NPM, &cache, Loudness::Normal)?;
        let expected = cache.last_time(&kept);
        let progress = Progress::start(&format!("fetching {what}"), expected, Loudness::Normal);
        let work = cache.work(&format!("{kept}-{}", self.version));
        let work = work.map_err(io)?;
        let got = match self.wanted {
            Wanted::Files => self.unpacked(&npm, &work),
            Wanted::Program => self.installed(&npm, &work),
        };
        let got = got.map_err(|error| PartError {
            what: format!("cannot fetch {what}"),
            ..error
        })?;
        fs::rename(got, &entry).map_err(io)?;
        // What is left is a tarball, or a list; it costs space and nothing else.
        let _ = fs::remove_dir_all(&work);
        cache.remember_time(&kept, progress.finish("fetched"));
        Ok(self.within(entry))
    }

    /// By this name it is kept.
    fn kept(&self) -> String {
        let flat = self.name.trim_start_matches('@').replace('/', "-");
        match self.wanted {
            Wanted::Files => format!("npm-{flat}"),
            Wanted::Program => format!("npm-program-{flat}"),
        }
    }

    /// Its content in what is kept.
    fn within(&self, entry: PathBuf) -> PathBuf {
        match self.wanted {
            Wanted::Files => entry,
            Wanted::Program => entry.join("node_modules").join(self.name),
        }
    }

    /// Unpacks it in a directory. `npm pack` runs no script of the package and checks its hash.
    fn unpacked(&self, npm: &Path, work: &Path) -> Result<PathBuf, PartError> {
        let mut pack = Command::new(npm);
        pack.args(["pack", &format!("{}@{}", self.name, self.version)]);
        pack.args(["--silent", "--pack-destination"]).arg(work);
        let tarball = run(&mut pack, work)?;
        unpack(&work.join(tarball.trim()), work)?;
        Ok(work.join("package"))
    }

    /// Installs it in a directory, beside all that it needs. No script of any package runs, and npm checks
    /// their hashes.
    fn installed(&self, npm: &Path, work: &Path) -> Result<PathBuf, PartError> {
        let into = work.join("installed");
        fs::create_dir_all(&into).map_err(|error| PartError::io(&into, &error))?;
        let mut install = Command::new(npm);
        install.args(["install", &format!("{}@{}", self.name, self.version)]);
        install.args(["--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        install.args(["--omit=dev", "--omit=optional", "--prefix"]);
        run(install.arg(&into), work)?;
        Ok(into)
    }
}

/// Runs npm in a directory. What it printed.
fn run(npm: &mut Command, work: &Path) -> Result<String, PartError> {
    let output = npm.current_dir(work).stdin(Stdio::null()).output();
    let output = output.map_err(|error| PartError::io(work, &error))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(PartError::new(
            "npm has failed",
            last_lines(&[output.stdout, output.stderr].concat()),
            "check the network, and that npm reaches its registry: npm ping",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_is_needed_until_all_packages_are_there() {
        let root = std::env::temp_dir().join(format!("prbuild-npm-{}", std::process::id()));
        let cache = Cache::at(&root);
        for packages in [&DESCRIPTIONS[..], &OF_TESTS[..]] {
            for package in packages {
                let needed = fetching(packages, &cache);
                assert_eq!(needed, Some(&NPM), "{}", package.name);
                fs::create_dir_all(cache.entry(&package.kept(), package.version)).unwrap();
            }
            assert_eq!(fetching(packages, &cache), None);
        }
        let azurite = AZURITE.found(&cache).unwrap();
        assert!(azurite.ends_with("node_modules/azurite"), "{azurite:?}");
        fs::remove_dir_all(root).unwrap();
    }
}
