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
use tests::cluster::eventually;

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
}

impl Pod {
    fn new() -> Self {
        let run = Run::new("shipping");
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
        let (gateway, pages, ingest) = gateway(&run, free, free);
        let mut pod = Self {
            token: signer.token(&claims).expect("a token"),
            pages,
            ingest,
            gateway,
            ship: None,
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
        let (gateway, ..) = gateway(&self.run, self.pages, self.ingest);
        self.gateway = gateway;
    }

    /// What the page's link to plain text gives.
    fn text(&self) -> Vec<u8> {
        let path = format!("/r/demo/runs/{RUN}.txt");
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.pages);
        let mut answer = Vec::new();
        let asked = TcpStream::connect(self.pages).and_then(|mut stream| {
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
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kill_ship();
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

/// Starts a gateway, and reads where it listens from what it prints.
fn gateway(run: &Run, pages: SocketAddr, ingest: SocketAddr) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(program("prbuild-gateway"))
        .arg("--store")
        .arg(run.root.join("store"))
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
fn script() -> String {
    format!(
        "for turn in $(seq {KILLS}); do
           read -r _ < ../gate
           seq -f \"turn $turn line %g\" 4000
           head -c 300000 /dev/urandom | od -An -tx1
         done"
    )
}

#[tokio::test]
async fn a_sidecar_and_a_gateway_that_are_killed_in_a_loop_lose_no_byte_of_a_log() {
    let mut pod = Pod::new();
    let gate = pod.run.root.join("gate");
    let made = Command::new("mkfifo").arg(&gate).status();
    assert!(made.is_ok_and(|status| status.success()), "no pipe");
    let step = Step {
        run: script(),
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
    for kill in 0..KILLS {
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
    assert!(printed.len() > KILLS * 300_000);
    let shown = pod.text();
    assert_eq!(shown.len(), printed.len());
    assert_eq!(Sha256::digest(shown), Sha256::digest(printed));
}
