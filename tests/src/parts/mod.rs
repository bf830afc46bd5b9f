//! The programs that a cluster is made of, found on this machine or made.
//!
//! A part comes from the first place that has one of a fitting version: the directory that
//! `KUBEBUILDER_ASSETS` names, PATH, the cache. What is nowhere is built from Go modules or
//! installed with apt. Nothing is downloaded that a package registry did not sign.

mod cache;
mod machine;
mod make;
mod npm;
mod progress;
mod table;
mod version;

use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use machine::{GO, Machine, Obstacle, obstacle, on_path};
pub use make::expected;
pub(crate) use make::{run as make_run, unpack};
pub use npm::npm_package;
pub use progress::{Loudness, Progress, duration};
pub use table::*;
pub use version::{Fit, Version};

/// Why a part cannot be had: what, because of what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}\n  because {because}\n  try: {remedy}")]
pub struct PartError {
    /// What cannot be had.
    pub what: String,
    /// The cause, with the last lines that a failed command printed.
    pub because: String,
    /// What a person can do.
    pub remedy: String,
}

impl PartError {
    pub(crate) fn new(
        what: impl Into<String>,
        because: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            because: because.into(),
            remedy: remedy.into(),
        }
    }

    /// A file operation in the cache that failed.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            format!("cannot use {}", path.display()),
            error.to_string(),
            "free some space, or set PRBUILD_CACHE to a directory that can be written",
        )
    }
}

/// Where a part was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The directory of `KUBEBUILDER_ASSETS`.
    Assets,
    /// PATH, or where its package puts it.
    Path,
    /// Our cache.
    Cache,
}

/// A part that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// Its version; absent where any would do and it prints none.
    pub version: Option<Version>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Looks for a part of a fitting version. Makes nothing.
pub fn find(part: &Part, cache: &Cache) -> Option<Found> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|dir| Path::new(&dir).join(part.name));
    let packaged = match part.recipe {
        Recipe::Apt { path, .. } => Some(PathBuf::from(path)),
        _ => None,
    };
    let cached = cache.entry(part.name, part.version).join(part.name);
    let places = [
        (Origin::Assets, assets),
        (Origin::Path, on_path(part.name)),
        (Origin::Path, packaged),
        (Origin::Cache, Some(cached)),
    ];
    places.into_iter().find_map(|(origin, path)| {
        let path = path.filter(|path| path.is_file())?;
        let printed = machine::output_of(&path, part.version_args)?;
        let version = Version::find(&printed).filter(|_| part.fit != Fit::Any);
        let fits = part.fit == Fit::Any || version.is_some_and(|version| part.fit.accepts(version));
        let links = !part.linked_statically || is_static(&path);
        (fits && links).then_some(Found {
            path,
            version,
            origin,
        })
    })
}

/// The path of a part; makes it when it is nowhere, which takes seconds to minutes.
pub fn obtain(part: &Part, cache: &Cache, loudness: Loudness) -> Result<PathBuf, PartError> {
    if let Some(found) = find(part, cache) {
        return Ok(found.path);
    }
    make::make(part, cache, loudness)
}

/// Obtains several parts, one after the other: each build uses all cores by itself.
pub fn obtain_all(
    parts: impl IntoIterator<Item = &'static Part>,
    cache: &Cache,
    loudness: Loudness,
) -> Result<(), PartError> {
    parts
        .into_iter()
        .try_for_each(|part| obtain(part, cache, loudness).map(drop))
}

/// The path of a part that was obtained before.
pub fn existing(part: &Part) -> Result<PathBuf, PartError> {
    find(part, &Cache::of_user())
        .map(|found| found.path)
        .ok_or_else(|| {
            PartError::new(
                format!("{} {} is not on this machine", part.name, part.fit),
                "only `cargo xtask` builds and installs parts",
                "cargo xtask test",
            )
        })
}

/// Whether an ELF program has no interpreter, which stands near its beginning.
fn is_static(program: &Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && !head.windows(4).any(|window| window == b"/ld-")
}
