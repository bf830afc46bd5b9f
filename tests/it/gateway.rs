//! A gateway that lacks something at its start: it says what, and begins when that is there. And what strangers
//! ask of one is counted without their names.

use std::collections::BTreeSet;
use std::path::Path;

use protocol::token::Signer;
use tests::cluster::{Binary, eventually, shared_control_plane, signing_key};
use tests::story::{PATIENCE, Setting, Story};

use crate::series::{STRANGE, ask, assert_bounded, series};

/// What stands in the gateway's log after some words, once they are there.
async fn says(story: &mut Story, gateway: usize, words: &str) {
    eventually(format!("it says: {words}"), PATIENCE, async || {
        let program = story.install.program(gateway);
        let log = program.map(|program| program.log()).unwrap_or_default();
        log.contains(words).then_some(()).ok_or(log)
    })
    .await;
}

fn write(path: &Path, content: &[u8]) {
    // As a mounted Secret: it is there as a whole or not at all.
    let staged = path.with_extension("staged");
    std::fs::write(&staged, content).unwrap();
    std::fs::rename(&staged, path).unwrap();
}

#[tokio::test]
async fn a_gateway_without_its_keys_says_which_and_begins_when_they_are_there() {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "gw-nokey", Setting::default())
        .await
        .unwrap();
    let dir = story.install.dir().unwrap();
    let (public, session) = (dir.join("public.pem"), dir.join("session.key"));
    let (key, ticket) = (public.display().to_string(), session.display().to_string());
    let store = dir.join("store").display().to_string();
    let mut args = vec!["--store", &store, "--operator-key", &key];
    args.extend(["--workers", "127.0.0.1:0", "--session-key", &ticket]);
    args.extend(["--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0"]);
    args.extend(["--metrics", "127.0.0.1:0"]);
    let gateway = story.install.start(Binary::Gateway, &args).await.unwrap();
    says(&mut story, gateway, "cannot read the operator's keys").await;
    let signer = Signer::from_pem(&signing_key()).unwrap();
    write(&public, signer.public_pem().unwrap().as_bytes());
    says(&mut story, gateway, "session.key: No such file").await;
    write(&session, b"short");
    says(&mut story, gateway, "session.key: ").await;
    write(&session, &[7; 32]);
    let workers = story.install.address(gateway, "workers on ").await;
    workers.unwrap();
    story.end().await;
}

/// What strangers ask of pages, ingest and the workers' listener, each time under other names.
async fn strangers_ask(story: &Story, time: usize) {
    let gateway = story.gateway();
    let name = format!("{STRANGE}-{time}");
    let agent = [("user-agent", &*name)];
    let pages = gateway.pages_url();
    for path in [
        format!("/{name}"),
        format!("/r/{name}"),
        format!("/r/app/runs/{name}"),
        format!("/r/{name}/runs/{name}.txt"),
        format!("/builders/{name}?{name}={name}"),
    ] {
        ask("GET", &format!("{pages}{path}"), &agent).await;
    }
    let ingest = gateway.ingest_url();
    let token = format!("Bearer {}", gateway.log_token(&name));
    let known = [("authorization", &*token), ("user-agent", &*name)];
    for headers in [&agent[..], &known] {
        let app = format!("{ingest}/v1/repositories/app/runs/{name}/logs");
        ask("PUT", &format!("{app}/log"), headers).await;
        ask("PUT", &format!("{app}/{name}"), headers).await;
        let other = format!("{ingest}/v1/repositories/{name}/runs/{name}/record");
        ask("PUT", &other, headers).await;
        ask(
            "GET",
            &format!("{ingest}/v1/builders/{name}/history"),
            headers,
        )
        .await;
        ask(&format!("M{time}"), &format!("{ingest}/{name}"), headers).await;
    }
    let workers = gateway.workers_url();
    for path in [
        format!("/worker/v1/{name}"),
        format!("/worker/v1/assignments/{name}/accept"),
        "/worker/v1/sessions".to_owned(),
    ] {
        ask("POST", &format!("{workers}{path}"), &agent).await;
    }
}

#[tokio::test]
async fn whatever_strangers_ask_of_a_gateway_it_has_as_many_series_as_before() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "gw-series", Setting::default()).await;
    let mut story = story.unwrap();
    story.start_gateway().await.unwrap();
    let page = format!("http://{}/metrics", story.gateway().metrics);
    let counted = async || -> BTreeSet<String> {
        let (status, text) = crate::http_get(&page).await.unwrap();
        assert_eq!(status, 200, "{text}");
        series(&text)
    };
    strangers_ask(&story, 0).await;
    let before = counted().await;
    for time in 1..=20 {
        strangers_ask(&story, time).await;
    }
    assert_bounded(&before, &counted().await);
    story.end().await;
}

#[tokio::test]
async fn a_gateway_says_at_its_start_what_its_bucket_lacks_and_that_it_takes_nothing() {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "gw-bucket", Setting::default())
        .await
        .unwrap();
    let dir = story.install.dir().unwrap();
    let (public, secret) = (dir.join("public.pem"), dir.join("secret"));
    std::fs::create_dir(&secret).unwrap();
    let signer = Signer::from_pem(&signing_key()).unwrap();
    write(&public, signer.public_pem().unwrap().as_bytes());
    let (key, files) = (public.display().to_string(), secret.display().to_string());
    let mut args = vec!["--store", "az://logs/prbuild", "--store-access", &files];
    args.extend(["--operator-key", &key, "--metrics", "127.0.0.1:0"]);
    args.extend(["--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0"]);
    let gateway = story.install.start(Binary::Gateway, &args).await.unwrap();
    says(&mut story, gateway, "is empty; make the Secret").await;
    write(&secret.join("AZURE_ALLOW_HTTP"), b"true");
    let needs = "it is reached as AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY say";
    says(&mut story, gateway, needs).await;
    // Nobody listens there.
    write(
        &secret.join("AZURE_STORAGE_ENDPOINT"),
        b"http://127.0.0.1:9/logs",
    );
    write(&secret.join("AZURE_STORAGE_ACCOUNT_KEY"), b"a2V5");
    write(&secret.join("AZURE_STORAGE_ACCOUNT_NAME"), b"logs");
    story.install.address(gateway, "pages on ").await.unwrap();
    says(&mut story, gateway, "the store takes nothing").await;
    story.end().await;
}
