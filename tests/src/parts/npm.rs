//! Published descriptions that come as npm packages, fetched with npm's own client.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::make::{last_lines, unpack};
use super::{Cache, Loudness, NPM, PartError, Progress, obtain};

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

/// All that describe GitHub.
pub const DESCRIPTIONS: [NpmPackage; 4] = [OPENAPI, WEBHOOKS, WEBHOOK_EXAMPLES, GRAPHQL];

impl NpmPackage {
    /// Where it lies, if it was fetched.
    pub fn found(&self, cache: &Cache) -> Option<PathBuf> {
        let entry = entry(cache, self.name, self.version);
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

fn entry(cache: &Cache, name: &str, version: &str) -> PathBuf {
    cache.entry(&format!("npm-{}", flat(name)), version)
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
    let cache = Cache::of_user();
    let flat = flat(name);
    let entry = entry(&cache, name, version);
    let io = |error: std::io::Error| PartError::io(&entry, &error);
    let _lock = cache.lock(&format!("npm-{flat}"), || ()).map_err(io)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let what = format!("npm package {name} {version}");
    let npm = obtain(&NPM, &cache, Loudness::Normal)?;
    let progress = Progress::start(&format!("fetching {what}"), None, Loudness::Normal);
    let work = cache.work(&format!("npm-{flat}-{version}")).map_err(io)?;
    let packed = Command::new(npm)
        .args([
            "pack",
            &format!("{name}@{version}"),
            "--silent",
            "--pack-destination",
        ])
        .arg(&work)
        .current_dir(&work)
        .stdin(Stdio::null())
        .output()
        .map_err(io)?;
    if !packed.status.success() {
        let remedy = "check the network, and that npm reaches its registry: npm ping";
        return Err(PartError::new(
            format!("cannot fetch {what}"),
            last_lines(&[packed.stdout, packed.stderr].concat()),
            remedy,
        ));
    }
    let tarball = String::from_utf8_lossy(&packed.stdout);
    unpack(&work.join(tarball.trim()), &work)?;
    fs::rename(work.join("package"), &entry).map_err(io)?;
    // What is left is the tarball; it costs space and nothing else.
    let _ = fs::remove_dir_all(&work);
    progress.finish("fetched");
    Ok(entry)
}
