//! What people read on GitHub, told on a GitHub that goes wrong. Most of these stories
//! need no cluster.

mod announcements;
mod answers;
mod calls;
mod checks;
mod health;
mod lists;
mod statuses;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::{Router, http::StatusCode};
use github::{Access, Connections, Repo};
use tests::forge::{
    AppOptions, ConnectionKind, Forge, ForgeOptions, Id, PullRequest, Role, TokenOptions, UserType,
};

/// The repository of all stories.
const APP: &str = "octo/app";

/// Somebody who answers every delivery with this status. Returns the address.
pub(crate) async fn receiver(status: u16) -> String {
    let status = StatusCode::from_u16(status).unwrap();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", socket.local_addr().unwrap());
    let router = Router::new().fallback(move || async move { status });
    tokio::spawn(async move { axum::serve(socket, router).await });
    url
}

/// A forge with the pull request of mallory in `octo/app`, where ada may write, and a connection to it.
struct Scene {
    forge: Forge,
    /// The account that PrBuild writes as.
    bot: String,
    number: u64,
    head: String,
    connections: Arc<Connections>,
    dir: PathBuf,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Scene {
    /// With the token of a machine's account.
    async fn new() -> Self {
        Self::with(|forge| {
            let bot = "prbuild-bot".to_owned();
            forge.add_user(&bot, UserType::User);
            forge.set_permission(APP, &bot, Role::Write);
            let token = forge.add_token(&bot, TokenOptions::default());
            (bot, ConnectionKind::Token(token))
        })
        .await
    }

    /// With an App that was granted one permission other than it asked for.
    async fn granted(permission: &str, level: &str) -> Self {
        Self::with(|forge| {
            let mut options = AppOptions {
                repositories: vec![APP.to_owned()],
                ..AppOptions::default()
            };
            options
                .permissions
                .insert(permission.to_owned(), level.to_owned());
            let app = forge.add_app(options);
            (app.bot.clone(), ConnectionKind::App(app))
        })
        .await
    }

    async fn with(connection: impl FnOnce(&Forge) -> (String, ConnectionKind)) -> Self {
        github::install_tls_provider();
        let forge = Forge::start(ForgeOptions::default()).await;
        forge.add_repository(APP, &[("README", "An app.\n")]).await;
        forge.add_user("ada", UserType::User);
        forge.add_user("mallory", UserType::User);
        forge.set_permission(APP, "ada", Role::Write);
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
        let number = forge.open_pull_request(APP, pull).await;
        let (bot, kind) = connection(&forge);
        let dir = scratch();
        let secret = "a webhook secret of 32 characters";
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        forge
            .write_connection(&dir, "main", &kind, &[secret], here)
            .unwrap();
        let connections = Connections::load(&dir, Access::Report).unwrap();
        Self {
            forge,
            bot,
            number,
            head,
            connections,
            dir,
        }
    }

    fn repo(&self) -> Repo {
        self.connections.get("main").unwrap().repo("octo", "app")
    }

    fn number(&self) -> i64 {
        i64::try_from(self.number).unwrap()
    }

    /// The texts of the comments that PrBuild wrote.
    fn said(&self) -> Vec<String> {
        let comments = self.forge.comments(APP, self.number).into_iter();
        comments
            .filter(|comment| comment.by == self.bot)
            .map(|comment| comment.body)
            .collect()
    }
}

/// Waits until something holds that nobody tells of, such as an entry in the forge's log.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let asking = async {
        let mut often = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            often.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), asking).await;
    assert!(waited.is_ok(), "waited in vain for {what}");
}

/// GitHub's ids as the API types have them.
fn signed(id: Id) -> i64 {
    i64::try_from(id).unwrap()
}

fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "prbuild-report-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    std::env::temp_dir().join(name)
}
