//! What is said where a page cannot be shown.

use http::StatusCode;
use maud::html;
use serde_json::{Value, json};

use super::{shell::Page, state::State};
use crate::store::StoreError;

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such page at all.
    NoPage,
    /// This is not known: it never was, or it is kept no longer.
    Unknown {
        /// What was asked for: `build`.
        what: &'static str,
        /// What is kept for how long, as a sentence.
        keeps: String,
    },
    /// A run is known, and there is no log of it.
    NoLog {
        /// Why, as a sentence.
        why: String,
    },
    /// The store does not answer.
    StoreIsDown,
    /// The store has something else than was put there.
    Damaged,
}

impl Problem {
    /// Why the store gave nothing. The cause is for the log, not for readers.
    pub fn of_store(error: &StoreError) -> Self {
        tracing::warn!(%error, "a page could not be made");
        match error {
            StoreError::Damaged { .. } => Self::Damaged,
            StoreError::Place { .. }
            | StoreError::Access { .. }
            | StoreError::Operation { .. }
            | StoreError::Busy { .. } => Self::StoreIsDown,
        }
    }

    /// The status that HTTP has for it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoPage | Self::Unknown { .. } | Self::NoLog { .. } => StatusCode::NOT_FOUND,
            Self::StoreIsDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong, and what that means.
    fn sentences(&self) -> (String, &str) {
        match self {
            Self::NoPage => (
                "There is no such page.".to_owned(),
                "Look at the address again, or begin at the overview.",
            ),
            Self::Unknown { what, keeps } => (
                format!("This {what} is not known, or it is kept no longer."),
                keeps,
            ),
            Self::NoLog { why } => ("There is nothing of this log.".to_owned(), why),
            Self::StoreIsDown => (
                "The store of logs and results does not answer.".to_owned(),
                "Builds go on, and their logs wait where they run. Try again in a minute.",
            ),
            Self::Damaged => (
                "What was kept of this cannot be read.".to_owned(),
                "Whoever runs this PrBuild finds the cause in the gateway's own log.",
            ),
        }
    }

    /// In a sentence, where it is a part of a page that is missing.
    pub fn sentence(&self) -> String {
        self.sentences().0
    }

    /// As a page.
    pub fn page(&self) -> Page {
        let (what, because) = self.sentences();
        Page {
            title: what.trim_end_matches('.').to_owned(),
            state: Some(State::Error),
            path: "/".to_owned(),
            body: html! {
                h1 { (what) }
                p { (because) }
            },
            ..Page::default()
        }
    }

    /// As plain text.
    pub fn text(&self) -> String {
        let (what, because) = self.sentences();
        format!("{what}\n{because}\n")
    }

    /// As JSON: `{"error": …, "because": …}`.
    pub fn json(&self) -> Value {
        let (what, because) = self.sentences();
        json!({ "error": what, "because": because })
    }
}
