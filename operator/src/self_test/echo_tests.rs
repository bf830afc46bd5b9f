//! The echo: what it answers in place of GitHub, and what it remembers.

use std::{net::Ipv4Addr, path::PathBuf, process::Command, sync::Arc};

use github::{Access, Connections, Repo, StatusState};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// An echo that answers, and a repository of it as webhook and operator see one.
struct Heard {
    echo: Arc<Echo>,
    url: String,
    repo: Repo,
    dir: PathBuf,
}

async fn hear(name: &str) -> Heard {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let shut = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let doors = Doors {
        allowed: listener.local_addr().unwrap(),
        denied: shut.local_addr().unwrap(),
        word: "a-word".to_owned(),
    };
    let url = format!("http://{}", doors.allowed);
    let echo = Echo::new("a-token", doors);
    for (listener, router) in [(listener, echo.router()), (shut, echo.denied_door())] {
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let dir = std::env::temp_dir().join(format!("prbuild-echo-{}-{name}", std::process::id()));
    std::fs::create_dir_all(dir.join("echo")).unwrap();
    for (file, text) in [("api-url", url.as_str()), ("token", "a-token")] {
        std::fs::write(dir.join("echo").join(file), text).unwrap();
    }
    github::install_tls_provider();
    let connections = Connections::load(&dir, Access::Report).unwrap();
    let (owner, name) = REPOSITORY.split_once('/').unwrap();
    let repo = connections.get("echo").unwrap().repo(owner, name);
    Heard {
        echo,
        url,
        repo,
        dir,
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn it_answers_what_the_gate_asks_of_github() {
    let heard = hear("gate").await;
    let repo = &heard.repo;
    assert_eq!(repo.repository().await.unwrap().value.id, REPOSITORY_ID);
    let pull = repo.pull_request(NUMBER).await.unwrap().value;
    assert_eq!(pull.labels[0].name, LABEL);
    let events = repo.label_events(NUMBER).await.unwrap().value;
    assert_eq!(events.events[0].id, EVENT);
    let right = repo.permission("prbuild-self-test").await.unwrap().value;
    assert_eq!(
        (right.permission.as_str(), right.push),
        ("write", Some(true))
    );
    let moved = repo.activity(REPOSITORY_ID, "change").await.unwrap().value;
    assert_eq!(moved.entries[0].after, pull.head.sha);
    let merge = repo.test_merge(NUMBER).await.unwrap().value.commit.unwrap();
    assert_eq!(merge.parents[1], pull.head.sha);
    assert!(heard.echo.told().unanswered.is_empty());
}

#[tokio::test]
async fn it_remembers_what_the_operator_tells_github() {
    let heard = hear("operator").await;
    let repo = &heard.repo;
    let seen = repo.conversation(NUMBER).await.unwrap().value;
    let saying = github::Saying {
        comment: Some("hello"),
        unlabel: Some(&seen.labels[0].id),
    };
    let said = repo.say(&seen.id, &saying).await.unwrap();
    assert_eq!(said.comment.unwrap().unwrap(), 1);
    said.unlabelled.unwrap().unwrap();
    let seen = repo.conversation(NUMBER).await.unwrap().value;
    assert!(seen.labels.is_empty());
    let sha = heard.echo.commits.head.clone();
    let state = StatusState::Success;
    repo.create_status(&sha, "c", state, "Passed", None)
        .await
        .unwrap();
    repo.update_comment(1, "bye").await.unwrap();
    let told = heard.echo.told();
    assert!(told.unlabelled && told.commented);
    assert_eq!(told.statuses, [("success".to_owned(), "Passed".to_owned())]);
}

#[tokio::test]
async fn who_does_not_have_the_token_learns_nothing() {
    let heard = hear("stranger").await;
    std::fs::write(heard.dir.join("echo/token"), "another").unwrap();
    let connections = Connections::load(&heard.dir, Access::Read).unwrap();
    let (owner, name) = REPOSITORY.split_once('/').unwrap();
    let repo = connections.get("echo").unwrap().repo(owner, name);
    assert!(repo.repository().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn git_fetches_the_merge_and_finds_parents_tree_and_file() {
    let heard = hear("git").await;
    let work = heard.dir.join("work");
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "init.defaultBranch=main"])
            .arg("-C")
            .arg(&work);
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", &work);
        let output = git.args(args).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    std::fs::create_dir_all(&work).unwrap();
    git(&["init", "--quiet"]);
    let url = format!("{}/{REPOSITORY}.git", heard.url);
    let commits = &heard.echo.commits;
    git(&["fetch", "--depth=1", "--no-tags", &url, &commits.merge]);
    git(&["checkout", "--quiet", "--detach", &commits.merge, "--"]);
    git(&["fsck", "--strict"]);
    assert_eq!(git(&["rev-parse", "HEAD^{tree}"]), commits.tree);
    let object = git(&["cat-file", "commit", "HEAD"]);
    for parent in [&commits.base, &commits.head] {
        assert!(object.contains(&format!("parent {parent}")), "{object}");
    }
    assert!(work.join("README").is_file());
    let script = std::fs::read_to_string(work.join("reach")).unwrap();
    assert_eq!(script, heard.echo.doors.script());
}

/// The first line of the answer to a plain request.
async fn asked(door: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(door).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {door}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn it_remembers_at_which_doors_the_build_was_and_takes_nobody_else_for_it() {
    let heard = hear("doors").await;
    let doors = &heard.echo.doors;
    assert!(asked(doors.denied, "/reach/other").await.contains("404"));
    assert_eq!(heard.echo.told().reached, Reached::default());
    let path = format!("/reach/{}", doors.word);
    assert!(asked(doors.allowed, &path).await.contains("200"));
    assert!(!heard.echo.told().reached.denied);
    assert!(asked(doors.denied, &path).await.contains("200"));
    let both = Reached {
        allowed: true,
        denied: true,
    };
    assert_eq!(heard.echo.told().reached, both);
}
