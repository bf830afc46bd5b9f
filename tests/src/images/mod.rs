//! Container images without a registry and without a builder: a tar of one layer, made of a
//! directory, which `ctr` loads into a node. [`Component`] are those that PrBuild consists of; the
//! others are for tests and the demo.

mod component;
mod debian;
mod elf;
mod elsewhere;
mod git;
mod pack;
mod programs;
mod registry;
mod sbom;
mod two_places;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use component::{Component, Making};
pub use debian::{GCC, gcc_image};
pub use programs::{Architecture, Profile};
pub use registry::EmptyRegistry;
pub use two_places::{agent_differs, differs};

use crate::parts::{self, Cache, Loudness, PartError, Progress};
use pack::{Config, pack};

/// What stands before the names of images that are made for tests: a registry that is nowhere.
pub const REGISTRY: &str = "prbuild.test";
/// What stands behind them.
pub const TAG: &str = "1";
/// Name of the checkout image in tests.
pub const CHECKOUT: &str = "prbuild.test/checkout:1";
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
    fn new(reference: &str, tar: PathBuf) -> Self {
        Self {
            reference: reference.to_owned(),
            tar,
        }
    }

    /// The name by which pods ask for it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The tar file.
    pub fn tar(&self) -> &Path {
        &self.tar
    }

    /// The digest of its manifest, by which a registry knows it.
    pub fn digest(&self) -> Result<String, PartError> {
        Ok(self.manifest()?["digest"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Bytes that it takes in a registry.
    pub fn size(&self) -> Result<u64, PartError> {
        let manifest = self.described()?;
        let size = |blob: &serde_json::Value| blob["size"].as_u64().unwrap_or_default();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        Ok(layers.map(size).sum::<u64>() + size(&manifest["config"]))
    }

    /// Pushes it to a registry, under this name. crane has to be there.
    pub fn push(&self, reference: &str) -> Result<(), PartError> {
        let crane = parts::existing(&parts::CRANE)?;
        // crane reads an image that is unpacked.
        let layout = self.tar.with_extension("layout");
        let io = |error: std::io::Error| PartError::io(&layout, &error);
        let _ = std::fs::remove_dir_all(&layout);
        std::fs::create_dir_all(&layout).map_err(io)?;
        parts::unpack(&self.tar, &layout)?;
        let mut push = std::process::Command::new(crane);
        push.arg("push").arg(&layout).arg(reference);
        let what = format!("cannot push {reference}");
        let remedy = "check that the registry is there, and log in with `docker login`, or with \
                      `$(cargo xtask part crane) auth login`";
        let pushed = parts::make_run(push, &what, remedy);
        std::fs::remove_dir_all(&layout).map_err(io)?;
        pushed.map(drop)
    }

    /// What containers of it are told: user, entrypoint, environment, labels.
    pub fn config(&self) -> Result<serde_json::Value, PartError> {
        self.blob(&self.described()?["config"])
    }

    /// The files in it, with their paths from `/`; of its one layer.
    pub fn files(&self) -> Result<Vec<String>, PartError> {
        let listed = self.in_layer(&["-t"], None)?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let paths = listed.lines().filter(|path| !path.ends_with('/'));
        Ok(paths
            .map(|path| path.trim_start_matches('.').to_owned())
            .collect())
    }

    /// The content of a file in it.
    pub fn file(&self, path: &str) -> Result<Vec<u8>, PartError> {
        self.in_layer(&["-x", "-O"], Some(&format!(".{path}")))
    }

    /// Runs tar on the layer.
    fn in_layer(&self, what: &[&str], entry: Option<&str>) -> Result<Vec<u8>, PartError> {
        let described = self.described()?;
        let digest = described["layers"][0]["digest"].as_str();
        let name = digest.unwrap_or_default().trim_start_matches("sha256:");
        let layer = self
            .tar
            .with_extension(format!("layer-{}", std::process::id()));
        let io = |error: std::io::Error| PartError::io(&layer, &error);
        let blob = self.bytes(&format!("blobs/sha256/{name}"))?;
        std::fs::write(&layer, blob).map_err(io)?;
        let mut tar = std::process::Command::new("tar");
        tar.args(what).arg("-f").arg(&layer).args(entry);
        let title = format!("cannot look into {}", self.tar.display());
        let found = parts::make_run(tar, &title, AGAIN);
        std::fs::remove_file(&layer).map_err(io)?;
        found
    }

    /// Its manifest, as a registry has it.
    fn described(&self) -> Result<serde_json::Value, PartError> {
        self.blob(&self.manifest()?)
    }

    /// What a descriptor describes.
    fn blob(&self, descriptor: &serde_json::Value) -> Result<serde_json::Value, PartError> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let name = digest.trim_start_matches("sha256:");
        self.read(&format!("blobs/sha256/{name}"))
    }

    fn manifest(&self) -> Result<serde_json::Value, PartError> {
        Ok(self.read("index.json")?["manifests"][0].clone())
    }

    /// One of the tar's documents.
    fn read(&self, name: &str) -> Result<serde_json::Value, PartError> {
        serde_json::from_slice(&self.bytes(name)?).map_err(|error| {
            let what = format!("cannot read {} in {}", name, self.tar.display());
            PartError::new(what, error.to_string(), AGAIN)
        })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, PartError> {
        let what = format!("cannot read {} in {}", name, self.tar.display());
        let mut tar = std::process::Command::new("tar");
        tar.arg("-xOf").arg(&self.tar).arg(name);
        parts::make_run(tar, &what, AGAIN)
    }
}

/// What helps against an image that cannot be read.
const AGAIN: &str = "remove the file and start again";

/// Under this name it is kept how long compiling took.
const COMPILING: &str = "story-programs";
/// What it takes on two cores with nothing compiled.
const FROM_NOTHING: Duration = Duration::from_secs(300);
const SMALL_CHANGE: Duration = Duration::from_secs(60);

/// The images of the stories: all of PrBuild's own, of this workspace, which is compiled, and [`GCC`].
pub fn story_images(workspace: &Path, loudness: Loudness) -> Result<Vec<Image>, PartError> {
    let cache = Cache::of_user();
    let expected = cache.last_time(COMPILING).unwrap_or(FROM_NOTHING);
    let progress = Progress::start(
        "compiling PrBuild's programs for images",
        Some(expected),
        loudness,
    );
    let mut images = for_stories(workspace).all()?;
    let took = progress.finish("done");
    // A change is compiled in seconds, which says nothing of the next time that everything is.
    if took > SMALL_CHANGE {
        cache.remember_time(COMPILING, took);
    }
    images.push(gcc_image(loudness)?);
    Ok(images)
}

fn for_stories(workspace: &Path) -> Making {
    Making {
        workspace: workspace.to_owned(),
        profile: Profile::Image,
        architecture: Architecture::of_machine(),
        registry: REGISTRY.to_owned(),
        tag: TAG.to_owned(),
        revision: None,
    }
}

/// PrBuild's own of these, as they lie there when [`story_images`] are made.
pub fn story_components(workspace: &Path) -> Vec<(Component, Image)> {
    let making = for_stories(workspace);
    let all = Component::ALL.into_iter();
    all.map(|component| (component, making.made(component)))
        .collect()
}

/// The agent of the stories' images, as a program for this machine. It lies there when [`story_images`] are made.
pub fn story_agent(workspace: &Path) -> PathBuf {
    story_programs(workspace).join("prbuild-agent")
}

/// Where all programs of the stories' images lie.
pub fn story_programs(workspace: &Path) -> PathBuf {
    programs::directory(workspace, Profile::Image, Architecture::of_machine())
}

/// The images that every node has: [`PAUSE`] and [`BUSYBOX`], from one static busybox.
pub fn small_images() -> Result<Vec<Image>, PartError> {
    let cache = Cache::of_user();
    let busybox = parts::existing(&parts::BUSYBOX)?;
    let dir = cache
        .work("image-busybox-oci")
        .map_err(|error| PartError::io(cache.root(), &error))?;
    let _lock = cache
        .lock("image-busybox", || ())
        .map_err(|error| PartError::io(&dir, &error))?;
    let root = dir.join("root");
    let io = |error: std::io::Error| PartError::io(&root, &error);
    let shell = Config {
        command: &["/bin/sh"],
        ..Config::default()
    };
    let pause = Config {
        entrypoint: &["/bin/busybox", "sleep", "1000000000"],
        ..Config::default()
    };
    let of = |reference: &str, file: &str| Image {
        reference: reference.to_owned(),
        tar: dir.join(file),
    };
    let images = vec![of(PAUSE, "pause.tar"), of(BUSYBOX, "busybox.tar")];
    if images.iter().all(|image| image.tar.is_file()) {
        return Ok(images);
    }
    pack::make_folders(&root, &["bin", "etc", "proc", "dev", "sys"]).map_err(io)?;
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
