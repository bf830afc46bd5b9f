//! The page about refusals against the sentences in the code: those about builders that are left out, and
//! those about nothing to do.

use regex::Regex;

const PAGE: &str = include_str!("../../docs/refusals.md");
/// Where such sentences are written.
const LEFT_OUT: [&str; 2] = [
    include_str!("resolve/mod.rs"),
    include_str!("resolve/reach.rs"),
];
const NOTHING: [&str; 2] = [
    include_str!("gate/again.rs"),
    include_str!("gate/stopping.rs"),
];

/// The sentences in some source, each as a pattern: what is filled in is anything.
fn sentences(sources: &[&str]) -> Vec<Regex> {
    let literal = Regex::new(r#""([A-Z][^"\n]* [^"\n]*[.])""#).unwrap();
    let filled = Regex::new(r"\\\{[^}]*\\\}").unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let mut found = Vec::new();
    for source in sources {
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        // A sentence may go on in the next line of the source.
        let code = continued.replace_all(code, "");
        for sentence in literal.captures_iter(&code) {
            let pattern = regex::escape(&sentence[1]);
            let pattern = filled.replace_all(&pattern, ".+");
            found.push(Regex::new(&format!("^{pattern}$")).unwrap());
        }
    }
    found
}

/// The first cells of the table below a heading.
fn documented(heading: &str) -> Vec<String> {
    let section = PAGE.split(heading).nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.split(" | ").next().unwrap().to_owned());
    cells.skip(1).collect()
}

#[test]
fn the_page_has_every_sentence_about_what_is_left_out_and_about_nothing_to_do_and_no_other() {
    for (heading, sources) in [
        ("## Builders that a build leaves out", LEFT_OUT),
        ("### Nothing to do", NOTHING),
    ] {
        let (written, shown) = (sentences(&sources), documented(heading));
        assert!(written.len() > 8, "{heading}: {written:?}");
        for sentence in &written {
            let is_shown = shown.iter().any(|row| sentence.is_match(row));
            assert!(is_shown, "{heading} lacks {sentence}");
        }
        for row in &shown {
            let is_written = written.iter().any(|sentence| sentence.is_match(row));
            assert!(is_written, "nobody says: {row}");
        }
    }
}
