//! `cargo xtask images`: the images that PrBuild consists of, without Docker: into files, a registry, or
//! the containerd of a node.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ::tests::images::{Architecture, Component, Image, Making, Profile, agent_differs};
use ::tests::parts::{self, Cache, Loudness, Part};

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
    /// Make each a second time, compile the agent in two other directories, and fail, before anything is pushed or
    /// loaded, where something differs
    #[arg(long)]
    check: bool,
}

impl Args {
    /// Those of a release: for every kind of machine, made twice, and pushed where a registry is named.
    pub fn of_release(push: Option<String>) -> Self {
        Self {
            push,
            load: None,
            tag: env!("CARGO_PKG_VERSION").to_owned(),
            arch: vec![Machine::Amd64, Machine::Arm64],
            quick: false,
            check: true,
        }
    }
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

/// Makes the images, and says where each is, its digest and its size. Nothing is pushed or loaded before all are made.
pub fn run(mut args: Args) -> Result {
    args.arch
        .sort_by_key(|machine| machine.architecture().name());
    args.arch.dedup();
    of_one_machine(&args)?;
    let tools = tools(&args, Machine::of_this());
    parts::check(&tools, None, &Cache::of_user())?;
    parts::obtain_all(tools, &Cache::of_user(), Loudness::Normal)?;
    let registry = args
        .push
        .as_deref()
        .unwrap_or(NOWHERE)
        .trim_end_matches('/');
    let mut images = Vec::new();
    for machine in &args.arch {
        images.extend(make(&args, *machine, registry)?);
    }
    match (&args.push, &args.load) {
        (Some(_), _) => images
            .iter()
            .try_for_each(|image| image.push(image.reference()))?,
        (None, Some(socket)) => images.iter().try_for_each(|image| load(socket, image))?,
        (None, None) => {}
    }
    if args.push.is_some() && args.arch.len() > 1 {
        index(&args, registry)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is needed beside cargo: nobody should learn after minutes of compiling that it is not there. Pure.
fn tools(args: &Args, this: Machine) -> Vec<&'static Part> {
    let foreign = args.arch.iter().any(|one| *one != this);
    let compiler = (foreign && this == Machine::Amd64).then_some(&parts::GCC_AARCH64);
    let pushes = args.push.as_ref().map(|_| &parts::CRANE);
    let loads = args.load.as_ref().map(|_| &parts::CTR);
    [compiler, pushes, loads].into_iter().flatten().collect()
}

/// A node is one machine, and asks for images by the tag that the chart names.
fn of_one_machine(args: &Args) -> Result<()> {
    match args.load.is_some() && args.arch.len() > 1 {
        true => {
            Err("a node takes images for one kind of machine; name that alone with --arch".into())
        }
        false => Ok(()),
    }
}

/// Makes the images for one kind of machine, and looks at them as closely as was asked for.
fn make(args: &Args, machine: Machine, registry: &str) -> Result<Vec<Image>> {
    let making = Making {
        workspace: workspace(),
        profile: if args.quick {
            Profile::Image
        } else {
            Profile::Release
        },
        architecture: machine.architecture(),
        registry: registry.to_owned(),
        tag: tag(args, machine),
        revision: revision(),
    };
    let images = making.all()?;
    if args.check {
        same_again(&making, &images)?;
        same_elsewhere(&making)?;
    }
    let mut sizes = Vec::new();
    for (component, image) in Component::ALL.into_iter().zip(&images) {
        sizes.push((component, tell(image)?));
    }
    // What is compiled for the demo is not made to be small.
    if !args.quick {
        all_fit(&sizes)?;
    }
    Ok(images)
}

/// Fails with the name of each image that is larger than it may be. Nothing of them is pushed then.
fn all_fit(sizes: &[(Component, u64)]) -> Result<()> {
    let large = sizes.iter().filter(|(one, size)| *size > one.limit());
    let said: Vec<String> = large
        .map(|(one, size)| {
            let (has, may) = (megabytes(*size), megabytes(one.limit()));
            format!("the image {} has {has}, and may have {may}", one.name())
        })
        .collect();
    match said.is_empty() {
        true => Ok(()),
        false => Err(format!("{}; what was added to it?", said.join(", ")).into()),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Makes the images once more, of the same programs, and compares digests.
fn same_again(making: &Making, images: &[Image]) -> Result<()> {
    let digests = |images: &[Image]| -> Result<Vec<String>> {
        let all = images.iter().map(Image::digest);
        Ok(all.collect::<std::result::Result<_, _>>()?)
    };
    let first = digests(images)?;
    same(&first, &digests(&making.all()?)?)
}

/// Compiles the agent of two copies of the checkout, and compares the programs.
fn same_elsewhere(making: &Making) -> Result<()> {
    let (profile, architecture) = (making.profile, making.architecture);
    match agent_differs(&making.workspace, profile, architecture)? {
        None => Ok(()),
        Some([one, other]) => Err(format!(
            "the agent is another program where the checkout lies elsewhere\n  because {} and {} differ\n  \
             try: diffoscope with both",
            one.display(),
            other.display()
        )
        .into()),
    }
}

/// Fails with the name of the first image whose digests differ.
fn same(first: &[String], second: &[String]) -> Result<()> {
    let both = Component::ALL.into_iter().zip(first.iter().zip(second));
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

/// Prints a line. Returns how large the image is.
fn tell(image: &Image) -> Result<u64> {
    let size = image.size()?;
    let (name, digest) = (image.reference(), image.digest()?);
    println!("{name}@{digest}  {}", megabytes(size));
    println!("  {}", image.tar().display());
    Ok(size)
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
        succeed(&mut index)?;
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
    succeed(&mut ctr)
}

/// Runs a program that says why on standard error where it fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{program} failed\n  because {said}").into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Images {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_node_is_given_images_for_one_kind_of_machine() {
        let asked = |words: &[&str]| {
            let words = [&["images"][..], words].concat();
            of_one_machine(&Images::try_parse_from(words).unwrap().args)
        };
        assert!(asked(&["--load", "/run/x.sock", "--arch", "arm64"]).is_ok());
        assert!(asked(&["--push", "r.example.org", "--arch", "amd64,arm64"]).is_ok());
        let both = asked(&["--load", "/run/x.sock", "--arch", "amd64,arm64"]);
        let said = both.unwrap_err().to_string();
        assert!(
            said.starts_with("a node takes images for one kind"),
            "{said}"
        );
    }

    #[test]
    fn what_pushing_loading_and_another_machine_need_is_got_before_anything_is_compiled() {
        let asked = |words: &[&str]| {
            let words = [&["images"][..], words].concat();
            let args = Images::try_parse_from(words).unwrap().args;
            let names = tools(&args, Machine::Amd64).into_iter();
            names.map(|part| part.name).collect::<Vec<&str>>()
        };
        assert_eq!(asked(&["--arch", "amd64"]), [""; 0]);
        assert_eq!(asked(&["--arch", "amd64", "--load", "/run/x"]), ["ctr"]);
        assert_eq!(
            asked(&["--arch", "amd64,arm64", "--push", "r.example.org"]),
            ["aarch64-linux-gnu-gcc", "crane"]
        );
        let args = Images::try_parse_from(["images", "--arch", "arm64"]).unwrap();
        assert!(tools(&args.args, Machine::Arm64).is_empty());
    }

    #[test]
    fn an_image_that_is_too_large_is_named_with_what_it_may_have() {
        let mb = 1_000_000;
        let small = [
            (Component::Webhook, 15 * mb),
            (Component::Checkout, 40 * mb),
        ];
        assert!(all_fit(&small).is_ok());
        let large = [
            (Component::Webhook, 15 * mb + 1),
            (Component::Operator, 14 * mb),
            (Component::Checkout, 41 * mb),
        ];
        assert_eq!(
            all_fit(&large).unwrap_err().to_string(),
            "the image webhook has 15.0 MB, and may have 15.0 MB, \
             the image checkout has 41.0 MB, and may have 40.0 MB; what was added to it?"
        );
    }

    #[test]
    fn an_image_that_is_another_one_when_it_is_made_again_is_named_with_both_digests() {
        let digests = |second: &str| ["a", second, "c", "d"].map(str::to_owned);
        assert!(same(&digests("b"), &digests("b")).is_ok());
        assert_eq!(
            same(&digests("b"), &digests("x")).unwrap_err().to_string(),
            "the image operator is another one when it is made again\n  because b became x"
        );
    }
}
