//! What a person and a client of the API can both do: it changes the model, adds to the timeline and
//! tells webhooks.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::pulls::pull_mut;
use super::repository;
use crate::forge::Inner;
use crate::forge::model::{self, Comment, EventKind, Id, Label, PullState, TimelineEvent, World};
use crate::forge::wire::{Wire, merge};

impl model::PullRequest {
    /// Adds an entry to the timeline.
    pub(super) fn add(
        &mut self,
        id: Id,
        kind: EventKind,
        actor: Id,
        at: Timestamp,
        via_app: Option<Id>,
    ) {
        self.timeline.push(TimelineEvent {
            id,
            kind,
            actor,
            created_at: at,
            via_app,
        });
        self.updated_at = at;
    }
}

impl Inner {
    /// Sets a label that is not set yet. Returns the id of its newest `labeled` event.
    pub(crate) fn set_label(
        self: &Arc<Self>,
        world: &mut World,
        full_name: &str,
        number: u64,
        label: &str,
        by: Id,
        app: Option<Id>,
    ) -> Id {
        let id = repository(world, full_name);
        let pull = pull_mut(world, full_name, number);
        if pull.labels.iter().any(|name| name == label) {
            let set = |event: &&TimelineEvent| event.kind == EventKind::Labeled(label.to_owned());
            return pull
                .timeline
                .iter()
                .rev()
                .find(set)
                .map(|event| event.id)
                .unwrap_or_default();
        }
        pull.labels.push(label.to_owned());
        let label_id = world.id("label");
        if let Some(repository) = world.repositories.get_mut(&id)
            && !repository.labels.iter().any(|known| known.name == label)
        {
            repository.labels.push(Label {
                id: label_id,
                name: label.to_owned(),
            });
        }
        let event = self.happen(
            world,
            id,
            number,
            EventKind::Labeled(label.to_owned()),
            by,
            app,
        );
        self.tell_label(world, "labeled", id, number, label, by);
        event
    }

    /// Takes a label away. Returns the id of the event, none if it was not set.
    pub(crate) fn take_label(
        self: &Arc<Self>,
        world: &mut World,
        full_name: &str,
        number: u64,
        label: &str,
        by: Id,
        app: Option<Id>,
    ) -> Option<Id> {
        let id = repository(world, full_name);
        let pull = pull_mut(world, full_name, number);
        let index = pull
            .labels
            .iter()
            .position(|name| name.eq_ignore_ascii_case(label))?;
        let label = pull.labels.remove(index);
        let event = self.happen(
            world,
            id,
            number,
            EventKind::Unlabeled(label.clone()),
            by,
            app,
        );
        self.tell_label(world, "unlabeled", id, number, &label, by);
        Some(event)
    }

    /// Writes a comment. Returns its id.
    pub(crate) fn write_comment(
        self: &Arc<Self>,
        world: &mut World,
        full_name: &str,
        number: u64,
        text: &str,
        by: Id,
        app: Option<Id>,
    ) -> Id {
        let (id, comment, now) = (
            repository(world, full_name),
            world.id("comment"),
            self.clock.now(),
        );
        let new = Comment {
            id: comment,
            number,
            user: by,
            body: text.to_owned(),
            created_at: now,
            updated_at: now,
            via_app: app,
            minimized: None,
            reactions: Vec::new(),
        };
        if let Some(repository) = world.repositories.get_mut(&id) {
            repository.comments.insert(comment, new);
        }
        self.happen(world, id, number, EventKind::Commented(comment), by, app);
        self.tell_comment(world, "created", id, comment, by, Value::Null);
        comment
    }

    /// Changes the text of a comment.
    pub(crate) fn rewrite_comment(
        self: &Arc<Self>,
        world: &mut World,
        full_name: &str,
        comment: Id,
        text: &str,
        by: Id,
    ) {
        let (id, now) = (repository(world, full_name), self.clock.now());
        let found = world
            .repositories
            .get_mut(&id)
            .and_then(|one| one.comments.get_mut(&comment));
        let Some(one) = found else {
            panic!("forge: there is no comment {comment}")
        };
        let old = std::mem::replace(&mut one.body, text.to_owned());
        one.updated_at = now;
        self.tell_comment(
            world,
            "edited",
            id,
            comment,
            by,
            json!({"changes": {"body": {"from": old}}}),
        );
    }

    /// Deletes a comment.
    pub(crate) fn erase_comment(
        self: &Arc<Self>,
        world: &mut World,
        full_name: &str,
        comment: Id,
        by: Id,
    ) {
        let id = repository(world, full_name);
        // It is told as it was.
        self.tell_comment(world, "deleted", id, comment, by, Value::Null);
        if let Some(one) = world.repositories.get_mut(&id) {
            one.comments.remove(&comment);
        }
    }

    /// Closes a pull request without a merge.
    pub(super) fn close_pull(
        self: &Arc<Self>,
        world: &mut World,
        repository: Id,
        number: u64,
        by: Id,
    ) {
        self.happen(world, repository, number, EventKind::Closed, by, None);
        if let Some(pull) = world
            .repositories
            .get_mut(&repository)
            .and_then(|one| one.pulls.get_mut(&number))
        {
            (pull.state, pull.closed_at) = (PullState::Closed, Some(pull.updated_at));
        }
        self.tell(world, "closed", repository, number, by, Value::Null);
    }

    /// Adds an entry to the timeline of a pull request. Returns its id.
    pub(super) fn happen(
        &self,
        world: &mut World,
        repository: Id,
        number: u64,
        kind: EventKind,
        actor: Id,
        app: Option<Id>,
    ) -> Id {
        let (id, now) = (world.id("event"), self.clock.now());
        if let Some(pull) = world
            .repositories
            .get_mut(&repository)
            .and_then(|one| one.pulls.get_mut(&number))
        {
            pull.add(id, kind, actor, now, app);
        }
        id
    }

    /// Tells webhooks of a `pull_request` event.
    pub(super) fn tell(
        self: &Arc<Self>,
        world: &mut World,
        action: &str,
        repository: Id,
        number: u64,
        sender: Id,
        more: Value,
    ) {
        let payload =
            |world: &World| self.pull_payload(world, action, repository, number, sender, more);
        self.emit(world, "pull_request", repository, payload);
    }

    fn tell_label(
        self: &Arc<Self>,
        world: &mut World,
        action: &str,
        repository: Id,
        number: u64,
        label: &str,
        sender: Id,
    ) {
        let payload = |world: &World| {
            let wire = Wire {
                world,
                base: &self.base,
            };
            let label = json!({"label": wire.label(&world.repositories[&repository], label)});
            self.pull_payload(world, action, repository, number, sender, label)
        };
        self.emit(world, "pull_request", repository, payload);
    }

    fn tell_comment(
        self: &Arc<Self>,
        world: &mut World,
        action: &str,
        repository: Id,
        comment: Id,
        sender: Id,
        more: Value,
    ) {
        let payload = |world: &World| {
            let (wire, one) = (
                Wire {
                    world,
                    base: &self.base,
                },
                &world.repositories[&repository],
            );
            let comment = &one.comments[&comment];
            let mut value = json!({
                "action": action,
                "issue": wire.issue_of(one, comment.number),
                "comment": wire.comment(one, comment),
            });
            merge(&mut value, wire.surroundings(one, sender));
            merge(&mut value, more);
            value
        };
        self.emit(world, "issue_comment", repository, payload);
    }

    pub(super) fn pull_payload(
        &self,
        world: &World,
        action: &str,
        repository: Id,
        number: u64,
        sender: Id,
        more: Value,
    ) -> Value {
        let (wire, one) = (
            Wire {
                world,
                base: &self.base,
            },
            &world.repositories[&repository],
        );
        let mut value = json!({"action": action, "number": number, "pull_request": wire.pull(one, &one.pulls[&number])});
        merge(&mut value, wire.surroundings(one, sender));
        merge(&mut value, more);
        value
    }
}
