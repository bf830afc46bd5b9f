//! Pure: the permissions that a token is asked with. A program gets no more than its part needs, whatever
//! the App was granted.

use std::collections::BTreeMap;

use crate::Access;

/// The permissions that each part of PrBuild needs.
pub(crate) fn needed(access: Access) -> &'static [(&'static str, &'static str)] {
    match access {
        Access::Read => &[
            ("metadata", "read"),
            ("contents", "read"),
            ("pull_requests", "read"),
        ],
        Access::Report => &[
            ("metadata", "read"),
            ("contents", "read"),
            ("pull_requests", "write"),
            ("statuses", "write"),
        ],
    }
}

/// What check runs take on top.
pub(crate) const CHECKS: (&str, &str) = ("checks", "write");

/// What a token is asked with: what is needed, and of the rest what reading takes and was granted
/// (`members` for teams), and check runs for who reports. Asking for more than was granted would be
/// refused altogether.
pub(crate) fn asked(
    access: Access,
    granted: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut optional = vec![("members", "read"), ("issues", "read")];
    if access == Access::Report {
        // Builds may wait for checks without writing any.
        optional.extend([(CHECKS.0, "read"), CHECKS]);
    }
    let mut asked: BTreeMap<String, String> = needed(access)
        .iter()
        .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
        .collect();
    for (name, level) in optional {
        if covers(granted.get(name), level) {
            asked.insert(name.to_owned(), level.to_owned());
        }
    }
    asked
}

pub(crate) fn covers(granted: Option<&String>, level: &str) -> bool {
    match granted.map(String::as_str) {
        Some("write" | "admin") => true,
        Some("read") => level == "read",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhooks_token_can_only_read() {
        let all: BTreeMap<String, String> = [
            "metadata",
            "contents",
            "pull_requests",
            "statuses",
            "checks",
            "issues",
            "members",
            "administration",
            "workflows",
        ]
        .into_iter()
        .map(|name| (name.to_owned(), "write".to_owned()))
        .collect();
        let read = asked(Access::Read, &all);
        assert!(read.values().all(|level| level == "read"), "{read:?}");
        assert!(!read.contains_key("administration") && !read.contains_key("statuses"));
        let report = asked(Access::Report, &all);
        assert_eq!(report["statuses"], "write");
        assert_eq!(report["checks"], "write");
        assert_eq!(report["contents"], "read");
    }

    #[test]
    fn nothing_that_was_not_granted_is_asked_for_on_top() {
        let granted = BTreeMap::from([("members".to_owned(), "read".to_owned())]);
        let read = asked(Access::Read, &granted);
        assert!(read.contains_key("members") && !read.contains_key("issues"));
    }
}
