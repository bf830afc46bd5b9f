//! Git over smart HTTP, by git's own CGI program: `/{owner}/{name}.git`, to fetch from. Any commit of
//! the network can be fetched by its SHA, as GitHub allows.

use std::process::Stdio;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};

use super::Inner;
use super::auth::Caller;
use super::git;

/// Whether a path is one of git's.
pub fn is_git(path: &str) -> bool {
    repository_and_rest(path).is_some()
}

/// `owner/name` and what follows: `/info/refs`, `/git-upload-pack`.
fn repository_and_rest(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    ["/info/refs", "/git-upload-pack", "/git-receive-pack"]
        .into_iter()
        .find_map(|rest| {
            let name = path.strip_suffix(rest)?;
            let name = name.strip_suffix(".git").unwrap_or(name);
            (name.split('/').count() == 2).then_some((name, rest))
        })
}

/// Answers one request of git.
pub async fn serve(forge: &Inner, caller: &Caller, parts: &Parts, body: Bytes) -> Response {
    let dir = repository_and_rest(parts.uri.path()).and_then(|(name, rest)| {
        let world = forge.lock();
        let repository = world.repository(name).filter(|one| caller.sees(one))?;
        Some((repository.dir.clone(), rest.to_owned()))
    });
    if let (None, Some(url)) = (&dir, moved(forge, caller, parts)) {
        let mut response = plain(StatusCode::MOVED_PERMANENTLY, "");
        if let Ok(url) = HeaderValue::try_from(url) {
            response.headers_mut().insert("location", url);
        }
        return response;
    }
    let Some((dir, rest)) = dir else {
        return plain(StatusCode::NOT_FOUND, "Repository not found.");
    };
    let mut command = git::hardened(&dir);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &rest)
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string());
    for (name, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
        {
            command.env(variable, value);
        }
    }
    match cgi(command, body).await {
        Ok(response) => response,
        Err(error) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("git http-backend: {error}"),
        ),
    }
}

/// Where git finds a repository that had the name of the path.
fn moved(forge: &Inner, caller: &Caller, parts: &Parts) -> Option<String> {
    let (name, rest) = repository_and_rest(parts.uri.path())?;
    let world = forge.lock();
    let one = world.moved(name).filter(|one| caller.sees(one))?;
    let query = parts.uri.query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("/{}.git{rest}{query}", world.full_name(one)))
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// Runs a CGI program and streams what it writes.
async fn cgi(mut command: Command, body: Bytes) -> std::io::Result<Response> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    if let Some(mut stdin) = stdin {
        tokio::spawn(async move {
            // The program may end without reading all; its answer tells.
            let _ = stdin.write_all(&body).await;
        });
    }
    let Some(stdout) = stdout else {
        return Err(std::io::Error::other("no output"));
    };
    let mut reader = BufReader::new(stdout);
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 || line.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            *response.status_mut() = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name), HeaderValue::try_from(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = Body::from_stream(stream(reader, child));
    Ok(response)
}

/// What is left of the output; the program is waited for at its end.
fn stream(
    reader: BufReader<ChildStdout>,
    child: tokio::process::Child,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    futures::stream::unfold((reader, child), |(mut reader, mut child)| async move {
        let mut chunk = vec![0; 64 << 10];
        match reader.read(&mut chunk).await {
            Ok(0) => {
                let _ = child.wait().await;
                None
            }
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(chunk.into()), (reader, child)))
            }
            Err(error) => Some((Err(error), (reader, child))),
        }
    })
}
