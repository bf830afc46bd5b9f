//! Machines that fail, that leave and come back elsewhere, that are two, and that say more than they have to.

use std::convert::Infallible;
use std::future::{Pending, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crds::{Failing, Worker, WorkerStatus};
use http::Response;
use http_body_util::Full;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::client::Body as ApiBody;
use protocol::worker::envelope::Envelope;
use protocol::worker::key::AgentKey;
use protocol::worker::session::SessionRequest;
use serde_json::json;
use tower_service::Service;

use super::cost_tests::{Counted, ask, mac, runs, send, wanted, workers, workers_of};
use super::keeper::{Unwritten, look};
use super::ticket::{NonceClaims, random};
use super::*;

/// The worker `mac`, whose status is changed.
fn mac_with(change: impl FnOnce(&mut WorkerStatus)) -> Worker {
    let mut mac = mac();
    change(mac.status.get_or_insert_default());
    mac
}

/// What becomes of a machine with the worker's key that wants a session.
async fn comes_in(workers: &Arc<Workers>, instance: &str) -> StatusCode {
    let nonce = NonceClaims {
        worker: "mac".to_owned(),
        at: Timestamp::now().as_millisecond(),
        random: random(),
    };
    let request = SessionRequest {
        worker: "mac".to_owned(),
        nonce: workers.tickets.issue(&nonce),
        instance: instance.to_owned(),
        boot: "b".to_owned(),
        ..SessionRequest::default()
    };
    let signed = Envelope::seal(&request, &AgentKey::from_seed(&[1; 32])).unwrap();
    ask(workers, "sessions", json!(signed)).await
}

/// Whether a poll for one run is held.
async fn is_held(workers: &Arc<Workers>) -> bool {
    let asks = ask(workers, "poll", json!({ "freeSlots": 1 }));
    tokio::time::timeout(Duration::ZERO, asks).await.is_err()
}

#[tokio::test]
async fn a_machine_that_is_left_alone_is_not_offered_what_was_promised_to_it_before() {
    let workers = workers(&Counted::default(), &runs());
    let failing = |until: SignedDuration| {
        mac_with(|status| {
            status.failing = Some(Failing {
                runs: 3,
                reason: "no disk".to_owned(),
                until: Some(Time(Timestamp::now() + until)),
            });
        })
    };
    let minute = SignedDuration::from_mins(1);
    workers.objects.hold(failing(minute), runs());
    assert!(is_held(&workers).await, "it is quarantined");
    workers.objects.hold(failing(-minute), runs());
    assert!(!is_held(&workers).await, "it is tried again");
}

#[tokio::test]
async fn who_left_here_and_came_back_at_another_gateway_is_there_and_lets_no_clone_in() {
    let cluster = Counted::default();
    let workers = workers(&cluster, &[]);
    ask(&workers, "heartbeat", json!({})).await;
    let there = wanted(&workers);
    let said = json!({ "reason": "a new kernel" });
    assert_eq!(ask(&workers, "sessions/close", said).await, StatusCode::OK);
    assert!(wanted(&workers).offline_since.is_some(), "it has left");
    // Another gateway opened its next session, and wrote down that it is there.
    let back = mac_with(|status| {
        *status = there;
        let session = status.session.as_mut().unwrap();
        session.epoch = 2;
    });
    workers.objects.hold(back.clone(), []);
    assert_eq!(comes_in(&workers, "clone").await, StatusCode::CONFLICT);
    look(&workers, &back, &mut Unwritten::default()).await;
    assert_eq!(cluster.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_whose_clock_was_wrong_keeps_nobody_out_until_then() {
    let cluster = Counted::default();
    let workers = workers(&cluster, &[]);
    let opened = |at: SignedDuration| {
        mac_with(|status| {
            let session = status.session.as_mut().unwrap();
            session.nonce = (Timestamp::now() + at).as_millisecond();
        })
    };
    // Another gateway's clock may be ahead for a moment: then the nonce is an old one.
    let ahead = opened(SignedDuration::from_secs(30));
    workers.objects.hold(ahead, []);
    assert_eq!(comes_in(&workers, "i").await, StatusCode::UNAUTHORIZED);
    assert_eq!(cluster.asked(), Vec::<String>::new());
    workers
        .objects
        .hold(opened(SignedDuration::from_hours(1)), []);
    comes_in(&workers, "i").await;
    let path = "/apis/prbuild.dev/v1alpha1/namespaces/prbuild/workers/mac/status";
    assert_eq!(cluster.asked(), [format!("PATCH {path}")]);
}

/// An API server that never answers.
#[derive(Clone, Copy)]
struct Silent;

impl Service<Request<ApiBody>> for Silent {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<ApiBody>) -> Self::Future {
        pending()
    }
}

/// Bodies as long as they may be that are taken in together.
const TOGETHER: usize = 64;

type Held<'a> = Pin<Box<dyn Future<Output = StatusCode> + 'a>>;

/// Sends as many of these in bodies as long as they may be, none of which is answered.
async fn hold<'a>(workers: &'a Arc<Workers>, path: &'a str, said: &str) -> Vec<Held<'a>> {
    let mut held = Vec::new();
    for _ in 0..TOGETHER {
        let body = format!("{}{said}", " ".repeat(BODY_LIMIT - said.len()));
        let mut asks: Held<'a> = Box::pin(send(workers, path, body));
        let answer = tokio::time::timeout(Duration::ZERO, &mut asks).await;
        assert!(answer.is_err(), "{path}: {answer:?}");
        held.push(asks);
    }
    held
}

#[tokio::test]
async fn long_bodies_have_their_room_until_they_are_answered_and_held_polls_need_none() {
    let workers = workers_of(Client::new(Silent, "prbuild"), &runs());
    let heartbeat = || ask(&workers, "heartbeat", json!({}));
    let polls = hold(&workers, "poll", r#"{"freeSlots":0}"#).await;
    assert_eq!(heartbeat().await, StatusCode::OK, "they are small");
    let accepts = hold(&workers, "assignments/open.f/accept", "{}").await;
    assert_eq!(heartbeat().await, StatusCode::TOO_MANY_REQUESTS);
    drop((polls, accepts));
    assert_eq!(heartbeat().await, StatusCode::OK);
}
