//! What people do on GitHub, in the words of a story.

mod acts;
mod apps;
mod checking;
mod checks;
mod code;
mod discussion;
mod hooks;
mod issues;
mod movement;
mod moves;
mod people;
mod pulls;

pub use apps::{App, AppOptions, TokenOptions};
pub use checks::Elsewhere;
pub use code::Push;
pub use pulls::{PullRequest, TestMergeSwitch};

use super::model::{Id, World};

/// The id of a user.
///
/// # Panics
/// If there is no such user.
fn user(world: &World, login: &str) -> Id {
    match world.user(login) {
        Some(user) => user.id,
        None => panic!("forge: there is no user `{login}`; call add_user first"),
    }
}

/// The id of a repository.
///
/// # Panics
/// If there is no such repository.
fn repository(world: &World, full_name: &str) -> Id {
    match world.repository(full_name) {
        Some(repository) => repository.id,
        None => panic!("forge: there is no repository `{full_name}`; call add_repository first"),
    }
}
