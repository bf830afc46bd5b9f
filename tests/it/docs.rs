//! Documents against each other and against the tree: no link is dead, everything is found from the README, and
//! the code map names what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Markdown files below a folder of the checkout, by their path in it.
fn pages_below(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(checkout().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let paths = names.map(|name| Path::new(folder).join(name));
    paths
        .flat_map(|path| match checkout().join(&path).is_dir() {
            true => pages_below(path.to_str().unwrap()),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect()
}

/// All pages, with what they say outside of fenced blocks.
fn pages() -> BTreeMap<PathBuf, String> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    let all = top.into_iter().chain(pages_below("docs"));
    let prose = |path: &PathBuf| {
        let text = std::fs::read_to_string(checkout().join(path)).unwrap();
        let mut fenced = false;
        let lines = text.lines().filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    all.map(|path| (path.clone(), prose(&path))).collect()
}

/// The targets of a page's links to other files, or within it.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
}

/// What GitHub calls the headings of a page in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
    };
    headings.map(anchor).collect()
}

/// The file or folder that a link of a page leads to.
fn target(page: &Path, link: &str) -> PathBuf {
    if link.is_empty() {
        return page.to_owned();
    }
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[test]
fn no_link_between_documents_is_dead() {
    let pages = pages();
    let mut followed = 0;
    for (page, text) in &pages {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = target(page, file);
            let shown = page.display();
            assert!(checkout().join(&target).exists(), "{shown}: {link}");
            if let Some(there) = pages.get(&target).filter(|_| !anchor.is_empty()) {
                assert!(anchors(there).contains(anchor), "{shown}: {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed}");
}

#[test]
fn every_document_is_found_from_the_readme() {
    let pages = pages();
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from("README.md")];
    while let Some(page) = open.pop() {
        if !found.insert(page.clone()) {
            continue;
        }
        match pages.get(&page) {
            Some(text) => open.extend(links(text).map(|link| {
                let (file, _) = link.split_once('#').unwrap_or((link, ""));
                target(&page, file)
            })),
            // A folder shows what is in it.
            None => open.extend(pages.keys().filter(|one| one.starts_with(&page)).cloned()),
        }
    }
    let lost: Vec<_> = pages.keys().filter(|page| !found.contains(*page)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// The modules at the top of a crate, but for those of its tests.
fn top_modules(source: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(source).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let modules = names.map(|name| name.trim_end_matches(".rs").to_owned());
    let is_own = |name: &String| !["lib", "main"].contains(&name.as_str());
    let is_tests = |name: &String| name.ends_with("tests") || name.starts_with("testing");
    modules
        .filter(|name| is_own(name) && !is_tests(name))
        .collect()
}

#[test]
fn the_code_map_names_every_module_at_the_top_of_a_crate() {
    let pages = pages();
    let text = &pages[Path::new("docs/ARCHITECTURE.md")];
    let (_, map) = text.split_once("\n## Code map\n").unwrap();
    let map = map.split("\n## ").next().unwrap();
    let mut crates = 0;
    for part in map.split("\n**`").skip(1) {
        let (name, said) = part.split_once("/`**").unwrap();
        let source = checkout().join(name).join("src");
        if !source.is_dir() {
            continue;
        }
        let words = said.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words: BTreeSet<&str> = words.collect();
        for module in top_modules(&source) {
            let is_named = words.contains(module.as_str());
            assert!(is_named, "{name}/ is described without `{module}`");
        }
        crates += 1;
    }
    assert_eq!(crates, 11);
}
