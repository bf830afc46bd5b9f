//! Each rule of an owner.

use jiff::civil;
use protocol::worker::assignment::{Audience, Requester, RunId};

use super::*;
use crate::worker::config::Limits;

fn config(policy: &str) -> Config {
    Config {
        server: String::new(),
        name: "mac-1".into(),
        operator: String::new(),
        state_dir: std::env::temp_dir(),
        slots: 1,
        policy: toml::from_str(&format!("events = [\"pull_request\"]\n{policy}")).unwrap(),
        limits: Limits::default(),
    }
}

fn machine() -> Machine {
    Machine {
        free_disk: 100 << 30,
        load: Some(2.0),
        ..Machine::default()
    }
}

fn assignment() -> Assignment {
    Assignment {
        run: RunId::default(),
        to: Audience::Worker("mac-1".into()),
        repository: "app".into(),
        builder: "mac".into(),
        display_name: "macOS".into(),
        event: EventKind::PullRequest,
        evidence: Shown::ExactSha,
        requester: Requester {
            id: 4,
            login: "ada".into(),
        },
        work: protocol::Work {
            source: crate::testing::source("https://github.com/octo/demo", &"a".repeat(40)),
            recipe: protocol::Recipe::default(),
        },
        work_digest: String::new(),
        log_limit: 1 << 20,
        issued: 0,
        expires: 0,
    }
}

#[test]
fn each_rule_of_the_owner_keeps_the_machine_closed_and_says_so() {
    type Change = fn(&mut Machine);
    let cases: [(&str, Change, &str); 6] = [
        (
            "",
            |machine| machine.closed = Some("its owner paused it".into()),
            "its owner paused it",
        ),
        (
            "",
            |machine| machine.free_disk = 1 << 30,
            "its disk has 1.0 GiB free and its owner wants 10.0 GiB",
        ),
        (
            "max_load = 1.5",
            |_| {},
            "it is busy: a load of 2.0, and its owner allows 1.5",
        ),
        (
            "max_builds_per_day = 3",
            |machine| machine.builds_today = 3,
            "its owner allows 3 builds in 24 hours",
        ),
        (
            "",
            |machine| machine.busy = Some("another build runs".into()),
            "another build runs",
        ),
        (
            "quiet_hours = [{ from = \"00:00\", to = \"00:00\", tz = \"UTC\" }]",
            |_| {},
            "its owner wants it quiet until 00:00",
        ),
    ];
    for (policy, change, words) in cases {
        let mut machine = machine();
        assert_eq!(closed(&config(""), &machine), Ok(()));
        change(&mut machine);
        let no = closed(&config(policy), &machine).unwrap_err();
        assert!(no.reason.starts_with(words), "{policy}: {}", no.reason);
    }
}

#[test]
fn a_fresh_agent_takes_nothing_at_all() {
    let mut fresh = config("");
    fresh.policy = Policy::default();
    let no = closed(&fresh, &machine()).unwrap_err();
    assert_eq!(no.code, DeclineCode::Policy);
    assert_eq!(no.reason, "its owner has not opened it for builds yet");
    assert!(takes(&fresh.policy, &assignment()).is_err());
}

#[test]
fn what_the_owner_does_not_allow_is_declined_for_good() {
    for (policy, is_taken) in [
        ("", true),
        ("repositories = [\"Octo/Demo\"]", true),
        ("repositories = [\"octo/other\"]", false),
        ("requesters = [4]", true),
        ("requesters = [5]", false),
        ("evidence = \"exact_sha\"", true),
        ("evidence = \"review\"", false),
    ] {
        let answer = takes(&config(policy).policy, &assignment());
        assert_eq!(answer.is_ok(), is_taken, "{policy}: {answer:?}");
        if let Err(no) = answer {
            assert_eq!(no.code, DeclineCode::Policy);
        }
    }
    let mut unknown = assignment();
    unknown.event = EventKind::Unknown;
    assert!(takes(&config("").policy, &unknown).is_err());
    let mut unknown = assignment();
    unknown.evidence = Shown::Unknown;
    assert!(takes(&config("").policy, &unknown).is_err());
}

#[test]
fn an_owner_shortens_a_build_and_never_lengthens_it() {
    for (policy, run_seconds, left) in [
        ("", 7200, 7200),
        ("max_build_minutes = 60", 7200, 3600),
        ("max_build_minutes = 60", 600, 600),
    ] {
        let config = config(policy);
        let mut timeouts = protocol::Recipe::default().timeouts;
        timeouts.run_seconds = run_seconds;
        shorten(&config.policy, &mut timeouts);
        assert_eq!(timeouts.run_seconds, left, "{policy}");
    }
    let words = in_words(&config("max_build_minutes = 60"));
    assert_eq!(words, "takes pull requests for at most 60 min");
}

#[test]
fn quiet_hours_go_over_midnight_on_the_days_that_they_begin_on() {
    let hours = &config(
        "quiet_hours = [{ from = \"22:00\", to = \"08:00\", days = [\"mon-fri\"], tz = \"Europe/Paris\" }]",
    );
    let hours = &hours.policy.quiet_hours[0];
    // 2026-11-27 is a Friday; Paris is an hour ahead of UTC then.
    for (day, hour, quiet) in [
        (27, 20, false),
        (27, 21, true),
        (28, 6, true),
        (28, 7, false),
        (28, 22, false),
        (30, 3, false),
        (30, 21, true),
    ] {
        let time = civil::date(2026, 11, 1).with().day(day).build().unwrap();
        let time = time.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        assert_eq!(is_quiet(hours, time.timestamp()), quiet, "{time}");
    }
}

#[test]
fn a_run_that_another_worker_may_get_is_over_before_that_however_long_a_grace_its_owner_wants() {
    for (grace_seconds, is_pool, seconds) in [
        (30, false, 30),
        (30, true, 30),
        (600, false, 600),
        (600, true, 60),
    ] {
        let limits = Limits {
            grace_seconds,
            ..Limits::default()
        };
        assert_eq!(grace(&limits, is_pool), Duration::from_secs(seconds));
    }
}
