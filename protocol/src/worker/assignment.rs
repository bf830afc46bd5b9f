//! What the operator orders a worker to do, signed by the operator.

use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::value::RawValue;

use super::{envelope::Payload, key::sha256};
use crate::Work;

/// One run, handed to one worker, or to whichever of several takes it first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// Which run, and which attempt. An agent starts a run once, by its journal.
    pub run: RunId,
    /// Who may take it.
    pub to: Audience,
    /// Name of the Repository object: where the log belongs.
    pub repository: String,
    /// Name of the Builder object.
    pub builder: String,
    /// The builder's name that people read.
    pub display_name: String,
    /// What kind of event on GitHub asked for it.
    pub event: EventKind,
    /// How sure the gate was that a person looked at exactly this commit.
    pub evidence: Evidence,
    /// Who asked.
    pub requester: Requester,
    /// The commit (with the head, and for a test merge its base and tree) and the steps.
    pub work: Work,
    /// SHA-256 of `work` in hexadecimal, over its JSON as it stands in what is signed: what an owner may
    /// compare or write down. A newer operator's `work` may have fields that are not known here, so it is
    /// compared where that text still is, when the envelope is opened, and never with what was read of it.
    pub work_digest: String,
    /// Bytes of the log that are kept.
    pub log_limit: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: i64,
    /// When it may no longer be started, in seconds since 1970.
    pub expires: i64,
}

impl Payload for Assignment {
    const PURPOSE: &'static str = "prbuild assignment v1\n";
    const LIMIT: usize = 64 << 10;

    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let assignment: Self = serde_json::from_slice(bytes)?;
        let text: Text<'_> = serde_json::from_slice(bytes)?;
        match sha256(text.work.get().as_bytes()) == assignment.work_digest {
            true => Ok(assignment),
            false => Err(serde_json::Error::custom(
                "its digest is not that of its steps and commit",
            )),
        }
    }
}

/// An assignment as it was written.
#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    work: &'a RawValue,
}

/// One attempt of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunId {
    /// Name of the BuilderRun, for people.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Number of the attempt, from 1.
    pub attempt: i64,
}

/// Who may take an assignment, by the names of Worker objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Audience {
    /// One worker. It keeps the run, however long it is away.
    Worker(String),
    /// Whichever of these accepts first. One whose lease runs out has to stop by itself: another one
    /// may get the next attempt.
    Pool(Vec<String>),
}

impl Audience {
    /// Whether this worker may take it.
    pub fn has(&self, worker: &str) -> bool {
        match self {
            Self::Worker(name) => name == worker,
            Self::Pool(names) => names.iter().any(|name| name == worker),
        }
    }

    /// Whether the lease counts.
    pub fn is_pool(&self) -> bool {
        matches!(self, Self::Pool(_))
    }
}

/// What kind of event on GitHub asked for a run. An agent takes only kinds that its owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The code of a pull request: a stranger's, until it is merged.
    PullRequest,
    /// Written by a newer operator. No owner allowed it.
    #[serde(other)]
    Unknown,
}

/// How sure the gate was that a person looked at exactly this commit, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Somebody authorized labelled the pull request while its head stood still.
    Label,
    /// Somebody authorized typed the full SHA.
    ExactSha,
    /// A trusted person other than the author approved exactly this commit.
    Review,
    /// Written by a newer operator; counts as none.
    #[serde(other)]
    Unknown,
}

impl Evidence {
    /// Whether it is as strong as an owner asks for.
    pub fn meets(self, asked: Self) -> bool {
        let strength = |evidence| match evidence {
            Self::Label => 1,
            Self::ExactSha => 2,
            Self::Review => 3,
            Self::Unknown => 0,
        };
        self != Self::Unknown && strength(self) >= strength(asked)
    }
}

/// A person on GitHub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// Numeric user id, which decides.
    pub id: i64,
    /// Login at the time, for people.
    pub login: String,
}

/// SHA-256 of a [`Work`] in hexadecimal, over the JSON that [`Envelope::seal`](super::envelope::Envelope::seal)
/// writes of it.
pub fn digest_of(work: &Work) -> Result<String, serde_json::Error> {
    Ok(sha256(&serde_json::to_vec(work)?))
}

/// Why an agent does not start an assignment, whoever signed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is somebody else's.
    #[error("it is not for the worker `{0}`")]
    Worker(String),
    /// It may not be started any more.
    #[error("it expired {0} s ago")]
    Expired(i64),
}

impl Assignment {
    /// Whether this worker may start it at `now`, in seconds since 1970: the latest of the agent's own
    /// clock, the gateway's, and every `issued` that it has seen signed.
    pub fn fits(&self, worker: &str, now: i64) -> Result<(), Unfit> {
        if !self.to.has(worker) {
            return Err(Unfit::Worker(worker.to_owned()));
        }
        match now >= self.expires {
            true => Err(Unfit::Expired(now - self.expires)),
            false => Ok(()),
        }
    }
}
