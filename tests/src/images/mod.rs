//! Container images without a registry and without a builder: a tar of one layer, made of a
//! directory, which `ctr` loads into a node.

mod agent;
mod debian;
mod pack;
mod registry;

use std::path::{Path, PathBuf};

pub use agent::{CHECKOUT, agent_image, build_agent};
pub use debian::{GCC, gcc_image};
pub use registry::EmptyRegistry;

use crate::parts::{self, Cache, Loudness, PartError};
use pack::{Config, pack};

/// The image in which a pod's namespaces live.
pub const PAUSE: &str = "prbuild.test/pause:1";
/// An image with busybox: a shell and the usual small programs.
pub const BUSYBOX: &str = "prbuild.test/busybox:1";

/// An image as a tar file that containerd can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    reference: String,
    tar: PathBuf,
}

impl Image {
    /// The name by which pods ask for it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The tar file.
    pub fn tar(&self) -> &Path {
        &self.tar
    }
}

/// The images of the stories: [`CHECKOUT`] with the agent of this workspace, which is built, and [`GCC`].
pub fn story_images(workspace: &Path, loudness: Loudness) -> Result<Vec<Image>, PartError> {
    let agent = build_agent(workspace)?;
    Ok(vec![agent_image(&agent)?, gcc_image(loudness)?])
}

/// The images that every node has: [`PAUSE`] and [`BUSYBOX`], from one static busybox.
pub fn small_images() -> Result<Vec<Image>, PartError> {
    let cache = Cache::of_user();
    let busybox = parts::existing(&parts::BUSYBOX)?;
    let dir = cache
        .work("image-busybox")
        .map_err(|error| PartError::io(cache.root(), &error))?;
    let _lock = cache
        .lock("image-busybox", || ())
        .map_err(|error| PartError::io(&dir, &error))?;
    let root = dir.join("root");
    let io = |error: std::io::Error| PartError::io(&root, &error);
    let shell = Config {
        path: "/bin",
        entrypoint: &[],
        command: &["/bin/sh"],
    };
    let pause = Config {
        path: "/bin",
        entrypoint: &["/bin/busybox", "sleep", "1000000000"],
        command: &[],
    };
    let of = |reference: &str, file: &str| Image {
        reference: reference.to_owned(),
        tar: dir.join(file),
    };
    let images = vec![of(PAUSE, "pause.tar"), of(BUSYBOX, "busybox.tar")];
    if images.iter().all(|image| image.tar.is_file()) {
        return Ok(images);
    }
    for folder in ["bin", "etc", "proc", "dev", "sys"] {
        std::fs::create_dir_all(root.join(folder)).map_err(io)?;
    }
    pack::make_tmp(&root).map_err(io)?;
    std::fs::copy(&busybox, root.join("bin/busybox")).map_err(io)?;
    let applets = std::process::Command::new(&busybox)
        .arg("--list")
        .output()
        .map_err(io)?;
    for applet in String::from_utf8_lossy(&applets.stdout)
        .lines()
        .filter(|name| *name != "busybox")
    {
        let link = root.join("bin").join(applet);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", &link).map_err(io)?;
        }
    }
    pack(&images[0], &root, &pause)?;
    pack(&images[1], &root, &shell)?;
    Ok(images)
}
