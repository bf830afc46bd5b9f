//! Packing a directory as an image: one layer, a configuration that names its hash, a manifest.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::Image;
use crate::parts::{PartError, make_run};

/// What containers of an image run.
pub(super) struct Config<'a> {
    /// `PATH` in its containers.
    pub(super) path: &'a str,
    /// What is always run.
    pub(super) entrypoint: &'a [&'a str],
    /// What is run when the pod says nothing.
    pub(super) command: &'a [&'a str],
}

/// Packs a directory, owned by root in the image, into the image's tar file. Uncompressed: it is
/// read once, from this disk.
pub(super) fn pack(image: &Image, root: &Path, config: &Config<'_>) -> Result<(), PartError> {
    let work = image.tar().with_extension("work");
    let io = |error: io::Error| PartError::io(&work, &error);
    // What an interrupted run left.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(io)?;
    let layer = work.join("layer.tar");
    tar(&layer, root, &["."])?;
    let json = serde_json::json!({
        "architecture": architecture(), "os": "linux",
        "config": {
            "Env": [format!("PATH={}", config.path)],
            "Entrypoint": config.entrypoint, "Cmd": config.command, "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer).map_err(io)?)]},
    });
    fs::write(work.join("config.json"), json.to_string()).map_err(io)?;
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": [image.reference()], "Layers": ["layer.tar"],
    }]);
    fs::write(work.join("manifest.json"), manifest.to_string()).map_err(io)?;
    let whole = work.join("image.tar");
    tar(
        &whole,
        &work,
        &["manifest.json", "config.json", "layer.tar"],
    )?;
    fs::rename(&whole, image.tar()).map_err(io)?;
    fs::remove_dir_all(&work).map_err(io)
}

/// Makes `/tmp`, where everybody may write.
pub(super) fn make_tmp(root: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let tmp = root.join("tmp");
    fs::create_dir_all(&tmp)?;
    fs::set_permissions(tmp, fs::Permissions::from_mode(0o1777))
}

fn tar(file: &Path, dir: &Path, entries: &[&str]) -> Result<(), PartError> {
    let mut tar = Command::new("tar");
    tar.args([
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--sort=name",
        "--mtime=@0",
    ]);
    tar.arg("-cf").arg(file).arg("-C").arg(dir).args(entries);
    let what = format!("cannot pack {}", dir.display());
    make_run(tar, &what, "install GNU tar, and free some space").map(drop)
}

fn sha256(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
