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
}

/// GitHub's REST description.
pub const OPENAPI: NpmPackage = NpmPackage {
    name: "@octokit/openapi",
    version: "23.0.2",
    needed_for: "the forge: GitHub's REST API",
};
/// The schemas of webhook payloads.
pub const WEBHOOKS: NpmPackage = NpmPackage {
    name: "@octokit/webhooks-schemas",
    version: "7.6.1",
    needed_for: "the forge: payloads of deliveries",
};
/// Payloads that GitHub published.
pub const WEBHOOK_EXAMPLES: NpmPackage = NpmPackage {
    name: "@octokit/webhooks-examples",
    version: "7.6.1",
    needed_for: "tests: GitHub's own examples of deliveries",
};
/// The public GraphQL schema.
pub const GRAPHQL: NpmPackage = NpmPackage {
    name: "@octokit/graphql-schema",
    version: "15.26.1",
    needed_for: "the forge: GitHub's GraphQL API",
};

/// What fetches those of them that are not in the cache; nothing where all are.
pub fn fetching(cache: &Cache) -> Option<&'static Part> {
    let missing = DESCRIPTIONS.iter().any(|one| one.found(cache).is_none());
    missing.then_some(&NPM)
}

/// All that describe GitHub.
pub const DESCRIPTIONS: [NpmPackage; 4] = [OPENAPI, WEBHOOKS, WEBHOOK_EXAMPLES, GRAPHQL];

impl NpmPackage {
    /// Where it lies, if it was fetched.
    pub fn found(&self, cache: &Cache) -> Option<PathBuf> {
        let entry = cache.entry(&format!("npm-{}", flat(self.name)), self.version);
        entry.is_dir().then_some(entry)
    }

    /// Its unpacked content, from the cache or fetched into it.
    pub fn obtain(&self) -> Result<PathBuf, PartError> {
        npm_package(self.name, self.version)
    }
}

fn flat(name: &str) -> String {
    name.trim_start_matches('@').replace('/', "-")
}

/// The unpacked content of an npm package, from the cache or fetched into it. `npm pack` runs no
/// script of the package and checks its hash.
///
/// ```no_run
/// # fn main() -> Result<(), tests::parts::PartError> {
/// let api = tests::parts::npm_package("@octokit/openapi", "22.0.0")?.join("generated/api.github.com.json");
/// # Ok(()) }
/// ```
pub fn npm_package(name: &str, version: &str) -> Result<PathBuf, PartError> {
    let kept = format!("npm-{}", flat(name));
    fetched(&kept, name, version, |npm, work| {
        let mut pack = Command::new(npm);
        pack.args(["pack", &format!("{name}@{version}"), "--silent"]);
        pack.arg("--pack-destination").arg(work);
        let tarball = run(&mut pack, work)?;
        unpack(&work.join(tarball.trim()), work)?;
        Ok(work.join("package"))
    })
}

/// The content of an npm package that is a program, beside all that it needs, from the cache or installed
/// into it. No script of any package runs, and npm checks their hashes.
pub fn npm_program(name: &str, version: &str) -> Result<PathBuf, PartError> {
    let kept = format!("npm-program-{}", flat(name));
    let installed = fetched(&kept, name, version, |npm, work| {
        let into = work.join("installed");
        fs::create_dir_all(&into).map_err(|error| PartError::io(&into, &error))?;
        let mut install = Command::new(npm);
        install.args(["install", &format!("{name}@{version}"), "--silent"]);
        install.args(["--ignore-scripts", "--no-audit", "--no-fund"]);
        install.args(["--omit=dev", "--omit=optional", "--prefix"]);
        run(install.arg(&into), work)?;
        Ok(into)
    })?;
    Ok(installed.join("node_modules").join(name))
}

/// What is kept by a name: from the cache, or got into it. `get` says where in its directory it lies.
fn fetched(
    kept: &str,
    name: &str,
    version: &str,
    get: impl FnOnce(&Path, &Path) -> Result<PathBuf, PartError>,
) -> Result<PathBuf, PartError> {
    let cache = Cache::of_user();
    let entry = cache.entry(kept, version);
    let io = |error: std::io::Error| PartError::io(&entry, &error);
    let _lock = cache.lock(kept, || ()).map_err(io)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let what = format!("npm package {name} {version}");
    let npm = obtain(&NPM, &cache, Loudness::Normal)?;
    let progress = Progress::start(&format!("fetching {what}"), None, Loudness::Normal);
    let work = cache.work(&format!("{kept}-{version}")).map_err(io)?;
    let got = get(&npm, &work).map_err(|error| PartError {
        what: format!("cannot fetch {what}"),
        ..error
    })?;
    fs::rename(got, &entry).map_err(io)?;
    // What is left is a tarball, or a list; it costs space and nothing else.
    let _ = fs::remove_dir_all(&work);
    progress.finish("fetched");
    Ok(entry)
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
    fn npm_is_needed_until_all_descriptions_are_there() {
        let root = std::env::temp_dir().join(format!("prbuild-npm-{}", std::process::id()));
        let cache = Cache::at(&root);
        for package in DESCRIPTIONS {
            assert_eq!(fetching(&cache), Some(&NPM), "{}", package.name);
            let kept = format!("npm-{}", flat(package.name));
            fs::create_dir_all(cache.entry(&kept, package.version)).unwrap();
        }
        assert_eq!(fetching(&cache), None);
        fs::remove_dir_all(root).unwrap();
    }
}
