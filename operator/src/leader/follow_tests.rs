//! What a follower asks an API server, which is played here, and when it says that the lease is free.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::body::Body;
use futures::stream;
use http::{Request, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_service::Service;

use super::*;

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An API server with one Lease. A clone is the same.
#[derive(Clone)]
struct ApiServer(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// What the next looks find; the last of them stays.
    leases: VecDeque<Value>,
    /// What the next watch brings; without it nobody may watch.
    events: Option<UnboundedReceiver<String>>,
    /// What it was asked.
    asked: Vec<String>,
}

impl ApiServer {
    fn new(leases: impl IntoIterator<Item = Value>) -> Self {
        let known = Known {
            leases: leases.into_iter().collect(),
            ..Known::default()
        };
        Self(Arc::new(Mutex::new(known)))
    }

    /// Lets it be watched. It tells what is sent here.
    fn watched(&self) -> UnboundedSender<String> {
        let (events, told) = unbounded_channel();
        self.0.lock().unwrap().events = Some(told);
        events
    }

    /// Follows until the lease is free, and returns what was asked for that.
    async fn until_free(&self) -> Vec<String> {
        let client = Client::new(self.clone(), "prbuild");
        let leases = Api::namespaced(client, "prbuild");
        let free = timeout(PATIENCE, until_free(&leases, "me"));
        free.await.expect("it is free at some time");
        self.0.lock().unwrap().asked.clone()
    }

    fn answer(&self, query: &str) -> Response<Body> {
        let mut known = self.0.lock().unwrap();
        if query.contains("watch=true") {
            known.asked.push(format!("watch {query}"));
            return match known.events.take() {
                Some(events) => Response::new(told(events)),
                None => forbidden(),
            };
        }
        known.asked.push("look".to_owned());
        let lease = match known.leases.len() {
            1 => known.leases[0].clone(),
            _ => known.leases.pop_front().unwrap(),
        };
        Response::new(Body::from(lease.to_string()))
    }
}

impl Service<Request<kube::client::Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default();
        ready(Ok(self.answer(query)))
    }
}

/// Lines, as they come.
fn told(events: UnboundedReceiver<String>) -> Body {
    Body::from_stream(stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((Ok::<_, Infallible>(format!("{event}\n")), events))
    }))
}

fn forbidden() -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "leases is forbidden",
    });
    let mut answer = Response::new(Body::from(status.to_string()));
    *answer.status_mut() = http::StatusCode::FORBIDDEN;
    answer
}

/// A lease of this holder, which was renewed so long ago.
fn lease(holder: &str, ago: Duration) -> Value {
    let ago = SignedDuration::try_from(ago).unwrap();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": LEASE, "namespace": "prbuild", "resourceVersion": "7" },
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15,
            "renewTime": MicroTime(Timestamp::now() - ago),
        },
    })
}

fn held() -> Value {
    lease("other", Duration::ZERO)
}

fn event(kind: &str, object: Value) -> String {
    json!({ "type": kind, "object": object }).to_string()
}

/// A watch and two looks: what it costs to follow a lease, however long that is renewed.
fn assert_looked_twice(asked: &[String]) {
    let [first, watch, last] = asked else {
        panic!("{asked:?}");
    };
    assert_eq!([first, last], ["look"; 2]);
    assert!(watch.starts_with("watch "), "{watch}");
}

#[tokio::test]
async fn a_follower_watches_the_lease_and_looks_again_when_it_is_given_back() {
    let api = ApiServer::new([held(), lease("", Duration::ZERO)]);
    let events = api.watched();
    for _ in 0..50 {
        events.send(event("MODIFIED", held())).unwrap();
    }
    let given_back = event("MODIFIED", lease("", Duration::ZERO));
    events.send(given_back).unwrap();
    let asked = api.until_free().await;
    assert_looked_twice(&asked);
    for what in [
        "fieldSelector=metadata.name%3Dprbuild-operator",
        "resourceVersion=7",
    ] {
        assert!(asked[1].contains(what), "{asked:?}");
    }
}

#[tokio::test]
async fn a_lease_that_was_removed_is_free() {
    let api = ApiServer::new([held(), lease("", Duration::ZERO)]);
    let events = api.watched();
    events.send(event("DELETED", held())).unwrap();
    assert_looked_twice(&api.until_free().await);
}

#[tokio::test]
async fn a_lease_that_nobody_renews_is_looked_at_when_its_time_is_over() {
    let nearly_over = lease("other", Duration::from_secs(15));
    let api = ApiServer::new([nearly_over]);
    let _silent = api.watched();
    assert_looked_twice(&api.until_free().await);
}

#[tokio::test]
async fn a_watch_that_says_nothing_of_a_renewal_gives_no_lease_away() {
    let nearly_over = lease("other", Duration::from_secs(15));
    let api = ApiServer::new([nearly_over, held(), lease("", Duration::ZERO)]);
    let _silent = api.watched();
    let asked = api.until_free().await;
    let looks = asked.iter().filter(|what| *what == "look");
    assert_eq!(looks.count(), 3, "{asked:?}");
}

#[tokio::test]
async fn who_may_not_watch_looks_again_and_again() {
    let api = ApiServer::new([held(), lease("", Duration::ZERO)]);
    assert_looked_twice(&api.until_free().await);
}

#[tokio::test]
async fn a_watch_that_ends_or_fails_is_begun_anew() {
    let expired = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
        "message": "too old resource version",
    });
    for last_words in [None, Some(event("ERROR", expired))] {
        let api = ApiServer::new([held(), lease("", Duration::ZERO)]);
        let events = api.watched();
        if let Some(words) = last_words {
            events.send(words).unwrap();
        }
        drop(events);
        assert_looked_twice(&api.until_free().await);
    }
}

#[test]
fn a_lease_is_free_once_it_was_given_back_or_has_run_out() {
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let free = |spec: Value| {
        let lease: Lease = serde_json::from_value(json!({ "spec": spec })).unwrap();
        left(&lease, "me", now).is_none()
    };
    let held = |by: &str, renewed: &str| {
        json!({
            "holderIdentity": by, "leaseDurationSeconds": 15, "renewTime": renewed,
        })
    };
    assert!(free(json!({})), "it was given back");
    assert!(!free(held("other", "2026-01-01T00:00:50.000000Z")));
    assert!(!free(held("other", "2026-01-01T00:00:44.100000Z")));
    assert!(free(held("other", "2026-01-01T00:00:44.000000Z")));
    assert!(free(held("me", "2026-01-01T00:00:59.000000Z")));
    assert!(free(held("", "2026-01-01T00:00:59.000000Z")));
}
