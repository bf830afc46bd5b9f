//! Pages as people see them, in a real browser, of builds that run in real pods.

mod every;
mod fold;
mod follow;
mod large;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crds::BuilderRun;
use kube::ResourceExt;
use protocol::Step;
use serde_json::json;
use tests::{
    cluster::{eventually, shared_node},
    images::GCC,
    story::Story,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::with_pages;
use crate::browser::{Browser, Look};

const PATIENCE: Duration = Duration::from_secs(120);
/// The end of the log is kept in sight.
const FOLLOWS: &str = "document.getElementById('follow').ariaPressed === 'true'";

fn step(name: &str, run: &str) -> Step {
    Step {
        name: Some(name.to_owned()),
        run: run.to_owned(),
        ..Step::default()
    }
}

/// Doors that hold a build up until a test opens them, one after the other.
struct Gate {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    asked: JoinHandle<()>,
}

impl Gate {
    async fn shut() -> Self {
        let host = shared_node().1.host_address;
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let doors = open.clone();
        let asked = tokio::spawn(async move {
            while let Ok((mut who, _)) = listener.accept().await {
                let doors = doors.load(Ordering::Relaxed).to_string();
                // Who does not listen asks again.
                let _ = who.write_all(doors.as_bytes()).await;
            }
        });
        Self {
            address,
            open,
            asked,
        }
    }

    /// Opens the first doors, so many.
    fn open(&self, doors: usize) {
        self.open.store(doors, Ordering::Relaxed);
    }

    /// What bash asks for whether a door is open.
    fn is_open(&self, door: usize) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!("[ \"0$(cat </dev/tcp/{host}/{port})\" -ge {door} ]")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.asked.abort();
    }
}

/// A story with a builder of these steps, and the run of its first build.
async fn build_of(name: &str, steps: Vec<Step>) -> (Story, String, BuilderRun) {
    let story = with_pages(name).await;
    story
        .builder("slow-debian", |spec| {
            spec.display_name = "Slow Debian".to_owned();
            spec.steps = steps;
            if let Some(machine) = &mut spec.kubernetes {
                machine.image = GCC.to_owned();
            }
        })
        .await;
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let build = story.name_of(number, story.label(number));
    let run = eventually("the build has its run", PATIENCE, async || {
        story.runs(&build).await.pop().ok_or("none yet".to_owned())
    })
    .await;
    (story, build, run)
}

fn page_of(story: &Story, run: &BuilderRun) -> String {
    let uid = run.uid().unwrap();
    format!("{}/r/app/runs/{uid}", story.gateway().pages_url())
}

async fn sees(browser: &Browser, text: &str) {
    let seen = format!("document.body.innerText.includes({})", json!(text));
    browser.until(text, &seen).await;
}

fn named(page: &str, look: Look) -> String {
    let theme = if look.dark { "dark" } else { "light" };
    format!("{page}-{}-{theme}", look.width)
}
