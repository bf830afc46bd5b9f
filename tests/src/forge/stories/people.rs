//! Users, roles and teams.

use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{Id, Role, Team, User, UserType, World};

impl Forge {
    /// Makes a user, a bot or an organization. Returns its numeric id; one that is there already keeps
    /// what it is.
    pub fn add_user(&self, login: &str, kind: UserType) -> Id {
        self.inner.edit(|world| ensure_user(world, login, kind))
    }

    /// Gives somebody a role in a repository.
    pub fn set_permission(&self, full_name: &str, login: &str, role: Role) {
        self.inner
            .edit(|world| grant(world, full_name, login, (role, None)));
    }

    /// Gives somebody a custom role of an organization, which builds on one of the usual ones.
    pub fn set_custom_role(&self, full_name: &str, login: &str, base: Role, name: &str) {
        self.inner
            .edit(|world| grant(world, full_name, login, (base, Some(name.to_owned()))));
    }

    /// Puts a user into a team of an organization, which is made if need be. Until the invitation is
    /// accepted, the membership is pending (`active` false).
    pub fn add_to_team(&self, organization: &str, slug: &str, login: &str, active: bool) {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let (organization, member) = (
                ensure_user(world, organization, UserType::Organization),
                user(world, login),
            );
            let known = world
                .teams
                .iter()
                .position(|team| team.organization == organization && team.slug == slug);
            let index = known.unwrap_or_else(|| {
                let id = world.id("team");
                world.teams.push(Team {
                    id,
                    organization,
                    slug: slug.to_owned(),
                    members: Vec::new(),
                    created_at: now,
                });
                world.teams.len() - 1
            });
            let members = &mut world.teams[index].members;
            members.retain(|(id, _)| *id != member);
            members.push((member, active));
        });
    }

    /// Gives a user another login. The id stays, and the old login is free for somebody else.
    pub fn rename_user(&self, login: &str, new: &str) {
        self.inner.edit(|world| {
            let id = user(world, login);
            if let Some(user) = world.users.get_mut(&id) {
                user.login = new.to_owned();
            }
        });
    }

    /// Deletes an account; what it did remains as the ghost's.
    pub fn delete_user(&self, login: &str) {
        self.inner.edit(|world| {
            let id = user(world, login);
            world.users.remove(&id);
        });
    }

    /// The numeric id of a user.
    #[must_use]
    pub fn user_id(&self, login: &str) -> Id {
        user(&self.inner.lock(), login)
    }
}

fn grant(world: &mut World, full_name: &str, login: &str, role: (Role, Option<String>)) {
    let (id, user) = (repository(world, full_name), user(world, login));
    if let Some(repository) = world.repositories.get_mut(&id) {
        repository.permissions.insert(user, role);
    }
}

/// The id of a user, who is made if need be.
pub fn ensure_user(world: &mut World, login: &str, kind: UserType) -> Id {
    if let Some(known) = world.user(login) {
        return known.id;
    }
    let id = world.id("user");
    world.users.insert(
        id,
        User {
            id,
            login: login.to_owned(),
            kind,
        },
    );
    id
}
