//! `cargo xtask forge`: the fake GitHub alone, with a small world to try.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::forge::{
    App, AppOptions, ConnectionKind, Forge, ForgeOptions, PullRequest, Role, TokenOptions, UserType,
};
use tests::parts::{self, Cache, Loudness};

use crate::Result;
use crate::stop::run_until_stopped;

/// The repository of the small world.
const REPOSITORY: &str = "octo/app";
/// The secret of its webhook; a fake GitHub keeps no real ones.
const SECRET: &str = "a webhook secret for trying things out";

/// Arguments of `cargo xtask forge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port to listen on, 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where the webhook of the repository goes
    #[arg(long, value_name = "URL")]
    hook: Option<String>,
    /// Write directories of connections, `app` and `token`, below this one
    #[arg(long, value_name = "DIR")]
    connections: Option<PathBuf>,
    /// Hold requests and answers against GitHub's published descriptions, and tell of differences at the end
    #[arg(long)]
    validate: bool,
}

/// What was made for people to try.
struct World {
    number: u64,
    head: String,
    core: String,
    app: App,
}

/// Runs the forge until Ctrl-C.
pub fn run(args: Args) -> Result {
    can_listen(SocketAddr::new(args.bind, args.port))?;
    parts::check_git()?;
    if args.validate {
        let cache = Cache::of_user();
        parts::obtain_all(
            parts::fetching(&parts::DESCRIPTIONS, &cache),
            &cache,
            Loudness::Normal,
        )?;
    }
    run_until_stopped(async move {
        let options = ForgeOptions {
            validate: args.validate,
            bind: args.bind,
            port: args.port,
            ..ForgeOptions::default()
        };
        let forge = Forge::start(options).await;
        let world = populate(&forge, args.hook.as_deref()).await;
        if let Some(dir) = &args.connections {
            let kinds = [
                ("app", ConnectionKind::App(world.app.clone())),
                ("token", ConnectionKind::Token(world.core.clone())),
            ];
            for (name, kind) in kinds {
                let written = forge.write_connection(dir, name, &kind, &[SECRET], args.bind);
                let written = written.map_err(|error| not_written(dir, &error))?;
                eprintln!("wrote {}", written.display());
            }
        }
        print!("{}", guide(&forge, &world));
        let _told = Told(forge.clone());
        follow(&forge).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Whether the forge can listen here: within a test it panics where it cannot, and a person is told what to do.
fn can_listen(address: SocketAddr) -> Result<()> {
    TcpListener::bind(address).map(drop).map_err(|error| {
        format!(
            "the forge cannot listen on {address}\n  because {error}\n  try: another --port, or none for a free one"
        )
        .into()
    })
}

fn not_written(dir: &Path, error: &std::io::Error) -> String {
    format!(
        "the connections cannot be written below {}\n  because {error}\n  try: another --connections",
        dir.display()
    )
}

/// Tells of differences from GitHub's descriptions when the forge is stopped.
struct Told(Forge);

impl Drop for Told {
    fn drop(&mut self) {
        for one in self.0.violations() {
            eprintln!(
                "differs from GitHub's descriptions: {}: {}",
                one.what, one.difference
            );
        }
    }
}

/// A repository, a core developer, a stranger with a pull request, and an App.
async fn populate(forge: &Forge, hook: Option<&str>) -> World {
    let files = [
        ("README", "A small app.\n"),
        ("test.sh", "#!/bin/sh\necho ok\n"),
    ];
    forge.add_repository(REPOSITORY, &files).await;
    forge.add_user("ada", UserType::User);
    forge.add_user("mallory", UserType::User);
    forge.set_permission(REPOSITORY, "ada", Role::Write);
    forge.fork(REPOSITORY, "mallory").await;
    let head = forge
        .push(
            "mallory/app",
            "change",
            &[("README", "A small, better app.\n")],
        )
        .await;
    let pull = PullRequest {
        title: "Make it better",
        author: "mallory",
        head: "mallory:change",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(REPOSITORY, pull).await;
    if let Some(url) = hook {
        let hook = forge.add_hook(REPOSITORY, url, SECRET);
        forge.ping(hook);
    }
    let app = forge.add_app(AppOptions {
        repositories: vec![REPOSITORY.to_owned()],
        ..AppOptions::default().with("checks", "write")
    });
    World {
        number,
        head,
        core: forge.add_token("ada", TokenOptions::default()),
        app,
    }
}

/// What people read first.
fn guide(forge: &Forge, world: &World) -> String {
    let (url, token) = (forge.api_url(), &world.core);
    let World {
        number, head, app, ..
    } = world;
    format!(
        "The forge listens on {url}: {REPOSITORY} with pull request #{number} by mallory; ada may write.

  token of ada     {token}
  webhook secret   {SECRET}
  App              id {}, installation {}

Set the label, as ada:
  curl -H 'Authorization: Bearer {token}' -d '{{\"labels\":[\"test\"]}}' {url}/repos/{REPOSITORY}/issues/{number}/labels
Read the timeline:
  curl {url}/repos/{REPOSITORY}/issues/{number}/timeline
Write a status on the head:
  curl -H 'Authorization: Bearer {token}' -d '{{\"state\":\"success\",\"context\":\"try\"}}' {url}/repos/{REPOSITORY}/statuses/{head}
Fetch it:
  git clone {url}/{REPOSITORY}.git && git -C app fetch origin {head}

Requests follow as they come. Ctrl-C ends it.
",
        app.id, app.installation_id,
    )
}

/// Prints every request.
async fn follow(forge: &Forge) {
    let mut seen = 0;
    let log = forge.log();
    let mut more = log.changed();
    loop {
        let new = log.since(seen);
        for one in &new {
            let query = if one.query.is_empty() {
                String::new()
            } else {
                format!("?{}", one.query)
            };
            println!(
                "{} {} {}{query}  {:.1} ms",
                one.status,
                one.method,
                one.path,
                one.took.as_secs_f64() * 1000.0
            );
        }
        seen += new.len();
        if more.changed().await.is_err() {
            return;
        }
    }
}
