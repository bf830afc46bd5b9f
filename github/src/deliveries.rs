//! The deliveries that GitHub made to an App's webhook and keeps for three days: what did not arrive
//! can be read there, wherever the webhook is and whoever cannot reach it.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use crate::connection::{Connection, Credential};
use crate::pages::PAGE;
use crate::reads::Listing;
use crate::{Dated, GithubError};

/// One try to deliver an event, as the list shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Delivery {
    /// Id of this try.
    pub id: i64,
    /// Id of the event: the same when it is delivered again.
    pub guid: String,
    /// When.
    pub delivered_at: Timestamp,
    /// The status that the receiver answered with; 0 or 502 for none.
    pub status_code: i64,
    /// Kind of event.
    pub event: String,
    /// The field `action` of its body.
    #[serde(default)]
    pub action: Option<String>,
    /// The repository that it is about.
    #[serde(default)]
    pub repository_id: Option<i64>,
}

impl Delivery {
    /// Whether the receiver took it.
    pub fn was_taken(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    /// The entries, or that they are as they were.
    pub listing: Listing<Delivery>,
    /// Where the next page begins; none: it is the last one.
    pub next: Option<String>,
}

/// What was delivered, as GitHub's API tells it to the App that it was delivered to. Only
/// [`Connection::delivered`] makes one.
#[derive(Clone, Debug)]
pub struct Delivered {
    guid: String,
    event: String,
    body: Vec<u8>,
}

impl Delivered {
    /// Id of the event.
    pub fn guid(&self) -> &str {
        &self.guid
    }

    /// Kind of event.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The body, as JSON; not byte for byte as it was sent.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl Connection {
    /// A page of the deliveries to the App's webhook, newest first. None for a personal token, which
    /// has no webhook.
    ///
    /// # Errors
    /// As any call; [`GithubError::NotFound`] where the App has no webhook.
    pub async fn deliveries(
        &self,
        etag: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Option<Dated<DeliveryPage>>, GithubError> {
        let Credential::App(app) = &self.credential else {
            return Ok(None);
        };
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}"));
        let path = format!(
            "/app/hook/deliveries?per_page={PAGE}{}",
            cursor.unwrap_or_default()
        );
        let answer = app.as_app(Method::GET, &path, None, etag).await?;
        let listing = match answer.status {
            StatusCode::NOT_MODIFIED => Listing::NotModified,
            _ => Listing::Changed {
                items: serde_json::from_slice(&answer.body)
                    .map_err(|error| malformed("GET /app/hook/deliveries", &error))?,
                etag: answer.etag,
            },
        };
        Ok(Some(Dated {
            value: DeliveryPage {
                listing,
                next: answer.next_cursor,
            },
            date: answer.date,
        }))
    }

    /// What was delivered. None for a personal token.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when GitHub does not keep it any more.
    pub async fn delivered(&self, id: i64) -> Result<Option<Delivered>, GithubError> {
        #[derive(Deserialize)]
        struct Whole {
            guid: String,
            event: String,
            request: Request,
        }
        #[derive(Deserialize)]
        struct Request {
            payload: serde_json::Value,
        }
        let Credential::App(app) = &self.credential else {
            return Ok(None);
        };
        let path = format!("/app/hook/deliveries/{id}");
        let answer = app.as_app(Method::GET, &path, None, None).await?;
        let whole: Whole = serde_json::from_slice(&answer.body)
            .map_err(|error| malformed("GET /app/hook/deliveries/{id}", &error))?;
        Ok(Some(Delivered {
            guid: whole.guid,
            event: whole.event,
            body: whole.request.payload.to_string().into_bytes(),
        }))
    }
}

fn malformed(call: &str, error: &serde_json::Error) -> GithubError {
    GithubError::Malformed {
        call: call.to_owned(),
        reason: error.to_string(),
    }
}
