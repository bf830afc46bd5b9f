//! Labels, comments and reviews.

use super::pulls::pull_mut;
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{EventKind, Id, Reaction, Review, ReviewState};

impl Forge {
    /// Somebody sets a label. Returns the id of the `labeled` event, of the older one if it was set.
    pub fn add_label(&self, full_name: &str, number: u64, label: &str, by: &str) -> Id {
        self.inner.edit(|world| {
            let by = user(world, by);
            self.inner
                .set_label(world, full_name, number, label, by, None)
        })
    }

    /// Somebody sets a label by means of an App, which only the timeline tells.
    pub fn add_label_via_app(
        &self,
        full_name: &str,
        number: u64,
        label: &str,
        by: &str,
        app: Id,
    ) -> Id {
        self.inner.edit(|world| {
            let by = user(world, by);
            self.inner
                .set_label(world, full_name, number, label, by, Some(app))
        })
    }

    /// Somebody takes a label away. Returns the id of the event.
    ///
    /// # Panics
    /// If the label is not set.
    pub fn remove_label(&self, full_name: &str, number: u64, label: &str, by: &str) -> Id {
        self.inner.edit(|world| {
            let by = user(world, by);
            match self
                .inner
                .take_label(world, full_name, number, label, by, None)
            {
                Some(id) => id,
                None => panic!("forge: {full_name}#{number} has no label `{label}`"),
            }
        })
    }

    /// Somebody comments. Returns the id of the comment.
    pub fn comment(&self, full_name: &str, number: u64, by: &str, text: &str) -> Id {
        self.inner.edit(|world| {
            let by = user(world, by);
            self.inner
                .write_comment(world, full_name, number, text, by, None)
        })
    }

    /// Somebody edits a comment.
    pub fn edit_comment(&self, full_name: &str, comment: Id, by: &str, text: &str) {
        self.inner.edit(|world| {
            let by = user(world, by);
            self.inner
                .rewrite_comment(world, full_name, comment, text, by);
        });
    }

    /// An App comments as its bot. Returns the id of the comment.
    pub fn comment_as_app(&self, full_name: &str, number: u64, app: Id, text: &str) -> Id {
        self.inner.edit(|world| {
            let by = world.apps[&app].bot;
            self.inner
                .write_comment(world, full_name, number, text, by, Some(app))
        })
    }

    /// Somebody deletes a comment.
    ///
    /// # Panics
    /// If there is no such comment.
    pub fn delete_comment(&self, full_name: &str, comment: Id, by: &str) {
        self.inner.edit(|world| {
            let by = user(world, by);
            self.inner.erase_comment(world, full_name, comment, by);
        });
    }

    /// Somebody folds a comment away, as `outdated`, `spam`, `resolved`, …. No webhook tells of it.
    pub fn minimize_comment(&self, full_name: &str, comment: Id, reason: &str) {
        self.inner.edit(|world| {
            let found = world
                .repository_mut(full_name)
                .and_then(|one| one.comments.get_mut(&comment));
            if let Some(one) = found {
                one.minimized = Some(reason.to_owned());
            }
        });
    }

    /// Somebody reacts to a comment: `+1`, `eyes`, …. No webhook tells of it.
    pub fn react(&self, full_name: &str, comment: Id, by: &str, content: &str) {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let (id, user) = (world.id("reaction"), user(world, by));
            let found = world
                .repository_mut(full_name)
                .and_then(|one| one.comments.get_mut(&comment));
            if let Some(one) = found {
                one.reactions.push(Reaction {
                    id,
                    user,
                    content: content.to_owned(),
                    created_at: now,
                });
            }
        });
    }

    /// Somebody reviews a commit. Returns the id of the review.
    pub fn review(
        &self,
        full_name: &str,
        number: u64,
        by: &str,
        state: ReviewState,
        sha: &str,
    ) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let (by, id) = (user(world, by), world.id("review"));
            let review = Review {
                id,
                user: by,
                state,
                commit: sha.to_owned(),
                body: String::new(),
                submitted_at: now,
            };
            pull_mut(world, full_name, number).reviews.push(review);
            let repository = repository(world, full_name);
            self.inner
                .happen(world, repository, number, EventKind::Reviewed(id), by, None);
            id
        })
    }

    /// Somebody dismisses a review.
    pub fn dismiss_review(&self, full_name: &str, number: u64, review: Id) {
        self.inner.edit(|world| {
            if let Some(one) = pull_mut(world, full_name, number)
                .reviews
                .iter_mut()
                .find(|one| one.id == review)
            {
                one.state = ReviewState::Dismissed;
            }
        });
    }
}
