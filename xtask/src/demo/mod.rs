//! `cargo xtask demo`: one pull request from its label to its statuses, on real parts. GitHub is the
//! forge; everything else is what users run.

mod ending;
mod machine;
mod narrator;
mod project;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::cluster::{ControlPlane, ControlPlaneOptions, Node, Release, without_proxy};
use tests::images::{self, EmptyRegistry, GCC};
use tests::parts::{self, Cache, Loudness, duration};
use tests::story::{REPO, Setting, Story};
use tokio::task::spawn_blocking;

use crate::Result;
use crate::cargo::workspace;
use crate::stop::run_until_stopped;
use narrator::Narrator;

/// How long the build may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End when the story is told; exit code 0 only if every status is what the story says
    #[arg(long)]
    once: bool,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Tells the story.
pub fn run(args: Args) -> Result {
    let started = Instant::now();
    let loudness = if args.quiet {
        Loudness::Quiet
    } else {
        Loudness::Normal
    };
    let cache = Cache::of_user();
    let mut wanted: Vec<_> = parts::control_plane().chain(parts::node()).collect();
    wanted.extend(parts::fetching(&parts::DESCRIPTIONS, &cache));
    parts::check_git()?;
    parts::check(&wanted, Some("run it as root"), &cache)?;
    parts::obtain_all(wanted, &cache, loudness)?;
    run_until_stopped(async {
        let (node, images) = tokio::join!(node(), build(loudness));
        let (node, images) = (node?, images?);
        node.import(&images)?;
        println!("a cluster is ready after {}", duration(started.elapsed()));
        let release = Release::new(node.access(), node.known(), "demo").within("prbuild");
        println!(
            "\n$ helm install prbuild charts/prbuild --namespace prbuild --create-namespace --wait"
        );
        let installing = Instant::now();
        let (access, values) = (node.access(), json!({}));
        let story =
            Story::begin_with_chart(access, node.known(), release, setting(), &values).await?;
        println!(
            "installed and ready after {}",
            duration(installing.elapsed())
        );
        let (right, machine) = tell(&story, &node).await?;
        println!("\nthe whole demo took {}", duration(started.elapsed()));
        if !args.once {
            look_around(&story, &node);
            std::future::pending::<()>().await;
        }
        machine.end().await;
        story.end().await;
        node.stop().await?;
        Ok(if right {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

async fn node() -> Result<Node> {
    // The chart brings the kinds.
    let options = ControlPlaneOptions {
        pods: true,
        crds: false,
        ..ControlPlaneOptions::default()
    };
    let plane = ControlPlane::start(options).await?;
    Ok(Node::start(plane, &images::small_images()?).await?)
}

/// Makes the images: our own, and the one that the story's builders run in.
async fn build(loudness: Loudness) -> Result<Vec<images::Image>> {
    Ok(spawn_blocking(move || images::story_images(&workspace(), loudness)).await??)
}

fn setting() -> Setting {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    Setting {
        files: project::BEFORE.iter().map(file).collect(),
        ..Setting::default()
    }
}

/// The story: builders, a pull request, a label, and what comes of it. Says whether it came as told.
async fn tell(story: &Story, node: &Node) -> Result<(bool, machine::Lending)> {
    let registry = EmptyRegistry::start().await?;
    builders(story, &registry.image()).await;
    let pages = story.pages_url();
    kubectl(node, story.install.namespace(), &["get", "pods"])?;
    let machine = machine::lend(story, node).await?;
    println!("\nfour builders are defined: three in the cluster, one on the machine");
    println!("what runs is shown at {pages}/\n");

    let number = story
        .open_pull_request("roman-numerals", project::CHANGE)
        .await;
    println!("@mallory opens pull request #{number} from a fork: roman numerals beyond ten");
    let narrator = Narrator::begin(story, number);
    let event = story.label(number);
    println!(
        "@ada, who may push, adds the label `{}`",
        tests::story::LABEL
    );
    let name = story.name_of(number, event);
    let build = story.complete_within(&name, PATIENCE).await;
    narrator.end(story, number).await;

    let statuses = story.last_statuses(number);
    let said: Vec<(&str, &str)> = statuses
        .iter()
        .map(|(context, state, _)| (context.as_str(), state.as_str()))
        .collect();
    println!("\nThe pull request shows:");
    for (context, state, description) in &statuses {
        println!("  {state:<8} {context:<28} {description}");
    }
    println!("\nand each has its page, here that of the failed one:");
    println!(
        "  {}",
        details(story, number, "failure").unwrap_or_default()
    );
    if let Some(comment) = story.forge.comments(REPO, number).first() {
        println!("\nand one comment:\n{}", indented(&comment.body));
    }
    let namespace = story.install.namespace().to_owned();
    for what in [&["get", "prbuilds"][..], &["get", "builderruns"]] {
        kubectl(node, &namespace, what)?;
    }
    machine::show(story, node)?;
    let differences = ending::differences(&said);
    let right = differences.is_empty();
    if !right {
        println!("\nerror: these are not the statuses of the story");
        for difference in differences {
            println!("  because {difference}");
        }
        let status = serde_json::to_string(&build.status).unwrap_or_default();
        println!("  the build says {status}");
        let ours = "app.kubernetes.io/name=prbuild";
        let logs = ["logs", "--tail=200", "--prefix", "-l", ours];
        kubectl(node, &namespace, &logs)?;
    }
    Ok((right, machine))
}

/// Where *Details* of the last status in this state leads to.
fn details(story: &Story, number: u64, state: &str) -> Option<String> {
    let head = story.forge.pull_request(REPO, number).head_sha;
    let statuses = story.forge.statuses(REPO, &head).into_iter().rev();
    statuses
        .filter(|status| status.state == state)
        .find_map(|status| status.target_url)
}

async fn builders(story: &Story, missing: &str) {
    story
        .builder("amd64-debian", |spec| {
            spec.display_name = "AMD64 Debian".to_owned();
            spec.steps = project::steps("");
            image(spec, GCC);
        })
        .await;
    story
        .builder("amd64-debian-strict", |spec| {
            spec.display_name = "AMD64 Debian strict".to_owned();
            spec.steps = project::steps("STRICT=1");
            image(spec, GCC);
        })
        .await;
    story
        .builder("amd64-fedora", |spec| {
            spec.display_name = "AMD64 Fedora".to_owned();
            spec.steps = project::steps("");
            image(spec, missing);
        })
        .await;
}

fn image(spec: &mut crds::BuilderSpec, image: &str) {
    if let Some(machine) = &mut spec.kubernetes {
        machine.image = image.to_owned();
    }
}

fn kubectl(node: &Node, namespace: &str, args: &[&str]) -> Result<()> {
    println!("\n$ kubectl {}", args.join(" "));
    command(node, namespace, args)?.status()?;
    Ok(())
}

/// What kubectl prints and says.
fn output(node: &Node, namespace: &str, args: &[&str]) -> Result<String> {
    let output = command(node, namespace, args)?.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn command(node: &Node, namespace: &str, args: &[&str]) -> Result<Command> {
    let kubectl = parts::obtain(&parts::KUBECTL, &Cache::of_user(), Loudness::Quiet)?;
    let mut command = Command::new(kubectl);
    without_proxy(&mut command).env("KUBECONFIG", node.access().kubeconfig());
    command.args(["--namespace", namespace]).args(args);
    Ok(command)
}

fn look_around(story: &Story, node: &Node) {
    let namespace = story.install.namespace();
    println!("\nIt all still runs. Look around in another terminal:");
    println!(
        "  export KUBECONFIG={}",
        node.access().kubeconfig().display()
    );
    // The demo may have built its own, which lies where no shell looks for it.
    if let Ok(kubectl) = parts::existing(&parts::KUBECTL) {
        println!("  alias kubectl={}", kubectl.display());
    }
    println!("  kubectl -n {namespace} get prbuild -o wide");
    println!("  kubectl -n {namespace} describe prbuilds");
    println!("  kubectl -n {namespace} logs -l app.kubernetes.io/component=operator --prefix");
    println!("  kubectl -n {} get pods", story.install.builds());
    println!(
        "  kubectl -n {} logs --all-containers -l prbuild.dev/builder=amd64-debian-strict",
        story.install.builds()
    );
    println!(
        "  curl {}/repos/{REPO}/issues/1/comments",
        story.forge.api_url()
    );
    println!("The pages are at {}/", story.pages_url());
    println!("Ctrl-C ends it.");
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  | {line}\n")).collect()
}
