//! The gate's I/O: everything that is likely to be needed at once, by the hints of the delivery, and
//! then what the verdict still asks for. A hint that is wrong costs a second request, never a wrong fact.

use std::sync::Arc;

use crds::{Answer, Builder, Checkout, Evidence};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use github::{Dated, GithubError, Repo};
use kube::Api;
use kube::api::ListParams;

use super::facts::{Entry, Facts, Heard, MovementList, Question, Refusal, Seen};
use super::people::{Right, RightCache};
use crate::builds::Builds;
use crate::command::Says;
use crate::request::{Ask, Request};
use crate::resolve::{self, Rule, Wanted};

/// What facts are fetched with.
pub(crate) struct Fetch<'a> {
    pub request: &'a Request,
    pub repo: &'a Repo,
    pub rights: &'a RightCache,
    pub answers: &'a Api<Answer>,
    pub builds: &'a Builds,
    pub is_answered: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// Why a fact is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Github(#[from] GithubError),
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
}

/// A fact on its way into [`Facts`].
type Fact = Box<dyn FnOnce(&mut Facts) + Send>;

impl Fetch<'_> {
    /// Everything that is likely to be needed and not known, at once. What fails is left out: the
    /// verdict asks for it again if it turns on it. Anybody can write a command, so that its person is
    /// looked at first and alone.
    pub async fn everything(&self, builders: &[Arc<Builder>], mut facts: Facts) -> Facts {
        if !self.is_label() && !self.may_command(&mut facts).await {
            return facts;
        }
        let mut questions = self.likely(builders);
        questions.retain(|question| !facts.answers(question));
        let answers = join_all(questions.into_iter().map(|question| self.fact(question))).await;
        for fact in answers.into_iter().flatten() {
            fact(&mut facts);
        }
        facts
    }

    /// Answers one question.
    pub async fn answer(&self, facts: &mut Facts, question: Question) -> Result<(), FetchError> {
        let fact = self.fact(question).await?;
        fact(facts);
        Ok(())
    }

    /// Whether the person of a command or button may go on, as far as the delivery tells; without one
    /// the comment has to be read first.
    async fn may_command(&self, facts: &mut Facts) -> bool {
        let Some(told) = &self.request.told else {
            return false;
        };
        let authorization = &self.request.repository.spec.authorization;
        let person = &told.sender;
        if !person.is_person() || authorization.denied_user_ids.contains(&person.id) {
            return false;
        }
        let question = Question::Right(vec![person.clone()]);
        if !facts.answers(&question)
            && let Err(error) = self.answer(facts, question).await
        {
            tracing::debug!(%error, "a person's permission is not known now");
        }
        let right = facts.rights.get(&person.id);
        right.is_some_and(|right| right.covers(authorization.minimum))
    }

    fn likely(&self, builders: &[Arc<Builder>]) -> Vec<Question> {
        let mut questions = Vec::new();
        let spec = &self.request.repository.spec;
        // They are sent in this order. What takes GitHub longest comes first: the verdict waits for it.
        match self.builds_new() {
            true if spec.checkout != Checkout::Head => questions.push(Question::Merge),
            true => {}
            false => questions.push(Question::Builds),
        }
        match &self.request.ask {
            Ask::Label { .. } => questions.push(Question::Events),
            Ask::Command { .. } => questions.push(Question::Comment),
            Ask::Button(_) => {}
        }
        questions.push(Question::Pull);
        if self.builds_new() && self.evidence_wanted(builders) > Evidence::Label {
            questions.push(Question::Reviews);
        }
        let Some(told) = &self.request.told else {
            return questions;
        };
        questions.push(Question::Right(vec![told.sender.clone()]));
        if let Some((organization, slug)) = spec
            .authorization
            .team
            .as_ref()
            .and_then(|team| team.split_once('/'))
        {
            questions.push(Question::Team {
                organization: organization.to_owned(),
                slug: slug.to_owned(),
                login: told.sender.login.clone(),
            });
        }
        if let Some((repository, branch)) = told.head.clone() {
            questions.push(Question::Movements { repository, branch });
        }
        questions
    }

    fn is_label(&self) -> bool {
        matches!(self.request.ask, Ask::Label { .. })
    }

    /// Whether commits may be built that were not built before; else builds of before are looked at.
    fn builds_new(&self) -> bool {
        match &self.request.ask {
            Ask::Label { .. } => true,
            Ask::Command { command, .. } => {
                matches!(command.says, Says::Run { .. } | Says::Pattern(_))
            }
            Ask::Button(_) => false,
        }
    }

    /// The strongest evidence that a builder may ask for.
    fn evidence_wanted(&self, builders: &[Arc<Builder>]) -> Evidence {
        let wanted = builders.iter().map(|builder| builder.spec.evidence);
        let most = wanted.max().unwrap_or_default();
        match &self.request.ask {
            // Compiling its pattern takes longer than all the rest.
            Ask::Label { rule, .. } if most > Evidence::Label => Rule::new(rule)
                .map_or(Evidence::Label, |rule| {
                    resolve::evidence_wanted(&Wanted::Rule(rule), None, builders)
                }),
            _ => most,
        }
    }

    fn fact(&self, question: Question) -> BoxFuture<'_, Result<Fact, FetchError>> {
        let n = self.request.number;
        match question {
            Question::Pull => async move {
                match self.repo.pull_request(n).await {
                    Ok(found) => Ok(dated(found, |facts, pull| facts.pull = Some(pull))),
                    // A label was seen on it; a command may stand in an issue.
                    Err(error) if error.is_not_found() && !self.is_label() => {
                        Ok(fact(|facts| facts.pull_gone = true))
                    }
                    Err(error) => Err(error.into()),
                }
            }
            .boxed(),
            Question::Events | Question::EventsAgain => async move {
                // The label that is looked for may have been set after the pull request was read.
                let found = self.repo.label_events(n).await?;
                Ok(dated(found, |facts, events| {
                    facts.events = Some(events);
                    facts.events_asked += 1;
                }))
            }
            .boxed(),
            Question::Comment => self.comment().boxed(),
            Question::Answered(name) => {
                let answered = (self.is_answered)(&name);
                async move { Ok(fact(move |facts| facts.answered = Some((name, answered)))) }
                    .boxed()
            }
            Question::Right(users) => self.rights_of(users).boxed(),
            Question::Team {
                organization,
                slug,
                login,
            } => self.team(organization, slug, login).boxed(),
            Question::Movements { repository, branch } => {
                self.movements(repository, branch, false).boxed()
            }
            Question::Anonymous { repository, branch } => {
                self.movements(repository, branch, true).boxed()
            }
            Question::Reviews => async move {
                let found = self.repo.reviews(n).await?;
                Ok(dated(found, |facts, reviews| facts.reviews = Some(reviews)))
            }
            .boxed(),
            Question::Refusals => self.refusals().boxed(),
            Question::Builds => async move {
                let repository = self.request.repository_id;
                let builds = self.builds.of_pull_request(repository, n).await?;
                Ok(fact(move |facts| facts.builds = Some(builds)))
            }
            .boxed(),
            Question::Merge | Question::MergeAgain => async move {
                let found = self.repo.test_merge(n).await?;
                Ok(dated(found, |facts, merge| {
                    facts.merge = Some(merge);
                    facts.merge_asked += 1;
                }))
            }
            .boxed(),
        }
    }

    async fn comment(&self) -> Result<Fact, FetchError> {
        let Ask::Command { comment, .. } = &self.request.ask else {
            return Ok(fact(|_| {}));
        };
        match self.repo.comment(*comment).await {
            Ok(found) => {
                let prefixes = (&self.request.repository.spec.commands).into();
                let said = crate::command::find(&found.value.body, prefixes);
                Ok(dated(found, |facts, comment| {
                    facts.comment = Some(Heard { comment, said });
                }))
            }
            Err(error) if error.is_not_found() => Ok(fact(|facts| facts.comment_gone = true)),
            Err(error) => Err(error.into()),
        }
    }

    async fn rights_of(&self, users: Vec<github::User>) -> Result<Fact, FetchError> {
        let all = join_all(users.iter().map(|user| self.right_of(user))).await;
        let mut found = Vec::new();
        let mut newest = None;
        for result in all {
            let (id, right, date) = result?;
            newest = newest.max(date);
            found.push((id, right));
        }
        Ok(fact(move |facts| {
            if let Some(date) = newest {
                facts.seen_at(date);
            }
            facts.rights.extend(found);
        }))
    }

    /// The right of one person, by id. A login that belongs to another id now gives no right.
    async fn right_of(
        &self,
        user: &github::User,
    ) -> Result<(i64, Right, Option<jiff::Timestamp>), FetchError> {
        let place = (self.request.repository_id, self.repo.full_name());
        let mut known = self.rights.get(&place, user.id);
        if known.is_none() && !self.is_label() {
            known = self.rights.get_none(&place, user.id);
        }
        if let Some(right) = known {
            return Ok((user.id, right, None));
        }
        let found = self.repo.permission(&user.login).await?;
        let same = found.value.user.as_ref().map(|found| found.id) == Some(user.id);
        let right = match same {
            true => Right::from(found.value),
            false => Right::default(),
        };
        self.rights.keep(&place, user.id, &right);
        Ok((user.id, right, Some(found.date)))
    }

    async fn team(
        &self,
        organization: String,
        slug: String,
        login: String,
    ) -> Result<Fact, FetchError> {
        let member = match self
            .repo
            .team_membership(&organization, &slug, &login)
            .await
        {
            Ok(state) => state.value == "active",
            // Not a member, no such team, or we may not know: none of them is a member.
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error.into()),
        };
        Ok(fact(move |facts| facts.team = Some((login, member))))
    }

    async fn movements(
        &self,
        repository: i64,
        branch: String,
        anonymous: bool,
    ) -> Result<Fact, FetchError> {
        let found = match anonymous {
            false => self.repo.activity(repository, &branch).await,
            true => self.repo.activity_anonymous(repository, &branch).await,
        };
        let list = match found {
            Ok(found) => list(found.value),
            Err(error) if is_silence(&error, anonymous) => MovementList::default(),
            Err(error) => return Err(error.into()),
        };
        let seen = Some(Seen {
            of: (repository, branch),
            list,
        });
        Ok(fact(move |facts| match anonymous {
            false => facts.movements = seen,
            true => facts.anonymous = seen,
        }))
    }

    /// What was refused on this pull request and told to somebody. Read past the cache: the answer
    /// that a person just confirmed is new.
    async fn refusals(&self) -> Result<Fact, FetchError> {
        let prefix = format!(
            "{}-{}-",
            self.request.repository_name(),
            self.request.number
        );
        // Answers of the namespace are a week's; those of one number are few.
        let of_number =
            ListParams::default().fields(&format!("spec.number={}", self.request.number));
        let answers = self.answers.list(&of_number).await?;
        let found: Vec<Refusal> = answers
            .items
            .into_iter()
            .filter(|answer| {
                let name = answer.metadata.name.as_deref().unwrap_or_default();
                name.starts_with(&prefix) && answer.spec.repository.id == self.request.repository_id
            })
            .filter_map(refusal)
            .collect();
        Ok(fact(move |facts| facts.refusals = Some(found)))
    }
}

/// GitHub does not tell how a branch moved: that is an answer, if a poor one. Without a credential
/// the limits are small and met soon, and nothing is lost by not knowing.
fn is_silence(error: &GithubError, anonymous: bool) -> bool {
    match error {
        GithubError::NotFound { .. }
        | GithubError::Forbidden { .. }
        | GithubError::Unprocessable { .. }
        | GithubError::TooLarge { .. }
        | GithubError::Malformed { .. } => true,
        GithubError::Unauthorized { .. }
        | GithubError::RateLimited { .. }
        | GithubError::Unavailable { .. } => anonymous,
    }
}

fn list(found: github::Movements) -> MovementList {
    MovementList {
        entries: found
            .entries
            .into_iter()
            .map(|entry| Entry {
                after: entry.after,
                at: entry.timestamp,
                by: entry.actor,
            })
            .collect(),
        full: found.full,
    }
}

fn refusal(answer: Answer) -> Option<Refusal> {
    Some(Refusal {
        reason: answer.spec.reason,
        user: answer.spec.trigger.user.id,
        given_at: answer.status?.given_at?.0,
        movement: answer.spec.facts.movement?,
    })
}

fn fact(set: impl FnOnce(&mut Facts) + Send + 'static) -> Fact {
    Box::new(set)
}

fn dated<T: Send + 'static>(
    found: Dated<T>,
    set: impl FnOnce(&mut Facts, T) + Send + 'static,
) -> Fact {
    fact(move |facts| {
        facts.seen_at(found.date);
        set(facts, found.value);
    })
}
