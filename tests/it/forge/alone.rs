//! The forge alone, as `cargo xtask forge` runs it for people.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::client::Client;
use super::code::fetch_from;

const PATIENCE: Duration = Duration::from_secs(60);

/// The word behind `before` in what the forge says.
#[track_caller]
fn word<'a>(said: &'a str, before: &str) -> &'a str {
    let rest = said.split_once(before).map(|(_, rest)| rest);
    let word = rest.and_then(|rest| rest.split_whitespace().next());
    word.unwrap_or_else(|| panic!("nothing is behind {before}:\n{said}"))
        .trim_end_matches(':')
}

#[tokio::test]
async fn the_forge_alone_says_where_it_is_answers_git_and_api_and_ends_at_ctrl_c() {
    let mut command = Command::new(crate::beside("xtask"));
    command
        .arg("forge")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut forge = command.spawn().unwrap();
    let mut lines = BufReader::new(forge.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while !said.contains("Ctrl-C ends it") {
        let line = lines.next_line().await.unwrap();
        said += &line.expect("it says how to use it");
        said.push('\n');
    }
    let url = word(&said, "The forge listens on ");
    let token = word(&said, "token of ada");
    let number = word(&said, "with pull request #");
    let head = word(&said, "fetch origin ");

    let commit = fetch_from(url, "octo/app", head, "alone").await.unwrap();
    assert!(commit.contains("author mallory"), "{commit}");
    let ada = Client::at(url).header("authorization", &format!("Bearer {token}"));
    let pull = ada.get(&format!("/repos/octo/app/pulls/{number}")).await;
    assert_eq!(pull.status, 200, "{pull:?}");
    assert_eq!(pull.json()["head"]["sha"], head);
    let labels = format!("/repos/octo/app/issues/{number}/labels");
    let labelled = ada.post(&labels, json!({ "labels": ["test"] })).await;
    assert_eq!(labelled.status, 200, "{labelled:?}");
    let shown = format!("200 POST {labels}");
    loop {
        let line = lines.next_line().await.unwrap();
        if line.expect("it shows each request").starts_with(&shown) {
            break;
        }
    }

    let pid = i32::try_from(forge.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let ended = tokio::time::timeout(PATIENCE, forge.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(130));
    let gone = Client::at(url).ask(http::Method::GET, "/meta", None).await;
    assert!(gone.is_err(), "{gone:?}");
}

#[tokio::test]
async fn a_forge_whose_port_is_taken_says_so_and_what_to_try() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new(crate::beside("xtask"));
    command.args(["forge", "--port", &port]).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let words = format!("error: the forge cannot listen on 127.0.0.1:{port}\n  because ");
    assert!(said.contains(&words), "{said}");
    assert!(said.contains("\n  try: another --port"), "{said}");
}
