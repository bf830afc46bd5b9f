//! A log on its way, with the executor, the sidecar and the gateway as programs and without a
//! cluster: whoever is killed, what was printed arrives.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use protocol::{
    Recipe, Step, Work,
    token::{Claims, LogScope, Scope, Signer},
};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tests::{
    cluster::eventually,
    parts::{self, VERSITYGW},
};

use super::agent::{Run, program, source};

const RUN: &str = "0b5c0c1e-8d55-4a57-9a04-1d7bdb1f1c11";
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody is killed.
const KILLS: usize = 24;

/// A pod without a cluster, and a gateway.
struct Pod {
    run: Run,
    token: String,
    pages: SocketAddr,
    ingest: SocketAddr,
    gateway: Child,
    ship: Option<Child>,
    store: Store,
}

/// Where a gateway keeps what it takes in.
struct Store {
    place: String,
    environment: Vec<(&'static str, String)>,
    _server: Option<Server>,
}

/// A server of a bucket, which ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Store {
    fn directory(run: &Run) -> Self {
        Self {
            place: run.root.join("store").display().to_string(),
            environment: Vec::new(),
            _server: None,
        }
    }

    /// A bucket of S3, on loopback.
    async fn bucket(run: &Run) -> Self {
        let [top, beside] = ["buckets", "beside"].map(|name| run.root.join(name));
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
            _server: Some(server),
        }
    }
}

impl Pod {
    fn new(run: Run, store: Store) -> Self {
        for name in ["checkout", "spool", "state", "store"] {
            std::fs::create_dir(run.root.join(name)).expect("a directory of the pod");
        }
        let signer = Signer::from_seed(&[7; 32]);
        let public = signer.public_pem().expect("a public key");
        std::fs::write(run.root.join("key"), public).expect("the key's file");
        let claims = Claims {
            scope: Scope::Log(LogScope {
                repository: "demo".into(),
                run: RUN.into(),
                attempt: 1,
            }),
            expires: i64::MAX,
        };
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (gateway, pages, ingest) = gateway(&run, &store, free, free);
        let mut pod = Self {
            token: signer.token(&claims).expect("a token"),
            pages,
            ingest,
            gateway,
            ship: None,
            store,
            run,
        };
        pod.start_ship();
        pod
    }

    fn start_ship(&mut self) {
        let mut command = Command::new(program("prbuild-agent"));
        command.arg("ship").args(["--repository", "demo"]);
        for (flag, name) in [
            ("--checkout", "checkout"),
            ("--build", "spool"),
            ("--state", "state"),
        ] {
            command.arg(flag).arg(self.run.root.join(name));
        }
        let to = format!("http://{}", self.ingest);
        command.args(["--run", RUN, "--to", &to]);
        command.env("PRBUILD_LOG_TOKEN", &self.token);
        self.ship = Some(command.stderr(Stdio::null()).spawn().expect("a sidecar"));
    }

    fn kill_ship(&mut self) {
        if let Some(mut ship) = self.ship.take() {
            ship.kill().expect("a sidecar to kill");
            ship.wait().expect("its end");
        }
    }

    fn kill_gateway(&mut self) {
        self.gateway.kill().expect("a gateway to kill");
        self.gateway.wait().expect("its end");
    }

    fn start_gateway(&mut self) {
        let (gateway, ..) = gateway(&self.run, &self.store, self.pages, self.ingest);
        self.gateway = gateway;
    }

    /// What the page's link to plain text gives.
    fn text(&self) -> Vec<u8> {
        text(self.pages)
    }
}

/// What the page's link to plain text gives.
fn text(pages: SocketAddr) -> Vec<u8> {
    let path = format!("/r/demo/runs/{RUN}.txt");
    let request = format!("GET {path} HTTP/1.0\r\nhost: {pages}\r\n\r\n");
    let mut answer = Vec::new();
    let asked = TcpStream::connect(pages).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut answer)
    });
    let is_ok = asked.is_ok() && answer.starts_with(b"HTTP/1.0 200");
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n");
    match body {
        Some(body) if is_ok => answer.split_off(body + 4),
        _ => Vec::new(),
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kill_ship();
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

/// Starts a gateway, and reads where it listens from what it prints.
fn gateway(
    run: &Run,
    store: &Store,
    pages: SocketAddr,
    ingest: SocketAddr,
) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(program("prbuild-gateway"))
        .args(["--store", &store.place])
        .envs(store.environment.iter().cloned())
        .arg("--operator-key")
        .arg(run.root.join("key"))
        .args(["--listen", &pages.to_string()])
        .args(["--ingest", &ingest.to_string()])
        .args(["--metrics", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("a gateway");
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let mut address_of = |name: &str| {
        let word = format!("{name} on ");
        let mut addresses = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            let (_, rest) = line.split_once(&word)?;
            rest.split('"').next()?.parse().ok()
        });
        addresses.next().expect("an address in the gateway's log")
    };
    let (ingest, pages) = (address_of("ingest"), address_of("pages"));
    std::thread::spawn(move || lines.for_each(drop));
    (child, pages, ingest)
}

/// Prints thousands of lines again and again, each time after something was written to `gate`.
fn script(turns: usize) -> String {
    format!(
        "for turn in $(seq {turns}); do
           read -r _ < ../gate
           seq -f \"turn $turn line %g\" 4000
           head -c 300000 /dev/urandom | od -An -tx1
         done"
    )
}

#[tokio::test]
async fn a_sidecar_and_a_gateway_that_are_killed_in_a_loop_lose_no_byte_of_a_log() {
    let run = Run::new("shipping");
    let store = Store::directory(&run);
    let mut pod = Pod::new(run, store);
    let printed = pod.is_killed(KILLS).await;
    assert_same(&pod.text(), &printed);
}

#[tokio::test]
async fn the_same_holds_for_a_bucket_which_any_number_of_gateways_share() {
    let run = Run::new("bucket");
    let store = Store::bucket(&run).await;
    let mut pod = Pod::new(run, store);
    let printed = pod.is_killed(KILLS / 3).await;
    assert_same(&pod.text(), &printed);
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let (other, pages, _) = gateway(&pod.run, &pod.store, free, free);
    let _other = Server(other);
    assert_same(&text(pages), &printed);
}

fn assert_same(shown: &[u8], printed: &[u8]) {
    assert_eq!(shown.len(), printed.len());
    assert_eq!(Sha256::digest(shown), Sha256::digest(printed));
}

impl Pod {
    /// Runs a build, kills sidecar and gateway again and again meanwhile, and lets the log end. What the
    /// build printed.
    async fn is_killed(&mut self, kills: usize) -> Vec<u8> {
        let pod = self;
        let gate = pod.run.root.join("gate");
        let made = Command::new("mkfifo").arg(&gate).status();
        assert!(made.is_ok_and(|status| status.success()), "no pipe");
        let step = Step {
            run: script(kills),
            ..Step::default()
        };
        let recipe = Recipe {
            steps: vec![step],
            ..Recipe::default()
        };
        let work = Work {
            source: source(),
            recipe,
        };
        let printed = pod.run.root.join("stdout");
        let mut exec = pod
            .run
            .command("exec")
            .arg("--spool")
            .arg(pod.run.root.join("spool"))
            .env("PRBUILD_WORK", serde_json::to_string(&work).expect("JSON"))
            .stdout(File::create(&printed).expect("a file to print to"))
            .spawn()
            .expect("the executor");
        for kill in 0..kills {
            let before = pod.text().len();
            std::fs::write(&gate, "go\n").expect("a script that waits");
            if kill % 2 == 0 {
                let what = "the log grows";
                eventually(what, PATIENCE, async || match pod.text().len() {
                    now if now > before => Ok(()),
                    now => Err(format!("{now} bytes")),
                })
                .await;
            }
            if kill % 3 != 1 {
                pod.kill_ship();
            }
            if kill % 3 != 0 {
                pod.kill_gateway();
                pod.start_gateway();
            }
            if pod.ship.is_none() {
                pod.start_ship();
            }
        }
        assert!(exec.wait().expect("its end").success());
        let ship = pod.ship.as_mut().expect("a sidecar");
        kill_process(Pid::from_child(ship), Signal::TERM).expect("a sidecar to stop");
        assert!(ship.wait().expect("its end").success());
        pod.ship = None;
        let printed = std::fs::read(&printed).expect("what was printed");
        assert!(printed.len() > kills * 300_000);
        printed
    }
}
