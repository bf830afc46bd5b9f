//! Records and histories against a gateway that answers, does not, or takes nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
};
use crds::RunPhase;
use jiff::Timestamp;
use protocol::{
    record::{BuilderHistory, RunRecord, RunResult},
    token::{PublicKeys, Scope, Signer},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    RecordError, Recorder,
    client::Records,
    run::{self, Around, tests::run},
};

/// A stand-in for a gateway's ingest: it stores what is signed, as long as it is told to.
struct Double {
    files: Mutex<HashMap<String, Bytes>>,
    answers: Mutex<StatusCode>,
    keys: PublicKeys,
    /// How many requests there were.
    asked: watch::Sender<usize>,
}

impl Double {
    async fn start(signer: &Signer) -> (Arc<Self>, String) {
        let double = Arc::new(Self {
            files: Mutex::default(),
            answers: Mutex::new(StatusCode::OK),
            keys: PublicKeys::from_pem(&signer.public_pem().unwrap()).unwrap(),
            asked: watch::channel(0).0,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (double, address)
    }

    fn answers(&self, status: StatusCode) {
        *self.answers.lock().unwrap() = status;
    }

    fn file(&self, path: &str) -> Option<Bytes> {
        self.files.lock().unwrap().get(path).cloned()
    }

    /// Waits until a history is stored that has so many runs.
    async fn has_runs(&self, path: &str, count: usize) -> BuilderHistory {
        let mut asked = self.asked.subscribe();
        loop {
            let stored = self.file(path);
            let history: Option<BuilderHistory> =
                stored.map(|body| serde_json::from_slice(&body).unwrap());
            if let Some(history) = history.filter(|history| history.runs.len() == count) {
                return history;
            }
            asked.changed().await.unwrap();
        }
    }
}

async fn answer(
    State(double): State<Arc<Double>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let token = headers["authorization"].to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let claims = double.keys.check(token, Timestamp::now().as_second());
    let told = *double.answers.lock().unwrap();
    let path = uri.path().to_owned();
    let answer = match (claims.map(|claims| claims.scope), told) {
        (Ok(Scope::Records), StatusCode::OK) if method == Method::PUT => {
            double.files.lock().unwrap().insert(path, body);
            (StatusCode::NO_CONTENT, Bytes::new())
        }
        (Ok(Scope::Records), StatusCode::OK) => match double.file(&path) {
            Some(body) => (StatusCode::OK, body),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        },
        (Ok(Scope::Records), told) => (told, Bytes::new()),
        _ => (StatusCode::UNAUTHORIZED, Bytes::new()),
    };
    double.asked.send_modify(|count| *count += 1);
    answer
}

const RECORD: &str = "/v1/repositories/app/runs/0b5c/record";
const HISTORY: &str = "/v1/builders/debian/history";

fn signer() -> Signer {
    github::install_tls_provider();
    Signer::from_seed(&[7; 32])
}

fn recorder(address: &str, signer: Signer) -> Recorder {
    let records = Arc::new(Records::new(address, signer).unwrap());
    Recorder::spawn(records, &CancellationToken::new())
}

fn record(phase: RunPhase) -> RunRecord {
    run::record(&run(phase, &["test_ssl"]), Around::default())
}

/// A failing run of another pull request that ended so much earlier.
fn earlier(uid: &str, seconds: i64) -> crds::BuilderRun {
    let mut other = run(RunPhase::Failed, &["test_ssl"]);
    other.metadata.uid = Some(uid.to_owned());
    other.spec.task.source.pull_request = 6;
    let status = other.status.as_mut().unwrap();
    status.finished_at.as_mut().unwrap().0 -= Duration::from_secs(seconds.unsigned_abs());
    other
}

#[tokio::test]
async fn a_record_is_sent_signed_and_its_run_appears_in_the_history_of_its_builder() {
    let (double, address) = Double::start(&signer()).await;
    let recorder = recorder(&address, signer());
    recorder.send_run(&record(RunPhase::Failed)).await.unwrap();
    let stored: RunRecord = serde_json::from_slice(&double.file(RECORD).unwrap()).unwrap();
    assert_eq!(stored, record(RunPhase::Failed));

    recorder.remember_run(&run(RunPhase::Failed, &["test_ssl"]));
    let history = double.has_runs(HISTORY, 1).await;
    assert_eq!(history.display_name, "Debian");
    assert_eq!(history.runs[0].result, RunResult::Failed);
}

#[tokio::test]
async fn a_new_operator_adds_to_the_history_that_the_last_one_left() {
    let (double, address) = Double::start(&signer()).await;
    recorder(&address, signer()).remember_run(&earlier("1", 5));
    double.has_runs(HISTORY, 1).await;

    let next = recorder(&address, signer());
    next.remember_run(&earlier("1", 5));
    next.remember_run(&earlier("2", 3));
    let history = double.has_runs(HISTORY, 2).await;
    assert_eq!([&*history.runs[0].run, &*history.runs[1].run], ["2", "1"]);
}

#[tokio::test]
async fn a_test_that_failed_on_another_pull_request_is_known_as_such() {
    let (double, address) = Double::start(&signer()).await;
    let first = recorder(&address, signer());
    first.remember_run(&earlier("1", 5));
    double.has_runs(HISTORY, 1).await;

    let recorder = recorder(&address, signer());
    let mine = run(RunPhase::Failed, &["test_ssl", "test_mine"]);
    assert!(recorder.also_failed(&mine).is_empty(), "nothing was read");
    recorder.look_up(&mine, Duration::from_secs(60)).await;
    let also = recorder.also_failed(&mine);
    let [(test, how_often)] = &also[..] else {
        panic!("{also:?}")
    };
    assert_eq!(
        (&**test, how_often.failed, how_often.of),
        ("test_ssl", 1, 1)
    );
}

#[tokio::test]
async fn an_outage_costs_one_request_at_a_time_and_nobody_waits_for_it() {
    let (double, address) = Double::start(&signer()).await;
    let recorder = recorder(&address, signer());
    double.answers(StatusCode::SERVICE_UNAVAILABLE);
    let sent = recorder.send_run(&record(RunPhase::Failed)).await;
    assert!(matches!(sent, Err(RecordError::NoAnswer(_))), "{sent:?}");
    for _ in 0..10 {
        let sent = recorder.send_run(&record(RunPhase::Failed)).await;
        assert!(matches!(sent, Err(RecordError::Away(_))), "{sent:?}");
    }
    assert_eq!(*double.asked.borrow(), 1);
    assert!(recorder.away_for().is_some());
    // Neither does a comment.
    let mine = run(RunPhase::Failed, &["test_ssl"]);
    recorder.look_up(&mine, Duration::from_secs(3600)).await;
}

#[tokio::test]
async fn a_history_is_written_when_the_store_takes_it_again() {
    let (double, address) = Double::start(&signer()).await;
    double.answers(StatusCode::SERVICE_UNAVAILABLE);
    let recorder = recorder(&address, signer());
    recorder.remember_run(&earlier("1", 5));
    let mut asked = double.asked.subscribe();
    asked.wait_for(|count| *count > 0).await.unwrap();
    double.answers(StatusCode::OK);
    double.has_runs(HISTORY, 1).await;
}

#[tokio::test]
async fn a_record_that_is_refused_as_it_is_holds_up_no_other() {
    let (double, address) = Double::start(&signer()).await;
    let recorder = recorder(&address, signer());
    double.answers(StatusCode::PAYLOAD_TOO_LARGE);
    let sent = recorder.send_run(&record(RunPhase::Failed)).await;
    assert!(matches!(sent, Err(RecordError::Refused(_))), "{sent:?}");
    double.answers(StatusCode::OK);
    recorder.send_run(&record(RunPhase::Failed)).await.unwrap();
}

#[tokio::test]
async fn a_gateway_with_another_key_says_what_to_look_at() {
    let (_, address) = Double::start(&Signer::from_seed(&[8; 32])).await;
    let recorder = recorder(&address, signer());
    let error = recorder
        .send_run(&record(RunPhase::Failed))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--signing-key"), "{error}");
}

#[tokio::test]
async fn what_is_no_ingest_is_no_store() {
    let (double, address) = Double::start(&signer()).await;
    double.answers(StatusCode::NOT_FOUND);
    let recorder = recorder(&address, signer());
    let error = recorder
        .send_run(&record(RunPhase::Failed))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--gateway"), "{error}");
}
