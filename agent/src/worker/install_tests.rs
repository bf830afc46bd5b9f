//! The services of each system, as they would be installed.

use super::*;

fn plan(one_user: bool) -> Plan {
    Plan {
        configuration: "/etc/prbuild/agent.toml".into(),
        state: "/var/lib/prbuild".into(),
        slots: 2,
        one_user,
        dry_run: false,
    }
}

#[test]
fn on_linux_agent_and_builds_are_users_of_their_own_and_root_is_the_launcher() {
    let unit = texts::systemd(&plan(false), Path::new("/usr/local/bin/prbuild-agent"));
    let start = unit
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    assert_eq!(
        start,
        "ExecStart=\"/usr/local/bin/prbuild-agent\" launcher --config \"/etc/prbuild/agent.toml\" \
         --agent-user prbuild --build-user prbuild-build-0 --build-user prbuild-build-1"
    );
    assert!(!unit.contains("User="));
    let deeds = linux(&plan(false), Path::new("/p"), None);
    let users = deeds
        .iter()
        .filter(|deed| matches!(deed, Deed::Try(words) if words[0] == "useradd"));
    assert_eq!(users.count(), 3);
}

/// Where it stands among all that is done.
fn position(deeds: &[Deed], words: &str) -> Option<usize> {
    let is_it = |deed: &Deed| match deed {
        Deed::Run(found) | Deed::Try(found) => found.join(" ") == words,
        Deed::Write(..) | Deed::Remove(_) => false,
    };
    deeds.iter().position(is_it)
}

#[test]
fn where_root_makes_directories_nobody_else_owns_what_they_are_made_in() {
    let two = linux(&plan(false), Path::new("/p"), None);
    let state = position(&two, "chown root:root /var/lib/prbuild").unwrap();
    let builds = "/var/lib/prbuild/builds";
    let builds = format!("chown -h root:root {builds} {builds}/0 {builds}/1");
    let builds = position(&two, &builds).unwrap();
    let agent = position(&two, "chown -R -h prbuild:prbuild /var/lib/prbuild/agent").unwrap();
    let begin = position(&two, "systemctl enable --now prbuild-agent.service").unwrap();
    assert!(state < builds && builds < agent && agent < begin);
    let one = linux(&plan(true), Path::new("/p"), None);
    assert!(position(&one, "chown -R -h prbuild:prbuild /var/lib/prbuild/").is_some());
}

#[test]
fn a_service_that_was_installed_in_another_way_is_ended_before_anything_is_taken_from_it() {
    let (program, stop) = (Path::new("/p"), "systemctl stop prbuild-agent.service");
    let before = texts::systemd(&plan(true), program);
    let changed = linux(&plan(false), program, Some(&before));
    assert_eq!(position(&changed, stop), Some(0));
    assert!(position(&changed, "systemctl enable --now prbuild-agent.service").is_some());
    let same = linux(&plan(true), program, Some(&before));
    assert_eq!(position(&same, stop), None, "what stays as it is goes on");
    let first = linux(&plan(true), program, None);
    assert_eq!(position(&first, stop), None);
}

#[test]
fn on_every_system_a_changed_service_is_ended_first_and_one_that_stays_may_run() {
    type Deeds = fn(&Plan, &Path, Option<&str>) -> Vec<Deed>;
    let program = Path::new("/p");
    let systems: [(Deeds, String, &str, &str); 3] = [
        (
            macos,
            texts::launchd(&plan(true), program),
            "launchctl bootout system /Library/LaunchDaemons/dev.prbuild.agent.plist",
            "launchctl bootstrap system /Library/LaunchDaemons/dev.prbuild.agent.plist",
        ),
        (
            freebsd,
            texts::rc(&plan(true), program),
            "service prbuild_agent stop",
            "service prbuild_agent start",
        ),
        (
            windows,
            texts::task(&plan(true), program),
            "schtasks /end /tn PrBuild agent",
            "schtasks /run /tn PrBuild agent",
        ),
    ];
    for (deeds, text, stop, start) in systems {
        let changed = deeds(&plan(true), program, Some("another"));
        assert_eq!(position(&changed, stop), Some(0), "{changed:?}");
        assert!(matches!(changed.last(), Some(Deed::Run(_))), "{changed:?}");
        let same = deeds(&plan(true), program, Some(&text));
        assert_eq!(position(&same, stop), None, "{same:?}");
        assert_eq!(position(&same, start), Some(same.len() - 1), "{same:?}");
    }
}

#[test]
fn on_windows_the_key_is_not_for_every_user_of_the_machine() {
    let deeds = windows(&plan(true), Path::new("/p"), None);
    let Deed::Run(words) = &deeds[0] else {
        panic!("{deeds:?}");
    };
    assert_eq!(words[..3], ["icacls", "/var/lib/prbuild", "/inheritance:r"]);
    assert!(words.contains(&"*S-1-5-19:(OI)(CI)F".to_owned()));
    let task = texts::task(&plan(true), Path::new("/p"));
    assert!(task.contains("<UserId>S-1-5-19</UserId>"), "{task}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_service_would_not_see_is_told_before_anything_is_done() {
    let good = Path::new("/usr/local/bin/prbuild-agent");
    assert!(check(&plan(false), good).is_ok());
    let error = check(&plan(false), Path::new("/home/ada/prbuild-agent")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/home/ada/prbuild-agent` is in somebody's home, and the service sees no homes"
    );
    assert!(error.help().contains("/usr/local/bin"));
    let state = "/root/state".into();
    let plan = Plan {
        state,
        ..plan(false)
    };
    assert!(check(&plan, good).is_err());
    assert!(texts::systemd(&plan, good).contains("\nProtectHome=yes\n"));
}

#[test]
fn with_one_user_nothing_is_root() {
    let unit = texts::systemd(&plan(true), Path::new("/p"));
    assert!(unit.contains("User=prbuild\nExecStart=\"/p\" run "));
}

#[test]
fn every_system_has_its_service_and_names_what_it_runs() {
    let program = Path::new("/opt/a&b/prbuild-agent");
    let plan = plan(true);
    for text in [texts::launchd(&plan, program), texts::task(&plan, program)] {
        assert!(text.contains("/opt/a&amp;b/prbuild-agent"), "{text}");
        let mut reader = quick_xml::Reader::from_str(&text);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                _ => continue,
            }
        }
    }
    let rc = texts::rc(&plan, program);
    assert!(rc.starts_with("#!/bin/sh\n") && rc.contains("'/opt/a&b/prbuild-agent' run"));
    #[cfg(unix)]
    crate::testing::run(Command::new("sh").args(["-n", "-c", &rc]));
}

#[test]
fn a_dry_run_says_all_and_does_nothing() {
    let mut said = Vec::new();
    let deeds = [
        Deed::Run(vec!["/no/such/program".into()]),
        Deed::Write("/no/such/directory/file".into(), "text".into()),
        Deed::Remove("/no/such/file".into()),
    ];
    carry_out(&deeds, true, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(said.len(), 3);
    assert!(carry_out(&deeds, false, &mut |_| ()).is_err());
}
