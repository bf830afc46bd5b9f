//! How a page is asked for, and answered: as HTML or as JSON, with which theme.

use std::convert::Infallible;

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, RETRY_AFTER},
    request::Parts,
};
use serde::Serialize;

use super::{problem::Problem, shell::Page, theme::Theme};

/// What is at the end of an address that asks for JSON.
const JSON: &str = ".json";

/// How a page is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Light or dark.
    pub theme: Theme,
    /// As JSON: the address ends in `.json`.
    pub as_json: bool,
}

impl Asked {
    /// A name at the end of the address, without `.json`.
    pub fn name(self, last: &str) -> &str {
        match self.as_json {
            true => last.strip_suffix(JSON).unwrap_or(last),
            false => last,
        }
    }

    /// The answer: the model as it is, or as the page that is made of it.
    pub fn answer<M: Serialize>(
        self,
        found: Result<M, Problem>,
        page: impl FnOnce(&M) -> Page,
    ) -> Response {
        match found {
            Ok(model) if self.as_json => Json(model).into_response(),
            Ok(model) => page(&model).render(self.theme).into_response(),
            Err(problem) => self.problem(&problem),
        }
    }

    /// The answer where there is nothing to show.
    pub fn problem(self, problem: &Problem) -> Response {
        let said = match self.as_json {
            true => Json(problem.json()).into_response(),
            false => problem.page().render(self.theme).into_response(),
        };
        answer_of(problem, said)
    }
}

/// The answer where there is no text to give.
pub fn no_text(problem: &Problem) -> Response {
    answer_of(problem, problem.text().into_response())
}

/// What is said of a problem, with its status.
fn answer_of(problem: &Problem, mut said: Response) -> Response {
    *said.status_mut() = problem.status();
    let headers = said.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if problem.status().is_server_error() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    said
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            theme: Theme::of_query(parts.uri.query().unwrap_or_default()),
            as_json: parts.uri.path().ends_with(JSON),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_dots_and_loses_json_where_that_was_asked_for() {
        let asked = |as_json| Asked {
            theme: Theme::System,
            as_json,
        };
        assert_eq!(asked(true).name("debian-3.14.json"), "debian-3.14");
        assert_eq!(asked(false).name("debian-3.14"), "debian-3.14");
    }
}
