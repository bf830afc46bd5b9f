//! What the forge knows: users, repositories, pull requests, and what happened to them. Pure data,
//! without HTTP, git or clock.

mod apps;
mod checks;
mod issues;
mod people;
mod pulls;
mod repository;

pub use apps::{App, Hook, Installation, Permissions, Token};
pub use checks::{CheckAction, CheckOutput, CheckRun, CheckSuite, Checks};
pub use issues::Issue;
pub use people::{Role, Team, User, UserType};
pub use pulls::{
    Comment, EventKind, MergeCommit, PullRequest, PullState, Reaction, Review, ReviewState,
    TestMerge, TimelineEvent,
};
pub use repository::{Activity, ActivityType, Label, Repository, Status};

use std::collections::{BTreeMap, HashMap, HashSet};

use super::hooks::Delivery;

/// Any of GitHub's numeric ids.
pub type Id = u64;

/// Everything that GitHub remembers.
#[derive(Default)]
pub struct World {
    ids: Ids,
    /// Path of the REST API: empty on github.com, `/api/v3` on an Enterprise Server.
    pub api_path: &'static str,
    /// Users and organizations by id.
    pub users: BTreeMap<Id, User>,
    /// Repositories by id. A deleted one is gone.
    pub repositories: BTreeMap<Id, Repository>,
    /// Every commit by network and SHA: what statuses can be written on.
    pub commits: HashSet<(Id, String)>,
    /// Teams of all organizations.
    pub teams: Vec<Team>,
    /// GitHub Apps by id.
    pub apps: BTreeMap<Id, App>,
    /// Apps' JWTs are judged by the forge's clock, and not by the machine's.
    pub dates_jwts: bool,
    /// Installations of Apps by id.
    pub installations: BTreeMap<Id, Installation>,
    /// Tokens by their secret text.
    pub tokens: HashMap<String, Token>,
    /// Webhooks of repositories and Apps.
    pub hooks: Vec<Hook>,
    /// `owner/name` in small letters that a repository had before → its id.
    pub moved: HashMap<String, Id>,
    /// Every delivery ever tried, oldest first.
    pub deliveries: Vec<Delivery>,
}

/// Counters, one a kind, so that an id of one kind is never mistaken for another's. Those that are
/// beyond 32 bits on GitHub are so here.
#[derive(Default)]
struct Ids {
    next: HashMap<&'static str, Id>,
}

impl World {
    /// The next id of a kind.
    pub fn id(&mut self, kind: &'static str) -> Id {
        let first = match kind {
            "user" => 583_231,
            "repository" => 1_296_269,
            "event" => 17_000_000_000,
            "comment" => 3_000_000_000,
            "review" => 2_600_000_000,
            "pull" => 2_200_000_000,
            "status" => 36_000_000_000,
            "activity" => 26_000_000_000,
            "delivery" => 190_000_000_000,
            "label" => 208_045_946,
            "check run" => 41_000_000_000,
            "check suite" => 38_000_000_000,
            _ => 100_001,
        };
        let next = self.ids.next.entry(kind).or_insert(first);
        *next += 1;
        *next
    }

    /// The user with this login, whatever its case.
    #[must_use]
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users
            .values()
            .find(|user| user.login.eq_ignore_ascii_case(login))
    }

    /// The login of a user, `ghost` when there is none any more.
    #[must_use]
    pub fn login(&self, id: Id) -> &str {
        self.users.get(&id).map_or("ghost", |user| &user.login)
    }

    /// `owner/name` as it is now; a renamed owner renames it.
    #[must_use]
    pub fn full_name(&self, repository: &Repository) -> String {
        format!("{}/{}", self.login(repository.owner), repository.name)
    }

    /// The repository with this `owner/name`, whatever its case.
    #[must_use]
    pub fn repository(&self, full_name: &str) -> Option<&Repository> {
        let (owner, name) = full_name.split_once('/')?;
        self.repositories.values().find(|repository| {
            repository.name.eq_ignore_ascii_case(name)
                && self.login(repository.owner).eq_ignore_ascii_case(owner)
        })
    }

    /// The repository that had this `owner/name` before it was renamed or transferred, unless another
    /// one has it now.
    #[must_use]
    pub fn moved(&self, full_name: &str) -> Option<&Repository> {
        if self.repository(full_name).is_some() {
            return None;
        }
        let id = self.moved.get(&full_name.to_lowercase())?;
        self.repositories.get(id)
    }

    /// As [`World::repository`], to change it.
    pub fn repository_mut(&mut self, full_name: &str) -> Option<&mut Repository> {
        let id = self.repository(full_name)?.id;
        self.repositories.get_mut(&id)
    }

    /// The pull request with this number.
    #[must_use]
    pub fn pull(&self, full_name: &str, number: u64) -> Option<&PullRequest> {
        self.repository(full_name)?.pulls.get(&number)
    }

    /// What a user may do in a repository: a grant, else what everybody may do with a public one.
    #[must_use]
    pub fn role(&self, repository: &Repository, user: Id) -> (Role, String) {
        if let Some((role, name)) = repository.permissions.get(&user) {
            return (
                *role,
                name.clone().unwrap_or_else(|| role.name().to_owned()),
            );
        }
        let role = if repository.owner == user {
            Role::Admin
        } else {
            Role::Read
        };
        (role, role.name().to_owned())
    }
}
