//! What a step sees in its environment. Pure.
//!
//! From weak to strong: the image's own variables, `CI` and `HOME`, what steps before wrote to
//! `GITHUB_ENV`, the step's `env`, and the facts (`GITHUB_*`, `RUNNER_*`), which nobody overrides, as
//! on GitHub Actions. `GITHUB_ACTIONS` is not set: this is not GitHub Actions, and tools that see it
//! print its workflow commands.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use protocol::{Source, is_reserved_variable};

use crate::{os, places::Places};

/// Environment variables by name.
pub type Vars = BTreeMap<OsString, OsString>;

/// Bytes of all variables and search paths that steps may hand to later steps. Linux refuses to
/// start a program with about 2 MiB of them.
pub const HANDED_ON_LIMIT: usize = 1 << 20;

/// Bytes of one variable with its name: Linux starts no program with one of 128 KiB.
pub const VAR_LIMIT: usize = 120 << 10;

/// What steps hand to the steps after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedOn {
    /// From `GITHUB_ENV`.
    pub vars: BTreeMap<String, String>,
    /// From `GITHUB_PATH`, the first searched last.
    pub path: Vec<String>,
}

impl HandedOn {
    /// Whether it says where programs are looked for, shells as well.
    pub fn has_path(&self) -> bool {
        !self.path.is_empty() || self.vars.contains_key("PATH")
    }

    /// Bytes of it.
    pub fn size(&self) -> usize {
        let vars = self
            .vars
            .iter()
            .map(|(name, value)| name.len() + value.len());
        vars.chain(self.path.iter().map(String::len)).sum()
    }
}

/// The image's own variables: what the executor was started with, less what is meant for itself and
/// what Kubernetes adds about its services.
pub fn of_image(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vars {
    all.into_iter()
        .filter(|(name, value)| {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            !is_reserved_variable(&name) && !is_of_kubernetes(&name, &value)
        })
        .collect()
}

/// The variables of <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>,
/// and of the links of Docker that they imitate: `X_SERVICE_HOST`, `X_SERVICE_PORT[_NAME]`, `X_PORT`,
/// `X_PORT_1_TCP[_ADDR|_PORT|_PROTO]`.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_port_link = name.ends_with("_PORT") && value.contains("://");
    let is_port_detail = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"]
            .iter()
            .any(|protocol| rest.starts_with(protocol))
    });
    name.starts_with("KUBERNETES_")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || is_port_link
        || is_port_detail
}

/// The facts of a run, the same for all its steps.
pub fn facts(source: &Source, places: &Places) -> Vars {
    let kind = if source.parents.is_empty() {
        "head"
    } else {
        "merge"
    };
    let reference = format!("refs/pull/{}/{kind}", source.pull_request);
    let pairs: [(&str, &OsStr); 9] = [
        ("GITHUB_BASE_REF", source.base_ref.as_ref()),
        ("GITHUB_EVENT_NAME", "pull_request".as_ref()),
        ("GITHUB_REF", reference.as_ref()),
        ("GITHUB_REPOSITORY", source.repository.as_ref()),
        ("GITHUB_SHA", source.commit.as_ref()),
        ("GITHUB_WORKSPACE", places.workspace.as_os_str()),
        ("RUNNER_ARCH", runner_arch(std::env::consts::ARCH).as_ref()),
        ("RUNNER_OS", os::RUNNER_OS.as_ref()),
        ("RUNNER_TEMP", places.temp.as_os_str()),
    ];
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// GitHub's names where it has one, else the processor's name in capitals.
fn runner_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "X64",
        "x86" => "X86",
        "aarch64" => "ARM64",
        "arm" => "ARM",
        "s390x" => "S390X",
        "powerpc64" => "PPC64",
        "riscv64" => "RISCV64",
        other => other,
    }
}

/// All that one step sees.
pub fn of_step(
    image: &Vars,
    home: &Path,
    handed_on: &HandedOn,
    step: &BTreeMap<String, String>,
    facts: &Vars,
    files: &[(&str, PathBuf)],
) -> Vars {
    let mut vars = image.clone();
    vars.entry("PATH".into()).or_insert(os::DEFAULT_PATH.into());
    vars.insert("CI".into(), "true".into());
    vars.insert("HOME".into(), home.into());
    vars.extend(
        handed_on
            .vars
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    let own = step.iter().filter(|(name, _)| !is_reserved_variable(name));
    vars.extend(own.map(|(name, value)| (name.into(), value.into())));
    vars.extend(facts.clone());
    vars.extend(files.iter().map(|(name, file)| (name.into(), file.into())));
    let path = vars.remove(OsStr::new("PATH")).unwrap_or_default();
    vars.insert("PATH".into(), search_path(&handed_on.path, path));
    vars
}

/// The added directories, the last one first, before the rest. One that cannot be in a search path
/// (it has the separator in it) was refused when it was read; one that became too long is not
/// added to.
fn search_path(added: &[String], rest: OsString) -> OsString {
    let added = added.iter().rev().map(PathBuf::from);
    let all = added.chain(std::env::split_paths(&rest));
    let joined = std::env::join_paths(all).ok();
    joined
        .filter(|path| path.len() <= VAR_LIMIT)
        .unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    fn step_vars(image: &Vars, handed_on: &HandedOn, step: &BTreeMap<String, String>) -> Vars {
        let places = Places {
            workspace: "/build/src".into(),
            temp: "/build/tmp".into(),
            home: "/build/home".into(),
        };
        let facts = facts(
            &testing::source("http://127.0.0.1/a/b.git", &"a".repeat(40)),
            &places,
        );
        let files = [("GITHUB_ENV", PathBuf::from("/build/tmp/env"))];
        of_step(image, &places.home, handed_on, step, &facts, &files)
    }

    #[test]
    fn nothing_of_the_executor_or_of_kubernetes_reaches_a_step() {
        for (name, value) in [
            ("PRBUILD_WORK", "{}"),
            ("KUBERNETES_PORT", "tcp://10.0.0.1:443"),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("WEB_SERVICE_HOST", "10.0.0.2"),
            ("WEB_SERVICE_PORT", "80"),
            ("WEB_SERVICE_PORT_HTTPS", "443"),
            ("WEB_PORT", "tcp://10.0.0.2:80"),
            ("WEB_PORT_80_TCP", "tcp://10.0.0.2:80"),
            ("DNS_PORT_53_UDP_ADDR", "10.0.0.3"),
            ("GITHUB_TOKEN", "x"),
            ("GITHUB_ACTIONS", "true"),
            ("RUNNER_NAME", "x"),
        ] {
            assert!(of_image([(name.into(), value.into())]).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_variables_of_the_image_do() {
        for name in [
            "PATH",
            "LANG",
            "PGPORT",
            "DISPLAY_PORT",
            "MY_PORT_NAME",
            "JAVA_HOME",
        ] {
            assert_eq!(of_image([(name.into(), "8080".into())]).len(), 1, "{name}");
        }
    }

    #[test]
    fn the_step_beats_the_steps_before_it_and_they_beat_the_image() {
        let image = vars(&[
            ("A", "image"),
            ("B", "image"),
            ("C", "image"),
            ("HOME", "/root"),
        ]);
        let handed_on = HandedOn {
            vars: strings(&[("B", "before"), ("C", "before"), ("CI", "1")]),
            path: vec![],
        };
        let seen = step_vars(&image, &handed_on, &strings(&[("C", "step")]));
        let get = |name: &str| seen[OsStr::new(name)].to_str().unwrap();
        assert_eq!((get("A"), get("B"), get("C")), ("image", "before", "step"));
        assert_eq!((get("CI"), get("HOME")), ("1", "/build/home"));
    }

    #[test]
    fn nobody_overrides_the_facts() {
        let step = strings(&[
            ("GITHUB_SHA", "0"),
            ("RUNNER_OS", "DOS"),
            ("GITHUB_ACTIONS", "true"),
        ]);
        let seen = step_vars(&Vars::new(), &HandedOn::default(), &step);
        let get = |name: &str| seen.get(OsStr::new(name)).and_then(|value| value.to_str());
        assert_eq!(get("GITHUB_SHA"), Some("a".repeat(40).as_str()));
        assert_eq!(get("RUNNER_OS"), Some("Linux"));
        assert_eq!(get("GITHUB_ACTIONS"), None);
        assert_eq!(get("CI"), Some("true"));
        assert_eq!(get("GITHUB_REPOSITORY"), Some("octo/demo"));
        assert_eq!(get("GITHUB_REF"), Some("refs/pull/7/head"));
        assert_eq!(get("GITHUB_EVENT_NAME"), Some("pull_request"));
        assert_eq!(get("GITHUB_WORKSPACE"), Some("/build/src"));
        assert_eq!(get("GITHUB_ENV"), Some("/build/tmp/env"));
    }

    #[test]
    fn added_directories_are_searched_first_and_the_last_one_before_all() {
        let handed_on = HandedOn {
            vars: BTreeMap::new(),
            path: vec!["/one".into(), "/two".into()],
        };
        let seen = step_vars(&vars(&[("PATH", "/bin")]), &handed_on, &BTreeMap::new());
        assert_eq!(seen[OsStr::new("PATH")], "/two:/one:/bin");
        let seen = step_vars(&Vars::new(), &HandedOn::default(), &BTreeMap::new());
        assert_eq!(seen[OsStr::new("PATH")], os::DEFAULT_PATH);
    }
}
