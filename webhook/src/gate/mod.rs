//! Request → Authorized | Refused | Retry. The verdict is a pure function over facts
//! ([`verdict`]); it says what it still has to know, and [`fetch`] gets that from GitHub.
//! Everything that is not known denies.

mod again;
mod builds;
mod facts;
mod fetch;
mod head;
mod movement;
mod occurrence;
mod people;
mod refusal;
mod selection;
mod stopping;
mod verdict;

#[cfg(test)]
mod tests;

pub use facts::PULL_REQUEST_GONE;
pub use occurrence::{COMMENT_GONE, LABEL_GONE};
pub use verdict::ANSWERED;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{Answer, AnswerSpec, Builder, Cancel, Manner, PrBuild, PrBuildSpec};
use kube::Api;
use kube::api::ObjectMeta;

pub use people::RightCache;

use crate::builds::Builds;
use crate::request::Request;

/// An event that may build. Only the gate makes one.
#[derive(Debug, PartialEq)]
pub struct Authorized {
    name: String,
    request: crds::Request,
}

impl Authorized {
    /// Name of the build.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The commit that is built.
    pub fn head_sha(&self) -> &str {
        &self.request.head_sha
    }

    /// The object that stands for it.
    pub fn into_object(self) -> PrBuild {
        PrBuild {
            metadata: named(self.name),
            spec: PrBuildSpec {
                request: self.request,
                cancel: None,
                cancel_builders: BTreeMap::new(),
            },
            status: None,
        }
    }
}

/// An event that may not. Only the gate makes one.
#[derive(Debug, PartialEq)]
pub struct Refused {
    name: String,
    spec: AnswerSpec,
}

impl Refused {
    /// Name of the answer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why.
    pub fn reason(&self) -> crds::AnswerReason {
        self.spec.reason
    }

    /// The object that stands for it.
    pub fn into_object(self) -> Answer {
        Answer {
            metadata: named(self.name),
            spec: self.spec,
            status: None,
        }
    }
}

/// Builds that stop, and the answer that says so. Only the gate makes one.
#[derive(Debug, PartialEq)]
pub struct Stopping {
    targets: Vec<builds::Target>,
    cancel: Cancel,
    answer: Refused,
}

fn named(name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        ..ObjectMeta::default()
    }
}

/// What is known from one command of a comment to the next.
#[derive(Default)]
pub struct Comment {
    facts: facts::Facts,
    /// A refusal was answered by a reaction, of which a comment gets one.
    reacted: bool,
}

impl Comment {
    /// Of a comment whose commands are refused to a stranger, the first is enough of an answer.
    fn hush(&mut self, refused: &mut Refused) {
        if refused.spec.manner != Manner::Reaction {
            return;
        }
        if self.reacted {
            refused.spec.manner = Manner::Silent;
        }
        self.reacted = true;
    }
}

/// What the gate says.
#[derive(Debug)]
pub enum Verdict {
    /// Build it.
    Authorized(Box<Authorized>),
    /// Do not, and say why.
    Refused(Box<Refused>),
    /// Stop builds, and say so.
    Stop(Box<Stopping>),
    /// Nothing is asked any more: the label is gone, another event took its place, it is answered.
    Nothing(&'static str),
    /// It cannot be told now.
    Retry(String),
}

/// The gate: what it needs besides GitHub.
pub struct Gate {
    rights: RightCache,
    answers: Api<Answer>,
    builds: Builds,
    is_answered: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Time between two questions about something that GitHub is still computing.
const PAUSE: Duration = Duration::from_millis(500);
/// Questions about everything together; each is answered once, except those that GitHub computes.
const MOST_QUESTIONS: usize = 32;

impl Gate {
    /// A gate. Answers are read where a person confirms what was refused, builds where somebody asks
    /// for them again or to stop them; `is_answered` says whether an Answer of that name exists.
    pub fn new(
        answers: Api<Answer>,
        builds: Builds,
        is_answered: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            rights: RightCache::default(),
            answers,
            builds,
            is_answered: Box::new(is_answered),
        }
    }

    /// Looks at one request, until the deadline at most. What the commands before it in its comment
    /// found out is not asked again.
    pub async fn decide(
        &self,
        request: &Request,
        builders: &[Arc<Builder>],
        repo: &github::Repo,
        comment: &mut Comment,
        deadline: Instant,
    ) -> Verdict {
        let fetch = fetch::Fetch {
            request,
            repo,
            rights: &self.rights,
            answers: &self.answers,
            builds: &self.builds,
            is_answered: &self.is_answered,
        };
        let known = std::mem::take(&mut comment.facts);
        let mut facts = fetch.everything(builders, known).await;
        let mut verdict = fetch.verdict(builders, &mut facts, deadline).await;
        if let Verdict::Refused(refused) = &mut verdict {
            comment.hush(refused);
        }
        comment.facts = facts.handed_on();
        verdict
    }
}

impl fetch::Fetch<'_> {
    /// The verdict, asking what it turns on.
    async fn verdict(
        &self,
        builders: &[Arc<Builder>],
        facts: &mut facts::Facts,
        deadline: Instant,
    ) -> Verdict {
        for _ in 0..MOST_QUESTIONS {
            let question = match verdict::judge(self.request, builders, facts) {
                verdict::Step::Decided(verdict) => return verdict,
                verdict::Step::Ask(question) => question,
            };
            let why = question.why();
            if question.is_computed() {
                if deadline.saturating_duration_since(Instant::now()) < 4 * PAUSE {
                    return Verdict::Retry(why);
                }
                tokio::time::sleep(PAUSE).await;
            }
            if let Err(error) = self.answer(facts, question).await {
                return Verdict::Retry(format!("{why}: {error}"));
            }
        }
        Verdict::Retry("GitHub's answers do not fit together".to_owned())
    }
}
