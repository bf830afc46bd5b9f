//! git for another kind of machine than this one, for the image that checks code out: of the packages of this
//! machine's distribution, which apt verifies. Nothing of it is run here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::component::Root;
use super::debian::extract;
use super::git::Package;
use super::programs::Architecture;
use crate::parts::{Cache, PartError, make_run, on_path};

/// Where Debian's git has what it needs to fetch over HTTP.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/git",
    "/usr/lib/git-core/git-remote-http",
    "/usr/lib/git-core/git-remote-https",
];
const REMEDY: &str = "check the network and apt's sources, or make this image on such a machine";

/// Copies git, its helpers for HTTP and every library that they load, for machines of this kind. Returns the
/// packages that these belong to.
pub(super) fn copy_git(
    root: &mut Root<'_>,
    machine: Architecture,
) -> Result<Vec<Package>, PartError> {
    let git = Foreign::fetch(machine)?.gather()?;
    for (inside, file) in &git.files {
        root.copy(file, inside, 0o755)?;
    }
    Ok(git.packages.into_iter().collect())
}

/// Packages of another kind of machine, unpacked, each into a directory of its name.
struct Foreign {
    dir: PathBuf,
    machine: Architecture,
    packages: Vec<Package>,
}

/// What goes into an image.
#[derive(Default)]
struct Gathered {
    /// Files by their path in the image.
    files: BTreeMap<String, PathBuf>,
    packages: BTreeSet<Package>,
}

/// What a program says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Loads {
    /// The program that loads it.
    loader: Option<String>,
    /// Names of libraries.
    libraries: Vec<String>,
}

impl Foreign {
    /// Downloads git and all libraries that it may load. What is there already is only verified.
    fn fetch(machine: Architecture) -> Result<Self, PartError> {
        let what = format!("cannot get git for {}", machine.name());
        if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
            let remedy = "run it on Debian or Ubuntu, or make this image on such a machine";
            return Err(PartError::new(what, "there is no apt-get", remedy));
        }
        let cache = Cache::of_user();
        let name = format!("git-{}", machine.name());
        let io = |error: std::io::Error| PartError::io(cache.root(), &error);
        let _lock = cache.lock(&name, || ()).map_err(io)?;
        let dir = cache.work(&name).map_err(io)?;
        for folder in ["state/lists/partial", "cache/archives/partial", "debs"] {
            fs::create_dir_all(dir.join(folder)).map_err(io)?;
        }
        let apt = |words: &[&str]| {
            let mut apt = apt(&dir, machine);
            apt.args(words).current_dir(dir.join("debs"));
            make_run(apt, &what, REMEDY)
        };
        apt(&["update"])?;
        let simulated = apt(&["--no-install-recommends", "--simulate", "install", "git"])?;
        let packages = parse_simulation(&String::from_utf8_lossy(&simulated));
        let names: Vec<&str> = packages.iter().map(|one| one.name.as_str()).collect();
        apt(&[&["download"][..], &names[..]].concat())?;
        let foreign = Self {
            dir,
            machine,
            packages,
        };
        foreign.unpack(&what)?;
        Ok(foreign)
    }

    fn unpack(&self, what: &str) -> Result<(), PartError> {
        let io = |error: std::io::Error| PartError::io(&self.dir, &error);
        let _ = fs::remove_dir_all(self.dir.join("root"));
        let debs = fs::read_dir(self.dir.join("debs")).map_err(io)?;
        let debs: Vec<PathBuf> = debs.flatten().map(|entry| entry.path()).collect();
        for package in &self.packages {
            // What an earlier run left may be of other versions.
            let prefix = format!("{}_{}_", package.name, package.version.replace(':', "%3a"));
            let is_it = |deb: &&PathBuf| {
                let name = deb.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&prefix)
            };
            let deb = debs.iter().find(is_it).ok_or_else(|| {
                let because = format!("apt brought no {} {}", package.name, package.version);
                PartError::new(what, because, REMEDY)
            })?;
            let root = self.root(package);
            fs::create_dir_all(&root).map_err(io)?;
            extract(deb, &root, what)?;
        }
        Ok(())
    }

    fn root(&self, package: &Package) -> PathBuf {
        self.dir.join("root").join(&package.name)
    }

    /// git's programs, and what they load, and what that loads.
    fn gather(&self) -> Result<Gathered, PartError> {
        let mut gathered = Gathered::default();
        let mut next = Vec::new();
        for program in PROGRAMS {
            let (package, file) = self.find(&[program.to_owned()])?;
            gathered.packages.insert(package);
            gathered.files.insert(program.to_owned(), file.clone());
            next.push(file);
        }
        while let Some(file) = next.pop() {
            let loads = loads(&file)?;
            let loader = loads.loader.into_iter();
            let libraries = loads.libraries.into_iter();
            // The loader's place is written into the program, and it looks for libraries in Debian's.
            let libraries = libraries.map(|name| format!("/usr/lib/{}/{name}", self.folder()));
            for inside in loader.chain(libraries) {
                let name = inside.rsplit('/').next().unwrap_or_default();
                if gathered.has(name) {
                    continue;
                }
                let (package, file) = self.find(&self.places(name))?;
                gathered.packages.insert(package);
                gathered.files.insert(inside, file.clone());
                next.push(file);
            }
        }
        Ok(gathered)
    }

    /// The folder that Debian keeps libraries of this kind of machine in.
    fn folder(&self) -> &'static str {
        match self.machine {
            Architecture::Amd64 => "x86_64-linux-gnu",
            Architecture::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Where a library may be, from before and after Debian merged `/lib` into `/usr/lib`.
    fn places(&self, name: &str) -> Vec<String> {
        let folders = ["/usr/lib", "/lib"];
        let both = folders.into_iter().flat_map(|above| {
            [
                format!("{above}/{}/{name}", self.folder()),
                format!("{above}/{name}"),
            ]
        });
        both.collect()
    }

    /// The first of these paths that a package has.
    fn find(&self, paths: &[String]) -> Result<(Package, PathBuf), PartError> {
        let packages = self.packages.iter();
        let files = packages.flat_map(|package| {
            let root = self.root(package);
            let inside = |path: &String| root.join(path.trim_start_matches('/'));
            let files: Vec<PathBuf> = paths.iter().map(inside).collect();
            files.into_iter().map(move |file| (package.clone(), file))
        });
        let mut there = files.filter(|(_, file)| file.is_file());
        there.next().ok_or_else(|| {
            let what = format!("cannot put git for {} together", self.machine.name());
            let because = format!("no package has {}", paths.join(" or "));
            PartError::new(what, because, REMEDY)
        })
    }
}

impl Gathered {
    fn has(&self, name: &str) -> bool {
        let mut paths = self.files.keys();
        paths.any(|path| path.rsplit('/').next() == Some(name))
    }
}

/// apt for another kind of machine: with a state of its own, in which nothing is installed, and this machine's
/// sources and keys.
fn apt(dir: &Path, machine: Architecture) -> Command {
    let name = machine.name();
    let mut apt = Command::new("apt-get");
    for option in [
        format!("APT::Architecture={name}"),
        format!("APT::Architectures={name}"),
        format!("Dir::State={}", dir.join("state").display()),
        format!("Dir::Cache={}", dir.join("cache").display()),
        "Dir::State::status=/dev/null".to_owned(),
        "Debug::NoLocking=1".to_owned(),
        // Who runs it as root may have a cache where apt's own user sees nothing.
        "APT::Sandbox::User=root".to_owned(),
    ] {
        apt.args(["-o", &option]);
    }
    apt.arg("-q");
    apt
}

/// Packages of which git may load something, in lines such as `Inst NAME (VERSION …)`.
fn parse_simulation(printed: &str) -> Vec<Package> {
    let lines = printed
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "));
    let packages = lines.filter_map(|line| {
        let (name, rest) = line.split_once(" (")?;
        let version = rest.split_whitespace().next()?;
        Some(Package {
            name: name.split_whitespace().next()?.to_owned(),
            version: version.to_owned(),
        })
    });
    let is_wanted = |package: &Package| {
        let name = &package.name;
        name == "git" || name.starts_with("lib") || name.starts_with("zlib")
    };
    packages.filter(is_wanted).collect()
}

/// What a program or library loads. `readelf` reads those of every kind of machine, where `ldd` runs them.
fn loads(file: &Path) -> Result<Loads, PartError> {
    let mut readelf = Command::new("readelf");
    readelf.env("LC_ALL", "C").args(["-l", "-d"]).arg(file);
    let what = format!("cannot list the libraries of {}", file.display());
    let printed = make_run(readelf, &what, "install readelf (Debian: binutils)")?;
    Ok(parse_readelf(&String::from_utf8_lossy(&printed)))
}

fn parse_readelf(printed: &str) -> Loads {
    let behind = |marker: &str| {
        let lines = printed.lines();
        let texts = lines.filter_map(|line| Some(line.split_once(marker)?.1));
        let texts = texts.filter_map(|rest| rest.split_once(']'));
        texts
            .map(|(text, _)| text.to_owned())
            .collect::<Vec<String>>()
    };
    Loads {
        loader: behind("[Requesting program interpreter: ")
            .into_iter()
            .next(),
        libraries: behind("Shared library: ["),
    }
}

#[cfg(test)]
mod tests {
    use super::super::elf;
    use super::*;

    #[test]
    fn what_a_program_loads_is_read_from_what_readelf_prints() {
        let printed = "\nProgram Headers:\n  INTERP 0x238\n      [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]\n\
                       \nDynamic section:\n 0x0000000000000001 (NEEDED)             Shared library: [libz.so.1]\n \
                       0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]\n \
                       0x000000000000000e (SONAME)             Library soname: [libx.so]\n";
        assert_eq!(
            parse_readelf(printed),
            Loads {
                loader: Some("/lib/ld-linux-aarch64.so.1".to_owned()),
                libraries: ["libz.so.1", "libc.so.6"].map(str::to_owned).to_vec(),
            }
        );
        assert_eq!(
            parse_readelf("There is no dynamic section"),
            Loads::default()
        );
    }

    #[test]
    fn packages_with_libraries_are_read_from_a_simulated_installation() {
        let printed = "Inst gcc-12-base (12.2.0-14 Debian:12.12 [arm64])\nInst libc6 (2.36-9 x [arm64]) [gcc-12-base:arm64 ]\n\
                       Inst perl (5.36 x [arm64])\nInst git (1:2.39.5-0+deb12u3 x [arm64])\nConf libc6 (2.36-9 x)\n";
        let found = parse_simulation(printed);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|one| (one.name.as_str(), one.version.as_str()))
            .collect();
        assert_eq!(found, [("libc6", "2.36-9"), ("git", "1:2.39.5-0+deb12u3")]);
    }

    #[test]
    fn git_of_another_machine_comes_with_all_that_it_loads_and_nothing_of_this_one() {
        let another = match Architecture::of_machine() {
            Architecture::Amd64 => Architecture::Arm64,
            Architecture::Arm64 => Architecture::Amd64,
        };
        let git = Foreign::fetch(another).unwrap().gather().unwrap();
        for (inside, file) in &git.files {
            let machine = elf::machine(file).unwrap();
            assert_eq!(machine, Some(another.elf()), "{inside}: {}", file.display());
        }
        let has = |ending: &str| git.files.keys().any(|path| path.ends_with(ending));
        for ending in [
            "/usr/bin/git",
            "/git-remote-https",
            "/libc.so.6",
            "/libz.so.1",
        ] {
            assert!(has(ending), "{ending}: {:?}", git.files.keys());
        }
        let loaders = git.files.keys().filter(|path| path.contains("/ld-linux"));
        assert_eq!(loaders.count(), 1, "{:?}", git.files.keys());
        let names: Vec<&str> = git.packages.iter().map(|one| one.name.as_str()).collect();
        assert!(
            names.contains(&"git") && names.contains(&"libc6"),
            "{names:?}"
        );
        assert!(!names.iter().any(|name| name.contains("perl")), "{names:?}");
    }
}
