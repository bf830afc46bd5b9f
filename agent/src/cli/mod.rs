//! What the owner of a worker types.

mod text;

use std::{path::PathBuf, time::Duration};

use agent::{
    order, os,
    worker::{
        builder::Builder,
        clock,
        config::Config,
        control::{State, Wish},
        daemon, doctor,
        history::History,
        init::{self, Setup},
        install::{self, Plan},
        layout::Layout,
    },
};
use clap::{Args, Subcommand};

pub use text::Problem;
use text::{ago, date};

/// Commands of a worker's owner, and those that the agent runs itself.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key and a configuration, and print the manifest for the project's people.
    Init(Init),
    /// Run the agent until it is told to stop. SIGTERM: finishes what runs; again: stops that, too.
    Run {
        #[command(flatten)]
        at: At,
        /// Slots of the launcher that started this; it is at standard input.
        #[arg(long, hide = true, value_name = "SLOTS")]
        launched: Option<u32>,
    },
    /// Say how the agent is. Exits with 3 when it does not run.
    Status(At),
    /// Take no new builds; what runs goes on.
    Pause {
        #[command(flatten)]
        at: At,
        /// For how long: `30m`, `2h`, `1d`. Without it, until `resume`.
        #[arg(long = "for", value_name = "TIME", value_parser = text::span)]
        time: Option<Duration>,
    },
    /// Take builds again.
    Resume(At),
    /// Finish what runs, then end the agent.
    Drain(At),
    /// Say in plain words what is wrong: name, network, TLS, keys, clock, disk, git, compiler.
    ///
    /// Exits with 1 when something does not work.
    Doctor(At),
    /// List what ran here, and who asked for it.
    Logs {
        #[command(flatten)]
        at: At,
        /// How many lines, the newest last.
        #[arg(long, short = 'n', default_value_t = 30)]
        lines: usize,
    },
    /// Make the users and the service of this system, and start it. Needs root.
    Install {
        #[command(flatten)]
        at: At,
        /// Run builds as the agent's own user. Only where nothing else works: a build can then read
        /// the agent's key, and the project sends it only work that allows that.
        #[arg(long)]
        one_user: bool,
        /// Print what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop and remove the service. Configuration, key and state stay.
    Uninstall {
        /// Print what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Root's part: starts the agent as one user and builds as others.
    #[cfg(unix)]
    #[command(hide = true)]
    Launcher {
        #[command(flatten)]
        at: At,
        /// The agent's user.
        #[arg(long, value_name = "USER")]
        agent_user: String,
        /// The user of a slot's builds.
        #[arg(long, value_name = "USER", required = true)]
        build_user: Vec<String>,
    },
    /// The agent's own: fetch a commit for a build.
    #[command(hide = true)]
    Fetch {
        #[arg(long)]
        mirrors: PathBuf,
        #[arg(long)]
        dir: PathBuf,
    },
    /// The agent's own: run a build.
    #[command(hide = true)]
    Build {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        from: Option<PathBuf>,
    },
    /// The launcher's own: kill and remove all that this user has.
    #[cfg(unix)]
    #[command(hide = true)]
    Sweep {
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// Which agent.
#[derive(Args)]
pub struct At {
    /// The agent's configuration.
    #[arg(long, value_name = "FILE", default_value_os_t = os::configuration_file())]
    config: PathBuf,
}

#[derive(Args)]
pub struct Init {
    #[command(flatten)]
    at: At,
    /// The project's gateway, `https://…`.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The worker's name; the machine's own if it is not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The fingerprint that the project's people told you; it can also be written down later.
    #[arg(long, value_name = "FINGERPRINT")]
    operator: Option<String>,
    /// Who you are and how to reach you, for the manifest: `Ada Lovelace <ada@example.org>`.
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Where key, journal, mirrors, logs and builds go.
    #[arg(long, value_name = "DIR", default_value_os_t = os::state_directory())]
    state: PathBuf,
}

impl Command {
    /// Carries the command out; answers the exit code.
    pub fn run(self) -> Result<u8, Problem> {
        match self {
            Self::Init(asked) => run_init(&asked),
            Self::Run { at, launched } => run_daemon(&at, launched),
            Self::Status(at) => status(&at),
            Self::Pause { at, time } => pause(&at, time),
            Self::Resume(at) => wish(&at, &Wish::default(), "takes builds again"),
            Self::Drain(at) => drain(&at),
            Self::Doctor(at) => examine(&at),
            Self::Logs { at, lines } => logs(&at, lines),
            Self::Install {
                at,
                one_user,
                dry_run,
            } => run_install(&at, one_user, dry_run),
            Self::Uninstall { dry_run } => uninstall(dry_run),
            #[cfg(unix)]
            Self::Launcher {
                at,
                agent_user: agent,
                build_user: builds,
            } => launch(&at, &agent::worker::launcher::Users { agent, builds }),
            Self::Fetch { mirrors, dir } => order::fetch(&mirrors, &dir).map_err(Problem::own),
            Self::Build { dir, from } => order::build(&dir, from.as_deref()).map_err(Problem::own),
            #[cfg(unix)]
            Self::Sweep { dir } => agent::worker::launcher::sweep(dir.as_deref())
                .map(|()| 0)
                .map_err(Problem::own),
        }
    }
}

fn run_init(asked: &Init) -> Result<u8, Problem> {
    let name = match &asked.name {
        Some(name) => name.clone(),
        None => init::default_name().unwrap_or_default(),
    };
    let setup = Setup {
        server: asked.server.clone(),
        name: name.clone(),
        operator: asked.operator.clone(),
    };
    let made = init::init(&asked.at.config, &asked.state, &setup).map_err(|error| {
        let help = "look at the options with `prbuild-agent init --help`, or run it as root";
        Problem::new("this worker could not be set up", error.to_string(), help)
    })?;
    let file = asked.at.config.display();
    let (key, configuration) = (there(made.new_key), there(made.new_configuration));
    eprintln!("The key {key}; the configuration {configuration} in {file}.\n");
    eprintln!("1. Send this to the project's people. Nothing in it is secret:\n");
    println!(
        "{}",
        init::manifest(&name, asked.contact.as_deref(), &made.public)
    );
    eprintln!(
        "   They may ask for the key's fingerprint: {}\n",
        init::fingerprint(&made.public)
    );
    eprintln!("2. They tell you the fingerprint of the operator's keys, not over the gateway.");
    eprintln!("   Write it into `operator` in {file}, and what you allow below `[policy]`.\n");
    eprintln!("3. `prbuild-agent doctor` says what is missing; `prbuild-agent install` starts it.");
    Ok(0)
}

fn there(is_new: bool) -> &'static str {
    if is_new {
        "is new"
    } else {
        "was there and stays"
    }
}

fn load(at: &At) -> Result<Config, Problem> {
    Config::load(&at.config).map_err(|error| {
        let help = "correct it, or make one with `prbuild-agent init --server URL`";
        Problem::new("there is no usable configuration", error.to_string(), help)
    })
}

fn run_daemon(at: &At, launched: Option<u32>) -> Result<u8, Problem> {
    let mut config = load(at)?;
    let builder = match launched {
        None => Builder::Own,
        #[cfg(unix)]
        Some(slots) => {
            config.slots = config.slots.min(slots.max(1));
            let client = agent::worker::launcher::Client::of_standard_input();
            Builder::Launched(client.map_err(Problem::own)?)
        }
        #[cfg(not(unix))]
        Some(_) => Builder::Own,
    };
    config.slots = config.slots.max(1);
    daemon::run(config, builder).map_err(|error| {
        let help = "`prbuild-agent doctor`, as root or as the agent's user";
        Problem::new("the agent could not begin", error.to_string(), help)
    })?;
    Ok(0)
}

fn status(at: &At) -> Result<u8, Problem> {
    let layout = Layout::new(&load(at)?.state_dir);
    let state = State::load(&layout).map_err(Problem::file)?;
    let now = clock::own();
    let Some(state) = state.filter(|state| now - state.at < 30) else {
        println!("○ the agent does not run");
        return Ok(3);
    };
    match (&state.trouble, state.answered) {
        (Some(trouble), _) => println!("▲ not connected: {trouble}"),
        (None, 0) => println!("○ connecting"),
        (None, answered) => println!("● connected; the gateway answered {}", ago(now - answered)),
    }
    match &state.closed {
        Some(why) => println!("○ takes nothing: {why}"),
        None => println!("● takes builds"),
    }
    if !state.isolated {
        println!("▲ builds run as the agent's own user and could read its key");
    }
    for (run, how) in &state.runs {
        println!("◐ {run} {how}");
    }
    Ok(0)
}

fn pause(at: &At, time: Option<Duration>) -> Result<u8, Problem> {
    let seconds = time.map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    let until = seconds.map(|seconds| clock::own().saturating_add(seconds));
    let paused = Wish {
        paused: true,
        until,
        drain: false,
    };
    let words = match until {
        None => "takes no builds until `prbuild-agent resume`; what runs goes on".to_owned(),
        Some(until) => format!("takes no builds until {}; what runs goes on", date(until)),
    };
    wish(at, &paused, &words)
}

fn drain(at: &At) -> Result<u8, Problem> {
    let layout = Layout::new(&load(at)?.state_dir);
    let drained = Wish {
        drain: true,
        ..Wish::load(&layout)
    };
    wish(
        at,
        &drained,
        "finishes what runs and ends; a service manager may start it again",
    )
}

fn wish(at: &At, wish: &Wish, words: &str) -> Result<u8, Problem> {
    let layout = Layout::new(&load(at)?.state_dir);
    wish.save(&layout).map_err(Problem::file)?;
    println!("● the agent {words}");
    Ok(0)
}

fn examine(at: &At) -> Result<u8, Problem> {
    let mut worst = 0;
    for finding in doctor::examine(&load(at)?) {
        let mark = match finding.mark {
            doctor::Mark::Good => "●",
            doctor::Mark::Doubt => "▲",
            doctor::Mark::Bad => {
                worst = 1;
                "✕"
            }
        };
        println!("{mark} {}", finding.what);
        if let Some(help) = finding.help {
            println!("  try: {help}");
        }
    }
    Ok(worst)
}

fn logs(at: &At, lines: usize) -> Result<u8, Problem> {
    let layout = Layout::new(&load(at)?.state_dir);
    let entries = History::of(&layout).read();
    for entry in entries.iter().skip(entries.len().saturating_sub(lines)) {
        println!("{}", text::happened(entry));
    }
    Ok(0)
}

fn run_install(at: &At, one_user: bool, dry_run: bool) -> Result<u8, Problem> {
    let config = load(at)?;
    let plan = Plan {
        configuration: at.config.clone(),
        state: config.state_dir.clone(),
        slots: config.slots,
        one_user,
        dry_run,
    };
    let program = std::env::current_exe().map_err(Problem::own)?;
    if !dry_run {
        install::check(&plan, &program).map_err(|error| not_changed(&error))?;
    }
    let before = install::installed(&plan);
    let deeds = install::deeds(&plan, &program, before.as_deref());
    carry_out(&deeds, dry_run)
}

fn uninstall(dry_run: bool) -> Result<u8, Problem> {
    carry_out(&install::undeeds(), dry_run)
}

fn carry_out(deeds: &[install::Deed], dry_run: bool) -> Result<u8, Problem> {
    let mut say = |line: &str| println!("{line}");
    install::carry_out(deeds, dry_run, &mut say).map_err(|error| not_changed(&error))?;
    Ok(0)
}

fn not_changed(error: &install::InstallError) -> Problem {
    let because = error.to_string();
    Problem::new("the service could not be changed", because, error.help())
}

#[cfg(unix)]
fn launch(at: &At, users: &agent::worker::launcher::Users) -> Result<u8, Problem> {
    let config = load(at)?;
    agent::worker::launcher::run(&at.config, &config.state_dir, users).map_err(|error| {
        let help = "`prbuild-agent install`, which starts it as it should be";
        Problem::new("the launcher could not begin", error.to_string(), help)
    })
}
