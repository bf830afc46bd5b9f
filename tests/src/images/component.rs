//! The images that PrBuild consists of: a program each, and nothing that it does not need.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::git::copy_git;
use super::pack::{Config, make_tmp, pack, set_mode};
use super::programs::{Architecture, Profile, build_programs, directory};
use super::{Image, elf, elsewhere, sbom};
use crate::parts::{Cache, PartError};

/// One image of PrBuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Takes deliveries.
    Webhook,
    /// Builds what was authorized.
    Operator,
    /// Keeps logs and shows them.
    Gateway,
    /// Runs in build pods: git, and the agent that every container of such a pod uses.
    Checkout,
}

/// Where distributions keep the certificates of public authorities.
const CA_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// User and group of every process.
const USER: &str = "65532:65532";

impl Component {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Operator, Self::Gateway, Self::Checkout];

    /// The last part of its image's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Operator => "operator",
            Self::Gateway => "gateway",
            Self::Checkout => "checkout",
        }
    }

    /// The package whose program it holds.
    fn package(self) -> &'static str {
        match self {
            Self::Checkout => "agent",
            other => other.name(),
        }
    }

    /// The most that the image may take in a registry, in bytes.
    pub fn limit(self) -> u64 {
        match self {
            Self::Checkout => 40_000_000,
            _ => 15_000_000,
        }
    }
}

/// How images are made.
#[derive(Clone, Debug)]
pub struct Making {
    /// The checkout of PrBuild.
    pub workspace: PathBuf,
    /// How carefully programs are compiled.
    pub profile: Profile,
    /// For which machines.
    pub architecture: Architecture,
    /// What stands before the name of each image: `registry.example.org/prbuild`.
    pub registry: String,
    /// What stands behind it.
    pub tag: String,
    /// The commit that they are made of, if it is known.
    pub revision: Option<String>,
}

impl Making {
    /// The name by which pods ask for an image.
    pub fn reference(&self, component: Component) -> String {
        format!("{}/{}:{}", self.registry, component.name(), self.tag)
    }

    /// Compiles the programs and packs each into its image.
    pub fn all(&self) -> Result<Vec<Image>, PartError> {
        let programs = build_programs(&self.workspace, self.profile, self.architecture)?;
        let bills = sbom::Metadata::read(&self.workspace, self.architecture)?;
        let cache = Cache::of_user();
        let name = format!(
            "images-{}-{}",
            self.profile.name(),
            self.architecture.name()
        );
        let io = |error: std::io::Error| PartError::io(cache.root(), &error);
        let _lock = cache.lock(&name, || ()).map_err(io)?;
        let dir = programs.join("images");
        Component::ALL
            .into_iter()
            .map(|component| self.one(component, &programs, &bills, &dir))
            .collect()
    }

    /// An image that was made.
    pub(super) fn made(&self, component: Component) -> Image {
        let programs = directory(&self.workspace, self.profile, self.architecture);
        self.image(component, &programs.join("images"))
    }

    fn image(&self, component: Component, dir: &Path) -> Image {
        let tar = dir.join(format!("{}.tar", component.name()));
        Image::new(&self.reference(component), tar)
    }

    fn one(
        &self,
        component: Component,
        programs: &Path,
        bills: &sbom::Metadata,
        dir: &Path,
    ) -> Result<Image, PartError> {
        let root = dir.join(component.name());
        let program = format!("prbuild-{}", component.package());
        let inside = format!("/usr/local/bin/{program}");
        let mut contents = Root::new(&root)?;
        contents.copy(&programs.join(&program), &inside, 0o755)?;
        let bundle = CA_BUNDLES.iter().find(|path| Path::new(path).is_file());
        let bundle = bundle.ok_or_else(|| {
            PartError::new(
                "cannot make an image that speaks TLS",
                "there are no certificates of public authorities",
                "install ca-certificates",
            )
        })?;
        contents.copy(
            Path::new(bundle),
            "/etc/ssl/certs/ca-certificates.crt",
            0o644,
        )?;
        let passwd = "prbuild:x:65532:65532::/build/home:/nonexistent\n";
        contents.write("/etc/passwd", passwd)?;
        let mut bill = bills.of(component.package(), self.architecture)?;
        if component == Component::Checkout {
            let packages = match self.architecture == Architecture::of_machine() {
                true => copy_git(&mut contents)?,
                false => elsewhere::copy_git(&mut contents, self.architecture)?,
            };
            bill.add_packages(&packages);
            for folder in ["/proc", "/dev", "/sys", "/build"] {
                contents.folder(folder)?;
            }
            make_tmp(&root).map_err(|error| PartError::io(&root, &error))?;
        }
        contents.write("/usr/share/doc/prbuild/sbom.cdx.json", &bill.text())?;
        self.all_fit(component, &root)?;
        let image = self.image(component, dir);
        pack(
            &image,
            &root,
            &Config {
                path: "/usr/local/bin:/usr/bin",
                entrypoint: &[&inside],
                user: USER,
                labels: self.labels(component),
                architecture: self.architecture,
                compress: self.profile == Profile::Release,
                ..Config::default()
            },
        )?;
        Ok(image)
    }

    /// Fails where something in an image would not run on its machines.
    fn all_fit(&self, component: Component, root: &Path) -> Result<(), PartError> {
        let found = elf::of_another(root, self.architecture);
        let Some(file) = found.map_err(|error| PartError::io(root, &error))? else {
            return Ok(());
        };
        let (name, machine) = (component.name(), self.architecture.name());
        Err(PartError::new(
            format!("cannot make the image {name} for {machine}"),
            format!("{} is for another machine", file.display()),
            format!("make it on a machine that is {machine}"),
        ))
    }

    fn labels(&self, component: Component) -> serde_json::Value {
        let mut labels = json!({
            "org.opencontainers.image.title": format!("prbuild-{}", component.name()),
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": "Apache-2.0",
        });
        if let Some(revision) = &self.revision {
            labels["org.opencontainers.image.revision"] = revision.as_str().into();
        }
        labels
    }
}

/// What will be the root directory of a container. Modes are set and not taken over, so that they do
/// not depend on who makes the image.
pub(super) struct Root<'a> {
    dir: &'a Path,
}

impl<'a> Root<'a> {
    fn new(dir: &'a Path) -> Result<Self, PartError> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).map_err(|error| PartError::io(dir, &error))?;
        set_mode(dir, 0o755).map_err(|error| PartError::io(dir, &error))?;
        Ok(Self { dir })
    }

    fn folder(&self, inside: &str) -> Result<PathBuf, PartError> {
        let mut path = self.dir.to_owned();
        for part in Path::new(inside.trim_start_matches('/')) {
            path.push(part);
            if path.is_dir() {
                continue;
            }
            let made = fs::create_dir(&path).and_then(|()| set_mode(&path, 0o755));
            made.map_err(|error| PartError::io(&path, &error))?;
        }
        Ok(path)
    }

    fn place(&self, inside: &str) -> Result<PathBuf, PartError> {
        let (folder, name) = inside.rsplit_once('/').unwrap_or(("", inside));
        Ok(self.folder(folder)?.join(name))
    }

    /// Copies a file of this machine. Links are followed: the content is what counts.
    pub(super) fn copy(&mut self, from: &Path, inside: &str, mode: u32) -> Result<(), PartError> {
        let to = self.place(inside)?;
        let copied = fs::copy(from, &to).and_then(|_| set_mode(&to, mode));
        copied.map_err(|error| PartError::io(from, &error))
    }

    fn write(&mut self, inside: &str, text: &str) -> Result<(), PartError> {
        let to = self.place(inside)?;
        let written = fs::write(&to, text).and_then(|()| set_mode(&to, 0o644));
        written.map_err(|error| PartError::io(&to, &error))
    }
}
