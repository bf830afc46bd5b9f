//! What `cargo xtask doctor` says of the parts of a cluster, and how it ends.

use std::process::{Command, Output};

use tests::parts::{self, Need};

use super::*;

/// Runs it with these variables. It makes nothing, so it is soon done.
async fn doctor(variables: &[(&'static str, PathBuf)]) -> Output {
    let mut command = Command::new(crate::beside("xtask"));
    command.arg("doctor").envs(variables.iter().cloned());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    output.unwrap().unwrap()
}

/// What it says of one part or tool: the version, and where it is from or what it is for.
fn row<'a>(said: &'a str, name: &str) -> (&'a str, &'a str) {
    let rest = said.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(' ').then(|| rest.trim_start())
    });
    let rest = rest.unwrap_or_else(|| panic!("nothing is said of {name}:\n{said}"));
    let (version, from) = rest.split_once(' ').unwrap_or((rest, ""));
    (version, from.trim_start())
}

#[tokio::test]
async fn the_doctor_lists_every_part_with_version_and_origin_and_fails_if_one_is_missing() {
    let output = doctor(&[]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let mut missing = Vec::new();
    for part in parts::ALL {
        let (version, from) = row(&said, part.name);
        assert!(!version.is_empty() && !from.is_empty(), "{}", part.name);
        match version {
            // That a check cannot be made keeps nobody from testing.
            "missing" if part.needed_for != Need::Checks => missing.push(part.name),
            "missing" => {}
            _ => {
                let known = ["KUBEBUILDER_ASSETS: ", "PATH: ", "cache: ", "to be "];
                let told = known.iter().any(|origin| from.starts_with(origin));
                assert!(told, "{}: {from}", part.name);
            }
        }
    }
    for tool in ["rustc", "cc", "go", "git"] {
        if row(&said, tool).0 == "missing" {
            missing.push(tool);
        }
    }
    if row(&said, "root").0 == "no" {
        missing.push("root");
    }
    let code = i32::from(!missing.is_empty());
    assert_eq!(output.status.code(), Some(code), "{missing:?}\n{said}");
}

#[tokio::test]
async fn a_bare_machine_is_told_what_is_missing_and_how_to_get_it_and_nothing_is_made() {
    let nothing = std::env::temp_dir().join(format!("prbuild-bare-{}", std::process::id()));
    let variables = ["PATH", "PRBUILD_CACHE", "KUBEBUILDER_ASSETS"];
    let output = doctor(&variables.map(|variable| (variable, nothing.clone()))).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let (version, remedy) = row(&said, "kube-apiserver");
    assert_eq!(version, "missing", "{said}");
    for words in [
        "there is no Go",
        "install Go",
        "or put kube-apiserver",
        "on PATH",
    ] {
        assert!(remedy.contains(words), "{remedy}");
    }
    for tool in ["rustc", "cc", "go", "git"] {
        assert_eq!(row(&said, tool).0, "missing", "{said}");
    }
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("error: something is missing"), "{error}");
    assert!(error.contains("try: "), "{error}");
    assert!(!nothing.exists(), "it only looks");
}
