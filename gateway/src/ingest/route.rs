//! What an address of the ingest is about. Pure.

use http::Method;
use protocol::log::Stream;

use crate::records::RecordKey;

/// What a request is about. Names are as they were sent: a token has to match them, and then they are
/// looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// Bytes of a log.
    Log(RunNames<'a>, Stream),
    /// The end of a run's log.
    End(RunNames<'a>),
    /// A record to be stored; none where a name has the wrong shape.
    PutRecord(Option<RecordKey>),
    /// A record to be read.
    GetRecord(Option<RecordKey>),
    /// An address that takes other methods: these.
    OtherMethod(&'static str),
    /// Nothing.
    Unknown,
}

/// Repository and uid of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunNames<'a> {
    /// Name of the Repository object.
    pub repository: &'a str,
    /// The BuilderRun's uid.
    pub run: &'a str,
}

/// Finds what a request is about.
pub fn route<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let Some(path) = path.strip_prefix("/v1/") else {
        return Route::Unknown;
    };
    let parts: Vec<&str> = path.split('/').take(8).collect();
    let put = || method == Method::PUT;
    let get = || method == Method::GET;
    match *parts.as_slice() {
        ["repositories", repository, "runs", run, "logs", "end"] => match *method == Method::POST {
            true => Route::End(RunNames { repository, run }),
            false => Route::OtherMethod("POST"),
        },
        ["repositories", repository, "runs", run, "logs", name] => {
            let stream = Stream::ALL.into_iter().find(|stream| stream.name() == name);
            match stream {
                Some(stream) if put() => Route::Log(RunNames { repository, run }, stream),
                Some(_) => Route::OtherMethod("PUT"),
                None => Route::Unknown,
            }
        }
        ["repositories", repository, "runs", run, "record"] if put() => {
            Route::PutRecord(RecordKey::run(repository, run))
        }
        ["repositories", repository, "builds", name, "record"] if put() => {
            Route::PutRecord(RecordKey::build(repository, name))
        }
        ["repositories", repository, "pulls", number, "history"] if put() => {
            Route::PutRecord(RecordKey::pull(repository, number))
        }
        ["repositories", repository, "pulls", number, "history"] if get() => {
            Route::GetRecord(RecordKey::pull(repository, number))
        }
        ["builders", name, "history"] if put() => Route::PutRecord(RecordKey::builder(name)),
        ["builders", name, "history"] if get() => Route::GetRecord(RecordKey::builder(name)),
        ["repositories", _, "runs" | "builds", _, "record"] => Route::OtherMethod("PUT"),
        ["repositories", _, "pulls", _, "history"] | ["builders", _, "history"] => {
            Route::OtherMethod("GET, PUT")
        }
        _ => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_methods() {
        let run = RunNames {
            repository: "app",
            run: "0b1c",
        };
        let base = "/v1/repositories/app/runs/0b1c";
        for (method, path, expected) in [
            (
                Method::PUT,
                format!("{base}/logs/log"),
                Route::Log(run, Stream::Log),
            ),
            (
                Method::PUT,
                format!("{base}/logs/marks"),
                Route::Log(run, Stream::Marks),
            ),
            (Method::POST, format!("{base}/logs/end"), Route::End(run)),
            (
                Method::PUT,
                format!("{base}/record"),
                Route::PutRecord(RecordKey::run("app", "0b1c")),
            ),
            (
                Method::GET,
                "/v1/builders/debian/history".to_owned(),
                Route::GetRecord(RecordKey::builder("debian")),
            ),
            (
                Method::GET,
                format!("{base}/logs/log"),
                Route::OtherMethod("PUT"),
            ),
            (
                Method::PUT,
                format!("{base}/logs/end"),
                Route::OtherMethod("POST"),
            ),
            (
                Method::GET,
                format!("{base}/record"),
                Route::OtherMethod("PUT"),
            ),
            (
                Method::DELETE,
                "/v1/builders/debian/history".to_owned(),
                Route::OtherMethod("GET, PUT"),
            ),
            (Method::PUT, format!("{base}/logs/other"), Route::Unknown),
            (Method::PUT, format!("{base}/logs/log/"), Route::Unknown),
            (
                Method::PUT,
                "/v2/builders/debian/history".to_owned(),
                Route::Unknown,
            ),
            (
                Method::PUT,
                "/v1/builders/../history".to_owned(),
                Route::PutRecord(None),
            ),
            (
                Method::PUT,
                "/v1/repositories/app/pulls/0/history".to_owned(),
                Route::PutRecord(None),
            ),
        ] {
            assert_eq!(route(&method, &path), expected, "{method} {path}");
        }
    }
}
