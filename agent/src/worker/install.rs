//! `install` and `uninstall`: the service of this system, and on Linux the users.

mod texts;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::layout::Layout;
use crate::os;

/// How the agent is installed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The agent's configuration.
    pub configuration: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// Builds at a time.
    pub slots: u32,
    /// Builds run as the agent's own user: only where nothing else works.
    pub one_user: bool,
    /// Nothing is changed; what would be is printed.
    pub dry_run: bool,
}

/// Why it is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It needs root.
    #[error("only root can make users and services")]
    NotRoot,
    /// The service would not see it.
    #[error("`{}` is in somebody's home, and the service sees no homes", .0.display())]
    AtHome(PathBuf),
    /// A program of the system failed.
    #[error("`{command}` failed: {words}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        words: String,
    },
    /// A file.
    #[error("`{}` could not be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl InstallError {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::AtHome(_) => {
                "put the program into /usr/local/bin; configuration and state go where `init` puts them without --config and --state"
            }
            Self::NotRoot | Self::Command { .. } | Self::File { .. } => {
                "run it as root (an administrator), or see it with --dry-run and do it by hand"
            }
        }
    }
}

/// Where systemd's `ProtectHome` leaves nothing to be seen.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Whether the service would find what it is to run. Pure.
pub fn check(plan: &Plan, program: &Path) -> Result<(), InstallError> {
    let needed: [&Path; 3] = [program, &plan.configuration, &plan.state];
    let is_at_home = |path: &Path| HOMES.iter().any(|home| path.starts_with(home));
    match needed.into_iter().find(|path| is_at_home(path)) {
        Some(path) if std::env::consts::OS == "linux" => Err(InstallError::AtHome(path.into())),
        _ => Ok(()),
    }
}

/// The agent's user.
pub const AGENT: &str = "prbuild";

/// What Windows' scheduler calls the agent.
const TASK: &str = "PrBuild agent";

/// The user of a slot's builds.
pub fn build_user(slot: u32) -> String {
    format!("prbuild-build-{slot}")
}

/// One thing that installing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Runs a program of the system.
    Run(Vec<String>),
    /// As above, where it may fail because it is done already.
    Try(Vec<String>),
    /// Writes a file.
    Write(PathBuf, String),
    /// Removes a file.
    Remove(PathBuf),
}

/// The service as it is installed now; none where it is not.
pub fn installed(plan: &Plan) -> Option<String> {
    let file = match std::env::consts::OS {
        "linux" => PathBuf::from(texts::UNIT),
        "macos" => PathBuf::from(texts::PLIST),
        "windows" => task_file(plan),
        _ => PathBuf::from(texts::RC),
    };
    fs::read_to_string(file).ok()
}

/// What installing does on this system, in order, where the service is what `before` says. Pure.
pub fn deeds(plan: &Plan, program: &Path, before: Option<&str>) -> Vec<Deed> {
    match std::env::consts::OS {
        "linux" => linux(plan, program, before),
        "macos" => macos(plan, program, before),
        "windows" => windows(plan, program, before),
        _ => freebsd(plan, program, before),
    }
}

/// Ends a service that was installed in another way and may run, before anything is taken from under it: what is
/// started below is then what was asked for. One that stays as it is goes on.
fn end(before: Option<&str>, text: &str, words: &[&str]) -> Option<Deed> {
    before
        .is_some_and(|before| before != text)
        .then(|| attempt(words))
}

fn linux(plan: &Plan, program: &Path, before: Option<&str>) -> Vec<Deed> {
    let text = texts::systemd(plan, program);
    let stop = ["systemctl", "stop", "prbuild-agent.service"];
    let mut deeds: Vec<Deed> = end(before, &text, &stop).into_iter().collect();
    deeds.push(user(AGENT));
    if !plan.one_user {
        deeds.extend((0..plan.slots).map(|slot| user(&build_user(slot))));
    }
    deeds.extend(owners(plan));
    deeds.extend([
        Deed::Write(PathBuf::from(texts::UNIT), text),
        run(&["systemctl", "daemon-reload"]),
        run(&["systemctl", "enable", "--now", "prbuild-agent.service"]),
    ]);
    deeds
}

/// Whose the state directory is, also where it was installed in the other way before: the launcher makes
/// directories in it as root, so with users of their own it belongs to nobody else.
fn owners(plan: &Plan) -> Vec<Deed> {
    let layout = Layout::new(&plan.state);
    let text = |path: &Path| path.display().to_string();
    let (state, agent) = (text(&plan.state), text(&layout.agent()));
    let owner = format!("{AGENT}:{AGENT}");
    if plan.one_user {
        return vec![
            run(&["chmod", "0755", &state]),
            // Also where a link leads to it.
            run(&["chown", "-R", "-h", &owner, &format!("{state}/")]),
        ];
    }
    let builds = layout.builds();
    let slots = (0..plan.slots).map(|slot| text(&builds.join(slot.to_string())));
    let mut roots = ["chown", "-h", "root:root"].map(str::to_owned).to_vec();
    roots.push(text(&builds));
    roots.extend(slots);
    vec![
        run(&["chown", "root:root", &state]),
        run(&["chmod", "0755", &state]),
        // There is none before the first start.
        Deed::Try(roots),
        run(&["chown", "-R", "-h", &owner, &agent]),
    ]
}

fn macos(plan: &Plan, program: &Path, before: Option<&str>) -> Vec<Deed> {
    let text = texts::launchd(plan, program);
    let stays = before == Some(text.as_str());
    let stop = ["launchctl", "bootout", "system", texts::PLIST];
    let mut deeds: Vec<Deed> = end(before, &text, &stop).into_iter().collect();
    deeds.extend([
        attempt(&["sysadminctl", "-addUser", AGENT, "-shell", "/usr/bin/false"]),
        owned(plan),
        Deed::Write(PathBuf::from(texts::PLIST), text),
        start(stays, &["launchctl", "bootstrap", "system", texts::PLIST]),
    ]);
    deeds
}

/// Where its description for Windows' scheduler lies.
fn task_file(plan: &Plan) -> PathBuf {
    plan.state.join("task.xml")
}

fn windows(plan: &Plan, program: &Path, before: Option<&str>) -> Vec<Deed> {
    let (file, text) = (task_file(plan), texts::task(plan, program));
    let stop = ["schtasks", "/end", "/tn", TASK];
    let (state, name) = (plan.state.display().to_string(), file.display().to_string());
    let create: [&str; 7] = ["schtasks", "/create", "/f", "/tn", TASK, "/xml", &name];
    let mut deeds: Vec<Deed> = end(before, &text, &stop).into_iter().collect();
    deeds.extend([
        // Else every user of the machine reads the key: the agent's user, the system and administrators.
        run(&[
            "icacls",
            &state,
            "/inheritance:r",
            "/grant:r",
            "*S-1-5-19:(OI)(CI)F",
            "*S-1-5-18:(OI)(CI)F",
            "*S-1-5-32-544:(OI)(CI)F",
        ]),
        Deed::Write(file, text),
        run(&create),
        run(&["schtasks", "/run", "/tn", TASK]),
    ]);
    deeds
}

fn freebsd(plan: &Plan, program: &Path, before: Option<&str>) -> Vec<Deed> {
    let text = texts::rc(plan, program);
    let stays = before == Some(text.as_str());
    let stop = ["service", "prbuild_agent", "stop"];
    let mut deeds: Vec<Deed> = end(before, &text, &stop).into_iter().collect();
    deeds.extend([
        attempt(&[
            "pw",
            "useradd",
            AGENT,
            "-d",
            "/nonexistent",
            "-s",
            "/usr/sbin/nologin",
        ]),
        owned(plan),
        Deed::Write(PathBuf::from(texts::RC), text),
        run(&["chmod", "0555", texts::RC]),
        run(&["sysrc", "prbuild_agent_enable=YES"]),
        start(stays, &["service", "prbuild_agent", "start"]),
    ]);
    deeds
}

/// Starts the service. One that stays as it is may run already, which these systems call a failure.
fn start(stays: bool, words: &[&str]) -> Deed {
    match stays {
        true => attempt(words),
        false => run(words),
    }
}

/// What removing does. Users, configuration and state stay: they may hold what their owner wants.
pub fn undeeds() -> Vec<Deed> {
    match std::env::consts::OS {
        "linux" => vec![
            attempt(&["systemctl", "disable", "--now", "prbuild-agent.service"]),
            Deed::Remove(PathBuf::from(texts::UNIT)),
            attempt(&["systemctl", "daemon-reload"]),
        ],
        "macos" => vec![
            attempt(&["launchctl", "bootout", "system", texts::PLIST]),
            Deed::Remove(PathBuf::from(texts::PLIST)),
        ],
        "windows" => vec![
            attempt(&["schtasks", "/end", "/tn", TASK]),
            attempt(&["schtasks", "/delete", "/f", "/tn", TASK]),
        ],
        _ => vec![
            attempt(&["service", "prbuild_agent", "stop"]),
            Deed::Remove(PathBuf::from(texts::RC)),
            attempt(&["sysrc", "-x", "prbuild_agent_enable"]),
        ],
    }
}

/// The state directory becomes the agent's.
fn owned(plan: &Plan) -> Deed {
    run(&[
        "chown",
        "-R",
        "-h",
        AGENT,
        &plan.state.display().to_string(),
    ])
}

fn user(name: &str) -> Deed {
    attempt(&[
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
        name,
    ])
}

fn run(words: &[&str]) -> Deed {
    Deed::Run(words.iter().map(|word| (*word).to_owned()).collect())
}

fn attempt(words: &[&str]) -> Deed {
    Deed::Try(words.iter().map(|word| (*word).to_owned()).collect())
}

/// Does it all, and says each thing.
pub fn carry_out(
    deeds: &[Deed],
    dry_run: bool,
    say: &mut dyn FnMut(&str),
) -> Result<(), InstallError> {
    if !dry_run && !os::may_administer() {
        return Err(InstallError::NotRoot);
    }
    for deed in deeds {
        match deed {
            Deed::Run(words) | Deed::Try(words) => say(&words.join(" ")),
            Deed::Write(path, text) if dry_run => {
                say(&format!("write {}:\n{text}", path.display()))
            }
            Deed::Write(path, _) => say(&format!("write {}", path.display())),
            Deed::Remove(path) => say(&format!("remove {}", path.display())),
        }
        if !dry_run {
            one(deed)?;
        }
    }
    Ok(())
}

fn one(deed: &Deed) -> Result<(), InstallError> {
    match deed {
        Deed::Run(words) => program(words),
        // It is done already, or the next deed says what is wrong.
        Deed::Try(words) => {
            let _ = program(words);
            Ok(())
        }
        Deed::Write(path, text) => {
            let written = fs::write(path, text);
            let path = path.clone();
            written.map_err(|source| InstallError::File { path, source })
        }
        Deed::Remove(path) => match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = path.clone();
                Err(InstallError::File { path, source })
            }
            _ => Ok(()),
        },
    }
}

fn program(words: &[String]) -> Result<(), InstallError> {
    let failed = |said: String| InstallError::Command {
        command: words.join(" "),
        words: said,
    };
    let (program, arguments) = words.split_first().ok_or_else(|| failed(String::new()))?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
