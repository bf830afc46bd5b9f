//! Style sheet and scripts. Each address holds the hash of all of them, so that whoever has one keeps it
//! for ever, and a new version is another address.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

use super::{asked::Asked, problem::Problem};

/// The one style sheet.
pub const STYLE: &str = "style.css";
/// The script of most pages: theme, and following what changes.
pub const PAGE_SCRIPT: &str = "page.js";
/// The script of a run's page: theme, and the log.
pub const RUN_SCRIPT: &str = "run.js";

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 3] = [
    Asset {
        name: STYLE,
        kind: "text/css; charset=utf-8",
        text: concat!(
            include_str!("../../assets/style.css"),
            include_str!("../../assets/log.css")
        ),
    },
    Asset {
        name: PAGE_SCRIPT,
        kind: JAVASCRIPT,
        text: concat!(
            include_str!("../../assets/theme.js"),
            include_str!("../../assets/follow.js")
        ),
    },
    Asset {
        name: RUN_SCRIPT,
        kind: JAVASCRIPT,
        text: concat!(
            include_str!("../../assets/theme.js"),
            include_str!("../../assets/run.js")
        ),
    },
];

/// What is sent: the text without what only its authors read, indentation and whole lines of comment.
static LEAN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let is_said = |line: &&str| {
        let is_comment = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        !line.is_empty() && !is_comment
    };
    let lean = |asset: &Asset| {
        let lines = asset.text.lines().map(str::trim).filter(is_said);
        lines.collect::<Vec<_>>().join("\n")
    };
    ASSETS.iter().map(lean).collect()
});

static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for text in LEAN.iter() {
        hash.update(text);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
});

/// The address of a file.
pub fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *HASH)
}

/// `GET /assets/{hash}/{file}`. A hash of another version has the file of this one, which nobody may
/// keep: a page that was open during an upgrade still looks right.
pub(super) async fn asset(asked: Asked, Path((hash, name)): Path<(String, String)>) -> Response {
    let mut assets = ASSETS.iter().zip(LEAN.iter());
    let Some((asset, text)) = assets.find(|(asset, _)| asset.name == name) else {
        return asked.problem(&Problem::NoPage);
    };
    let keep = match hash == *HASH {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, keep)];
    (headers, text.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_brings_along_is_small() {
        for (asset, text) in ASSETS.iter().zip(LEAN.iter()) {
            let limit = if asset.name == STYLE { 20_000 } else { 10_000 };
            assert!(text.len() < limit, "{}: {}", asset.name, text.len());
            assert!(!text.contains("http"), "{} asks somebody else", asset.name);
        }
    }
}
