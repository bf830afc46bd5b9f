//! Whether a source is one that we fetch, before any part of it reaches git. Pure.

use protocol::Source;

/// A source that is not fetched.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not a full SHA in lower case.
    #[error("`{0}` is not a full commit SHA")]
    Sha(&'static str),
    /// Not a plain address, or not over HTTP.
    #[error("the clone URL is not a plain https (or http) address without user and password")]
    Url,
    /// Not `owner/name`.
    #[error("the repository is not called `owner/name`")]
    Repository,
}

/// How the commit is fetched: one of two fixed words, never the URL's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// What production uses.
    Https,
    /// Only where the operator configured an address that begins so.
    Http,
    /// A repository of our own on this disk. No source has it.
    File,
}

impl Scheme {
    /// The scheme's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::File => "file",
        }
    }
}

/// Checks everything of a source that reaches git's command line or a step's environment.
pub fn check(source: &Source) -> Result<Scheme, SourceError> {
    if !is_sha(&source.commit) {
        return Err(SourceError::Sha("commit"));
    }
    if !source.parents.iter().all(|parent| is_sha(parent)) {
        return Err(SourceError::Sha("parents"));
    }
    if !source.tree.as_deref().is_none_or(is_sha) {
        return Err(SourceError::Sha("tree"));
    }
    let parts: Vec<&str> = source.repository.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| is_segment(part)) {
        return Err(SourceError::Repository);
    }
    scheme(&source.clone_url).ok_or(SourceError::Url)
}

/// A full SHA-1 or SHA-256 in lower case.
fn is_sha(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

/// `scheme://host[:port]/path`, nothing else: no user, no escapes, no query, no dots as a segment.
fn scheme(url: &str) -> Option<Scheme> {
    let (scheme, rest) = match url.split_once("://")? {
        ("https", rest) => (Scheme::Https, rest),
        ("http", rest) => (Scheme::Http, rest),
        _ => return None,
    };
    let (authority, path) = rest.split_once('/')?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_good = url.len() <= 512
        && is_host(host)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && path.split('/').all(is_segment);
    is_good.then_some(scheme)
}

fn is_host(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            !label.is_empty() && !label.starts_with('-') && label.bytes().all(is_part)
        }),
    }
}

fn is_segment(segment: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_plain_web_addresses_are_fetched() {
        for (url, expected) in [
            ("https://github.com/python/cpython.git", Some(Scheme::Https)),
            ("http://127.0.0.1:8080/a/b.git", Some(Scheme::Http)),
            ("https://[::1]:443/a", Some(Scheme::Https)),
            ("https://[::1]/a", Some(Scheme::Https)),
            ("https://user@github.com/a/b", None),
            ("https://user:token@github.com/a/b", None),
            ("https://github.com", None),
            ("https://github.com/", None),
            ("https://github.com/a/../b", None),
            ("https://github.com/a?b", None),
            ("https://github.com/a#b", None),
            ("https://github.com/a%2fb", None),
            ("https://github.com:x/a", None),
            ("https://-oProxyCommand=x/a", None),
            ("https://a b/c", None),
            ("https:///a", None),
            ("HTTPS://github.com/a", None),
            ("ext::sh -c touch% /tmp/x", None),
            ("file:///etc", None),
            ("ssh://git@github.com/a/b", None),
            ("git@github.com:a/b", None),
            ("--upload-pack=touch /tmp/x", None),
            ("/etc", None),
        ] {
            assert_eq!(scheme(url), expected, "{url}");
        }
    }

    #[test]
    fn only_full_shas_are_fetched() {
        let good = testing::source("https://github.com/a/b", &"a1".repeat(20));
        assert_eq!(check(&good), Ok(Scheme::Https));
        let upper = "A".repeat(40);
        let option = format!("--{}", "a".repeat(38));
        for bad in [
            "",
            "HEAD",
            "a1b2c3d",
            &upper,
            &option,
            &"a".repeat(41),
            &"0".repeat(63),
        ] {
            let source = Source {
                commit: bad.into(),
                ..good.clone()
            };
            assert_eq!(check(&source), Err(SourceError::Sha("commit")), "{bad}");
            let source = Source {
                parents: vec![bad.into()],
                ..good.clone()
            };
            assert_eq!(check(&source), Err(SourceError::Sha("parents")), "{bad}");
            let source = Source {
                tree: Some(bad.into()),
                ..good.clone()
            };
            assert_eq!(check(&source), Err(SourceError::Sha("tree")), "{bad}");
        }
    }

    #[test]
    fn a_repository_is_owner_and_name() {
        for name in ["", "a", "a/b/c", "a/..", "a/b c", "a/b\n", "/b"] {
            let mut source = testing::source("https://github.com/a/b", &"a".repeat(40));
            source.repository = name.into();
            assert_eq!(check(&source), Err(SourceError::Repository), "{name}");
        }
    }
}
