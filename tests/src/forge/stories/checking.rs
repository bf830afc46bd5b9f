//! Check runs as Apps make and people press them, and statuses: the model changes and webhooks hear of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::forge::Inner;
use crate::forge::model::{CheckRun, CheckSuite, Id, Status, World};
use crate::forge::wire::{Wire, merge};

/// Something that happened to a check run or a check suite, as webhooks are to hear of it.
pub(crate) struct Told<'a> {
    /// `created`, `rerequested`, ….
    pub action: &'a str,
    /// Who did it.
    pub sender: Id,
    /// The only App that hears of it; all do when none.
    pub only: Option<Id>,
}

impl Inner {
    /// The suite of a commit and App, made if need be.
    pub(crate) fn suite(
        &self,
        world: &mut World,
        repository: Id,
        sha: &str,
        app: Id,
    ) -> Option<Id> {
        let (new, now) = (world.id("check suite"), self.clock.now());
        let checks = &mut world.repositories.get_mut(&repository)?.checks;
        if let Some(known) = checks.suite_of(sha, app) {
            return Some(known.id);
        }
        let suite = CheckSuite {
            id: new,
            app,
            head_sha: sha.to_owned(),
            rerequested: false,
            created_at: now,
            updated_at: now,
        };
        checks.suites.insert(new, suite);
        Some(new)
    }

    /// Adds a check run; its id and suite are given here. Returns the id.
    pub(crate) fn add_check(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        mut run: CheckRun,
        sender: Id,
    ) -> Option<Id> {
        run.suite = self.suite(world, repository, &run.head_sha, run.app)?;
        run.id = world.id("check run");
        let (id, suite, done) = (run.id, run.suite, run.status == "completed");
        world.repositories.get_mut(&repository)?.checks.add(run);
        touch(world, repository, suite, self.clock.now());
        self.tell_check(world, repository, id, told("created", sender), Value::Null);
        if done {
            self.completed(world, repository, id, suite, sender);
        }
        Some(id)
    }

    /// Puts a check run in the place of the one with its id.
    pub(crate) fn change_check(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        run: CheckRun,
        sender: Id,
    ) {
        let (id, suite, done) = (run.id, run.suite, run.status == "completed");
        let Some(one) = world.repositories.get_mut(&repository) else {
            return;
        };
        let before = one.checks.runs.insert(id, run);
        touch(world, repository, suite, self.clock.now());
        if done && before.is_none_or(|before| before.status != "completed") {
            self.completed(world, repository, id, suite, sender);
        }
    }

    /// A run ended, and perhaps its suite with it.
    fn completed(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        run: Id,
        suite: Id,
        sender: Id,
    ) {
        self.tell_check(
            world,
            repository,
            run,
            told("completed", sender),
            Value::Null,
        );
        let checks = &world.repositories[&repository].checks;
        if checks.state(&checks.suites[&suite]).0 == "completed" {
            self.tell_suite(world, repository, suite, told("completed", sender));
        }
    }

    /// Asks the App to run one check again. The run stays as it is, and the suite is queued.
    pub(crate) fn rerequest_check(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        run: &CheckRun,
        sender: Id,
    ) {
        let pressed = Told {
            only: Some(run.app),
            ..told("rerequested", sender)
        };
        self.tell_check(world, repository, run.id, pressed, Value::Null);
        self.reset_suite(world, repository, run.suite);
    }

    /// Asks the App to run a whole suite again. Its runs stay as they are, and the suite is queued.
    pub(crate) fn rerequest_suite(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        suite: &CheckSuite,
        sender: Id,
    ) {
        let pressed = Told {
            only: Some(suite.app),
            ..told("rerequested", sender)
        };
        self.tell_suite(world, repository, suite.id, pressed);
        self.reset_suite(world, repository, suite.id);
    }

    fn reset_suite(&self, world: &mut World, repository: Id, suite: Id) {
        let now = self.clock.now();
        if let Some(suite) = world
            .repositories
            .get_mut(&repository)
            .and_then(|one| one.checks.suites.get_mut(&suite))
        {
            (suite.rerequested, suite.updated_at) = (true, now);
        }
    }

    /// Makes the suites that GitHub makes at a push, one for each App that may write checks.
    pub(crate) fn request_suites(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        sha: &str,
        sender: Id,
    ) {
        let apps: Vec<Id> = world
            .installations
            .values()
            .filter(|one| {
                one.repositories.contains(&repository)
                    && one.permissions.get("checks").map(String::as_str) == Some("write")
            })
            .map(|one| one.app)
            .collect();
        for app in apps {
            let Some(suite) = self.suite(world, repository, sha, app) else {
                continue;
            };
            let requested = Told {
                only: Some(app),
                ..told("requested", sender)
            };
            self.tell_suite(world, repository, suite, requested);
        }
    }

    /// Tells webhooks of a `check_run` event.
    pub(crate) fn tell_check(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        run: Id,
        told: Told<'_>,
        more: Value,
    ) {
        let payload = |world: &World| {
            let (wire, one) = (self.wire(world), &world.repositories[&repository]);
            let run = wire.hook_check_run(one, &one.checks.runs[&run]);
            let mut value = json!({"action": told.action, "check_run": run});
            merge(&mut value, wire.surroundings(one, told.sender));
            merge(&mut value, more);
            value
        };
        self.emit_to(world, "check_run", repository, told.only, payload);
    }

    fn tell_suite(self: &Arc<Self>, world: &mut World, repository: Id, suite: Id, told: Told<'_>) {
        let payload = |world: &World| {
            let (wire, one) = (self.wire(world), &world.repositories[&repository]);
            let suite = wire.hook_check_suite(one, &one.checks.suites[&suite]);
            let mut value = json!({"action": told.action, "check_suite": suite});
            merge(&mut value, wire.surroundings(one, told.sender));
            value
        };
        self.emit_to(world, "check_suite", repository, told.only, payload);
    }

    /// Adds a status to a commit; its id is given here. Returns it.
    pub(crate) fn write_status(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        sha: &str,
        mut status: Status,
    ) -> Status {
        status.id = world.id("status");
        if let Some(one) = world.repositories.get_mut(&repository) {
            let all = one.statuses.entry(sha.to_owned()).or_default();
            all.push(status.clone());
        }
        let payload = |world: &World| {
            let (wire, one) = (self.wire(world), &world.repositories[&repository]);
            let mut value = wire.hook_status(one, sha, &status);
            merge(&mut value, wire.surroundings(one, status.creator));
            value
        };
        self.emit(world, "status", repository, payload);
        status
    }

    /// The writer of JSON.
    pub(crate) fn wire<'w>(&'w self, world: &'w World) -> Wire<'w> {
        Wire {
            world,
            base: &self.base,
        }
    }
}

/// What everybody hears.
fn told(action: &str, sender: Id) -> Told<'_> {
    Told {
        action,
        sender,
        only: None,
    }
}

/// The App did something: the suite is no more as it was asked to be.
fn touch(world: &mut World, repository: Id, suite: Id, now: Timestamp) {
    if let Some(suite) = world
        .repositories
        .get_mut(&repository)
        .and_then(|one| one.checks.suites.get_mut(&suite))
    {
        (suite.rerequested, suite.updated_at) = (false, now);
    }
}
