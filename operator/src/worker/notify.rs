//! Who hears that something is wrong with a worker: its Events, and, when it is left alone for a while, somebody
//! outside, by one `POST` of JSON to an address of yours. It is told and not relied on; the object says it as well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crds::{Worker, condition};
use http::{Method, Request, Uri, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::ResourceExt;
use serde::Serialize;

/// How often it is tried, and how long one try and the pause after it take.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Not an address.
    #[error("--notify-url `{0}` is no address that begins with http:// or https://")]
    Address(String),
    /// No trust anchors.
    #[error("the certificates of this system cannot be read: {0}")]
    Certificates(std::io::Error),
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Name of the Worker.
    pub worker: String,
    /// Whose it is.
    pub contact: String,
    /// `quarantined`.
    pub event: &'static str,
    /// A sentence.
    pub message: String,
}

/// What is new about a worker that somebody should hear.
pub fn news(old: Option<&Worker>, new: &Worker) -> Option<News> {
    let kind = condition::kind::QUARANTINED;
    let of = |worker: &Worker| {
        let conditions = worker
            .status
            .as_ref()
            .map(|status| status.conditions.clone());
        let conditions = conditions.unwrap_or_default();
        condition::find(&conditions, kind)
            .filter(|found| found.status == "True")
            .cloned()
    };
    // A worker that is read for the first time after a restart is no news.
    let before = of(old?);
    let now = of(new)?;
    before.is_none().then(|| News {
        worker: new.name_any(),
        contact: new.spec.contact.clone(),
        event: "quarantined",
        message: now.message,
    })
}

/// What a worker's Events tell of: conditions that somebody should look at.
const LOOKED_AT: [&str; 4] = [
    condition::kind::QUARANTINED,
    condition::kind::DUPLICATE_IDENTITY,
    condition::kind::KEY_REFUSED,
    condition::kind::OFFER_REFUSED,
];

/// What has begun to be wrong with a worker, each as the reason and the note of an Event.
pub fn warnings(old: Option<&Worker>, new: &Worker) -> Vec<(&'static str, String)> {
    // A worker that is read for the first time after a restart is no news.
    let Some(old) = old else {
        return Vec::new();
    };
    let of = |worker: &Worker, kind: &str| {
        let status = worker.status.clone().unwrap_or_default();
        let found = condition::find(&status.conditions, kind).cloned();
        found.filter(|found| found.status == "True")
    };
    let begun = LOOKED_AT.into_iter().filter_map(|kind| {
        let now = of(new, kind)?;
        let is_news = match of(old, kind) {
            None => true,
            // Each offer that is refused is another matter.
            Some(before) => kind == condition::kind::OFFER_REFUSED && before.message != now.message,
        };
        is_news.then_some((kind, now.message))
    });
    begun.collect()
}

/// Sends it.
pub struct Notifier {
    address: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Notifier {
    /// For this address.
    pub fn new(address: &str) -> Result<Self, NotifyError> {
        let bad = || NotifyError::Address(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(NotifyError::Certificates)?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            address: uri,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Tells it in the background.
    pub fn tell(self: &Arc<Self>, news: News) {
        let notifier = self.clone();
        tokio::spawn(async move {
            for _ in 0..TRIES {
                match notifier.send(&news).await {
                    Ok(()) => return,
                    Err(why) => {
                        tracing::warn!(
                            worker = news.worker,
                            why,
                            "--notify-url was not told that a worker is left alone"
                        );
                    }
                }
                tokio::time::sleep(PATIENCE).await;
            }
        });
    }

    async fn send(&self, news: &News) -> Result<(), String> {
        let body = serde_json::to_vec(news).map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.address.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.map_err(|_| "it does not answer".to_owned())?;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("it answered {}", answer.status())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn worker(quarantined: bool) -> Worker {
        let status = if quarantined { "True" } else { "False" };
        serde_json::from_value(json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": "mac" },
            "spec": { "contact": "Ada" },
            "status": { "conditions": [{ "type": "Quarantined", "status": status, "reason": "R",
                "message": "its machine ended 3 runs in a row", "lastTransitionTime": "2026-01-14T12:00:00Z" }] },
        }))
        .unwrap()
    }

    #[test]
    fn it_is_news_once_that_a_worker_is_left_alone() {
        let told = news(Some(&worker(false)), &worker(true)).unwrap();
        assert_eq!(
            (told.worker.as_str(), told.contact.as_str()),
            ("mac", "Ada")
        );
        assert_eq!(told.message, "its machine ended 3 runs in a row");
        assert_eq!(news(Some(&worker(true)), &worker(true)), None);
        assert_eq!(news(Some(&worker(true)), &worker(false)), None);
        assert_eq!(news(None, &worker(true)), None, "after a restart");
    }

    #[test]
    fn what_begins_to_be_wrong_with_a_worker_is_an_event_once() {
        let with = |conditions: &[(&str, &str, &str)]| {
            let mut worker = worker(false);
            let status = worker.status.as_mut().unwrap();
            let one = status.conditions.remove(0);
            status.conditions = conditions
                .iter()
                .map(|(kind, holds, message)| {
                    let mut condition = one.clone();
                    condition.type_ = (*kind).to_owned();
                    condition.status = (*holds).to_owned();
                    condition.message = (*message).to_owned();
                    condition
                })
                .collect();
            worker
        };
        let good = with(&[("Ready", "True", ""), ("KeyRefused", "False", "")]);
        let bad = with(&[
            ("Ready", "False", "x"),
            ("KeyRefused", "True", "a wrong key"),
        ]);
        let told = |old: &Worker, new: &Worker| warnings(Some(old), new);
        assert_eq!(
            told(&good, &bad),
            [("KeyRefused", "a wrong key".to_owned())]
        );
        assert!(told(&bad, &bad).is_empty() && told(&bad, &good).is_empty());
        assert!(warnings(None, &bad).is_empty(), "after a restart");
        let first = with(&[("OfferRefused", "True", "it declined `a`")]);
        let second = with(&[("OfferRefused", "True", "it declined `b`")]);
        assert_eq!(told(&good, &first).len(), 1);
        assert_eq!(told(&first, &second).len(), 1);
        assert!(told(&second, &second).is_empty());
    }

    #[test]
    fn an_address_that_is_none_is_refused_at_the_start() {
        for bad in ["", "example.org", "ftp://example.org"] {
            assert!(
                matches!(Notifier::new(bad), Err(NotifyError::Address(_))),
                "{bad}"
            );
        }
    }
}
