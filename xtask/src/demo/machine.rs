//! A lent machine beside the cluster, set up as docs/workers.md tells its owner to do it.

use crds::{Worker, condition};
use serde_json::json;
use tests::cluster::Node;
use tests::images::story_agent;
use tests::line::Line;
use tests::story::Story;
use tests::worker::{Lent, Machine};

use super::{kubectl, output, project};
use crate::Result;
use crate::cargo::workspace;

/// Name of the Worker.
const NAME: &str = "attic";

/// A lent machine, and the line over which it speaks.
pub(super) struct Lending {
    machine: Machine,
    _line: Line,
}

impl Lending {
    /// Waits until its agent has ended.
    pub(super) async fn end(self) {
        self.machine.end().await;
    }
}

/// Lends this machine, and says how. Its builds run as the user of the demo.
pub(super) async fn lend(story: &Story, node: &Node) -> Result<Lending> {
    let port = story.release().workers().await?;
    // Where users have an Ingress with TLS. Without TLS an agent speaks with its own machine only.
    let line = Line::to(&port).await?;
    let server = line.url();
    let program = story_agent(&workspace());
    // It goes with the cluster, however the demo ends.
    let dir = node.access().dir().join(NAME);
    println!("\nA volunteer lends a machine, and sends a manifest to the infrastructure team:");
    println!("$ prbuild-agent init --server {server} --name {NAME} >{NAME}.yaml");
    println!("\nThe team applies it, and answers with the fingerprint of the operator's keys:");
    println!("$ kubectl apply -f {NAME}.yaml");
    let fingerprint = fingerprint(story, node)?;
    println!(
        "The owner writes it into agent.toml, lets pull requests in, and sees whether all is there:"
    );
    let lent = Lent {
        program: &program,
        dir,
        server: &server,
        name: NAME,
        operator: &fingerprint,
        labels: &[],
    };
    lent.set_up(story).await?;
    println!("$ prbuild-agent doctor");
    print!("{}", lent.asked("doctor")?);
    println!("\nThen the agent is started, here without users and a service of its own:");
    println!("$ prbuild-agent run &");
    let machine = Machine::begin(story, lent)?;
    builder(story).await;
    println!("$ kubectl wait --for=condition=Ready worker/{NAME}");
    story
        .eventually_in("the machine is on-line", NAME, is_ready)
        .await;
    Ok(Lending {
        machine,
        _line: line,
    })
}

fn is_ready(worker: &Worker) -> std::result::Result<(), String> {
    let status = worker.status.clone().unwrap_or_default();
    match condition::is_true(&status.conditions, condition::kind::READY) {
        true => Ok(()),
        false => Err(format!("{status:?}")),
    }
}

/// The builder whose runs go to the machine.
async fn builder(story: &Story) {
    story
        .builder("attic-linux", |spec| {
            spec.display_name = "Attic Linux".to_owned();
            spec.kubernetes = None;
            spec.worker = serde_json::from_value(json!({ "name": NAME, "allowShared": true })).ok();
            spec.steps = project::steps_without_make();
        })
        .await;
}

/// As docs/install.md tells the team to read it.
fn fingerprint(story: &Story, node: &Node) -> Result<String> {
    let namespace = story.install.namespace();
    let ask = [
        "exec",
        "deploy/prbuild-operator",
        "--",
        "/usr/local/bin/prbuild-operator",
        "keys",
        "--signing-key",
        "/etc/prbuild/key/private.pem",
    ];
    println!("$ kubectl {}", ask.join(" "));
    let said = output(node, namespace, &ask)?;
    let line = said.lines().find(|line| line.starts_with("fingerprint"));
    let line = line.ok_or_else(|| format!("no fingerprint was printed: {said}"))?;
    println!("{line}\n");
    Ok(line.rsplit(": ").next().unwrap_or_default().to_owned())
}

/// Who is on-line.
pub(super) fn show(story: &Story, node: &Node) -> Result<()> {
    kubectl(node, story.install.namespace(), &["get", "workers"])
}
