//! `cargo xtask images`: the images that PrBuild consists of, without Docker: into files, a registry, or
//! the containerd of a node.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tests::images::{Architecture, Component, Image, Making, Profile};
use tests::parts::{self, Cache, Loudness};

use crate::Result;
use crate::cargo::workspace;

/// Arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Push them to this registry, with a path if need be: registry.example.org/prbuild. Credentials are
    /// those of `docker login` or `crane auth login`
    #[arg(long, value_name = "REGISTRY")]
    push: Option<String>,
    /// Load them into the containerd with this socket
    #[arg(long, value_name = "SOCKET", conflicts_with = "push")]
    load: Option<PathBuf>,
    /// What stands behind their names; this version where nothing is said
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// For which machines; arm64 needs `aarch64-linux-gnu-gcc` where it is not this one
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Machine::of_this()])]
    arch: Vec<Machine>,
    /// Compile as the demo does: sooner there, slower and larger
    #[arg(long)]
    quick: bool,
    /// Make each a second time, and fail, before anything is pushed or loaded, where it is another one
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Machine {
    Amd64,
    Arm64,
}

impl Machine {
    fn of_this() -> Self {
        match Architecture::of_machine() {
            Architecture::Amd64 => Self::Amd64,
            Architecture::Arm64 => Self::Arm64,
        }
    }

    fn architecture(self) -> Architecture {
        match self {
            Self::Amd64 => Architecture::Amd64,
            Self::Arm64 => Architecture::Arm64,
        }
    }
}

/// Where images are said to be that are pushed nowhere.
const NOWHERE: &str = "prbuild.test";

/// Makes the images, and says where each is, its digest and its size.
pub fn run(args: Args) -> Result {
    let registry = args
        .push
        .as_deref()
        .unwrap_or(NOWHERE)
        .trim_end_matches('/');
    let mut fits = true;
    for machine in &args.arch {
        let making = Making {
            workspace: workspace(),
            profile: if args.quick {
                Profile::Image
            } else {
                Profile::Release
            },
            architecture: machine.architecture(),
            registry: registry.to_owned(),
            tag: tag(&args, *machine),
            revision: revision(),
        };
        let images = making.all()?;
        if args.check {
            same_again(&making, &images)?;
        }
        for (component, image) in Component::ALL.into_iter().zip(&images) {
            fits &= tell(component, image, args.quick)?;
        }
        match (&args.push, &args.load) {
            (Some(_), _) => images.iter().try_for_each(push)?,
            (None, Some(socket)) => images.iter().try_for_each(|image| load(socket, image))?,
            (None, None) => {}
        }
    }
    if args.push.is_some() && args.arch.len() > 1 {
        index(&args, registry)?;
    }
    match fits {
        true => Ok(ExitCode::SUCCESS),
        false => Err("an image is larger than it may be; what was added to it?".into()),
    }
}

/// Makes the images once more, of the same programs, and compares digests.
fn same_again(making: &Making, images: &[Image]) -> Result<()> {
    let digests = |images: &[Image]| -> Result<Vec<String>> {
        let all = images.iter().map(Image::digest);
        Ok(all.collect::<std::result::Result<_, _>>()?)
    };
    let first = digests(images)?;
    let second = digests(&making.all()?)?;
    let both = Component::ALL.into_iter().zip(first.iter().zip(&second));
    let mut other = both.filter(|(_, (first, second))| first != second);
    match other.next() {
        None => Ok(()),
        Some((component, (first, second))) => Err(format!(
            "the image {} is another one when it is made again\n  because {first} became {second}",
            component.name()
        )
        .into()),
    }
}

/// One architecture has the tag itself; several have one each, and an index has the tag.
fn tag(args: &Args, machine: Machine) -> String {
    match args.arch.len() {
        1 => args.tag.clone(),
        _ => format!("{}-{}", args.tag, machine.architecture().name()),
    }
}

/// The commit that is checked out, if nothing was changed since.
fn revision() -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(workspace())
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    changed.is_empty().then(|| git(&["rev-parse", "HEAD"]))?
}

/// Prints a line. Says whether the image is as small as it has to be.
fn tell(component: Component, image: &Image, quick: bool) -> Result<bool> {
    let (size, limit) = (image.size()?, component.limit());
    let megabytes = size as f64 / f64::from(1 << 20);
    println!(
        "{}@{}  {megabytes:.1} MB",
        image.reference(),
        image.digest()?
    );
    println!("  {}", image.tar().display());
    Ok(quick || size <= limit)
}

fn push(image: &Image) -> Result<()> {
    // Its absence is made good before.
    crane()?;
    Ok(image.push(image.reference())?)
}

/// Makes one name of several architectures.
fn index(args: &Args, registry: &str) -> Result<()> {
    for component in Component::ALL {
        let name = format!("{registry}/{}", component.name());
        let mut index = crane()?;
        index.args(["index", "append", "--tag", &format!("{name}:{}", args.tag)]);
        for machine in &args.arch {
            index.args(["--manifest", &format!("{name}:{}", tag(args, *machine))]);
        }
        succeed(index)?;
    }
    Ok(())
}

fn crane() -> Result<Command> {
    let crane = parts::obtain(&parts::CRANE, &Cache::of_user(), Loudness::Normal)?;
    Ok(Command::new(crane))
}

fn load(socket: &Path, image: &Image) -> Result<()> {
    let mut ctr = Command::new(parts::existing(&parts::CTR)?);
    ctr.arg("--address").arg(socket);
    ctr.args(["--namespace", "k8s.io", "images", "import"]);
    ctr.arg(image.tar());
    succeed(ctr)
}

fn succeed(mut command: Command) -> Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{program} failed\n  because {said}").into())
}
