//! Images in a registry: the one that crane brings, which speaks the distribution specification.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::cluster::eventually;
use tests::images::small_images;
use tests::parts;

/// A registry on loopback; it ends with the test.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    async fn start() -> Self {
        // Free now, and taken again at once.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut serve = crane();
        serve.args(["registry", "serve", "--address", &address]);
        let process = serve
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { process, address };
        let url = format!("http://{}/v2/", registry.address);
        eventually(
            "the registry answers",
            Duration::from_secs(60),
            async || match crate::http_get(&url).await?.0 {
                200 => Ok(()),
                other => Err(other.to_string()),
            },
        )
        .await;
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn crane() -> Command {
    Command::new(parts::existing(&parts::CRANE).unwrap())
}

fn says(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Needs the static busybox, which only a machine for nodes has.
mod node {
    use super::*;

    #[tokio::test]
    async fn an_image_has_the_same_digest_in_a_registry_as_in_its_file() {
        let registry = Registry::start().await;
        let busybox = small_images().unwrap().pop().unwrap();
        let name = format!("{}/prbuild/busybox:1", registry.address);
        busybox.push(&name).unwrap();
        let digest = busybox.digest().unwrap();
        assert_eq!(says(crane().args(["digest", &name])), digest);
        let pinned = format!("{}/prbuild/busybox@{digest}", registry.address);
        let manifest = says(crane().args(["manifest", &pinned]));
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    }
}
