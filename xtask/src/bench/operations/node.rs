//! A release on a node: how long its installation takes, and whether a delivery is lost while it is
//! upgraded.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tests::cluster::{ControlPlane, ControlPlaneOptions, Node, Release};
use tests::forge::signature;
use tests::images;
use tests::parts::Loudness;
use tests::story::{ADA, REPO, SECRET, Setting, Story};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, timeout};

use super::super::table::{Goal, Table};
use crate::Result;
use crate::cargo::workspace;

/// Deliveries a second.
const PER_SECOND: u32 = 50;
/// GitHub gives up after so long, and does not try again by itself.
const GITHUB_WAITS: Duration = Duration::from_secs(10);
/// A label that no Repository names: a delivery of it is checked, and makes nothing.
const NOBODYS: &str = "documentation";

pub(super) async fn measure(table: &mut Table, quick: bool) -> Result<()> {
    println!("images and a node …");
    let (node, images) = tokio::join!(node(), made());
    let (node, images) = (node?, images?);
    node.import(&images)?;
    let release = Release::new(node.access(), node.known(), "bench").within("prbuild");
    let setting = Setting {
        validate: false,
        ..Setting::default()
    };
    let begun = Story::before_chart(node.access(), node.known(), release, setting).await;
    let mut story = begun?;
    story.secret().await?;
    println!("helm install …");
    let values = story.values(&json!({}));
    let began = Instant::now();
    story.release().install(&values).await?;
    table.time(
        "helm install --wait, images present",
        began.elapsed().as_secs_f64(),
        Goal::AtMost(20.0),
        "",
    );
    story.connect_chart().await;
    upgrade(&story, table, if quick { 1 } else { 3 }).await?;
    story.end().await;
    node.stop().await?;
    Ok(())
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

async fn made() -> Result<Vec<images::Image>> {
    Ok(spawn_blocking(|| images::story_images(&workspace(), Loudness::Normal)).await??)
}

/// Rolls the webhook over while GitHub sends deliveries.
async fn upgrade(story: &Story, table: &mut Table, times: u32) -> Result<()> {
    println!("{times} upgrades under {PER_SECOND} deliveries a second …");
    let number = story
        .open_pull_request("rolls", &[("README", "rolls")])
        .await;
    let sender = Arc::new(Sender::new(story, number)?);
    let rolls = async {
        for n in 0..times {
            // A change that gives every pod of the webhook a successor.
            let cpu = format!("{}m", 51 + n);
            let change = json!({ "webhook": { "resources": { "requests": { "cpu": cpu } } } });
            story.release().upgrade(&story.values(&change)).await?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let (sent, failed) = under_load(sender, rolls).await?;
    for why in failed.iter().take(5) {
        println!("  failed: {why}");
    }
    table.count(
        &format!("failed of {sent} deliveries through {times} upgrades"),
        failed.len() as f64,
        Goal::AtMost(0.0),
        "",
    );
    Ok(())
}

/// Sends deliveries as long as something lasts. Returns how many, and why some of them failed.
async fn under_load(
    sender: Arc<Sender>,
    lasts: impl Future<Output = Result<()>>,
) -> Result<(usize, Vec<String>)> {
    let (mut under_way, mut failed, mut sent) = (JoinSet::new(), Vec::new(), 0);
    let mut beat = interval(Duration::from_secs(1) / PER_SECOND);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    tokio::pin!(lasts);
    loop {
        tokio::select! {
            ended = &mut lasts => {
                ended?;
                break;
            }
            _ = beat.tick() => {
                let (sender, number) = (sender.clone(), sent);
                under_way.spawn(async move { sender.deliver(number).await });
                sent += 1;
            }
            Some(answered) = under_way.join_next() => failed.extend(answered?.err()),
        }
    }
    while let Some(answered) = under_way.join_next().await {
        failed.extend(answered?.err());
    }
    Ok((sent, failed))
}

/// Sends one delivery again and again, each time under another id.
struct Sender {
    url: String,
    app: String,
    body: Bytes,
    signature: String,
}

impl Sender {
    fn new(story: &Story, number: u64) -> Result<Self> {
        let payload = story.forge.labeled_payload(REPO, number, NOBODYS, ADA);
        let body = serde_json::to_vec(&payload)?;
        let app = story.forge.app_on(REPO).ok_or("the forge has no App")?;
        Ok(Self {
            url: story.release().webhook_url(),
            app: app.to_string(),
            signature: signature(SECRET, &body),
            body: body.into(),
        })
    }

    /// Delivers, over a connection of its own, as GitHub does.
    async fn deliver(&self, number: usize) -> std::result::Result<(), String> {
        let request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/8e03811")
            .header("x-github-event", "pull_request")
            .header(
                "x-github-delivery",
                format!("00000000-0000-0000-0000-{number:012}"),
            )
            .header("x-github-hook-installation-target-id", &self.app)
            .header("x-github-hook-installation-target-type", "integration")
            .header("x-hub-signature-256", &self.signature)
            .body(Full::new(self.body.clone()))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let answer = client.request(request).await;
            let answer = answer.map_err(|error| format!("{error:?}"))?;
            let status = answer.status();
            let said = answer.into_body().collect().await;
            said.map_err(|error| error.to_string())?;
            match status.is_success() {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        };
        let answered = timeout(GITHUB_WAITS, exchange).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {GITHUB_WAITS:?}")))
    }
}
