//! Stories that show how the forge behaves, so that others can rely on it. They need no cluster.

mod accounts;
mod alone;
mod apps;
mod checks;
mod client;
mod code;
mod comments;
mod deliveries;
mod enterprise;
mod faults;
mod graphql;
mod issues;
mod limits;
mod moves;
mod pull_events;
mod pulls;
mod webhooks;

use tests::forge::{Forge, ForgeOptions, PullRequest, Role, UserType};

/// The repository of all stories.
const APP: &str = "octo/app";

/// A forge with the repository `octo/app`, ada who may write and mallory who may not.
async fn forge() -> Forge {
    with(ForgeOptions::default()).await
}

/// The same without validation, for stories that ask for what GitHub does not have.
async fn lenient() -> Forge {
    with(ForgeOptions {
        validate: false,
        ..ForgeOptions::default()
    })
    .await
}

async fn with(options: ForgeOptions) -> Forge {
    let forge = Forge::start(options).await;
    forge
        .add_repository(
            APP,
            &[("README", "An app.\n"), ("test.sh", "#!/bin/sh\nexit 0\n")],
        )
        .await;
    forge.add_user("ada", UserType::User);
    forge.add_user("mallory", UserType::User);
    forge.set_permission(APP, "ada", Role::Write);
    forge
}

/// Mallory forks, pushes a branch `change` and opens a pull request. Returns number and head.
async fn mallory_opens(forge: &Forge) -> (u64, String) {
    forge.fork(APP, "mallory").await;
    let head = forge
        .push("mallory/app", "change", &[("new.c", "int x;\n")])
        .await;
    let pull = PullRequest {
        title: "Add x",
        author: "mallory",
        head: "mallory:change",
        ..PullRequest::default()
    };
    (forge.open_pull_request(APP, pull).await, head)
}
