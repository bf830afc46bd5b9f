//! Configurations of owners: what they allow, and mistakes in them that are named.

use super::*;

fn parse(policy: &str) -> Result<Config, String> {
    let operator = ["a1b2"; 8].join("-");
    let text = format!(
        "server = \"https://builds.example.org\"\nname = \"mac-1\"\noperator = \"{operator}\"\n\
         state_dir = \"{}\"\n{policy}",
        if cfg!(windows) {
            "C:/prbuild"
        } else {
            "/var/lib/prbuild"
        }
    );
    let config: Config = toml::from_str(&text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn an_agent_that_nobody_configured_takes_nothing() {
    let config = parse("").unwrap();
    assert!(config.policy.events.is_empty());
    assert_eq!((config.slots, config.limits), (1, Limits::default()));
}

#[test]
fn the_template_is_a_configuration_that_takes_nothing() {
    let text = include_str!("template.toml")
        .replace("@SERVER@", "https://builds.example.org")
        .replace("@NAME@", "mac-1")
        .replace("@OPERATOR@", &["0000"; 8].join("-"))
        .replace("@STATE@", "/var/lib/prbuild");
    let config: Config = toml::from_str(&text).unwrap();
    config.check().unwrap();
    assert!(config.policy.events.is_empty());
    // What stands in comments is valid too.
    let all = text
        .replace("events = []", "")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.contains(" = ") => code.to_owned() + "\n",
            _ => line.to_owned() + "\n",
        })
        .collect::<String>();
    let config: Config = toml::from_str(&all).unwrap();
    assert_eq!(config.policy.events, BTreeSet::from([Event::PullRequest]));
    assert_eq!(config.policy.evidence, Evidence::Review);
    assert_eq!(config.policy.max_build_minutes, Some(240));
    assert_eq!(config.policy.quiet_hours.len(), 1);
}

#[test]
fn a_field_that_says_what_cannot_be_is_named() {
    for (text, words) in [
        ("slots = 0", "`slots`"),
        ("polcy = 1", "unknown field `polcy`"),
        ("[policy]\nevents = [\"push\"]", "unknown variant `push`"),
        (
            "[policy]\nquiet_hours = [{ from = \"25:00\", to = \"1:00\" }]",
            "no time of day",
        ),
        (
            "[policy]\nquiet_hours = [{ from = \"20:00\", to = \"21:00\", tz = \"Mars\" }]",
            "time zone `Mars`",
        ),
        (
            "[policy]\nquiet_hours = [{ from = \"20:00\", to = \"21:00\", days = [\"mo\"] }]",
            "no day",
        ),
        ("[limits]\nmin_free_disk = \"15\"", "no size"),
        ("[limits]\nmin_free_disk = \"99999999999TiB\"", "no size"),
        ("[limits]\ngrace_seconds = 601", "`limits.grace_seconds`"),
        ("[limits]\nlog = \"1KiB\"", "`limits.log`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn a_server_is_spoken_to_in_the_clear_only_on_this_machine() {
    for (server, is_good) in [
        ("https://builds.example.org", true),
        ("https://builds.example.org:8443/", true),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080", true),
        ("http://builds.example.org", false),
        ("https://user@builds.example.org", false),
        ("https://builds.example.org/path", false),
        ("ftp://127.0.0.1", false),
        ("https://", false),
        ("builds.example.org", false),
    ] {
        assert_eq!(is_server(server), is_good, "{server}");
    }
}

#[test]
fn days_wrap_around_the_week() {
    let config = parse(
        "[policy]\nquiet_hours = [{ from = \"20:00\", to = \"21:00\", days = [\"sat-mon\", \"wed\"] }]",
    );
    let days = &config.unwrap().policy.quiet_hours[0].days;
    assert_eq!(*days, BTreeSet::from([1, 3, 6, 7]));
}
