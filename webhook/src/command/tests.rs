//! What lines say.

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const BOTH: Prefixes<'_> = Prefixes {
    command: "/prbuild",
    pattern: "!buildbot",
};

fn said(comment: &str) -> Option<Says> {
    let comment = comment.replace("SHA", SHA);
    let found = find(&comment, BOTH);
    found.into_iter().next().map(|command| command.says)
}

fn plain(words: &[&str]) -> Vec<Word> {
    words
        .iter()
        .map(|word| Word::Plain((*word).to_owned()))
        .collect()
}

#[test]
fn every_command_is_understood() {
    let run = |sha: Option<&str>, what: &[&str]| Says::Run {
        sha: sha.map(str::to_owned),
        what: plain(what),
    };
    let quoted = vec![Word::Quoted("s390x Debian".to_owned())];
    for (line, expected) in [
        ("/prbuild run", run(None, &[])),
        ("/prbuild run SHA", run(Some(SHA), &[])),
        ("/PRBUILD RUN `SHA`", run(Some(SHA), &[])),
        ("/prbuild run SHA quick", run(Some(SHA), &["quick"])),
        ("/prbuild run quick linux", run(None, &["quick", "linux"])),
        ("/prbuild run 0123456", run(None, &["0123456"])),
        ("/prbuild rerun failed", Says::RerunFailed),
        ("/prbuild ReRun Failed", Says::RerunFailed),
        (
            "/prbuild rerun s390x Debian",
            Says::Rerun(plain(&["s390x", "Debian"])),
        ),
        (
            "/prbuild rerun \"s390x Debian\"",
            Says::Rerun(quoted.clone()),
        ),
        ("/prbuild cancel", Says::Cancel(vec![])),
        ("/prbuild cancel `s390x Debian`", Says::Cancel(quoted)),
        ("/prbuild status", Says::Status),
        ("/prbuild help", Says::Help),
        ("/prbuild help run", Says::Help),
        ("/prbuild", Says::Help),
        (
            "!buildbot ios|android",
            Says::Pattern("ios|android".to_owned()),
        ),
        ("!BuildBot  a b c ", Says::Pattern("a b c".to_owned())),
        ("!buildbot `^x$`", Says::Pattern("^x$".to_owned())),
        ("!buildbot", Says::Pattern(String::new())),
        ("!buildbot cancel", Says::Pattern("cancel".to_owned())),
    ] {
        assert_eq!(said(line), Some(expected), "{line}");
    }
    let upper = said(&format!("/prbuild run {}", SHA.to_uppercase()));
    assert_eq!(upper, Some(run(Some(SHA), &[])));
    let long = said(&format!("/prbuild run {SHA}{}", &SHA[..24]));
    assert!(matches!(long, Some(Says::Run { sha: Some(sha), .. }) if sha.len() == 64));
}

#[test]
fn other_words_are_unknown_and_what_was_meant_is_guessed() {
    for (line, expected) in [
        ("/prbuild rn", Some("run")),
        ("/prbuild re-run", Some("rerun")),
        ("/prbuild cancle", Some("cancel")),
        ("/prbuild statsu", Some("status")),
        ("/prbuild stop", Some("cancel")),
        ("/prbuild retest", Some("rerun failed")),
        ("/prbuild rerun", Some("rerun failed")),
        ("/prbuild status please", Some("status")),
        ("/prbuild SHA", Some("run <full SHA>")),
        ("/prbuild dance", None),
        ("/prbuild ???", None),
    ] {
        let expected = Says::Unknown(expected.map(str::to_owned));
        assert_eq!(said(line), Some(expected), "{line}");
    }
}

#[test]
fn what_only_looks_like_a_prefix_is_none() {
    for line in [
        "/prbuilder run",
        "prbuild run",
        "please /prbuild run",
        "!buildbots x",
        "> /prbuild run",
    ] {
        assert_eq!(said(line), None, "{line}");
    }
    let other = Prefixes {
        command: "@bot",
        pattern: "",
    };
    assert_eq!(find("@bot status", other).len(), 1);
    assert!(find("/prbuild run\n!buildbot x\n\n run", other).is_empty());
}

#[test]
fn one_word_can_begin_commands_and_regular_expressions() {
    let same = Prefixes {
        command: "!buildbot",
        pattern: "!buildbot",
    };
    let says = |line: &str| find(line, same).remove(0).says;
    assert_eq!(says("!buildbot cancel"), Says::Cancel(vec![]));
    assert_eq!(
        says("!buildbot ios|android"),
        Says::Pattern("ios|android".to_owned())
    );
    assert_eq!(says("!buildbot"), Says::Help);
}

#[test]
fn each_command_of_a_comment_has_its_place_and_there_are_at_most_five() {
    let comment = "/prbuild cancel\ntext\n/prbuild run\n\n!buildbot x\n".to_owned();
    let found = find(&comment, BOTH);
    let places: Vec<(u8, &str)> = found.iter().map(|c| (c.ordinal, c.line.as_str())).collect();
    assert_eq!(
        places,
        [
            (0, "/prbuild cancel"),
            (1, "/prbuild run"),
            (2, "!buildbot x")
        ]
    );

    let many = find(&"/prbuild status\n".repeat(9), BOTH);
    assert_eq!(many.len(), 6);
    assert_eq!(many[4].says, Says::Status);
    assert_eq!((many[5].ordinal, &many[5].says), (5, &Says::OneTooMany));
}

#[test]
fn what_is_kept_of_a_line_is_bounded() {
    let found = find(&format!("/prbuild {}", "ä".repeat(5000)), BOTH);
    assert_eq!(found[0].says, Says::Unknown(None));
    assert_eq!(found[0].line.chars().count(), 300);
}

/// Every form of every command, as the page shows it, with an example.
const FORMS: [(&str, &str); 10] = [
    ("/prbuild run", "/prbuild run"),
    ("/prbuild run <what>", "/prbuild run quick"),
    ("/prbuild run <full SHA>", "/prbuild run SHA"),
    ("/prbuild rerun failed", "/prbuild rerun failed"),
    ("/prbuild rerun <builder>", "/prbuild rerun linux"),
    ("/prbuild cancel", "/prbuild cancel"),
    ("/prbuild cancel <builder>", "/prbuild cancel linux"),
    ("/prbuild status", "/prbuild status"),
    ("/prbuild help", "/prbuild help"),
    ("!buildbot <regex>", "!buildbot ios|android"),
];

/// The form that stands for what a command says; here the compiler asks for a new one.
fn form(says: &Says) -> Option<&'static str> {
    Some(match says {
        Says::Run { sha: Some(_), .. } => "/prbuild run <full SHA>",
        Says::Run { sha: None, what } if what.is_empty() => "/prbuild run",
        Says::Run { .. } => "/prbuild run <what>",
        Says::Pattern(_) => "!buildbot <regex>",
        Says::RerunFailed => "/prbuild rerun failed",
        Says::Rerun(_) => "/prbuild rerun <builder>",
        Says::Cancel(words) if words.is_empty() => "/prbuild cancel",
        Says::Cancel(_) => "/prbuild cancel <builder>",
        Says::Status => "/prbuild status",
        Says::Help => "/prbuild help",
        Says::Unknown(_) | Says::OneTooMany => return None,
    })
}

#[test]
fn the_page_of_commands_shows_every_command_and_button() {
    let page = include_str!("../../../docs/commands.md");
    for (shown, example) in FORMS {
        assert!(
            page.contains(&format!("| `{shown}` |")),
            "{shown} is not in docs/commands.md"
        );
        let says = said(example).expect(example);
        assert_eq!(form(&says), Some(shown), "{example}");
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `/prbuild") || line.starts_with("| `!"));
    assert_eq!(
        rows.count(),
        FORMS.len(),
        "docs/commands.md shows a command that does not exist"
    );
    for verb in VERBS {
        assert!(
            FORMS
                .iter()
                .any(|(shown, _)| shown.contains(&format!("/prbuild {verb}")))
        );
    }
    for button in crate::event::Button::ALL {
        let row = match button.identifier() {
            Some(identifier) => format!("| `{identifier}` |"),
            None => format!("| {} | GitHub's own |", button.label()),
        };
        assert!(page.contains(&row), "{row} is not in docs/commands.md");
    }
    for number in [
        format!("At most {} characters", crate::resolve::LONGEST_PATTERN),
        format!("more than {} builders", crate::resolve::MOST),
        format!("of at most {} KB", LONGEST >> 10),
        format!(
            "The second command of a comment adds {} to the id, the third {}",
            crds::names::command_event(0, 1),
            crds::names::command_event(0, 2)
        ),
    ] {
        assert!(page.contains(&number), "{number}");
    }
    assert_eq!(MOST, 5, "docs/commands.md says five");
}

#[test]
fn a_comment_that_is_longer_than_githubs_says_nothing() {
    let padded = |text: usize| format!("{}\n\n/prbuild run\n", "a ".repeat(text / 2));
    let prefixes = || Prefixes {
        command: "/prbuild",
        pattern: "",
    };
    assert_eq!(find(&padded(60_000), prefixes()).len(), 1);
    assert_eq!(find(&padded(70_000), prefixes()).len(), 0);
    assert_eq!(
        find("/PrBuild run", prefixes()).len(),
        1,
        "in whatever case"
    );
}
