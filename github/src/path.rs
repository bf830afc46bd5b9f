//! Paths of the REST API. Everything that comes from outside (labels, logins, branches) is one
//! percent-encoded segment: it cannot leave its place in the path.

use std::fmt::Write;

/// One path segment or query value.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else if byte == b'.' && text != "." && text != ".." {
            out.push('.');
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The GraphQL endpoint that belongs to a REST base URL.
pub(crate) fn graphql_url(api: &str) -> String {
    let api = api.trim_end_matches('/');
    match api.strip_suffix("/api/v3") {
        Some(host) => format!("{host}/api/graphql"),
        None => format!("{api}/graphql"),
    }
}

/// The number of the last page, from a `Link` header. Only the number is taken: following the
/// absolute URL would send the credential to whatever host it names, or lose it on the way.
pub(crate) fn last_page(link: &str) -> Option<i64> {
    let last = link.split(',').find(|part| part.contains("rel=\"last\""))?;
    let url = last.split('>').next()?.trim_start().strip_prefix('<')?;
    let query = url.split_once('?')?.1;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("page="))?
        .parse()
        .ok()
}

/// The cursor of the next page, from a `Link` header: of its URL only this value is taken.
pub(crate) fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let url = next.split('>').next()?.trim_start().strip_prefix('<')?;
    let query = url.split_once('?')?.1;
    let cursor = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("cursor="))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'%' | b'=');
    (cursor.len() <= 200 && cursor.bytes().all(plain)).then(|| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_in_its_segment() {
        assert_eq!(segment(":hammer: test"), "%3Ahammer%3A%20test");
        assert_eq!(segment("../../orgs"), "..%2F..%2Forgs");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("a?b#c&d=e"), "a%3Fb%23c%26d%3De");
        assert_eq!(segment("dependabot[bot]"), "dependabot%5Bbot%5D");
        assert_eq!(segment("r.x"), "r.x");
    }

    #[test]
    fn graphql_lives_beside_rest() {
        for (api, graphql) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            (
                "https://ghe.example/api/v3/",
                "https://ghe.example/api/graphql",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/graphql"),
        ] {
            assert_eq!(graphql_url(api), graphql);
        }
    }

    #[test]
    fn the_last_page_is_a_number_and_never_a_url() {
        let link = r#"<https://api.github.com/repositories/1/issues/2/events?per_page=100&page=2>; rel="next", <https://evil.example/x?page=34&per_page=100>; rel="last""#;
        assert_eq!(last_page(link), Some(34));
        assert_eq!(
            last_page(r#"<https://api.github.com/x?page=2>; rel="next""#),
            None
        );
        assert_eq!(last_page("nonsense"), None);
    }

    #[test]
    fn the_next_cursor_is_a_value_and_never_a_url() {
        let link = r#"<https://evil.example/x?per_page=100&cursor=v1_123>; rel="next""#;
        assert_eq!(next_cursor(link).as_deref(), Some("v1_123"));
        for link in [
            r#"<https://x/?cursor=v1_1>; rel="prev""#,
            r#"<https://x/?cursor=a/../b>; rel="next""#,
            r#"<https://x/?page=2>; rel="next""#,
            "nonsense",
        ] {
            assert_eq!(next_cursor(link), None, "{link}");
        }
    }
}
