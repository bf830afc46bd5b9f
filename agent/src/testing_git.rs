//! A git server over HTTP for tests, honest or not.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// How the server misbehaves.
#[derive(Clone, Debug)]
pub enum Manner {
    Honest,
    /// Whoever asks for the first commit is given the second.
    Swap(String, String),
    /// That many requests are answered with 502.
    Fail(u32),
    /// 404 for everything.
    Unknown,
    /// No answer, ever.
    Silent,
    /// Another address, elsewhere.
    Redirect(String),
}

/// A server on a free port of the loopback, for one bare repository.
pub struct Server {
    address: String,
    over: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(repository: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let over = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stop, seen, repository) = (over.clone(), requests.clone(), repository.to_path_buf());
        let thread = std::thread::spawn(move || {
            let mut manner = manner;
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                if matches!(manner, Manner::Silent) {
                    held.push(stream);
                } else if let Some(line) = serve(stream, &repository, &mut manner) {
                    seen.lock().unwrap().push(line);
                }
            }
        });
        Self {
            address,
            over,
            requests,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/octo/demo.git", self.address)
    }

    /// First lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Request {
    line: String,
    protocol: String,
    body: Vec<u8>,
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let (mut length, mut protocol) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "git-protocol" => protocol = value.trim().into(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        protocol,
        body,
    })
}

fn serve(mut stream: TcpStream, repository: &Path, manner: &mut Manner) -> Option<String> {
    let mut request = read_request(&stream)?;
    let mut answer = |status: &str, extra: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{extra}\r\n");
        // A client that is gone was killed by the test.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
    };
    let line = request.line.trim().to_owned();
    match manner {
        Manner::Unknown => answer("404 Not Found", "", b""),
        Manner::Fail(count) if *count > 0 => {
            *count -= 1;
            answer("502 Bad Gateway", "", b"");
        }
        Manner::Redirect(to) => answer("302 Found", &format!("Location: {to}\r\n"), b""),
        _ => {
            if let Manner::Swap(from, to) = manner {
                replace(&mut request.body, from, to);
            }
            let is_refs = line.starts_with("GET");
            let kind = if is_refs { "advertisement" } else { "result" };
            let kind = format!("Content-Type: application/x-git-upload-pack-{kind}\r\n");
            let mut body = Vec::new();
            if is_refs && !request.protocol.contains("version=2") {
                body.extend_from_slice(b"001e# service=git-upload-pack\n0000");
            }
            body.extend(upload_pack(repository, is_refs, &request));
            answer("200 OK", &kind, &body);
        }
    }
    Some(line)
}

fn replace(body: &mut [u8], from: &str, to: &str) {
    let at = body
        .windows(from.len())
        .position(|part| part == from.as_bytes());
    if let Some(at) = at {
        body[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
}

fn upload_pack(repository: &Path, is_refs: bool, request: &Request) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "uploadpack.allowAnySHA1InWant=true",
        "-c",
        "safe.directory=*",
    ]);
    command.args(["upload-pack", "--stateless-rpc"]);
    if is_refs {
        command.arg("--http-backend-info-refs");
    }
    let mut child = command
        .arg(repository)
        .env("GIT_PROTOCOL", &request.protocol)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(&request.body);
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    // The executor in this process collects all children; then there is nobody to wait for.
    let _ = child.wait();
    output
}

/// A repository to serve.
pub struct Origin {
    pub path: PathBuf,
}

impl Origin {
    pub fn new(path: PathBuf) -> Self {
        let origin = Self { path };
        std::fs::create_dir(&origin.path).unwrap();
        origin.git(&["init", "--quiet", "--bare", "--initial-branch=main"]);
        origin
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("git");
        command.current_dir(&self.path).args(arguments).envs([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn blob(&self, content: &str) -> String {
        self.git_with(&["hash-object", "-w", "--stdin"], content.as_bytes())
    }

    /// A tree of (mode, object, name), taken as it is: also what git would not make.
    pub fn tree(&self, entries: &[(&str, &str, &str)]) -> String {
        let mut raw = Vec::new();
        for (mode, object, name) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            let hex = |at: usize| u8::from_str_radix(&object[at..at + 2], 16).unwrap();
            raw.extend((0..object.len()).step_by(2).map(hex));
        }
        let arguments = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
        self.git_with(&arguments, &raw)
    }

    pub fn commit(&self, tree: &str, parents: &[&str]) -> String {
        let mut arguments = vec!["commit-tree", "-m", "a change", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        self.git(&arguments)
    }
}
