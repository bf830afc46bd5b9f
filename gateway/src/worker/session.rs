//! Who an agent is.

use std::collections::BTreeMap;

use crds::{Worker, WorkerSession, condition};
use http::request::Parts;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::worker::SESSION_HEADER;
use protocol::worker::envelope::{Envelope, SealError};
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::key::PublicKey;
use protocol::worker::session::{
    Close, NONCE_SECONDS, Nonce, NonceRequest, SESSION_SECONDS, SessionOpened, SessionRequest,
    Timing,
};
use protocol::worker::wire::{RUNNING_LIMIT, Taken};
use serde_json::json;

use super::alone::{Claim, Rival, rival};
use super::objects::{Write, id_of};
use super::seen::{CONTESTED_FOR, SILENT_FOR};
use super::ticket::{NonceClaims, SessionClaims, random};
use super::{Workers, away, cut};
use crate::ingest::chunk::once;

/// Facts that are kept, and characters of one.
const FACTS: usize = 32;
const FACT: usize = 200;
/// Characters of an id that an agent made.
const ID: usize = 80;

/// A worker in an open session.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its name.
    pub name: String,
    /// Installation and start of its machine.
    pub who: String,
    /// Which of its sessions.
    pub epoch: i64,
    /// Its keys.
    pub keys: Vec<PublicKey>,
}

impl Workers {
    /// A nonce for somebody who says to be this worker. Whether there is one is not told.
    pub(super) fn nonce(&self, asked: &NonceRequest) -> Nonce {
        let claims = NonceClaims {
            worker: cut(&asked.worker, ID),
            at: Timestamp::now().as_millisecond(),
            random: random(),
        };
        Nonce {
            nonce: self.tickets.issue(&claims),
        }
    }

    /// Opens a session for whoever signed the nonce with the worker's key.
    pub(super) async fn open(&self, signed: &Envelope) -> Result<SessionOpened, Fault> {
        let (request, worker) = self.known(signed)?;
        let (name, who) = (worker.name_any(), who(&request));
        let nonce = self.fresh_nonce(&request)?;
        if request.running.len() > RUNNING_LIMIT {
            return Err(Fault::new(
                FaultCode::Malformed,
                "it holds too many assignments",
            ));
        }
        self.is_alone(&worker, &who)?;
        let decide = |worker: Option<&Worker>| decide(worker, &request, &nonce, &who);
        let opened = self.objects.change_worker(&name, decide).await;
        let (epoch, uid) = opened.map_err(|error| away(&error))??;
        self.seen.settle(&name);
        self.seen.hear(&name, &who);
        let open = Open {
            name: name.clone(),
            who: who.clone(),
            epoch,
            keys: keys_of(&worker),
        };
        self.note_forgotten(&open, &request).await?;
        let verdicts = self.instruct(&open, &request.running).await?;
        let claims = SessionClaims {
            worker: name,
            uid,
            epoch,
            key: signed.key.clone(),
            who,
            expires: Timestamp::now().as_second() + SESSION_SECONDS,
        };
        Ok(SessionOpened {
            session: self.tickets.issue(&claims),
            seconds: SESSION_SECONDS,
            timing: Timing::default(),
            verdicts,
            keys: self.newest_keys(),
        })
    }

    /// Version of the newest key set.
    pub(super) fn newest_keys(&self) -> u64 {
        let newest = self.chain.next.last();
        let newest = newest.and_then(|next| next.peek::<protocol::worker::keys::KeySet>().ok());
        newest.map_or(self.chain.first.version, |set| set.version)
    }

    /// The worker that a request's session is of.
    pub(super) fn session(&self, head: &Parts) -> Result<Open, Fault> {
        let fault = |why: &str| Fault::new(FaultCode::Session, why);
        let text = once(&head.headers, SESSION_HEADER).ok().flatten();
        let claims: Option<SessionClaims> = text.and_then(|text| self.tickets.read(text));
        let claims = claims.ok_or_else(|| fault("there is no such session; open another"))?;
        if claims.expires <= Timestamp::now().as_second() {
            return Err(fault("the session has ended; open another"));
        }
        let worker = self.objects.worker(&claims.worker);
        let worker = worker.filter(|worker| worker.uid().as_ref() == Some(&claims.uid));
        let worker = worker.ok_or_else(|| unknown(&claims.worker))?;
        let keys = keys_of(&worker);
        if !keys.iter().any(|key| key.id() == claims.key) {
            return Err(fault(
                "its key is not the worker's any more; open another session",
            ));
        }
        // A session that this gateway has not heard of yet was opened by another one.
        if claims.epoch < session_of(&worker).epoch {
            return Err(fault("a newer session of this worker began; open another"));
        }
        self.seen.hear(&claims.worker, &claims.who);
        Ok(Open {
            name: claims.worker,
            who: claims.who,
            epoch: claims.epoch,
            keys,
        })
    }

    /// The agent says good-bye.
    pub(super) fn close(&self, worker: &Open, said: Close) -> Taken {
        let reason = cut(&said.reason, FACT);
        self.seen.leave(&worker.name, reason, worker.epoch);
        Taken {}
    }

    /// What is asked, and by which worker: only who has its key is listened to.
    fn known(&self, signed: &Envelope) -> Result<(SessionRequest, std::sync::Arc<Worker>), Fault> {
        let malformed = |error: SealError| Fault::new(FaultCode::Malformed, error.to_string());
        let claimed: SessionRequest = signed.peek().map_err(malformed)?;
        let worker = self.objects.worker(&claimed.worker);
        let worker = worker.ok_or_else(|| unknown(&claimed.worker))?;
        match signed.open::<SessionRequest>(&keys_of(&worker)) {
            Ok(request) => Ok((request, worker)),
            Err(error) => {
                self.seen.wrong_key(&claimed.worker);
                let why = format!(
                    "the request of the worker `{}` is not signed with a key in its publicKeys: {error}; give the infrastructure team what `prbuild-agent init` prints",
                    worker.name_any()
                );
                Err(Fault::new(FaultCode::Key, why).after(120))
            }
        }
    }

    fn fresh_nonce(&self, request: &SessionRequest) -> Result<NonceClaims, Fault> {
        let nonce: Option<NonceClaims> = self.tickets.read(&request.nonce);
        let age = |nonce: &NonceClaims| Timestamp::now().as_millisecond() - nonce.at;
        // Another gateway's clock may be ahead, but not by more than a nonce is good for.
        let is_fresh = |nonce: &NonceClaims| age(nonce).abs() <= NONCE_SECONDS * 1000;
        nonce
            .filter(|nonce| nonce.worker == request.worker && is_fresh(nonce))
            .ok_or_else(replayed)
    }

    /// Whether nobody else is this worker now.
    fn is_alone(&self, worker: &Worker, who: &str) -> Result<(), Fault> {
        let (name, session) = (worker.name_any(), session_of(worker));
        let status = worker.status.as_ref();
        self.seen.came_back(&name, session.epoch);
        let heard = self.seen.sight(&name).heard;
        let claim = Claim {
            who,
            session: &session,
            heard: heard.as_ref(),
            is_offline: status.is_some_and(|status| status.offline_since.is_some()),
            now: Timestamp::now(),
        };
        match rival(&claim) {
            Rival::None => Ok(()),
            Rival::There => {
                self.seen.duplicate(&name);
                let why = format!(
                    "another machine is the worker `{name}` now; give each machine a key of its own with `prbuild-agent init`"
                );
                Err(Fault::new(FaultCode::Duplicate, why).after(SILENT_FOR.as_secs()))
            }
            Rival::Maybe => {
                // A gateway that hears of the other one would have missed it by now.
                if self.seen.contested(&name, who) >= CONTESTED_FOR {
                    self.seen.duplicate(&name);
                }
                let why = format!(
                    "another machine has the session of the worker `{name}`, and nothing says yet that it is gone; ask again"
                );
                Err(Fault::new(FaultCode::Duplicate, why).after(10))
            }
        }
    }

    /// Notes what this worker had taken and does not know any more.
    async fn note_forgotten(&self, worker: &Open, request: &SessionRequest) -> Result<(), Fault> {
        for held in self.objects.held_by(&worker.name) {
            let id = id_of(&held);
            let known = request.running.iter().any(|running| running.id == id);
            let noted = held
                .status
                .as_ref()
                .is_some_and(|status| status.forgotten.is_some());
            if known || noted {
                continue;
            }
            let forgotten = json!({ "forgotten": Time(Timestamp::now()) });
            let written = self
                .objects
                .change(&id, |_| Write::Patch(forgotten.clone(), ()));
            written.await.map_err(|error| away(&error))?;
        }
        Ok(())
    }
}

/// What opening a session writes: it counts only if its nonce is newer than that of the session before. A time that
/// no nonce can have now was written by a gateway whose clock was wrong, and keeps nobody out until then.
fn decide(
    worker: Option<&Worker>,
    request: &SessionRequest,
    nonce: &NonceClaims,
    who: &str,
) -> Write<Result<(i64, String), Fault>> {
    let Some(worker) = worker else {
        return Write::Known(Err(unknown(&request.worker)));
    };
    let old = session_of(worker);
    let latest = Timestamp::now().as_millisecond() + NONCE_SECONDS * 1000;
    if nonce.at <= old.nonce && old.nonce <= latest {
        return Write::Known(Err(replayed()));
    }
    let current = format!("{} {}", old.instance, old.boot);
    let before = match old.epoch > 0 && current != who {
        true => Some(current),
        false => old.before.clone(),
    };
    let epoch = old.epoch + 1;
    let session = WorkerSession {
        epoch,
        instance: cut(&request.instance, ID),
        boot: cut(&request.boot, ID),
        nonce: nonce.at,
        before,
    };
    let mut conditions = worker.status.clone().unwrap_or_default().conditions;
    let (reason, message) = match request.isolated {
        true => ("OwnUser", "builds run as another user than the agent"),
        false => ("SameUser", "builds run as the same user as the agent"),
    };
    let now = Time(Timestamp::now());
    let kind = condition::kind::ISOLATED;
    condition::set(
        &mut conditions,
        kind,
        request.isolated,
        reason,
        message,
        now,
    );
    let status = json!({
        "session": session,
        "version": cut(&request.agent, ID),
        "policy": cut(&request.policy, 500),
        "facts": facts(&request.facts, worker),
        "conditions": conditions,
    });
    let uid = worker.uid().unwrap_or_default();
    Write::Patch(status, Ok((epoch, uid)))
}

/// The facts as a merge patch: what is no longer said goes.
fn facts(said: &BTreeMap<String, String>, worker: &Worker) -> BTreeMap<String, Option<String>> {
    let old = worker.status.iter().flat_map(|status| status.facts.keys());
    let mut facts: BTreeMap<_, _> = old.map(|name| (name.clone(), None)).collect();
    let cut = |text: &str| cut(text, FACT);
    let said = said.iter().take(FACTS);
    facts.extend(said.map(|(name, value)| (cut(name), Some(cut(value)))));
    facts
}

fn session_of(worker: &Worker) -> WorkerSession {
    let status = worker.status.as_ref();
    let session = status.and_then(|status| status.session.clone());
    session.unwrap_or_default()
}

fn who(request: &SessionRequest) -> String {
    let (instance, boot) = (cut(&request.instance, ID), cut(&request.boot, ID));
    format!("{instance} {boot}")
}

/// A worker's keys. One that is none counts for nothing.
fn keys_of(worker: &Worker) -> Vec<PublicKey> {
    let keys = worker.spec.public_keys.iter();
    keys.filter_map(|key| PublicKey::parse(key).ok()).collect()
}

fn unknown(name: &str) -> Fault {
    let name = cut(name, ID);
    let why = format!(
        "there is no worker `{name}` here; ask the infrastructure team to apply the manifest that `prbuild-agent init` prints"
    );
    Fault::new(FaultCode::Key, why).after(120)
}

fn replayed() -> Fault {
    let why = "the nonce is too old, was used before, or is another gateway's; ask for another";
    Fault::new(FaultCode::Nonce, why)
}
