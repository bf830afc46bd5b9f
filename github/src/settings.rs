//! A connection as it lies in its directory: a mounted Secret, one file a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};

/// A connection that cannot be used. The message names the directory and what to put there.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A directory or file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A value is missing or wrong.
    #[error("connection `{name}`: {problem}")]
    Invalid {
        /// Name of the connection.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The HTTP client cannot be set up, as without any CA certificate.
    #[error("cannot set up HTTPS: {0}")]
    Client(String),
}

/// The connection of the chart's test (`helm test`). It has files only while the test runs, so that its
/// emptiness is no mistake; and what is seen through it says nothing about GitHub.
pub const SELF_TEST: &str = "prbuild-self-test";

/// Bytes that a webhook secret needs at least.
const SECRET_BYTES: usize = 32;

/// What a connection authenticates with.
pub(crate) enum Identity {
    Token(SecretString),
    App {
        id: u64,
        key: EncodingKey,
        installation: Option<u64>,
    },
}

/// A connection's files, read and checked.
pub(crate) struct Settings {
    pub name: String,
    pub api_url: String,
    pub git_url: String,
    pub identity: Identity,
    pub webhook_secrets: Vec<SecretString>,
    /// The files as they were, to notice a change.
    pub files: Files,
}

/// Contents of a connection's files by name.
#[derive(Clone)]
pub(crate) struct Files(BTreeMap<String, SecretString>);

impl Files {
    /// Whether there are none.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|((a, x), (b, y))| a == b && x.expose_secret() == y.expose_secret())
    }
}

const NAMES: [&str; 9] = [
    "api-url",
    "git-url",
    "app-id",
    "private-key.pem",
    "installation-id",
    "token",
    "webhook-secret",
    "webhook-secret-next",
    "webhook-secret-previous",
];

/// Names and paths of the connections in a directory. Names that begin with a dot are how
/// Kubernetes swaps mounted files.
pub(crate) fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, ConnectionError> {
    let read = |source| ConnectionError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !name.starts_with('.') && path.is_dir() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the files of one connection.
pub(crate) fn files(dir: &Path) -> Result<Files, ConnectionError> {
    let mut found = BTreeMap::new();
    for name in NAMES {
        let path = dir.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let value = text.trim_end_matches(['\n', '\r']).to_owned();
                found.insert(name.to_owned(), SecretString::from(value));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConnectionError::Read { path, source }),
        }
    }
    Ok(Files(found))
}

/// Checks the files of one connection.
pub(crate) fn check(name: &str, files: Files) -> Result<Settings, ConnectionError> {
    let invalid = |problem: String| ConnectionError::Invalid {
        name: name.to_owned(),
        problem,
    };
    let get = |file: &str| files.0.get(file).map(|value| value.expose_secret());
    let url = |file: &str, default: &str| {
        let url = get(file)
            .unwrap_or(default)
            .trim_end_matches('/')
            .to_owned();
        let parsed = url.parse::<http::Uri>().ok();
        match parsed.as_ref().and_then(|uri| uri.scheme_str()) {
            Some("https" | "http") => Ok(url),
            _ => Err(invalid(format!("`{file}` is not an http(s) URL"))),
        }
    };
    if files.0.is_empty() {
        return Err(invalid(
            "it is empty; make its Secret with `app-id`, `private-key.pem` and `webhook-secret`"
                .to_owned(),
        ));
    }
    let api_url = url("api-url", "https://api.github.com")?;
    let git_url = url("git-url", "https://github.com")?;
    let identity = identity(&get).map_err(invalid)?;
    if let (Some(_), Some(_)) = (get("webhook-secret-next"), get("webhook-secret-previous")) {
        return Err(invalid(
            "it has `webhook-secret-next` and `webhook-secret-previous`; keep one of them, for two \
             secrets are accepted at a time"
                .to_owned(),
        ));
    }
    let mut webhook_secrets = Vec::new();
    for file in [
        "webhook-secret-next",
        "webhook-secret",
        "webhook-secret-previous",
    ] {
        let Some(secret) = get(file) else { continue };
        if secret.len() < SECRET_BYTES {
            return Err(invalid(format!(
                "`{file}` has {} bytes and needs at least {SECRET_BYTES}; `openssl rand -hex 32` makes one",
                secret.len()
            )));
        }
        webhook_secrets.push(SecretString::from(secret));
    }
    Ok(Settings {
        name: name.to_owned(),
        api_url,
        git_url,
        identity,
        webhook_secrets,
        files,
    })
}

fn identity<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Identity, String> {
    let number = |file: &str, text: &str| {
        text.trim()
            .parse::<u64>()
            .map_err(|_| format!("`{file}` is not a number"))
    };
    match (get("token"), get("app-id"), get("private-key.pem")) {
        (Some(_), Some(_), _) => Err("it has `token` and `app-id`; keep one of them".to_owned()),
        (Some(token), None, _) if token.trim().is_empty() => Err("`token` is empty".to_owned()),
        (Some(token), None, _) if !token.bytes().all(|b| b.is_ascii_graphic()) => {
            Err("`token` contains characters that no token has".to_owned())
        }
        (Some(token), None, _) => Ok(Identity::Token(SecretString::from(token))),
        (None, Some(id), Some(pem)) => Ok(Identity::App {
            id: number("app-id", id)?,
            key: EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| "`private-key.pem` is not an RSA private key".to_owned())?,
            installation: get("installation-id")
                .map(|id| number("installation-id", id))
                .transpose()?,
        }),
        (None, Some(_), None) => Err("it has `app-id` and no `private-key.pem`".to_owned()),
        (None, None, _) => {
            Err("it has neither `token` nor `app-id` and `private-key.pem`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(pairs: &[(&str, &str)]) -> Option<String> {
        let files = Files(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
                .collect(),
        );
        check("c", files).err().map(|error| error.to_string())
    }

    #[test]
    fn a_short_or_empty_secret_is_refused_and_the_message_says_how_to_make_one() {
        for secret in ["", "short", "0123456789012345678901234567890"] {
            for file in ["webhook-secret", "webhook-secret-next"] {
                let found = problem(&[("token", "t"), (file, secret)]).expect("a problem");
                assert!(found.contains(file) && found.contains("openssl"), "{found}");
                assert!(secret.is_empty() || !found.contains(secret), "{found}");
            }
        }
        let secret = "01234567890123456789012345678901";
        assert_eq!(problem(&[("token", "t"), ("webhook-secret", secret)]), None);
    }

    #[test]
    fn contradictions_are_named() {
        for (pairs, word) in [
            (&[][..], "empty"),
            (
                &[("webhook-secret", "01234567890123456789012345678901")][..],
                "neither",
            ),
            (&[("token", "t"), ("app-id", "1")][..], "keep one"),
            (&[("app-id", "1")][..], "private-key.pem"),
            (&[("app-id", "1"), ("private-key.pem", "x")][..], "RSA"),
            (&[("token", "")][..], "empty"),
            (&[("token", "a b")][..], "characters"),
            (&[("token", "t"), ("api-url", "ftp://x")][..], "api-url"),
            (
                &[
                    ("token", "t"),
                    ("webhook-secret-next", "x"),
                    ("webhook-secret-previous", "y"),
                ][..],
                "two secrets",
            ),
        ] {
            let found = problem(pairs).expect("a problem");
            assert!(found.contains(word), "{found}");
        }
    }
}
