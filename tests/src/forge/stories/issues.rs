//! Issues: where people write commands that mean nothing.

use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::Issue;

impl Forge {
    /// Somebody opens an issue. Returns its number, on which [`Forge::comment`] works as on that of a
    /// pull request. No webhook tells of the issue itself: PrBuild subscribes to none of it.
    pub fn open_issue(&self, full_name: &str, title: &str, by: &str) -> u64 {
        let created_at = self.inner.clock.now();
        self.inner.edit(|world| {
            let (repository, author) = (repository(world, full_name), user(world, by));
            let id = world.id("issue");
            let number = world.repositories[&repository].next_number();
            let issue = Issue {
                id,
                number,
                title: title.to_owned(),
                author,
                created_at,
            };
            if let Some(one) = world.repositories.get_mut(&repository) {
                one.issues.insert(number, issue);
            }
            number
        })
    }
}
