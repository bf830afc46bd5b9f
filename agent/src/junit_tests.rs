//! JUnit files: what they name, and how little harm they do.

use std::{fs::File, os::unix::fs::symlink, process::Command};

use super::*;
use crate::{checkout_path::Place, testing::Scratch};

/// Reads files with this content, each from its place in a fresh checkout.
fn read_files(files: &[(&str, &str)], globs: &[&str]) -> (Vec<String>, Vec<String>) {
    let scratch = Scratch::new();
    for (path, content) in files {
        let path = scratch.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    read_in(scratch.root(), globs, Limits::default())
}

fn read_in(root: &Path, globs: &[&str], limits: Limits) -> (Vec<String>, Vec<String>) {
    let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
    let (found, lines) = read(root, &globs, limits);
    (found.names().to_vec(), lines)
}

fn failing(name: &str) -> String {
    format!(
        "<testsuite><testcase classname='suite' name='{name}'><failure/></testcase></testsuite>"
    )
}

#[test]
fn failing_cases_are_named_and_passing_ones_are_not() {
    let xml = include_str!("../fixtures/pytest.xml");
    let (names, lines) = read_files(&[("out/pytest.xml", xml)], &["out/*.xml"]);
    assert_eq!(
        names,
        [
            "test_missing",
            "test_pytest_sample.TestNumbers::test_equal",
            "test_pytest_sample::test_text[a - b]",
            "test_pytest_sample::test_text[c d]",
            "test_pytest_sample::test_port",
        ]
    );
    assert_eq!(lines, [] as [&str; 0]);
    let xml = include_str!("../fixtures/ctest.xml");
    let (names, _) = read_files(&[("ctest.xml", xml)], &["ctest.xml"]);
    assert_eq!(names, ["slow", "crash"]);
}

#[test]
fn a_case_says_where_it_failed() {
    let xml = r#"<testsuites><testsuite>
        <testcase classname="a.B" name="one" file="src/a.c" line="7"><failure message="1 &lt; 2&#10;3"/></testcase>
        <testcase classname="a.B" name="two"><error>x
tests/test_a.py:9: in f
tests/test_a.py:12: AssertionError</error></testcase>
        <testcase classname="a.B" name="three"><failure message=" "><![CDATA[
  File "tests/x.py", line 3, in y
    z]]></failure></testcase>
        <testcase classname="a.B" name="four"><failure>nowhere</failure></testcase>
        <testcase classname="a.B" name="five"><skipped/><system-out>a.c:1: x</system-out></testcase>
        <testcase classname="a.B" name="six"><flakyFailure/></testcase>
    </testsuite></testsuites>"#;
    let mut found = Found::default();
    let end = Instant::now() + Duration::from_secs(60);
    parse::read(xml, end, &mut found).unwrap();
    assert_eq!(
        found.names(),
        ["a.B::one", "a.B::two", "a.B::three", "a.B::four"]
    );
    let places: Vec<(&Place, i64, &str)> = found
        .drafts()
        .iter()
        .map(|draft| (&draft.place, draft.line, draft.message.as_str()))
        .collect();
    let seen = |path: &str| Place::Seen(path.to_owned());
    assert_eq!(places[0], (&seen("src/a.c"), 7, "1 < 2\n3"));
    assert_eq!((places[1].0, places[1].1), (&seen("tests/test_a.py"), 12));
    assert_eq!((places[2].0, places[2].1), (&seen("tests/x.py"), 3));
    assert_eq!(places.len(), 3);
}

#[test]
fn files_are_found_by_patterns_and_each_is_read_once() {
    let files = [
        ("r/b.xml", failing("b")),
        ("r/a.xml", failing("a")),
        ("r/deep/er/c.xml", failing("c")),
        ("r/d.txt", failing("d")),
        (".git/e.xml", failing("e")),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, xml)| (*path, xml.as_str()))
        .collect();
    for (globs, expected) in [
        (&["r/*.xml"][..], &["suite::a", "suite::b"][..]),
        (&["**/*.xml"], &["suite::a", "suite::b", "suite::c"]),
        (
            &["**/er/c.xml", "r/**/?.xml", "r/a.xml"],
            &["suite::a", "suite::b", "suite::c"],
        ),
        (&["./r/deep/*/*"], &["suite::c"]),
        (&["r"], &[]),
    ] {
        assert_eq!(read_files(&files, globs).0, expected, "{globs:?}");
    }
    let (_, lines) = read_files(&files, &["none/*.xml", "../**", "/etc/*"]);
    assert_eq!(lines[0], "JUnit: no file matches `none/*.xml`");
    assert_eq!(lines.len(), 3);
}

#[test]
fn links_pipes_directories_and_holes_are_not_read() {
    let scratch = Scratch::new();
    let outside = scratch.path("outside");
    let root = scratch.path("src");
    std::fs::create_dir_all(root.join("dir.xml")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret.xml"), failing("secret")).unwrap();
    symlink(outside.join("secret.xml"), root.join("link.xml")).unwrap();
    symlink(&outside, root.join("linked")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("/dev/zero", root.join("zero.xml")).unwrap();
    crate::testing::run(Command::new("mkfifo").arg(root.join("pipe.xml")));
    File::create(root.join("hole.xml"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    std::fs::write(root.join("real.xml"), failing("real")).unwrap();
    let globs = [
        "*.xml",
        "pipe.xml",
        "link.xml",
        "linked/*.xml",
        "up/outside/*",
        "**/secret.xml",
    ];
    let started = Instant::now();
    let (names, lines) = read_in(&root, &globs, Limits::default());
    assert_eq!(names, ["suite::real"]);
    let hole = "JUnit: `hole.xml` is not read: all files together are too large";
    assert!(lines.iter().any(|line| line == hole), "{lines:?}");
    assert!(started.elapsed() < Limits::default().time);
}

#[test]
fn entities_and_document_types_define_nothing() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
        <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
        <!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">
        <!ENTITY file SYSTEM "file:///etc/passwd">]>
        <testcase classname="a" name="&lol3;&file;"><failure message="&lol3;">&lol3;&file;&amp;</failure></testcase>"#;
    let (names, _) = read_files(&[("a.xml", laughs)], &["a.xml"]);
    assert_eq!(names, ["a::&lol3;&file;"]);
}

#[test]
fn depth_floods_and_junk_end_the_file_and_keep_what_came_before() {
    let good = "<testcase classname='suite' name='good'><failure/></testcase>";
    let attributes = (0..200_000)
        .map(|at| format!(" a{at}='1'"))
        .collect::<String>();
    for (bad, is_said) in [
        ("<a>".repeat(1_000_000), true),
        (format!("<a{attributes}/>"), false),
        ("<testcase".to_owned(), true),
        ("<a></b></a></a>".to_owned(), false),
        ("& &#xffffffff; &nothing; <![CDATA[".to_owned(), true),
        (format!("<testcase name='{}'", "x".repeat(1 << 20)), true),
        ("\u{0}\u{fffd}".to_owned(), false),
    ] {
        let xml = format!("<testsuite>{good}{bad}");
        let (names, lines) = read_files(&[("a.xml", &xml)], &["a.xml"]);
        assert_eq!(names, ["suite::good"], "{}", &bad[..bad.len().min(40)]);
        assert_eq!(lines.len(), usize::from(is_said), "{lines:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let scratch = Scratch::new();
    let xml = b"\xef\xbb\xbf<testcase name='a\xff'><failure/></testcase>";
    std::fs::write(scratch.path("a.xml"), xml).unwrap();
    assert_eq!(
        read_in(scratch.root(), &["a.xml"], Limits::default()).0,
        ["a\u{fffd}"]
    );
}

#[test]
fn files_bytes_entries_and_time_are_limited() {
    let scratch = Scratch::new();
    for number in 0..10 {
        let xml = failing(&number.to_string());
        std::fs::write(scratch.path(&format!("{number}.xml")), xml).unwrap();
    }
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        let (names, lines) = read_in(scratch.root(), &["**/*.xml"], limits);
        assert!(!lines.is_empty());
        names.len()
    };
    assert_eq!(with(|limits| limits.files = 3), 3);
    assert_eq!(with(|limits| limits.bytes = 200), 2);
    assert!(with(|limits| limits.entries = 4) < 4);
    assert_eq!(with(|limits| limits.time = Duration::ZERO), 0);
}
