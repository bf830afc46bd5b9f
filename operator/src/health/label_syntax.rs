//! Pure: the grammar of Kubernetes' labels, which node selectors are made of.

/// Whether this is the key of a label: `[prefix/]name`, the prefix a DNS name.
pub fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name(name),
        None => is_name(key),
    }
}

/// Whether this is the value of a label: empty, or a name.
pub fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bytes = name.as_bytes();
    bytes.len() <= 63 && ends(bytes.first()) && ends(bytes.last()) && name.bytes().all(inside)
}

fn is_prefix(prefix: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(lower)
            && bytes.last().copied().is_some_and(lower)
            && label.bytes().all(|byte| lower(byte) || byte == b'-')
    };
    prefix.len() <= 253 && prefix.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_of_labels_are_told_from_typing_errors() {
        for key in ["kubernetes.io/arch", "a", "A_b.c-d", "x-y.io/z"] {
            assert!(is_key(key), "{key}");
        }
        let long = "a".repeat(64);
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "-a",
            "a b",
            "A.io/x",
            ".io/x",
            long.as_str(),
        ] {
            assert!(!is_key(key), "{key}");
        }
        assert!(is_value("") && is_value("s390x") && !is_value("a b") && !is_value("-"));
    }
}
