//! Repositories that are renamed or go to another owner. Their numeric id stays, and their old name
//! leads to the new one until somebody else takes it.

use serde_json::{Value, json};

use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{Id, Token, World};
use crate::forge::wire::merge;

impl Forge {
    /// Somebody gives a repository another name.
    pub fn rename_repository(&self, full_name: &str, name: &str, by: &str) {
        self.inner.edit(|world| {
            let (id, by) = (repository(world, full_name), user(world, by));
            let old = remember(world, id);
            if let Some(one) = world.repositories.get_mut(&id) {
                one.name = name.to_owned();
            }
            let from = old.split_once('/').map_or("", |(_, name)| name);
            let changes = json!({"repository": {"name": {"from": from}}});
            self.tell_moved(world, "renamed", id, by, changes);
        });
    }

    /// Somebody gives a repository to another owner. Its own webhooks go with it; installations of Apps
    /// belong to the old owner and lose it, until the new owner installs them ([`Forge::install`]).
    ///
    /// # Panics
    /// If there is no such owner.
    pub fn transfer_repository(&self, full_name: &str, owner: &str, by: &str) {
        self.inner.edit(|world| {
            let (id, by) = (repository(world, full_name), user(world, by));
            let (old, owner) = (world.repositories[&id].owner, user(world, owner));
            remember(world, id);
            if let Some(one) = world.repositories.get_mut(&id) {
                one.owner = owner;
            }
            for one in world.installations.values_mut() {
                one.repositories.retain(|known| *known != id);
            }
            for token in world.tokens.values_mut() {
                if let Token::Installation { repositories, .. } = token {
                    repositories.retain(|known| *known != id);
                }
            }
            // The schema knows former owners only by this name, organizations too.
            let from = self.inner.wire(world).user(old);
            let changes = json!({"owner": {"from": {"user": from}}});
            self.tell_moved(world, "transferred", id, by, changes);
        });
    }

    fn tell_moved(&self, world: &mut World, action: &str, id: Id, by: Id, changes: Value) {
        let payload = |world: &World| {
            let mut value = json!({"action": action, "changes": changes});
            let one = &world.repositories[&id];
            merge(&mut value, self.inner.wire(world).surroundings(one, by));
            value
        };
        self.inner.emit(world, "repository", id, payload);
    }
}

/// Keeps the name that a repository has now. Returns it.
fn remember(world: &mut World, id: Id) -> String {
    let old = world.full_name(&world.repositories[&id]);
    world.moved.insert(old.to_lowercase(), id);
    old
}
