//! `kubectl prbuild` where a proxy is between a person and the cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::cluster::shared_control_plane;
use tests::story::{Setting, Story};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::{Said, command, prbuild};

/// A proxy that leads wherever it is asked to, and how often it was.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(lead(near, counts.clone()));
        }
    });
    (address, asked)
}

async fn lead(mut near: TcpStream, asked: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let to = head
        .strip_prefix("CONNECT ")
        .expect("a tunnel is asked for");
    let to = to.split(' ').next().unwrap();
    let mut far = TcpStream::connect(to).await.unwrap();
    asked.fetch_add(1, Ordering::Relaxed);
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // Either side may just go.
    let _ = copy_bidirectional(&mut near, &mut far).await;
}

/// The story's kubeconfig, with a proxy in it.
fn through(story: &Story, proxy: &str) -> PathBuf {
    let text = std::fs::read(story.install.access().kubeconfig()).unwrap();
    let mut named: serde_json::Value = serde_json::from_slice(&text).unwrap();
    named["clusters"][0]["cluster"]["proxy-url"] = proxy.into();
    let path = std::env::temp_dir().join(format!("prbuild-way-{}", std::process::id()));
    std::fs::write(&path, named.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_proxy_that_the_kubeconfig_names_is_gone_through_and_none_to_what_is_here() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "plugin-way", Setting::default()).await;
    let story = story.unwrap();
    story.builder("linux", |_| {}).await;
    let (address, asked) = proxy().await;
    let kubeconfig = through(&story, &address);
    let namespace = ["--namespace", story.install.namespace()];
    let said = super::kubectl(&kubeconfig, &[&["pause", "linux"][..], &namespace].concat()).await;
    said.says(&["builder linux is paused"]);
    assert!(asked.load(Ordering::Relaxed) > 0);
    std::fs::remove_file(kubeconfig).unwrap();

    // The cluster of the test is on this machine.
    let mut command = command(story.install.access().kubeconfig(), &["resume", "linux"]);
    command
        .args(namespace)
        .env("HTTPS_PROXY", "http://192.0.2.1:3128");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await;
    Said::of(&output.unwrap()).says(&["builder linux"]);
    prbuild(&story, &["status"]).await.says(&[]);
    story.end().await;
}
