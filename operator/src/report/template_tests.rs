//! Templates: what they may name, what comes of it, and what foreign text can never become.

use crds::{Cancel, LeftOut, Preset, RunPhase, TriggerKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pulldown_cmark::{Event, Options, Parser};
use regex::Regex;

use super::super::{
    comment::{
        CommentFacts, render,
        tests::{builder, facts},
    },
    text::{code, inert, plain},
};
use super::*;

fn with(announcement: &str) -> Wording {
    Wording {
        announcement: Some(announcement.to_owned()),
        ..Wording::default()
    }
}

fn small(announcement: &str) -> CommentFacts {
    let mut small = facts(vec![
        builder("s390x Debian", RunPhase::Failed, "step `test`"),
        builder("ARM64 Windows", RunPhase::Succeeded, ""),
    ]);
    small.wording = with(announcement);
    small
}

#[test]
fn every_placeholder_is_filled_in() {
    for placeholder in Placeholder::ALL {
        let mut facts = small(&format!("[{{{}}}]", placeholder.name()));
        facts.duration = Some("38 min".to_owned());
        facts.trigger.command = Some("!buildbot arm|s390x".to_owned());
        facts.left_out.push(LeftOut {
            builder: "lan".to_owned(),
            reason: "It is paused.".to_owned(),
        });
        let body = render(&facts);
        let first = body.lines().nth(1).unwrap();
        assert!(
            first.starts_with('[') && !first.starts_with("[]"),
            "{first}"
        );
        assert!(!first.contains('{'), "{first}");
    }
}

#[test]
fn a_template_says_what_it_wants_and_the_rest_follows() {
    let body = render(&small(
        "Hello {user}, {count} builders, {{braces}}, {short_sha} for {repository}\\#{pr_number}.",
    ));
    assert!(
        body.contains("\nHello vstinner, 2 builders, {braces}, 1a1a1a1a1a for python/cpython\\#138710.\n\n| builder"),
        "{body}"
    );
    let placed = render(&small("{table}\nBelow the table."));
    assert_eq!(placed.matches("| builder |").count(), 1, "{placed}");
    assert!(placed.contains("\nBelow the table.\n"), "{placed}");
}

#[test]
fn a_user_of_the_cluster_is_not_taken_for_somebody_of_that_login_on_github() {
    let mut facts = small("By @{user}.");
    assert!(render(&facts).contains("\nBy @vstinner.\n"));
    facts.trigger.kind = TriggerKind::Manual;
    facts.trigger.label = None;
    facts.trigger.user.login = "kubernetes-admin".to_owned();
    let body = render(&facts);
    assert!(body.contains("\nBy @`kubernetes-admin`.\n"), "{body}");
    facts.wording = Wording {
        preset: Preset::Cpython,
        ..Wording::default()
    };
    let body = render(&facts);
    assert!(body.contains("by @`kubernetes-admin` for"), "{body}");
}

#[test]
fn what_follows_an_end_of_its_own_is_not_said_twice() {
    let mut facts = small("{summary}");
    facts.wording.result = Some("Done: {totals}.".to_owned());
    let body = render(&facts);
    assert!(body.contains("\nDone: 1 failed, 1 passed.\n"), "{body}");
    assert!(!body.contains("rerun failed"), "{body}");
}

#[test]
fn an_unknown_placeholder_is_named_and_stays_as_it_is_written() {
    assert_eq!(
        problems("{user} {usr} {{no}} {sha }"),
        [
            "there is no placeholder `{usr}`",
            "there is no placeholder `{sha }`"
        ]
    );
    assert_eq!(problems("{table}{table}"), ["`{table}` stands in it twice"]);
    assert_eq!(
        problems("{sha} { } {sha} }"),
        ["there is no placeholder `{ }`"]
    );
    assert!(render(&small("{usr} and } and {")).contains("\n{usr} and } and {\n"));
}

#[test]
fn the_presets_have_no_mistake() {
    let trigger = facts(Vec::new()).trigger;
    let mut command = trigger.clone();
    (command.label, command.command) = (None, Some("!buildbot x".to_owned()));
    for preset in [Preset::Default, Preset::Cpython, Preset::Unknown] {
        for (trigger, is_pattern) in [(&trigger, false), (&command, true), (&command, false)] {
            assert_eq!(
                problems(presets::announcement(preset, trigger, is_pattern)),
                [""; 0]
            );
        }
        for failed in 0..3 {
            assert_eq!(problems(&presets::result(preset, failed)), [""; 0]);
        }
    }
}

#[test]
fn the_page_about_the_comment_has_every_placeholder_and_no_other() {
    let page = include_str!("../../../docs/comment.md");
    let (text, table) = page.split_once("| placeholder | is |").unwrap();
    for placeholder in Placeholder::ALL {
        let braced = format!("`{{{}}}`", placeholder.name());
        assert!(table.contains(&braced), "{braced} is missing");
        let long = table.lines().last().unwrap().contains(&braced);
        assert_eq!(long, placeholder.is_long(), "{braced}");
    }
    for part in table.split("`{").skip(1) {
        let name = part.split("}`").next().unwrap();
        assert!(
            Placeholder::named(name).is_some(),
            "there is no `{{{name}}}`"
        );
    }
    let yaml = text.split("```").nth(1).unwrap();
    let shown = yaml.split_once("announcement: |").unwrap().1;
    for template in shown.split("result: |") {
        assert_eq!(problems(template), [""; 0]);
    }
}

/// What somebody may write where a name, a title, a branch, a reason or a line of a log is expected.
pub const NASTY: [&str; 34] = [
    "@python/core-devs",
    "`@python` and @python",
    "``` ``@python`` ```",
    "\n```\n@python\n```\n",
    "~~~\n@python",
    "# heading #1",
    "python/cpython#1 GH-1 gh-12345 bpo-1 GHSA-aaaa-bbbb-cccc CVE-2024-1",
    "deadbeef 0123456789abcdef0123456789abcdef01234567 python@deadbeef",
    "[x](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<https://evil.example>",
    "https://evil.example www.evil.example ftp://evil.example mailto:a@evil.example a@evil.example",
    "[x]: https://evil.example",
    "[^1] [^1]: note",
    "<img src=x onerror=alert(1)>",
    "</td></tr></table></details></sub><h1>x",
    "<!-- prbuild:uid-2 --> -->",
    "<script>alert(1)</script>",
    "\" onmouseover=\"x",
    "' onmouseover='x",
    "&lt;img&gt; &#64;python &commat;python",
    "a | b | c\n|---|---|",
    "`a|b` \\| \\\\| `\\|` `\\\\|`",
    "a\\",
    "a`",
    "`",
    "\\`@python\\`",
    "- list\n- list",
    "1. one",
    "> quoted\n> [!WARNING]",
    "---",
    "===",
    "**bold** _em_ ~~gone~~ $x$ $`x`$ - [ ] task",
    "\u{202E}@python\u{200B}\u{1b}]8;;http://evil.example\u{7}",
];

/// Lines and links and HTML of a text as Markdown has them, and the text that is not code.
pub fn shape(markdown: &str) -> (Vec<String>, String) {
    let (mut shape, mut text) = (Vec::new(), String::new());
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Text(part) => text.push_str(&part),
            Event::Code(_) => text.push('\u{0}'),
            Event::SoftBreak | Event::HardBreak => text.push('\n'),
            // A value of an attribute is text, as long as it does not leave it.
            Event::InlineHtml(html) if html.contains("title=") => {
                let attributes = html.split('"').step_by(2);
                shape.push(attributes.collect::<Vec<_>>().join("\"\""));
            }
            other => {
                text.push('\n');
                shape.push(format!("{other:?}"));
            }
        }
    }
    (shape, text)
}

/// What GitHub makes links of after Markdown was rendered.
pub fn links() -> Regex {
    let links = [
        r"@[A-Za-z0-9]",
        r"#\d",
        r"(?i)\b[a-z]+-\d",
        r"(?i)ghsa-\w",
        r"(?i)[0-9a-f]{7}",
        r"://",
        r"(?i)www\.",
        r"\w@\w",
    ];
    Regex::new(&links.join("|")).unwrap()
}

/// A build in which everything that is not ours is `text`.
fn everywhere(text: &str) -> CommentFacts {
    let mut builders = vec![builder("x", RunPhase::Succeeded, text); 12];
    for (index, phase) in [
        RunPhase::Failed,
        RunPhase::TimedOut,
        RunPhase::Error,
        RunPhase::Cancelled,
        RunPhase::Queued,
        RunPhase::Running,
    ]
    .into_iter()
    .enumerate()
    {
        builders[index] = builder(text, phase, text);
        builders[index].failures = vec![text.to_owned(); 3];
        builders[index].failures_total = 9;
    }
    let mut all = facts(builders);
    let left = LeftOut {
        builder: text.to_owned(),
        reason: text.to_owned(),
    };
    all.left_out = vec![left; 3];
    all.base_ref = text.to_owned();
    all.flavour = text.to_owned();
    all.trigger.kind = TriggerKind::Comment;
    all.trigger.label = Some(text.to_owned());
    all.trigger.command = Some(format!("!buildbot {text}"));
    all.trigger.user.login = text.to_owned();
    all.cancel = Some(Cancel {
        by: text.to_owned(),
        reason: text.to_owned(),
        at: Time(jiff::Timestamp::UNIX_EPOCH),
        waiting_only: false,
    });
    all
}

/// Foreign text at the beginning of a line, in a sentence, in HTML, in code, in a table, in a link.
const PLACES: &str = "\
{user}

{label}

by {user} with {command} for {base}, {flavour}

<kbd>{label}</kbd> <code>{pattern}</code> <b title=\"{label}\">x</b>

`{command}` ``{label}``

| a | b |
|---|---|
| {label} | {pattern} |

- {base}
- {builders}

```text
{command}
```

[{label}](https://ours.example/) {again} {failed}";

fn wordings() -> Vec<Wording> {
    let of = |preset| Wording {
        preset,
        pattern_prefix: "!buildbot".to_owned(),
        ..Wording::default()
    };
    vec![of(Preset::Default), of(Preset::Cpython), with(PLACES)]
}

#[test]
fn s30_no_foreign_text_makes_a_mention_a_link_an_image_html_or_another_shape() {
    let links = links();
    for wording in wordings() {
        for complete in [false, true] {
            let rendered = |text: &str| {
                let mut facts = everywhere(text);
                facts.wording = wording.clone();
                if complete {
                    facts.builders.retain(|one| one.phase.is_terminal());
                }
                render(&facts)
            };
            let (expected, _) = shape(&rendered("Debian"));
            for nasty in NASTY {
                let body = rendered(nasty);
                let (found, text) = shape(&body);
                assert_eq!(found, expected, "{nasty}\n{body}");
                let ours = text
                    .replace(&"1a".repeat(20), "")
                    .replace("https://github.com", "");
                let link = links.find(&ours).map(|found| found.as_str());
                assert_eq!(link, None, "{nasty}\n{ours}");
            }
        }
    }
}

#[test]
fn s30_each_way_of_showing_foreign_text_is_inert_by_itself() {
    let links = links();
    // Any two together, for what one leaves open the other may close.
    for first in NASTY {
        for second in NASTY {
            let both = format!("{first} {second}");
            for shown in [inert(&both, 500), plain(&both, 500), code(&both, 500)] {
                let (shape, text) = shape(&format!("word {shown} word"));
                assert_eq!(
                    shape.len(),
                    2,
                    "{shown} is more than a paragraph: {shape:?}"
                );
                assert!(!links.is_match(&text), "{shown}: {text}");
            }
            let (shape, _) = shape(&plain(&both, 500));
            assert_eq!(shape.len(), 2, "{both} is more than a paragraph: {shape:?}");
        }
    }
}
