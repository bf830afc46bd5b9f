//! Packing a directory as an image: one layer, a configuration, a manifest, in the layout of the OCI
//! image specification. The same directory makes the same digest, on whatever day.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Architecture, Image};
use crate::parts::{PartError, make_run};

/// What containers of an image run.
pub(super) struct Config<'a> {
    /// `PATH` in its containers.
    pub(super) path: &'a str,
    /// What is always run.
    pub(super) entrypoint: &'a [&'a str],
    /// What is run when the pod says nothing.
    pub(super) command: &'a [&'a str],
    /// Numeric user and group of its processes; root where it is empty.
    pub(super) user: &'a str,
    /// What the image says of itself.
    pub(super) labels: Value,
    /// For which machines its programs are.
    pub(super) architecture: Architecture,
    /// Compress the layer: for images that travel. What is read once from this disk need not be.
    pub(super) compress: bool,
}

impl Default for Config<'_> {
    fn default() -> Self {
        Self {
            path: "/bin",
            entrypoint: &[],
            command: &[],
            user: "",
            labels: json!({}),
            architecture: Architecture::of_machine(),
            compress: false,
        }
    }
}

/// Packs a directory, owned by root in the image, into the image's tar file.
pub(super) fn pack(image: &Image, root: &Path, config: &Config<'_>) -> Result<(), PartError> {
    let work = image.tar().with_extension("work");
    let io = |error: io::Error| PartError::io(&work, &error);
    // What an interrupted run left.
    let _ = fs::remove_dir_all(&work);
    let layout = Layout { dir: &work };
    fs::create_dir_all(work.join("blobs/sha256")).map_err(io)?;
    let layer = work.join("layer.tar");
    tar(&layer, root, &["."])?;
    let content = sha256(&layer).map_err(io)?;
    let (layer, media) = match config.compress {
        true => (compressed(&layer)?, "tar+gzip"),
        false => (layer, "tar"),
    };
    let media = format!("application/vnd.oci.image.layer.v1.{media}");
    let layer = layout.keep(&layer, &media).map_err(io)?;
    let media = "application/vnd.oci.image.config.v1+json";
    let described = layout
        .write(&configuration(config, &content), media)
        .map_err(io)?;
    let media = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media, "config": described, "layers": [layer],
    });
    let mut manifest = layout.write(&manifest, media).map_err(io)?;
    manifest["annotations"] = json!({ "io.containerd.image.name": image.reference() });
    manifest["platform"] = json!({ "architecture": config.architecture.name(), "os": "linux" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(work.join("index.json"), index.to_string()).map_err(io)?;
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    fs::write(work.join("oci-layout"), version.to_string()).map_err(io)?;
    let whole = work.join("image.tar");
    tar(&whole, &work, &["oci-layout", "index.json", "blobs"])?;
    fs::rename(&whole, image.tar()).map_err(io)?;
    fs::remove_dir_all(&work).map_err(io)
}

fn configuration(config: &Config<'_>, content: &str) -> Value {
    json!({
        "architecture": config.architecture.name(), "os": "linux",
        "config": {
            "User": config.user, "Env": [format!("PATH={}", config.path)],
            "Entrypoint": config.entrypoint, "Cmd": config.command, "WorkingDir": "/",
            "Labels": config.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{content}")] },
    })
}

/// A directory in the layout of the specification.
struct Layout<'a> {
    dir: &'a Path,
}

impl Layout<'_> {
    /// Moves a file to where its digest says, and returns its descriptor.
    fn keep(&self, file: &Path, media: &str) -> io::Result<Value> {
        let digest = sha256(file)?;
        let size = fs::metadata(file)?.len();
        fs::rename(file, self.dir.join("blobs/sha256").join(&digest))?;
        Ok(json!({ "mediaType": media, "digest": format!("sha256:{digest}"), "size": size }))
    }

    fn write(&self, value: &Value, media: &str) -> io::Result<Value> {
        let file = self.dir.join("blob.json");
        fs::write(&file, value.to_string())?;
        self.keep(&file, media)
    }
}

fn compressed(layer: &Path) -> Result<std::path::PathBuf, PartError> {
    let what = format!("cannot compress {}", layer.display());
    let mut gzip = Command::new("gzip");
    // Without the file's name and time.
    gzip.args(["--no-name", "--force"]).arg(layer);
    make_run(gzip, &what, "install gzip, and free some space")?;
    Ok(layer.with_extension("tar.gz"))
}

/// Makes folders that every user of a container sees into, and the root that they are in, whatever the umask of
/// who makes the image.
pub(super) fn make_folders(root: &Path, folders: &[&str]) -> io::Result<()> {
    for folder in [""].iter().chain(folders) {
        let folder = root.join(folder);
        fs::create_dir_all(&folder)?;
        set_mode(&folder, 0o755)?;
    }
    Ok(())
}

/// Makes `/tmp`, where everybody may write.
pub(super) fn make_tmp(root: &Path) -> io::Result<()> {
    let tmp = root.join("tmp");
    fs::create_dir_all(&tmp)?;
    set_mode(&tmp, 0o1777)
}

/// Sets what may be done with a file or directory, so that it does not depend on who makes the image.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn tar(file: &Path, dir: &Path, entries: &[&str]) -> Result<(), PartError> {
    let mut tar = Command::new("tar");
    tar.args([
        "--format=gnu",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("prbuild-pack-{}-{name}", std::process::id()));
        let root = dir.join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/motd"), "hello\n").unwrap();
        for (path, mode) in [("", 0o755), ("etc", 0o755), ("etc/motd", 0o644)] {
            set_mode(&root.join(path), mode).unwrap();
        }
        dir
    }

    #[test]
    fn folders_are_open_to_all_users_whatever_the_umask_was() {
        use std::os::unix::fs::PermissionsExt;
        let name = format!("prbuild-pack-{}-folders", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("bin")).unwrap();
        // As a umask of 077 leaves them.
        for folder in ["", "bin"] {
            set_mode(&root.join(folder), 0o700).unwrap();
        }
        make_folders(&root, &["bin", "etc"]).unwrap();
        for folder in ["", "bin", "etc"] {
            let mode = fs::metadata(root.join(folder)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o755, "{folder}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_same_files_make_the_same_digest_whenever_and_wherever_they_are_packed() {
        let packed = |name: &str, at: u64| {
            let dir = directory(name);
            let image = Image::new("prbuild.test/x:1", dir.join("x.tar"));
            let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at);
            let file = File::options()
                .write(true)
                .open(dir.join("root/etc/motd"))
                .unwrap();
            file.set_modified(then).unwrap();
            let config = Config {
                compress: true,
                ..Config::default()
            };
            pack(&image, &dir.join("root"), &config).unwrap();
            let digest = image.digest().unwrap();
            fs::remove_dir_all(dir).unwrap();
            digest
        };
        let digest = packed("a", 1_700_000_000);
        assert_eq!(digest, packed("b", 1_800_000_000));
        assert!(
            digest.starts_with("sha256:") && digest.len() == 71,
            "{digest}"
        );
    }
}
