//! What is wrong with a Repository or a Builder, said in its own conditions.
//!
//! - [`builder`]: whether runs of a Builder can be started (*pure*)
//! - [`repository`]: whether builds of a Repository can be started and told; asks GitHub, decides *pure*
//! - [`spec`]: mistakes in the spec of a Repository (*pure*); [`entrance`]: whether deliveries arrive
//! - [`probed`]: what was last seen on GitHub, and when it is looked at again
//! - [`image`], [`label_syntax`]: grammars (*pure*)

pub mod builder;
pub mod entrance;
pub mod image;
pub mod label_syntax;
pub mod probed;
pub mod repository;
pub mod spec;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};

/// A condition as it should stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Type of the condition.
    pub kind: &'static str,
    /// Whether it holds; none where that is not known.
    pub holds: Option<bool>,
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people: what is wrong, and what to do.
    pub message: String,
}

impl Finding {
    fn good(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: Some(true),
            reason,
            message: message.into(),
        }
    }

    fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: None,
            reason,
            message: message.into(),
        }
    }

    fn bad(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: Some(false),
            reason,
            message: message.into(),
        }
    }
}

/// What changed about an object, for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether it is a warning.
    pub warning: bool,
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub note: String,
}

/// A status to write, and what to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<S> {
    /// The whole status as it should be.
    pub status: S,
    /// An Event for each condition that changed.
    pub news: Vec<News>,
}

/// Sets conditions and tells which changed.
fn settle(
    conditions: &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    findings: Vec<Finding>,
    now: &Time,
) -> Vec<News> {
    let mut news = Vec::new();
    for Finding {
        kind,
        holds,
        reason,
        message,
    } in findings
    {
        let status = match holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let told = crds::condition::find(conditions, kind)
            .is_some_and(|old| old.status == status && old.reason == reason);
        crds::condition::set_to(conditions, kind, status, reason, &message, now.clone());
        // A message that only counts differently is no news, and what is not known is none.
        if !told && holds.is_some() {
            news.push(News {
                warning: holds == Some(false),
                reason,
                note: message,
            });
        }
    }
    news
}

/// Which of two objects came first: by age, then by name.
fn is_older<K: Resource>(this: &K, other: &K) -> bool {
    let key = |object: &K| {
        let created = object.meta().creation_timestamp.as_ref().map(|time| time.0);
        // An object that the API server has not stored yet is the youngest.
        (created.is_none(), created, object.name_any())
    };
    key(this) < key(other)
}

/// Whether an object is being deleted, or is the same as the other.
fn counts_beside<K: Resource>(other: &K, this: &K) -> bool {
    other.meta().deletion_timestamp.is_none() && other.name_any() != this.name_any()
}
