//! What agents cost the cluster: every request to the API server is counted.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use crds::{Assignment, Worker, WorkerStatus};
use http::Response;
use http_body_util::Full;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::client::Body as ApiBody;
use protocol::worker::SESSION_HEADER;
use protocol::worker::key::{AgentKey, Sign as _};
use protocol::worker::session::SESSION_SECONDS;
use serde_json::{Value, json};
use tower_service::Service;

use super::keeper::{Unwritten, look};
use super::status::{Facts, status};
use super::ticket::SessionClaims;
use super::*;
use crate::testing::faulty::Faulty;
use crate::testing::{Gateway, operator};

/// An API server that counts what it is asked, and does nothing.
#[derive(Clone, Default)]
pub(super) struct Counted(Arc<Mutex<Vec<String>>>);

impl Counted {
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Service<Request<ApiBody>> for Counted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ApiBody>) -> Self::Future {
        let what = format!("{} {}", request.method(), request.uri().path());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
        let mut answer = Response::new(Full::from("nothing"));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        ready(Ok(answer))
    }
}

/// The worker `mac`, in its first session.
pub(super) fn mac() -> Worker {
    let key = AgentKey::from_seed(&[1; 32]).public().to_string();
    let now = Timestamp::now().as_millisecond();
    serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker",
        "metadata": { "name": "mac", "uid": "w", "resourceVersion": "7" },
        "spec": { "contact": "Ada", "slots": 2, "publicKeys": [key] },
        "status": { "session": { "epoch": 1, "instance": "i", "boot": "b", "nonce": now } },
    }))
    .unwrap()
}

/// A run of a pool that it has, with most of its lease left, and one that nobody has.
pub(super) fn runs() -> [Assignment; 2] {
    let run = |uid: &str, status: Value| {
        json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Assignment",
            "metadata": { "name": format!("run-{uid}"), "uid": "f", "resourceVersion": "8" },
            "spec": {
                "run": { "name": uid, "uid": uid }, "builder": "mac", "to": ["mac"], "pool": true,
                "signed": { "payload": "", "key": "", "signature": "" },
            },
            "status": status,
        })
    };
    let now = Timestamp::now();
    let until = now + jiff::SignedDuration::from_secs(890);
    let held = json!({ "worker": "mac", "acceptedAt": Time(now), "leaseExpiresAt": Time(until) });
    [run("held", held), run("open", json!({}))].map(|run| serde_json::from_value(run).unwrap())
}

pub(super) fn workers(cluster: &Counted, runs: &[Assignment]) -> Arc<Workers> {
    workers_of(Client::new(cluster.clone(), "prbuild"), runs)
}

/// The same, of whatever cluster.
pub(super) fn workers_of(client: Client, runs: &[Assignment]) -> Arc<Workers> {
    let keys = PublicKeys::from_pem(&operator().public_pem().unwrap()).unwrap();
    let ingest = Arc::new(Gateway::on(&Faulty::default()).ingest);
    let workers = Workers::new(
        client,
        "prbuild",
        Tickets::of(&[1; 32]).unwrap(),
        key_chain(None, &keys).unwrap(),
        ingest,
        CancellationToken::new(),
        Arc::new(Metrics::default()),
    );
    workers.objects.hold(mac(), runs.to_vec());
    Arc::new(workers)
}

/// What an agent in its session asks.
pub(super) async fn ask(workers: &Arc<Workers>, path: &str, body: Value) -> StatusCode {
    send(workers, path, body.to_string()).await
}

/// The same, with this text as the body.
pub(super) async fn send(workers: &Arc<Workers>, path: &str, body: String) -> StatusCode {
    let claims = SessionClaims {
        worker: "mac".to_owned(),
        uid: "w".to_owned(),
        epoch: 1,
        key: AgentKey::from_seed(&[1; 32]).public().id(),
        who: "i b".to_owned(),
        expires: Timestamp::now().as_second() + SESSION_SECONDS,
    };
    let request = Request::post(format!("/worker/v1/{path}"))
        .header(PROTOCOL_HEADER, PROTOCOL.to_string())
        .header(SESSION_HEADER, workers.tickets.issue(&claims))
        .body(Full::<Bytes>::from(body))
        .unwrap();
    workers.clone().respond(request).await.status()
}

/// The status that its worker should have now.
pub(super) fn wanted(workers: &Workers) -> WorkerStatus {
    let worker = workers.objects.worker("mac").unwrap();
    status(&Facts {
        worker: &worker,
        sight: &workers.seen.sight("mac"),
        held: &workers.objects.held_by("mac"),
        now: Timestamp::now(),
    })
}

#[tokio::test]
async fn heartbeats_and_idle_polls_cost_the_cluster_nothing() {
    let cluster = Counted::default();
    let runs = runs();
    let workers = workers(&cluster, &runs);
    let heartbeat = json!({ "running": [{ "id": "held.f", "state": "running" }] });
    assert_eq!(
        ask(&workers, "heartbeat", heartbeat.clone()).await,
        StatusCode::OK
    );
    // It is written down that it is there, and what it has.
    let known = Worker {
        status: Some(wanted(&workers)),
        ..mac()
    };
    workers.objects.hold(known, runs);
    let mut unwritten = Unwritten::default();
    for _ in 0..200 {
        assert_eq!(
            ask(&workers, "heartbeat", heartbeat.clone()).await,
            StatusCode::OK
        );
        let idle = ask(&workers, "poll", json!({ "freeSlots": 0 }));
        let held = tokio::time::timeout(std::time::Duration::ZERO, idle).await;
        assert!(held.is_err(), "it is held");
        let worker = workers.objects.worker("mac").unwrap();
        look(&workers, &worker, &mut unwritten).await;
    }
    let offered = ask(&workers, "poll", json!({ "freeSlots": 1 })).await;
    assert_eq!(offered, StatusCode::OK, "what nobody has");
    assert_eq!(cluster.asked(), Vec::<String>::new());
    // That it counts: what is taken is written.
    ask(&workers, "assignments/open.f/accept", json!({})).await;
    let asked = cluster.asked();
    let path = "/apis/prbuild.dev/v1alpha1/namespaces/prbuild/assignments/run-open/status";
    assert_eq!(asked, [format!("PATCH {path}")]);
}

#[tokio::test]
async fn that_nothing_of_a_run_is_left_on_its_worker_is_written_once() {
    let cluster = Counted::default();
    let [mut held, _] = runs();
    let workers = workers(&cluster, std::slice::from_ref(&held));
    let done = json!({ "running": [{ "id": "held.f", "state": "done" }] });
    for _ in 0..2 {
        // The cluster does not take it: the next heartbeat brings it again.
        let answer = ask(&workers, "heartbeat", done.clone()).await;
        assert_ne!(answer, StatusCode::OK);
    }
    let path = "/apis/prbuild.dev/v1alpha1/namespaces/prbuild/assignments/run-held/status";
    let asked = vec![format!("PATCH {path}"); 2];
    assert_eq!(cluster.asked(), asked);
    held.status.as_mut().unwrap().ended_at = Some(Time(Timestamp::now()));
    workers.objects.hold(mac(), [held]);
    for _ in 0..2 {
        let answer = ask(&workers, "heartbeat", done.clone()).await;
        assert_eq!(answer, StatusCode::OK);
    }
    assert_eq!(cluster.asked(), asked);
}
