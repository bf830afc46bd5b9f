//! Checks: what people press on them, and what other systems report.

use serde_json::{Value, json};

use super::checking::Told;
use super::people::ensure_user;
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{App, CheckOutput, CheckRun, Id, Installation, Status, UserType, World};

/// What a check or status of another system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is not done yet.
    Pending,
    /// It passed.
    Passes,
    /// It failed.
    Fails,
}

impl Forge {
    /// All check runs of a commit, of any App, oldest first.
    #[must_use]
    pub fn check_runs(&self, full_name: &str, sha: &str) -> Vec<CheckRun> {
        self.look(full_name, |_, repository| {
            let of_commit = |run: &&CheckRun| run.head_sha == sha;
            repository
                .checks
                .runs
                .values()
                .filter(of_commit)
                .cloned()
                .collect()
        })
    }

    /// The newest check run of a name on a commit, if there is one.
    #[must_use]
    pub fn check_run(&self, full_name: &str, sha: &str, name: &str) -> Option<CheckRun> {
        self.check_runs(full_name, sha)
            .into_iter()
            .rfind(|run| run.name == name)
    }

    /// Somebody presses "Re-run" on a check run. GitHub shows the button to those who may push; the
    /// forge asks nobody, so that stories can tell what must not happen.
    ///
    /// # Panics
    /// If there is no such check run, or it is not completed: then GitHub shows no such button.
    pub fn press_rerun(&self, full_name: &str, check_run: Id, by: &str) {
        self.inner.edit(|world| {
            let (id, by) = (repository(world, full_name), user(world, by));
            let run = run_of(world, full_name, check_run);
            assert!(
                run.status == "completed",
                "forge: the check `{}` is {}; only a completed one can be run again",
                run.name,
                run.status
            );
            self.inner.rerequest_check(world, id, &run, by);
        });
    }

    /// Somebody presses "Re-run all checks" of an App on a commit.
    ///
    /// # Panics
    /// If the App has no completed suite there.
    pub fn press_rerun_all(&self, full_name: &str, sha: &str, app: Id, by: &str) {
        self.inner.edit(|world| {
            let (id, by) = (repository(world, full_name), user(world, by));
            let checks = &world.repositories[&id].checks;
            let Some(suite) = checks.suite_of(sha, app).cloned() else {
                panic!("forge: the App {app} has no checks on {sha}")
            };
            let status = checks.state(&suite).0;
            assert!(
                status == "completed",
                "forge: the suite is {status}; only a completed one can be run again"
            );
            self.inner.rerequest_suite(world, id, &suite, by);
        });
    }

    /// Somebody presses one of the buttons that the App put on a check run.
    ///
    /// # Panics
    /// If the check run has no such button.
    pub fn press_button(&self, full_name: &str, check_run: Id, identifier: &str, by: &str) {
        self.inner.edit(|world| {
            let (id, by) = (repository(world, full_name), user(world, by));
            let run = run_of(world, full_name, check_run);
            assert!(
                run.actions.iter().any(|one| one.identifier == identifier),
                "forge: the check `{}` has no button `{identifier}`",
                run.name
            );
            let pressed = Told {
                action: "requested_action",
                sender: by,
                only: Some(run.app),
            };
            let more = json!({"requested_action": {"identifier": identifier}});
            self.inner.tell_check(world, id, run.id, pressed, more);
        });
    }

    /// Another App, such as the regular CI, says how its check stands on a commit. Its check run is
    /// made the first time and changed afterwards. Returns its id.
    pub fn other_check(
        &self,
        full_name: &str,
        sha: &str,
        app_slug: &str,
        name: &str,
        says: Elsewhere,
    ) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let id = repository(world, full_name);
            let app = other_app(world, app_slug, id, now);
            let bot = world.apps[&app].bot;
            let mut known = world.repositories[&id].checks.runs.values();
            let known = known
                .rfind(|run| run.app == app && run.head_sha == sha && run.name == name)
                .cloned();
            let (status, conclusion) = match says {
                Elsewhere::Pending => ("in_progress", None),
                Elsewhere::Passes => ("completed", Some("success".to_owned())),
                Elsewhere::Fails => ("completed", Some("failure".to_owned())),
            };
            let changed = CheckRun {
                status: status.to_owned(),
                completed_at: conclusion.as_ref().map(|_| now),
                conclusion,
                ..known
                    .clone()
                    .unwrap_or_else(|| new_run(app, sha, name, now))
            };
            if known.is_some() {
                let run = changed.id;
                self.inner.change_check(world, id, changed, bot);
                return run;
            }
            self.inner
                .add_check(world, id, changed, bot)
                .unwrap_or_default()
        })
    }

    /// Another system writes a commit status as somebody.
    pub fn other_status(
        &self,
        full_name: &str,
        sha: &str,
        by: &str,
        context: &str,
        says: Elsewhere,
    ) {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let creator = ensure_user(world, by, UserType::User);
            let state = match says {
                Elsewhere::Pending => "pending",
                Elsewhere::Passes => "success",
                Elsewhere::Fails => "failure",
            };
            let status = Status {
                id: 0,
                state: state.to_owned(),
                context: context.to_owned(),
                description: None,
                target_url: None,
                creator,
                created_at: now,
            };
            let id = repository(world, full_name);
            self.inner.write_status(world, id, sha, status);
        });
    }

    /// The payload of a `check_run` delivery of this action as GitHub would send it now, to be forged
    /// with [`Forge::deliver_forged`].
    ///
    /// # Panics
    /// If there is no such check run.
    #[must_use]
    pub fn check_run_payload(
        &self,
        full_name: &str,
        check_run: Id,
        action: &str,
        by: &str,
    ) -> Value {
        let world = self.inner.lock();
        let (id, by) = (repository(&world, full_name), user(&world, by));
        let (wire, one) = (self.inner.wire(&world), &world.repositories[&id]);
        let run = run_of(&world, full_name, check_run);
        let mut value = json!({"action": action, "check_run": wire.hook_check_run(one, &run)});
        crate::forge::wire::merge(&mut value, wire.surroundings(one, by));
        value
    }
}

fn run_of(world: &World, full_name: &str, id: Id) -> CheckRun {
    let found = world
        .repository(full_name)
        .and_then(|one| one.checks.runs.get(&id));
    match found {
        Some(run) => run.clone(),
        None => panic!("forge: `{full_name}` has no check run {id}"),
    }
}

fn new_run(app: Id, sha: &str, name: &str, now: jiff::Timestamp) -> CheckRun {
    CheckRun {
        id: 0,
        suite: 0,
        app,
        name: name.to_owned(),
        head_sha: sha.to_owned(),
        details_url: None,
        external_id: String::new(),
        status: String::new(),
        conclusion: None,
        started_at: now,
        completed_at: None,
        output: CheckOutput::default(),
        actions: Vec::new(),
    }
}

/// An App that nobody here has the key of, installed on the repository; made if need be.
fn other_app(world: &mut World, slug: &str, repository: Id, now: jiff::Timestamp) -> Id {
    if let Some(known) = world.apps.values().find(|app| app.slug == slug) {
        return known.id;
    }
    let app = App {
        id: world.id("app"),
        slug: slug.to_owned(),
        owner: ensure_user(world, "app-owner", UserType::User),
        bot: ensure_user(world, &format!("{slug}[bot]"), UserType::Bot),
        public_key: Vec::new(),
        next_key: None,
        permissions: [("checks".to_owned(), "write".to_owned())].into(),
        events: Vec::new(),
        created_at: now,
    };
    let installation = Installation {
        id: world.id("installation"),
        app: app.id,
        account: world.repositories[&repository].owner,
        repositories: vec![repository],
        permissions: [("checks".to_owned(), "write".to_owned())].into(),
        suspended: false,
        created_at: now,
    };
    let id = app.id;
    world.apps.insert(id, app);
    world.installations.insert(installation.id, installation);
    id
}
