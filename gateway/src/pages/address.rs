//! Where pages are. Names in addresses come from objects and records; whatever they hold, they stay one
//! part of the path.

use std::fmt::Write as _;

/// The page of a pull request.
pub fn pull(repository: &str, number: i64) -> String {
    format!("/r/{}/pull/{number}", part(repository))
}

/// The page of a build.
pub fn build(repository: &str, name: &str) -> String {
    format!("/r/{}/builds/{}", part(repository), part(name))
}

/// The page of a run.
pub fn run(repository: &str, uid: &str) -> String {
    format!("/r/{}/runs/{}", part(repository), part(uid))
}

/// The page of a builder.
pub fn builder(name: &str) -> String {
    format!("/builders/{}", part(name))
}

/// A pull request on GitHub, by the repository's own address there. One that is none of the web leads nowhere
/// else than to `web`, where people see repositories.
pub fn on_github(repository: &str, web: &str, full_name: &str, number: i64) -> String {
    let is_web = repository.starts_with("https://") || repository.starts_with("http://");
    match (is_web, full_name.split_once('/')) {
        (true, _) => format!("{}/pull/{number}", seen(repository.trim_end_matches('/'))),
        (false, Some((owner, name))) => {
            format!("{web}/{}/{}/pull/{number}", part(owner), part(name))
        }
        (false, None) => web.to_owned(),
    }
}

/// One part of a path.
fn part(text: &str) -> String {
    escaped(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
    })
}

/// A whole address without anything that is not seen.
fn seen(text: &str) -> String {
    escaped(text, |byte| byte.is_ascii_graphic())
}

fn escaped(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match is_plain(byte) {
            true => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            false => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_part_of_the_path() {
        assert_eq!(build("app", "app-7-l1"), "/r/app/builds/app-7-l1");
        assert_eq!(
            builder("../x?y#z\u{202E}\""),
            "/builders/..%2Fx%3Fy%23z%E2%80%AE%22"
        );
    }

    #[test]
    fn a_link_to_github_leads_into_the_web() {
        let link = |repository, name| on_github(repository, "https://github.com", name, 7);
        assert_eq!(
            link("https://ghe.example/o/a/", "o/a"),
            "https://ghe.example/o/a/pull/7"
        );
        assert_eq!(
            link("javascript:alert(1)", "o/a"),
            "https://github.com/o/a/pull/7"
        );
        assert_eq!(link("", "nonsense"), "https://github.com");
    }
}
