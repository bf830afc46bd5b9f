//! The page about kinds against the kinds: every field that people write, and every column.

use std::collections::BTreeSet;

use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/kinds.md");
/// Kinds whose spec people write.
const WRITTEN: [&str; 3] = ["Repository", "Builder", "Worker"];

/// The definitions, as the API server gets them: kind, schema of the spec, columns.
fn definitions() -> Vec<(String, Value, Vec<Value>)> {
    let all = crds::all().into_iter().map(|definition| {
        let definition = serde_json::to_value(definition).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let version = &definition["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        (kind.to_owned(), schema.clone(), columns.clone())
    });
    all.collect()
}

/// What the page says of a kind.
fn section(kind: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n## {kind}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Names of all fields below a schema.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        fields(field, found);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            fields(&schema[below], found);
        }
    }
}

#[test]
fn every_field_that_people_write_is_on_the_page() {
    for (kind, schema, _) in definitions() {
        if !WRITTEN.contains(&kind.as_str()) {
            continue;
        }
        let mut named = BTreeSet::new();
        fields(&schema, &mut named);
        assert!(named.len() > 8, "{kind}: {named:?}");
        let words = section(&kind).split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let words: BTreeSet<&str> = words.collect();
        named.retain(|name| !words.contains(name.as_str()));
        assert_eq!(named, BTreeSet::new(), "the page lacks fields of {kind}");
    }
}

/// The words in backticks of a text, up to the end of its sentence.
fn quoted(text: &str) -> String {
    let sentence = text.split(". ").next().unwrap();
    let words: Vec<&str> = sentence.split('`').skip(1).step_by(2).collect();
    words.join(" ")
}

#[test]
fn every_column_is_on_the_page_in_the_order_in_which_it_is_printed() {
    for (kind, _, columns) in definitions() {
        let printed = |wide: bool| {
            let columns = columns.iter();
            let columns = columns.filter(|one| (one["priority"].as_i64() == Some(1)) == wide);
            let names = columns.map(|one| one["name"].as_str().unwrap().to_uppercase());
            names.collect::<Vec<_>>().join(" ")
        };
        let (_, told) = section(&kind).split_once("Columns: ").unwrap();
        let told = told.lines().next().unwrap();
        let (narrow, wide) = told.split_once("; wide adds ").unwrap();
        assert_eq!(quoted(narrow), printed(false), "{kind}");
        assert_eq!(quoted(wide), printed(true), "{kind}, wide");
    }
}

#[test]
fn the_readme_shows_what_kubectl_prints_now() {
    let readme = include_str!("../../../README.md");
    for (kind, plural) in [
        ("PrBuild", "prbuilds"),
        ("BuilderRun", "builderruns"),
        ("Worker", "workers"),
    ] {
        let (_, printed) = readme
            .split_once(&format!("$ kubectl get {plural}\n"))
            .unwrap();
        let header = printed.lines().next().unwrap();
        let all = definitions().into_iter();
        let columns = all.filter(|(found, ..)| found == kind);
        let columns = columns.flat_map(|(.., columns)| columns);
        let columns = columns.filter(|one| one["priority"].as_i64() != Some(1));
        let names = columns.map(|one| one["name"].as_str().unwrap().to_uppercase());
        let expected: Vec<String> = std::iter::once("NAME".to_owned()).chain(names).collect();
        let shown: Vec<&str> = header.split_whitespace().collect();
        assert_eq!(shown, expected, "{plural}");
    }
}
