//! Pure: the grammar of image names, as the OCI distribution specification and containerd have it:
//! `[registry[:port]/]path[:tag][@digest]`.

/// What is wrong with the name of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing is left for the path.
    #[error("it is empty")]
    Empty,
    /// A part of the path.
    #[error(
        "its path has characters other than lower-case letters, digits and single `.`, `_`, `-` between them"
    )]
    Path,
    /// The registry.
    #[error("its registry is not a host name")]
    Registry,
    /// The tag.
    #[error(
        "its tag has more than 128 characters, or others than letters, digits, `_`, `.` and `-`"
    )]
    Tag,
    /// The digest.
    #[error("its digest is not `sha256:` and 64 hexadecimal digits")]
    Digest,
}

/// Checks the name of an image.
///
/// # Errors
/// The first part that is not valid.
pub fn check(name: &str) -> Result<(), ImageError> {
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    // A colon behind the last slash begins a tag; before it, a port.
    let (rest, tag) = match rest.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag)),
        _ => (rest, None),
    };
    // As docker and containerd tell a registry from a path: a dot, a port, or `localhost`.
    let (registry, path) = match rest.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), path)
        }
        _ => (None, rest),
    };
    if path.is_empty() {
        return Err(ImageError::Empty);
    }
    if !registry.is_none_or(is_registry) {
        return Err(ImageError::Registry);
    }
    if rest.len() > 255 || !path.split('/').all(is_component) {
        return Err(ImageError::Path);
    }
    if !tag.is_none_or(is_tag) {
        return Err(ImageError::Tag);
    }
    digest
        .is_none_or(is_digest)
        .then_some(())
        .ok_or(ImageError::Digest)
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    };
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(inside)
    };
    host.split('.').all(is_label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_between = |between: &str| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
    };
    component.bytes().next().is_some_and(is_word)
        && component.bytes().last().is_some_and(is_word)
        && component
            .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
            .all(is_between)
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.bytes().all(inside)
}

fn is_digest(digest: &str) -> bool {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
    hex.is_some_and(|hex| {
        hex.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_told_from_typing_errors() {
        let digest = format!("debian@sha256:{}", "0a".repeat(32));
        let good = [
            "debian",
            "debian:13",
            "python/builder",
            "localhost/a",
            "localhost:5000/a:b",
            "ghcr.io/o/n-a__b.c:v1.2-3_4",
            "a---b",
            digest.as_str(),
            "127.0.0.1:5000/x/y/z:T",
        ];
        for name in good {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let long = format!("a:{}", "t".repeat(129));
        let bad = [
            ("", ImageError::Empty),
            ("ghcr.io/", ImageError::Empty),
            (":tag", ImageError::Empty),
            ("Debian", ImageError::Path),
            ("a b", ImageError::Path),
            ("a//b", ImageError::Path),
            ("-a", ImageError::Path),
            ("a-", ImageError::Path),
            ("a._b", ImageError::Path),
            ("a___b", ImageError::Path),
            ("https://x/y", ImageError::Registry),
            ("-x.io/y", ImageError::Registry),
            ("x.io:99999/y", ImageError::Registry),
            ("debian:", ImageError::Tag),
            ("debian:-x", ImageError::Tag),
            (long.as_str(), ImageError::Tag),
            ("debian@sha256:12", ImageError::Digest),
            ("debian@", ImageError::Digest),
        ];
        for (name, error) in bad {
            assert_eq!(check(name), Err(error), "{name}");
        }
    }
}
