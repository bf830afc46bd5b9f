//! `install` as an owner calls it, and what the service that it writes starts. This machine gets neither users nor a
//! service: it happens in a mount namespace, with a copy of `/etc` and a service manager that only takes notes.

use std::{
    fs::{self, File},
    os::unix::{fs::MetadataExt, process::CommandExt},
    process::{Command, Stdio},
};

use crate::bench::{Bench, OPEN, verdict};

/// Installs, removes and installs it again, then starts what stands in the unit, as systemd would: root directory,
/// program, and the numbers that users may get.
const INSTALL: &str = r#"
set -eu
root=$1 program=$2 first=$3 last=$4
mkdir "$root/etc" "$root/bin"
# What others change meanwhile is none of what is needed.
cp -a /etc/. "$root/etc" || true
mount --bind "$root/etc" /etc
sed -i '/^SYS_[UG]ID_/d' /etc/login.defs
for kind in UID GID; do
    printf 'SYS_%s_MIN %s\nSYS_%s_MAX %s\n' $kind "$first" $kind "$last" >>/etc/login.defs
done
mkdir -p /etc/systemd/system
printf '#!/bin/sh\necho "$@" >>"%s"\n' "$root/asked" >"$root/bin/systemctl"
chmod 755 "$root/bin/systemctl"
PATH="$root/bin:$PATH"
unit=/etc/systemd/system/prbuild-agent.service
"$program" install --config "$root/agent.toml"
"$program" uninstall
test ! -e $unit
"$program" install --config "$root/agent.toml"
eval "exec $(sed -n 's/^ExecStart=//p' $unit)"
"#;

/// Starts what `install` sets up.
fn install(bench: &mut Bench) {
    let log = File::create(bench.root.join("agent.log")).unwrap();
    // Small ones: `useradd` keeps a list as long as the largest of them.
    let first = 700_000 + std::process::id() % 100_000 * 3;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", INSTALL, "sh"])
        .arg(&bench.root)
        .arg(bench.program_for_all())
        .args([first, first + 2].map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    bench.agent = Some(command.spawn().unwrap());
}

#[test]
fn what_install_sets_up_builds_as_a_user_of_its_own() {
    let mut bench = Bench::new(OPEN);
    install(&mut bench);
    let state = bench.root.join("state");
    let script = format!(
        "id -un; cat file; if cat {}/agent/key.pem; then echo DID; fi",
        state.display()
    );
    let assignment = bench.assignment(&script);
    let completion = bench.completion(&bench.offer(&assignment));
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(verdict(&completion), "Passed", "{log}");
    assert!(log.contains("prbuild-build-0\nhello\n"), "{log}");
    assert!(!log.contains("DID"), "{log}");
    assert!(bench.gateway.has().sessions[0].isolated);
    let owner = |name: &str| state.join(name).metadata().unwrap().uid();
    assert_eq!((owner(""), owner("builds")), (0, 0));
    assert_ne!(owner("agent"), 0);
    let asked = fs::read_to_string(bench.root.join("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    let begin = ["daemon-reload", "enable --now prbuild-agent.service"];
    let end = ["disable --now prbuild-agent.service", "daemon-reload"];
    assert_eq!(asked, [begin, end, begin].concat());
}

#[test]
fn who_is_not_root_installs_nothing_and_is_told_so() {
    let bench = Bench::new(OPEN);
    let somebody = 700_000;
    let mut command = Command::new(bench.program_for_all());
    command.arg("install").arg("--config").arg(bench.config());
    let output = command.uid(somebody).gid(somebody).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("because only root can make users and services"),
        "{said}"
    );
    assert!(output.stdout.is_empty(), "nothing was begun");
}
