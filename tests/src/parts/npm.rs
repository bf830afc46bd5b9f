//! Published descriptions that come as npm packages, fetched with npm's own client.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::make::{last_lines, unpack};
use super::{Cache, Loudness, NPM, PartError, Progress, obtain};

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
    let flat = name.trim_start_matches('@').replace('/', "-");
    let entry = cache.entry(&format!("npm-{flat}"), version);
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
