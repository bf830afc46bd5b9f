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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use cache::Cache;
pub use machine::{GIT, GO, Machine, Obstacle, check_git, obstacle, on_path};
pub use make::expected;
pub(crate) use make::{run as make_run, unpack};
pub use npm::{
    AXE, AZURITE, DESCRIPTIONS, GRAPHQL, NpmPackage, OF_TESTS, OPENAPI, WEBHOOK_EXAMPLES, WEBHOOKS,
    fetching,
};
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
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    first_fitting(part, places(part, assets, on_path(part.name), cache))
}

/// Where a part may lie, the best place first. Pure.
fn places(
    part: &Part,
    assets: Option<PathBuf>,
    on_path: Option<PathBuf>,
    cache: &Cache,
) -> [(Origin, Option<PathBuf>); 4] {
    let packaged = match part.recipe {
        Recipe::Apt { path, .. } => Some(PathBuf::from(path)),
        _ => None,
    };
    let cached = cache.entry(part.name, part.version).join(part.name);
    [
        (Origin::Assets, assets.map(|dir| dir.join(part.name))),
        (Origin::Path, on_path),
        (Origin::Path, packaged),
        (Origin::Cache, Some(cached)),
    ]
}

/// The part in the first of these places that has it in a fitting version.
fn first_fitting(
    part: &Part,
    places: impl IntoIterator<Item = (Origin, Option<PathBuf>)>,
) -> Option<Found> {
    places.into_iter().find_map(|(origin, path)| {
        let path = path.filter(|path| path.is_file())?;
        let printed = machine::output_of(&path, part.version_args)?;
        let version = Version::find(&printed.text).filter(|_| part.fit != Fit::Any);
        let fits = match part.fit {
            Fit::Any => printed.succeeded,
            _ => version.is_some_and(|version| part.fit.accepts(version)),
        };
        let links = !part.linked_statically || is_static(&path);
        (fits && links).then_some(Found {
            path,
            version,
            origin,
        })
    })
}

/// Looks whether this machine can have all of these parts, so that nobody learns after minutes of
/// building what else is missing. `as_root` is what to do where only root can go on.
pub fn check(
    parts: &[&'static Part],
    as_root: Option<&str>,
    cache: &Cache,
) -> Result<(), PartError> {
    let missing = parts.iter().copied();
    let missing: Vec<&Part> = missing.filter(|part| find(part, cache).is_none()).collect();
    obstacles(&missing, as_root, &Machine::look()).map_or(Ok(()), Err)
}

/// All that keeps a machine from having what is missing, together. Pure.
fn obstacles(missing: &[&Part], as_root: Option<&str>, machine: &Machine) -> Option<PartError> {
    let mut causes = Vec::new();
    let mut remedies = Vec::new();
    if let Some(remedy) = as_root.filter(|_| !machine.root) {
        causes.push("containers: we are not root".to_owned());
        remedies.push(remedy.to_owned());
    }
    for part in missing {
        if let Some(found) = obstacle(part, machine) {
            causes.push(format!("{}: {}", part.name, found.missing));
            remedies.push(found.remedy);
        }
    }
    (!causes.is_empty()).then(|| {
        PartError::new(
            "this machine cannot have all that is needed",
            causes.join("\n    "),
            remedies.join("\n    "),
        )
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

/// Parts that this process found, by name and version.
static FOUND: Mutex<BTreeMap<(&str, &str), PathBuf>> = Mutex::new(BTreeMap::new());

/// The path of a part that was obtained before. It is looked for once: to tell its version the program
/// has to be started, and tests ask for a few of them hundreds of times.
pub fn existing(part: &Part) -> Result<PathBuf, PartError> {
    let key = (part.name, part.version);
    let known = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known().get(&key).cloned();
    if let Some(path) = before.filter(|path| path.is_file()) {
        return Ok(path);
    }
    let found = find(part, &Cache::of_user()).ok_or_else(|| {
        PartError::new(
            format!("{} {} is not on this machine", part.name, part.fit),
            "only `cargo xtask` builds and installs parts",
            "cargo xtask test",
        )
    })?;
    known().insert(key, found.path.clone());
    Ok(found.path)
}

/// Whether an ELF program has no interpreter, which stands near its beginning.
fn is_static(program: &Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && !head.windows(4).any(|window| window == b"/ld-")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A part that is found by the version that lies beside it.
    const TOOL: Part = Part {
        name: "tool",
        version: "1.35.4",
        fit: Fit::Minor(1, 35),
        version_args: &["-c", "cat \"${0%/*}/version\""],
        needed_for: Need::Checks,
        linked_statically: false,
        recipe: Recipe::Apt {
            package: "tool",
            path: "/usr/lib/tool",
        },
        expected_seconds: 1,
    };

    /// A directory with a tool of this version.
    fn with_tool(place: &str, version: &str) -> PathBuf {
        let dir = format!("prbuild-parts-{}/{place}-{version}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("version"), version).unwrap();
        let tool = dir.join(TOOL.name);
        let _ = fs::remove_file(&tool);
        // A script that was just written cannot start while another thread starts something.
        std::os::unix::fs::symlink("/bin/sh", &tool).unwrap();
        tool
    }

    #[test]
    fn a_part_is_looked_for_in_the_assets_on_path_and_in_the_cache() {
        let cache = Cache::of_user();
        let places = places(
            &TOOL,
            Some(PathBuf::from("/assets")),
            Some(PathBuf::from("/usr/bin/tool")),
            &cache,
        );
        let cached = cache.entry("tool", "1.35.4").join("tool");
        let expected = [
            (Origin::Assets, Path::new("/assets/tool")),
            (Origin::Path, Path::new("/usr/bin/tool")),
            (Origin::Path, Path::new("/usr/lib/tool")),
            (Origin::Cache, cached.as_path()),
        ];
        for ((origin, path), (expected_origin, expected_path)) in places.iter().zip(expected) {
            assert_eq!(*origin, expected_origin);
            assert_eq!(path.as_deref(), Some(expected_path));
        }
    }

    #[test]
    fn the_first_place_with_a_fitting_version_is_taken_and_others_are_skipped() {
        let found = |versions: [Option<&str>; 3]| {
            let origins = [Origin::Assets, Origin::Path, Origin::Cache];
            let places = origins.into_iter().zip(versions).map(|(origin, version)| {
                let tool = version.map(|version| with_tool(&format!("{origin:?}"), version));
                (origin, tool)
            });
            let found = first_fitting(&TOOL, places)?;
            Some((found.origin, found.version.unwrap().to_string()))
        };
        let (old, new) = (Some("tool v1.34.9"), Some("tool v1.36.0"));
        let (first, second) = (Some("tool v1.35.1"), Some("tool v1.35.2"));
        for (versions, expected) in [
            ([first, second, second], Some((Origin::Assets, "1.35.1"))),
            ([None, first, second], Some((Origin::Path, "1.35.1"))),
            ([old, first, second], Some((Origin::Path, "1.35.1"))),
            ([old, new, second], Some((Origin::Cache, "1.35.2"))),
            (
                [None, Some("no version"), first],
                Some((Origin::Cache, "1.35.1")),
            ),
            ([old, new, None], None),
            ([None, None, None], None),
        ] {
            let expected = expected.map(|(origin, version)| (origin, version.to_owned()));
            assert_eq!(found(versions), expected, "{versions:?}");
        }
        let dir = format!("prbuild-parts-{}", std::process::id());
        fs::remove_dir_all(std::env::temp_dir().join(dir)).unwrap();
    }

    #[test]
    fn a_part_of_any_version_fits_where_it_works() {
        let works = |call: &'static [&'static str]| {
            let tool = Part {
                fit: Fit::Any,
                version_args: call,
                ..TOOL
            };
            first_fitting(&tool, [(Origin::Path, Some("/bin/sh".into()))]).is_some()
        };
        assert!(works(&["-c", "true"]));
        assert!(!works(&["-c", "echo 1.0; false"]));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let missing = [&KUBELET, &CONTAINERD];
        let machine = Machine {
            apt: true,
            ..Machine::default()
        };
        let told = obstacles(&missing, Some("run it as root"), &machine).unwrap();
        for cause in [
            "containers: we are not root",
            "kubelet: there is no Go",
            "containerd: we are not root",
        ] {
            assert!(told.because.contains(cause), "{}", told.because);
        }
        for remedy in ["run it as root", "install Go", "apt-get install containerd"] {
            assert!(told.remedy.contains(remedy), "{}", told.remedy);
        }
        assert!(obstacles(&[], None, &machine).is_none());
        let root = Machine {
            root: true,
            ..machine
        };
        assert!(obstacles(&[], Some("run it as root"), &root).is_none());
    }
}
