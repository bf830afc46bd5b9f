//! From a delivery to a stored object: the real webhook between a GitHub and an API server. S01 to
//! S22 are the attacks of the same numbers; those that need neither are tests of the crate itself.

mod acts;
mod again;
mod bounded;
mod buttons;
mod commands;
mod conversation;
mod deleted;
mod entrance;
mod examples;
mod flavours;
mod flood;
mod label;
mod movement;
mod moves;
mod outage;
mod people;
mod presses;
mod recovery;
mod replay;
mod secrets;
mod several;
mod stops;
mod sweep;
mod tokens;
mod traced;
mod trouble;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crds::{Answer, AnswerReason, PrBuild, Repository, RepositorySpec};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use sha2::Sha256;
use tests::cluster::{Binary, eventually, shared_control_plane};
use tests::forge::Id;
use tests::story::{ADA, LABEL, REPO, SECRET, Setting, Story};

/// A story with a running webhook and one builder. There is no operator: what the webhook stores is
/// what is looked at.
struct Town {
    story: Story,
    webhook: usize,
    address: SocketAddr,
}

/// What came of one request.
struct Reply {
    status: u16,
    body: String,
}

impl Town {
    async fn new(name: &str) -> Self {
        Self::with(name, |_| {}, &["--no-sweep"]).await
    }

    async fn ruled(name: &str, change: impl FnOnce(&mut RepositorySpec)) -> Self {
        Self::with(name, change, &["--no-sweep"]).await
    }

    async fn with(name: &str, change: impl FnOnce(&mut RepositorySpec), args: &[&str]) -> Self {
        let story = Self::before(name, change).await;
        Self::open(story, args).await
    }

    /// The story without a webhook yet.
    async fn before(name: &str, change: impl FnOnce(&mut RepositorySpec)) -> Story {
        let access = shared_control_plane();
        let story = Story::begin(&access, name, Setting::default())
            .await
            .unwrap();
        story.repository(change).await;
        story.builder("linux", |_| {}).await;
        found(&story).await;
        story
    }

    /// Starts a webhook and hooks it to the forge.
    async fn open(mut story: Story, args: &[&str]) -> Self {
        let (webhook, address) = start(&mut story, args).await;
        story
            .forge
            .add_hook(REPO, &format!("http://{address}/webhook"), SECRET);
        Self {
            story,
            webhook,
            address,
        }
    }

    /// Mallory's pull request, quiet for two minutes.
    async fn pull_request(&self) -> u64 {
        self.story
            .open_pull_request("topic", &[("a.txt", "a\n")])
            .await
    }

    /// Ada sets the label. Returns the object's name and the status that GitHub got.
    async fn label(&self, number: u64) -> (String, u16) {
        self.labelled_by(number, ADA).await
    }

    async fn labelled_by(&self, number: u64, by: &str) -> (String, u16) {
        let event = self.story.forge.add_label(REPO, number, LABEL, by);
        (self.story.name_of(number, event), self.last_code().await)
    }

    /// The status that the last delivery got.
    async fn last_code(&self) -> u16 {
        self.story.forge.deliveries_settled().await;
        self.story.forge.deliveries().last().unwrap().outcome.code()
    }

    /// The last `labeled` or `created` delivery again. Returns the status that it got.
    async fn again(&self) -> u16 {
        let deliveries = self.story.forge.deliveries();
        let asking = |action: Option<&str>| matches!(action, Some("labeled" | "created"));
        let last = deliveries
            .iter()
            .rev()
            .find(|one| asking(one.action.as_deref()))
            .unwrap();
        let id = self.story.forge.redeliver(last.id);
        self.story.forge.deliveries_settled().await;
        let deliveries = self.story.forge.deliveries();
        deliveries
            .iter()
            .find(|one| one.id == id)
            .unwrap()
            .outcome
            .code()
    }

    async fn builds(&self) -> Vec<PrBuild> {
        self.story
            .api()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
    }

    async fn answers(&self) -> Vec<Answer> {
        self.story
            .api()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
    }

    async fn build(&self, name: &str) -> PrBuild {
        self.story.api().get(name).await.unwrap()
    }

    /// The answer of that name, and that nothing is built.
    async fn refused(&self, name: &str) -> Answer {
        let names: Vec<String> = self
            .builds()
            .await
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        assert!(!names.contains(&name.to_owned()), "{name} was built");
        self.story.api().get(name).await.unwrap()
    }

    async fn nothing_stored(&self) {
        let (builds, answers) = (self.builds().await, self.answers().await);
        assert!(
            builds.is_empty() && answers.is_empty(),
            "{builds:?} {answers:?}"
        );
    }

    /// What somebody sends to the webhook.
    async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send("POST", "/webhook", headers, body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let here = Ipv4Addr::LOCALHOST;
        self.send_from(here, method, path, headers, body).await
    }

    /// The same from another address of this machine.
    async fn send_from(
        &self,
        address: Ipv4Addr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let uri = format!("http://{}{path}", self.address);
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(bytes::Bytes::copy_from_slice(body)))
            .unwrap();
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(address.into()));
        let response = Client::builder(TokioExecutor::new())
            .build(connector)
            .request(request)
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Reply {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// A `labeled` delivery that GitHub could have sent now.
    fn labeled_payload(&self, number: u64, by: &str) -> Vec<u8> {
        let payload = self.story.forge.labeled_payload(REPO, number, LABEL, by);
        serde_json::to_vec(&payload).unwrap()
    }

    /// One value of the inner port's metrics; 0 where there is none yet.
    async fn metric(&mut self, line: &str) -> f64 {
        let text = self.metrics().await;
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        found.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// The inner port's metrics.
    async fn metrics(&mut self) -> String {
        let uri = format!("http://{}/metrics", self.inner()).parse().unwrap();
        let client: Client<_, Full<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let body = client
            .get(uri)
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    /// The address of the inner port.
    fn inner(&mut self) -> String {
        let log = self.log();
        let marker = "metrics on ";
        let at = log
            .find(marker)
            .expect("the address of the inner port is logged")
            + marker.len();
        log[at..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect()
    }

    fn log(&mut self) -> String {
        self.story.install.program(self.webhook).unwrap().log()
    }

    async fn end(mut self) {
        let log = self.log();
        for secret in [SECRET, "ghs_", "sha256="] {
            assert!(!log.contains(secret), "the log contains {secret}");
        }
        self.story.end().await;
    }
}

/// Starts a webhook. Returns its index and address.
async fn start(story: &mut Story, args: &[&str]) -> (usize, SocketAddr) {
    let connections = story.connections().unwrap().display().to_string();
    let mut all = vec!["--connections", &connections, "--listen", "127.0.0.1:0"];
    all.extend(["--metrics", "127.0.0.1:0"]);
    all.extend(args);
    let webhook = story.install.start(Binary::Webhook, &all).await.unwrap();
    let address = story.install.listening(webhook).await.unwrap();
    (webhook, address)
}

/// The operator found the repository on GitHub.
async fn found(story: &Story) {
    let id = story.forge.repository_id(REPO);
    let status = json!({ "status": {
        "id": id, "fullName": REPO,
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Found", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }],
    }});
    let api = story.api::<Repository>();
    api.patch_status("app", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

/// The operator gave an answer, by GitHub's clock.
async fn given(story: &Story, name: &str) {
    let now = story.forge.clock().now();
    let status = json!({ "status": { "given": "Comment", "givenAt": now } });
    let api = story.api::<Answer>();
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The headers of a delivery.
fn headers<'a>(event: &'a str, signature: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", "7e1d1c5e-0000-4000-8000-000000000000"),
        ("x-hub-signature-256", signature),
    ]
}

fn reason(answer: &Answer) -> AnswerReason {
    answer.spec.reason
}

fn number_of(id: Id) -> i64 {
    i64::try_from(id).unwrap()
}

/// How long a test waits for something that takes moments.
const PATIENCE: Duration = Duration::from_secs(60);
