//! The checkout image: git with its libraries, certificates, and the static agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Image;
use super::pack::{Config, make_tmp, pack};
use crate::parts::{Cache, PartError, make_run, on_path};

/// Name of the checkout image.
pub const CHECKOUT: &str = "prbuild.test/checkout:1";

/// What git needs of itself to fetch over HTTP.
const GIT_PROGRAMS: [&str; 3] = ["git", "git-remote-http", "git-remote-https"];
/// Where distributions keep the certificates of public authorities.
const CA_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Builds `prbuild-agent` as one static file that runs in every image, and returns its path.
pub fn build_agent(workspace: &Path) -> Result<PathBuf, PartError> {
    let what = "cannot build a static prbuild-agent";
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let installed = Command::new("rustup")
        .args(["target", "add", &target])
        .output();
    // Without rustup the distribution's own target is tried, and its absence is cargo's error.
    let _ = installed;
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "agent",
        "--target",
        &target,
    ]);
    cargo.current_dir(workspace);
    make_run(cargo, what, &format!("rustup target add {target}"))?;
    let directory = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(directory.join(target).join("release/prbuild-agent"))
}

/// The checkout image with this agent in it. git and its libraries are this machine's own.
pub fn agent_image(agent: &Path) -> Result<Image, PartError> {
    let cache = Cache::of_user();
    let io = |error: std::io::Error| PartError::io(cache.root(), &error);
    let _lock = cache.lock("image-checkout", || ()).map_err(io)?;
    let dir = cache.work("image-checkout").map_err(io)?;
    let image = Image {
        reference: CHECKOUT.to_owned(),
        tar: dir.join("checkout.tar"),
    };
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    let agent_made = modified(agent).map_err(|error| PartError::io(agent, &error))?;
    let git = on_path("git").ok_or_else(|| {
        PartError::new(
            "cannot make the checkout image",
            "there is no git",
            "install git",
        )
    })?;
    if modified(&image.tar).is_ok_and(|made| made > agent_made) {
        return Ok(image);
    }
    let root = dir.join("root");
    let _ = fs::remove_dir_all(&root);
    for folder in [
        "usr/local/bin",
        "usr/bin",
        "etc/ssl/certs",
        "proc",
        "dev",
        "sys",
        "build",
    ] {
        fs::create_dir_all(root.join(folder)).map_err(io)?;
    }
    make_tmp(&root).map_err(io)?;
    fs::copy(agent, root.join("usr/local/bin/prbuild-agent")).map_err(io)?;
    copy_git(&git, &root)?;
    let bundle = CA_BUNDLES.iter().find(|path| Path::new(path).is_file());
    if let Some(bundle) = bundle {
        fs::copy(bundle, root.join("etc/ssl/certs/ca-certificates.crt")).map_err(io)?;
    }
    fs::write(
        root.join("etc/passwd"),
        "prbuild:x:65532:65532::/build/home:/nonexistent\n",
    )
    .map_err(io)?;
    pack(
        &image,
        &root,
        &Config {
            path: "/usr/local/bin:/usr/bin",
            entrypoint: &["/usr/local/bin/prbuild-agent"],
            command: &[],
        },
    )?;
    Ok(image)
}

/// Copies git, its helpers for HTTP and every library that they load.
fn copy_git(git: &Path, root: &Path) -> Result<(), PartError> {
    let mut exec_path = Command::new(git);
    exec_path.arg("--exec-path");
    let printed = make_run(exec_path, "cannot ask git for its programs", "install git")?;
    let exec_path = PathBuf::from(String::from_utf8_lossy(&printed).trim().to_owned());
    let mut programs: Vec<PathBuf> = GIT_PROGRAMS
        .iter()
        .map(|name| exec_path.join(name))
        .filter(|path| path.exists())
        .collect();
    // Resolved, so that it is the program and not a link into a directory that is not copied.
    programs.push(fs::canonicalize(git).map_err(|error| PartError::io(git, &error))?);
    let mut files = BTreeSet::new();
    for program in &programs {
        files.extend(libraries(program)?);
    }
    files.extend(programs);
    for file in &files {
        let to = root.join(file.strip_prefix("/").unwrap_or(file));
        let io = |error: std::io::Error| PartError::io(&to, &error);
        fs::create_dir_all(to.parent().unwrap_or(root)).map_err(io)?;
        // Links are followed: the content is what counts.
        fs::copy(file, &to).map_err(io)?;
    }
    Ok(())
}

/// The libraries that a program loads, with the loader itself.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, PartError> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program);
    let what = format!("cannot list the libraries of {}", program.display());
    let printed = make_run(ldd, &what, "install ldd (Debian: libc-bin)")?;
    Ok(parse_ldd(&String::from_utf8_lossy(&printed)))
}

/// Paths in what `ldd` prints: `libz.so.1 => /lib/libz.so.1 (0x…)` and `/lib64/ld-linux.so.2 (0x…)`.
fn parse_ldd(printed: &str) -> Vec<PathBuf> {
    let path_of = |line: &str| {
        let after = line.split_once("=>").map_or(line, |(_, after)| after);
        let path = after.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    printed.lines().filter_map(path_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_what_ldd_prints() {
        let printed = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibz.so.1 => /lib/x/libz.so.1 (0x7f)\n\tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let paths = parse_ldd(printed);
        assert_eq!(
            paths,
            ["/lib/x/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from)
        );
    }
}
