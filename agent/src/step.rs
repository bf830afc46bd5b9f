//! One step made ready: its script, its shell, its files.

use std::{
    collections::hash_map::RandomState,
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher, Hasher},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::Command,
};

use protocol::{Shell, Step, log::SUMMARY_LIMIT};

use crate::{
    env::{HandedOn, Vars},
    envfile::{self, FILE_LIMIT, FileError},
    os,
};

/// Why the executor cannot begin a step.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The image lacks what runs the script.
    #[error("the image has no `{0}` to run the step with")]
    NoShell(&'static str),
    /// The script or the step's files could not be written.
    #[error("the step's files could not be written: {0}")]
    Files(#[from] io::Error),
}

/// What belongs to one step in `RUNNER_TEMP`: its script, and the files that it may write to.
#[derive(Debug)]
pub struct StepFiles {
    directory: PathBuf,
}

/// The variables that name the files, and the files. Nothing reads outputs, but scripts that are
/// shared with GitHub Actions write them; the summary becomes a mark of the log.
const FILES: [(&str, &str); 4] = [
    ("GITHUB_ENV", "env"),
    ("GITHUB_PATH", "path"),
    ("GITHUB_OUTPUT", "output"),
    ("GITHUB_STEP_SUMMARY", "summary"),
];

impl StepFiles {
    /// Makes the files, empty, in a directory that no step before could foresee.
    pub fn new(temp: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(temp)?;
        let directory = loop {
            let random = RandomState::new().build_hasher().finish();
            let directory = temp.join(format!("_step_{random:016x}"));
            match std::fs::create_dir(&directory) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => break made.map(|()| directory)?,
            }
        };
        for (_, name) in FILES {
            File::create_new(directory.join(name))?;
        }
        Ok(Self { directory })
    }

    /// The variables that tell the step where its files are.
    pub fn vars(&self) -> Vec<(&'static str, PathBuf)> {
        FILES
            .iter()
            .map(|(var, name)| (*var, self.directory.join(name)))
            .collect()
    }

    /// Takes what the step hands on to later steps; answers what was not taken, in lines for the log.
    /// Nothing of the step is alive any more, so nothing changes under our eyes.
    pub fn take(&self, to: &mut HandedOn) -> Vec<String> {
        let mut lines = Vec::new();
        type Add = fn(&[u8], &mut HandedOn) -> Result<Vec<String>, FileError>;
        let kinds: [(&str, &str, Add); 2] = [
            ("GITHUB_ENV", "env", envfile::add_vars),
            ("GITHUB_PATH", "path", envfile::add_path),
        ];
        for (var, name, add) in kinds {
            let added = self
                .read(name)
                .and_then(|content| add(&content, to).map_err(|e| e.to_string()));
            match added {
                Ok(left_out) => lines.extend(left_out.iter().map(|why| format!("{var}: {why}"))),
                Err(why) => lines.push(format!("{var} is not taken: {why}")),
            }
        }
        lines
    }

    /// The step's summary, empty where it wrote none, cut at [`SUMMARY_LIMIT`]; or a line for the log
    /// that says why it is not taken.
    pub fn summary(&self) -> Result<String, String> {
        let content = self.read("summary");
        let content = content.map_err(|why| format!("GITHUB_STEP_SUMMARY is not taken: {why}"))?;
        let mut text = String::from_utf8_lossy(&content).into_owned();
        protocol::truncate(&mut text, SUMMARY_LIMIT);
        Ok(text)
    }

    /// Reads one of the files, if it still is what was made.
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        if self.directory.canonicalize().ok().as_ref() != Some(&self.directory) {
            return Err("its directory was removed or replaced".into());
        }
        let unreadable = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => "the file was removed".to_owned(),
            _ => format!("it is not a plain file ({error})"),
        };
        let file = os::open_regular(&self.directory.join(name)).map_err(unreadable)?;
        let mut content = Vec::new();
        file.take(FILE_LIMIT + 1)
            .read_to_end(&mut content)
            .map_err(unreadable)?;
        if content.len() as u64 > FILE_LIMIT {
            return Err("it is longer than 1 MiB".into());
        }
        Ok(content)
    }

    fn script(&self, step: &Step, extension: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(format!("script.{extension}"));
        let mut file = File::create_new(&path)?;
        file.write_all(step.run.as_bytes())?;
        file.write_all(b"\n")?;
        Ok(path)
    }
}

impl Drop for StepFiles {
    fn drop(&mut self) {
        // Links in it are removed, not followed. What stays goes with the run's directories.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The command of a step.
pub fn command(
    step: &Step,
    files: &StepFiles,
    directory: &Path,
    vars: &Vars,
    image: &Vars,
) -> Result<Command, StepError> {
    let path = OsStr::new("PATH");
    let mut paths: Vec<&OsStr> = Vec::new();
    paths.extend(vars.get(path).map(|value| value.as_os_str()));
    // A step may have set PATH to nothing; the image's shells are still there.
    paths.extend(image.get(path).map(|value| value.as_os_str()));
    paths.push(OsStr::new(os::DEFAULT_PATH));
    let find = |name: &str| paths.iter().find_map(|path| os::find_program(name, path));
    let (program, arguments, extension) = shell(step.shell, find)?;
    let mut command = Command::new(program);
    command.args(arguments).arg(files.script(step, extension)?);
    command.env_clear().envs(vars).current_dir(directory);
    Ok(command)
}

/// What runs a script, with its arguments and the script's extension, as
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell>.
fn shell(
    asked: Option<Shell>,
    find: impl Fn(&str) -> Option<PathBuf>,
) -> Result<(PathBuf, &'static [&'static str], &'static str), StepError> {
    let strict: &[&str] = &["--noprofile", "--norc", "-eo", "pipefail"];
    let (programs, extension): (&[(&'static str, &[&str])], _) = match asked {
        None => (&[("bash", &["-e"]), ("sh", &["-e"])], "sh"),
        Some(Shell::Bash) => (&[("bash", strict)], "sh"),
        Some(Shell::Sh) => (&[("sh", &["-e"])], "sh"),
        Some(Shell::Python) => (&[("python", &[]), ("python3", &[])], "py"),
    };
    programs
        .iter()
        .find_map(|(name, arguments)| Some((find(name)?, *arguments, extension)))
        .ok_or(StepError::NoShell(
            programs.last().map_or("sh", |(name, _)| *name),
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_script_is_run_as_github_actions_runs_it() {
        let strict = ["--noprofile", "--norc", "-eo", "pipefail"].as_slice();
        for (asked, there, expected) in [
            (None, &["bash", "sh"][..], Some(("bash", &["-e"][..]))),
            (None, &["sh"], Some(("sh", &["-e"]))),
            (None, &[], None),
            (Some(Shell::Bash), &["bash", "sh"], Some(("bash", strict))),
            (Some(Shell::Bash), &["sh"], None),
            (Some(Shell::Sh), &["bash", "sh"], Some(("sh", &["-e"]))),
            (
                Some(Shell::Python),
                &["python3", "python"],
                Some(("python", &[])),
            ),
            (Some(Shell::Python), &["python3"], Some(("python3", &[]))),
            (Some(Shell::Python), &["sh"], None),
        ] {
            let find = |name: &str| there.contains(&name).then(|| PathBuf::from(name));
            let found = shell(asked, find).ok();
            let found = found
                .as_ref()
                .map(|(path, arguments, _)| (path.to_str().unwrap(), *arguments));
            assert_eq!(found, expected, "{asked:?} {there:?}");
        }
    }

    /// What is taken from files that a step prepared so.
    fn taken(prepare: impl Fn(&Path, &Path)) -> (HandedOn, Vec<String>) {
        let scratch = Scratch::new();
        let secret = scratch.path("secret");
        std::fs::write(&secret, "A=secret\n").unwrap();
        let files = StepFiles::new(scratch.root()).unwrap();
        prepare(&files.directory.join("env"), &secret);
        let mut to = HandedOn::default();
        let lines = files.take(&mut to);
        (to, lines)
    }

    #[test]
    fn what_a_step_wrote_is_taken() {
        let (to, lines) = taken(|env, _| std::fs::write(env, "A=1\nGITHUB_SHA=0\n").unwrap());
        assert_eq!(to.vars.get("A").map(String::as_str), Some("1"));
        assert_eq!(
            lines,
            ["GITHUB_ENV: variable `GITHUB_SHA` is not set: the name is reserved"]
        );
    }

    #[test]
    fn links_pipes_devices_and_floods_are_left_alone_and_said() {
        let remove = |path: &Path| std::fs::remove_file(path).unwrap();
        type Attack = Box<dyn Fn(&Path, &Path)>;
        let attacks: [(&str, Attack); 7] = [
            (
                "link",
                Box::new(move |env, secret| {
                    remove(env);
                    std::os::unix::fs::symlink(secret, env).unwrap();
                }),
            ),
            (
                "device",
                Box::new(move |env, _| {
                    remove(env);
                    std::os::unix::fs::symlink("/dev/zero", env).unwrap();
                }),
            ),
            (
                "pipe",
                Box::new(move |env, _| {
                    remove(env);
                    crate::testing::run(Command::new("mkfifo").arg(env));
                }),
            ),
            (
                "directory",
                Box::new(move |env, _| {
                    remove(env);
                    std::fs::create_dir(env).unwrap();
                }),
            ),
            ("removed", Box::new(move |env, _| remove(env))),
            (
                "flood",
                Box::new(|env, _| {
                    std::fs::write(env, "A=1\n".repeat(1 << 19)).unwrap();
                }),
            ),
            (
                "directory replaced",
                Box::new(|env, secret| {
                    let directory = env.parent().unwrap();
                    std::fs::remove_dir_all(directory).unwrap();
                    std::fs::rename(secret, secret.with_file_name("env")).unwrap();
                    std::os::unix::fs::symlink(secret.parent().unwrap(), directory).unwrap();
                }),
            ),
        ];
        for (name, attack) in attacks {
            let (to, lines) = taken(attack);
            assert_eq!(to, HandedOn::default(), "{name}");
            assert!(
                lines[0].starts_with("GITHUB_ENV is not taken: "),
                "{name}: {lines:?}"
            );
        }
    }
}
