//! A build image with a C compiler, made of Debian's packages, which apt verifies.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Image;
use super::pack::{Config, make_folders, make_tmp, pack, set_mode};
use crate::parts::{Cache, Loudness, PartError, Progress, make_run, on_path};

/// Name of the build image with `cc`, `make`, `sh` and `bash`.
pub const GCC: &str = "prbuild.test/gcc:1";

const PACKAGES: [&str; 10] = [
    "gcc",
    "libc6-dev",
    "make",
    "bash",
    "dash",
    "coreutils",
    "sed",
    "grep",
    "diffutils",
    "findutils",
];
/// What no build of a test needs: half of the packages' size. Folders of the image …
const FOLDERS: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var",
];
/// … and programs and libraries, by a part of their name.
const FILES: [&str; 11] = [
    "lto1",
    "lto-dump",
    "ld.gold",
    "-dwp",
    "gprofng",
    "libgp-collector",
    "asan",
    "libtsan",
    "ubsan",
    "liblsan",
    "gconv",
];
const REMEDY: &str = "check the network, and run `apt-get update` as root";

/// The build image, from the cache or made, which downloads about 60 MB.
pub fn gcc_image(loudness: Loudness) -> Result<Image, PartError> {
    let cache = Cache::of_user();
    let io = |error: std::io::Error| PartError::io(cache.root(), &error);
    let what = "cannot make the build image with gcc";
    let _lock = cache.lock("image-gcc", || ()).map_err(io)?;
    let dir = cache.work("image-gcc").map_err(io)?;
    let image = Image {
        reference: GCC.to_owned(),
        tar: dir.join("gcc.tar"),
    };
    if image.tar.is_file() {
        return Ok(image);
    }
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        let remedy = "run it on Debian or Ubuntu, or install apt and dpkg";
        return Err(PartError::new(what, "there is no apt-get", remedy));
    }
    let expected = cache
        .last_time("image-gcc")
        .unwrap_or(Duration::from_secs(30));
    let progress = Progress::start("making the build image with gcc", Some(expected), loudness);
    let debs = dir.join("debs");
    let root = dir.join("root");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&debs).map_err(io)?;
    // Directories that Debian merged: packages still name the old ones.
    let merged = ["usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"];
    make_folders(&root, &merged).map_err(io)?;
    for folder in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{folder}"), root.join(folder)).map_err(io)?;
    }
    let missing: Vec<String> = closure(what)?
        .into_iter()
        .filter(|package| !have(&debs, package))
        .collect();
    if !missing.is_empty() {
        let mut download = Command::new("apt-get");
        download
            .args(["download", "-q"])
            .args(missing)
            .current_dir(&debs);
        make_run(download, what, REMEDY)?;
    }
    for entry in fs::read_dir(&debs).map_err(io)?.flatten() {
        extract(&entry.path(), &root, what)?;
    }
    strip(&root).map_err(io)?;
    finish(&root).map_err(io)?;
    pack(
        &image,
        &root,
        &Config {
            path: "/usr/bin:/bin",
            command: &["/bin/sh"],
            ..Config::default()
        },
    )?;
    let _ = fs::remove_dir_all(&root);
    let _ = fs::remove_dir_all(&debs);
    cache.remember_time("image-gcc", progress.finish("done"));
    Ok(image)
}

/// Every package that an empty system would need for ours.
fn closure(what: &str) -> Result<Vec<String>, PartError> {
    let mut simulate = Command::new("apt-get");
    simulate.args([
        "-o",
        "Dir::State::status=/dev/null",
        "-o",
        "Debug::NoLocking=1",
    ]);
    simulate
        .args(["--no-install-recommends", "--simulate", "install"])
        .args(PACKAGES);
    let printed = make_run(simulate, what, REMEDY)?;
    Ok(parse_simulation(&String::from_utf8_lossy(&printed)))
}

/// Names in the lines `Inst NAME (VERSION …)`.
fn parse_simulation(printed: &str) -> Vec<String> {
    let names = printed
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "));
    names
        .filter_map(|rest| rest.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn have(debs: &Path, package: &str) -> bool {
    let prefix = format!("{package}_");
    let mut files = fs::read_dir(debs).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with(&prefix))
}

/// Unpacks a package into a directory.
pub(super) fn extract(deb: &Path, root: &Path, what: &str) -> Result<(), PartError> {
    let failed = |because: String| PartError::new(what, because, REMEDY);
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut dpkg = dpkg.spawn().map_err(|error| failed(error.to_string()))?;
    let mut tar = Command::new("tar");
    // With the packages' own modes, whoever unpacks them.
    tar.args(["--keep-directory-symlink", "-p", "-x", "-C"]);
    tar.arg(root);
    if let Some(content) = dpkg.stdout.take() {
        tar.stdin(content);
    }
    let unpacked = tar.status().is_ok_and(|status| status.success());
    let read = dpkg.wait().is_ok_and(|status| status.success());
    if unpacked && read {
        return Ok(());
    }
    // A download that was cut is fetched again next time.
    let _ = fs::remove_file(deb);
    Err(failed(format!("{} cannot be unpacked", deb.display())))
}

fn strip(root: &Path) -> std::io::Result<()> {
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    strip_files(&root.join("usr/bin"))?;
    strip_files(&root.join("usr/lib"))
}

fn strip_files(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type()?.is_dir();
        if FILES.iter().any(|part| name.contains(part)) {
            if is_dir {
                fs::remove_dir_all(entry.path())?
            } else {
                fs::remove_file(entry.path())?
            }
        } else if is_dir {
            strip_files(&entry.path())?;
        }
    }
    Ok(())
}

/// What packages do in scripts that are not run here.
fn finish(root: &Path) -> std::io::Result<()> {
    make_tmp(root)?;
    make_folders(root, &["proc", "dev", "sys", "etc"])?;
    let passwd = root.join("etc/passwd");
    fs::write(
        &passwd,
        "root:x:0:0::/:/bin/sh\nprbuild:x:65532:65532::/build/home:/bin/sh\n",
    )?;
    set_mode(&passwd, 0o644)?;
    for (link, to) in [("usr/bin/sh", "dash"), ("usr/bin/cc", "gcc")] {
        if fs::symlink_metadata(root.join(link)).is_err() {
            std::os::unix::fs::symlink(to, root.join(link))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_a_simulated_installation() {
        let printed = "Reading package lists...\nInst gcc-12-base (12.2.0-14 Debian:12.12/oldstable [amd64])\nInst libc6 (2.36-9 x [amd64]) [gcc-12-base:amd64 ]\nConf libc6 (2.36-9 x)\n";
        assert_eq!(parse_simulation(printed), ["gcc-12-base", "libc6"]);
    }
}
