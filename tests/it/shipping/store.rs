//! Where a gateway keeps what it takes in.

mod azure;
mod google;

use std::{
    any::Any,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::{
    cluster::eventually,
    parts::{self, VERSITYGW},
};

use super::PATIENCE;

/// Where a gateway keeps what it takes in.
pub struct Store {
    pub place: String,
    pub environment: Vec<(&'static str, String)>,
    /// It ends with this.
    _server: Option<Box<dyn Any>>,
}

/// A program that serves a bucket, and ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Store {
    pub fn directory(root: &Path) -> Self {
        let place = root.join("store");
        std::fs::create_dir(&place).expect("a directory of the store");
        Self {
            place: place.display().to_string(),
            environment: Vec::new(),
            _server: None,
        }
    }

    /// A bucket of S3, on loopback.
    pub async fn bucket(root: &Path) -> Self {
        let [top, beside] = ["buckets", "beside"].map(|name| root.join(name));
        for dir in [&top.join("logs"), &beside] {
            std::fs::create_dir_all(dir).expect("a directory of the bucket");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        let (key, secret) = ("someone", "no-ones-secret");
        let server = Command::new(parts::existing(&VERSITYGW).expect("a server of S3"))
            .args(["--access", key, "--secret", secret, "--region", "us-east-1"])
            .args(["--port", &address.to_string(), "--quiet", "posix"])
            .arg("--sidecar")
            .arg(&beside)
            .arg(&top)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server of S3 that starts");
        let server = Server(server);
        eventually("the server of S3 listens", PATIENCE, async || {
            let connected = TcpStream::connect(address).map(drop);
            connected.map_err(|error| error.to_string())
        })
        .await;
        Self {
            place: "s3://logs/some/prefix".to_owned(),
            environment: vec![
                ("AWS_ACCESS_KEY_ID", key.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
                ("AWS_REGION", "us-east-1".to_owned()),
                ("AWS_ENDPOINT", format!("http://{address}")),
                ("AWS_ALLOW_HTTP", "true".to_owned()),
            ],
            _server: Some(Box::new(server)),
        }
    }
}
