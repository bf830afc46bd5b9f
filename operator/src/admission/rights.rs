//! Looks up again whether a person may still start builds, once a slot could be taken and the gate's
//! own look is ten minutes old.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::{Permission, PrBuild, Repository, Trigger, TriggerKind};
use github::{Collaborator, Dated, GithubError, Repo};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    github_of,
    guard::{self, Hold, PERMISSION_HOLDS, reason},
};
use crate::context::Context;

/// How long after GitHub did not answer it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// What is known is kept this long, so that it does not grow for ever.
const KEPT: Duration = Duration::from_secs(3600);

/// Whether a person may still start builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Yes.
    Holds,
    /// No more, as a sentence.
    Lost(String),
    /// It has to be asked, if a slot could be taken.
    Ask,
    /// It is being asked, or GitHub does not tell.
    Unknown(Hold),
}

/// Who is asked about. A Repository that changed may ask for more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct About {
    repository: String,
    /// Numeric id of the repository that the build is of.
    id: i64,
    generation: Option<i64>,
    user: i64,
    login: String,
    needed: Permission,
}

enum Answer {
    /// It was asked then, and nothing has come yet.
    UnderWay,
    Holds(Instant),
    Lost(String, Instant),
    Silence(Instant),
}

/// What is known of people.
#[derive(Default)]
pub struct Rights(Mutex<HashMap<About, Answer>>);

impl Rights {
    /// Whether the person who asked for a build may still do so, as far as is known.
    pub fn of(&self, build: &PrBuild, repository: Option<&Repository>, now: Timestamp) -> Right {
        if guard::is_fresh(build, now) {
            return Right::Holds;
        }
        let login = &build.spec.request.trigger.user.login;
        let Some(repository) = repository else {
            let says = format!("nobody can say whether @{login} may still start builds here");
            return Right::Unknown(Hold::new(reason::PERMISSION, says));
        };
        let holds = Duration::try_from(PERMISSION_HOLDS).unwrap_or_default();
        match self.lock().get(&about(build, repository)) {
            None => Right::Ask,
            Some(Answer::UnderWay) => Right::Unknown(looked_up(login)),
            Some(Answer::Holds(at)) if at.elapsed() < holds => Right::Holds,
            Some(Answer::Lost(why, at)) if at.elapsed() < holds => Right::Lost(why.clone()),
            Some(Answer::Silence(until)) if Instant::now() < *until => {
                let says = format!("GitHub does not say whether @{login} may still start builds");
                Right::Unknown(Hold::new(reason::PERMISSION, says))
            }
            Some(_) => Right::Ask,
        }
    }

    /// Asks. Admission is woken when the answer is there.
    pub fn ask(&self, ctx: &Arc<Context>, build: &PrBuild, repository: &Repository) -> Hold {
        let about = about(build, repository);
        let hold = looked_up(&about.login);
        {
            let mut all = self.lock();
            all.retain(|_, answer| !answer.is_old());
            all.insert(about.clone(), Answer::UnderWay);
        }
        let team = repository.spec.authorization.team.clone();
        let repo = github_of(ctx, repository);
        let ctx = ctx.clone();
        tokio::spawn(async move {
            let answer = match repo {
                Some(repo) => answer(&repo, &about, team.as_deref()).await,
                None => Answer::Silence(Instant::now() + ASK_AGAIN),
            };
            ctx.admission.rights.lock().insert(about, answer);
            ctx.admission.wake();
        });
        hold
    }

    /// When somebody whom GitHub did not tell about may be asked about again.
    pub fn next_due(&self) -> Option<Instant> {
        let all = self.lock();
        let due = all.values().filter_map(|answer| match answer {
            Answer::Silence(until) => Some(*until),
            _ => None,
        });
        due.filter(|due| *due > Instant::now()).min()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<About, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn is_old(&self) -> bool {
        match self {
            Self::UnderWay => false,
            Self::Holds(at) | Self::Lost(_, at) | Self::Silence(at) => at.elapsed() > KEPT,
        }
    }
}

fn looked_up(login: &str) -> Hold {
    let says = format!("whether @{login} may still start builds is being looked up");
    Hold::new(reason::PERMISSION, says)
}

fn about(build: &PrBuild, repository: &Repository) -> About {
    let request = &build.spec.request;
    let trigger = &request.trigger;
    About {
        repository: repository.name_any(),
        id: request.repository.id,
        generation: repository.metadata.generation,
        user: trigger.user.id,
        login: trigger.user.login.clone(),
        needed: needed(repository, trigger),
    }
}

/// The least permission for what was asked, by today's rules.
fn needed(repository: &Repository, trigger: &Trigger) -> Permission {
    let general = repository.spec.authorization.minimum;
    let (TriggerKind::Label, Some(label)) = (trigger.kind, &trigger.label) else {
        return general;
    };
    let rules = repository.spec.labels.iter();
    let mut rule = rules.filter(|rule| {
        let mut names = std::iter::once(&rule.name).chain(&rule.aliases);
        names.any(|name| github::same_label(name, label))
    });
    rule.next().and_then(|rule| rule.minimum).unwrap_or(general)
}

async fn answer(repo: &Repo, about: &About, team: Option<&str>) -> Answer {
    match seen(repo, about, team).await {
        Ok((_, id)) if id != about.id => {
            tracing::warn!(
                login = about.login,
                repository = %repo.full_name(),
                id,
                "GitHub shows another repository under this name; builds wait"
            );
            Answer::Silence(Instant::now() + ASK_AGAIN)
        }
        Ok((None, _)) => Answer::Holds(Instant::now()),
        Ok((Some(why), _)) => Answer::Lost(why, Instant::now()),
        Err(error) => {
            tracing::warn!(login = about.login, %error, "a permission cannot be looked up again; builds wait for it");
            let wait = match &error {
                GithubError::RateLimited { wait, .. } => (*wait).max(ASK_AGAIN),
                _ => ASK_AGAIN,
            };
            Answer::Silence(Instant::now() + wait)
        }
    }
}

/// Why the person may not start builds any more, none when they may; and of which repository that is true.
/// Whoever took the name of a renamed one may give and take every right there, so it is asked last which one
/// has it. One that is hidden for a while knows nobody, and is no answer either.
async fn seen(
    repo: &Repo,
    about: &About,
    team: Option<&str>,
) -> Result<(Option<String>, i64), GithubError> {
    let lost = lost(repo, about, team).await?;
    Ok((lost, repo.repository().await?.value.id))
}

/// Why the person may not start builds any more; none when they may.
async fn lost(
    repo: &Repo,
    about: &About,
    team: Option<&str>,
) -> Result<Option<String>, GithubError> {
    let found = collaborator(repo, about).await?;
    let login = found
        .as_ref()
        .and_then(|found| found.user.as_ref())
        .map_or(&about.login, |user| &user.login);
    if !covers(found.as_ref(), about) {
        let needed = about.needed.word();
        return Ok(Some(format!(
            "@{login} does not have {needed} permission here any more"
        )));
    }
    let Some((organization, slug)) = team.and_then(|team| team.split_once('/')) else {
        return Ok(None);
    };
    let member = match repo.team_membership(organization, slug, login).await {
        Ok(state) => state.value == "active",
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error),
    };
    let gone = format!("@{login} is not a member of the team `{organization}/{slug}` any more");
    Ok((!member).then_some(gone))
}

/// What exactly this person may do, also under a new login; none when they are nobody here.
async fn collaborator(repo: &Repo, about: &About) -> Result<Option<Collaborator>, GithubError> {
    let by_name = known(repo.permission(&about.login).await)?;
    if by_name.as_ref().is_some_and(|found| is_about(found, about)) {
        return Ok(by_name);
    }
    let today = known(repo.user(about.user).await)?;
    if let Some(user) = today.filter(|user| user.login != about.login) {
        let renamed = known(repo.permission(&user.login).await)?;
        if renamed.as_ref().is_some_and(|found| is_about(found, about)) {
            return Ok(renamed);
        }
    }
    Ok(None)
}

/// An answer, or none where the object is not there.
fn known<T>(answer: Result<Dated<T>, GithubError>) -> Result<Option<T>, GithubError> {
    match answer {
        Ok(found) => Ok(Some(found.value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_about(found: &Collaborator, about: &About) -> bool {
    found.user.as_ref().map(|user| user.id) == Some(about.user)
}

/// Whether GitHub's words, about exactly this person, are at least what is needed.
fn covers(found: Option<&Collaborator>, about: &About) -> bool {
    let same = found.filter(|found| is_about(found, about));
    let level = same.and_then(|found| {
        let role = found.role_name.as_deref().unwrap_or_default();
        Permission::granted(&found.permission, role, found.push)
    });
    level.is_some_and(|level| level >= about.needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::guard::tests::{build, repository};

    fn late() -> Timestamp {
        Timestamp::from_second(601).unwrap()
    }

    fn of(rights: &Rights) -> Right {
        rights.of(&build(), Some(&repository()), late())
    }

    fn knows(answer: Answer) -> Rights {
        let rights = Rights::default();
        rights.lock().insert(about(&build(), &repository()), answer);
        rights
    }

    #[test]
    fn a_permission_is_asked_for_again_when_the_gates_own_look_is_old() {
        let rights = Rights::default();
        let soon = Timestamp::from_second(599).unwrap();
        assert_eq!(rights.of(&build(), Some(&repository()), soon), Right::Holds);
        assert_eq!(of(&rights), Right::Ask);
        assert_eq!(of(&knows(Answer::Holds(Instant::now()))), Right::Holds);
        let why = "gone".to_owned();
        let lost = Answer::Lost(why.clone(), Instant::now());
        assert_eq!(of(&knows(lost)), Right::Lost(why));
    }

    #[test]
    fn nobody_starts_while_github_does_not_tell() {
        let soon = Instant::now() + Duration::from_secs(30);
        assert!(matches!(
            of(&knows(Answer::Silence(soon))),
            Right::Unknown(_)
        ));
        assert!(matches!(of(&knows(Answer::UnderWay)), Right::Unknown(_)));
        assert_eq!(of(&knows(Answer::Silence(Instant::now()))), Right::Ask);
        let nowhere = Rights::default().of(&build(), None, late());
        assert!(matches!(nowhere, Right::Unknown(_)));
    }

    #[test]
    fn a_repository_that_changed_asks_anew() {
        let rights = knows(Answer::Holds(Instant::now()));
        let mut changed = repository();
        changed.metadata.generation = Some(2);
        assert_eq!(rights.of(&build(), Some(&changed), late()), Right::Ask);
    }

    #[test]
    fn a_right_in_one_repository_is_none_in_another_of_its_name() {
        let rights = knows(Answer::Holds(Instant::now()));
        let mut another = build();
        another.spec.request.repository.id = 2;
        let right = rights.of(&another, Some(&repository()), late());
        assert_eq!(right, Right::Ask);
    }

    #[test]
    fn the_least_permission_is_that_of_the_label_that_asked() {
        let mut repository = repository();
        let trigger = build().spec.request.trigger;
        assert_eq!(needed(&repository, &trigger), Permission::Write);
        repository.spec.labels[0].minimum = Some(Permission::Triage);
        assert_eq!(needed(&repository, &trigger), Permission::Triage);
        repository.spec.labels[0].name = "renamed".to_owned();
        assert_eq!(needed(&repository, &trigger), Permission::Write);
        repository.spec.labels[0].aliases = vec!["TEST".to_owned()];
        assert_eq!(needed(&repository, &trigger), Permission::Triage);
    }
}
