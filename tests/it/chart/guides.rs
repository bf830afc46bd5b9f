//! What the documents tell people to type and to set, held against the chart and the programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{NEEDED, objects, render};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages, with their names.
fn pages() -> Vec<(String, String)> {
    let mut files = vec![checkout().join("README.md")];
    for folder in ["docs", "docs/runbooks"] {
        let entries = std::fs::read_dir(checkout().join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    let pages: Vec<_> = files
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, read(path))
        })
        .collect();
    assert!(pages.len() > 20, "{} pages", pages.len());
    pages
}

/// Commands and lines of a page: what ends with `\` goes on in the next one.
fn lines(page: &str) -> Vec<String> {
    let joined = page.replace("\\\n", " ");
    joined.lines().map(str::to_owned).collect()
}

/// What is behind each `--set` of a line.
fn sets(line: &str) -> Vec<String> {
    let rest = line.split("--set").skip(1);
    let values = rest.filter_map(|rest| {
        let value = rest.strip_prefix(['=', ' '])?.trim_start();
        match value.strip_prefix('\'') {
            Some(quoted) => quoted.split('\'').next().map(str::to_owned),
            None => value
                .split(|c: char| c.is_whitespace() || c == '`')
                .next()
                .map(str::to_owned),
        }
    });
    values.collect()
}

#[test]
fn the_chart_takes_every_value_that_the_documents_set() {
    let mut count = 0;
    for (page, text) in pages() {
        for line in lines(&text) {
            // Whoever reads it writes a name of their own there.
            let sets = sets(&line).into_iter();
            let sets: Vec<String> = sets.map(|set| set.replace("NAME", "a-name")).collect();
            if sets.is_empty() {
                continue;
            }
            count += sets.len();
            let values: Vec<&str> = std::iter::once(NEEDED)
                .chain(sets.iter().map(String::as_str))
                .collect();
            if let Err(said) = render(&values) {
                panic!("{page}: {line}\n{said}");
            }
        }
    }
    assert!(count > 10, "{count} values are set");
}

/// Whether a schema has a value of this path.
fn has(schema: &Value, path: &str) -> bool {
    let below = path.split('.').try_fold(schema, |schema, key| {
        let own = &schema["properties"][key];
        match own.is_null() {
            false => Some(own),
            // What is below is not ours to name: labels, resources, connections.
            true => schema["properties"]
                .is_null()
                .then(|| &schema["additionalProperties"]),
        }
    });
    below.is_some()
}

#[test]
fn every_value_that_the_documents_name_is_one_of_the_chart() {
    let schema = read(&checkout().join("charts/prbuild/files/values.schema.json"));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let first = |word: &str| word.split('.').next().map(str::to_owned);
    let mut count = 0;
    for (page, text) in pages() {
        let spans = text.split('`').skip(1).step_by(2);
        for span in spans {
            let name = span.split('=').next().unwrap_or_default();
            let is_path = name.contains('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
                && ![".yaml", ".rs", ".org"]
                    .iter()
                    .any(|ending| name.ends_with(ending));
            let is_ours = first(name).is_some_and(|first| has(&schema, &first));
            if is_path && is_ours {
                count += 1;
                assert!(has(&schema, name), "{page}: `{name}` is no value");
            }
        }
    }
    assert!(count > 60, "{count} values are named");
}

/// The words that an enum of clap takes, as they stand in a source file.
fn words_of(file: &str, name: &str) -> BTreeSet<String> {
    let text = read(&checkout().join(file));
    let body = text.split_once(&format!("enum {name} {{\n")).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let variants = body.lines().filter_map(|line| {
        let variant = line.strip_prefix("    ")?;
        let word: String = variant
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        word.starts_with(|c: char| c.is_ascii_uppercase())
            .then(|| word.to_lowercase())
    });
    variants.collect()
}

#[test]
fn every_task_and_every_verb_of_the_plugin_that_the_documents_name_exists() {
    for (program, words) in [
        ("cargo xtask ", words_of("xtask/src/main.rs", "Task")),
        ("kubectl prbuild ", words_of("plugin/src/cli.rs", "Command")),
    ] {
        let mut count = 0;
        for (page, text) in pages() {
            for rest in text.split(program).skip(1) {
                let word: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                if word.is_empty() {
                    continue;
                }
                count += 1;
                assert!(words.contains(&word), "{page}: {program}{word}");
            }
        }
        assert!(count > 5, "{program}: {count} times");
    }
}

#[test]
fn the_operators_guide_has_every_command_of_the_plugin() {
    let guide = read(&checkout().join("docs/operations.md"));
    let (_, section) = guide.split_once("\n## At a terminal\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let told: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `kubectl prbuild "))
        .map(|rest| {
            let words = rest.split(['`', ' ']);
            let words = words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            let words: Vec<&str> = words.take_while(|word| !word.is_empty()).collect();
            words.join(" ")
        })
        .collect();
    let mut commands = words_of("plugin/src/cli.rs", "Command");
    assert!(commands.remove("worker"));
    let of_workers = words_of("plugin/src/cli.rs", "WorkerCommand");
    commands.extend(of_workers.iter().map(|word| format!("worker {word}")));
    assert_eq!(told, commands);
}

/// Texts under a name, wherever they stand in a value.
fn texts<'a>(value: &'a Value, name: &str, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str() {
                    Some(text) if field == name => {
                        found.insert(text);
                    }
                    _ => texts(value, name, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, name, found)),
        _ => {}
    }
}

#[test]
fn the_security_model_says_of_every_account_and_every_key_what_who_has_it_can_do() {
    let values = "gateway.replicas=2,gateway.store.bucket=s3://logs,gateway.store.bucketSecret=bucket,\
                  gateway.keyChain=true";
    let all = objects(&render(&[NEEDED, values]).unwrap());
    let model = read(&checkout().join("docs/security.md"));
    let below = |heading: &str| {
        let (_, rest) = model.split_once(&format!("\n## {heading}\n")).unwrap();
        rest.split("\n## ").next().unwrap()
    };
    let (accounts, keys) = (
        below("Who may do what in the cluster"),
        below("What an attacker with a key can do"),
    );
    let mut count = 0;
    for account in all.iter().filter(|one| one["kind"] == "ServiceAccount") {
        let name = account["metadata"]["name"].as_str().unwrap();
        let row = format!("\n| `{name}`");
        assert!(accounts.contains(&row), "{name} is in no row");
        count += 1;
    }
    assert_eq!(count, 6);
    let mut mounted = BTreeSet::new();
    for pods in all.iter().filter(|one| one["kind"] == "Deployment") {
        let volumes = &pods["spec"]["template"]["spec"]["volumes"];
        for volume in volumes.as_array().unwrap() {
            texts(&volume["secret"], "key", &mut mounted);
        }
    }
    assert_eq!(mounted.len(), 4, "{mounted:?}");
    // What the Secret of a connection has is its maker's choice, of these.
    let of_connection = ["webhook-secret", "private-key.pem", "token"];
    let of_nodes = [
        "gateway.store.bucketSecret",
        "image.pullSecrets",
        "builds.pullSecrets",
    ];
    for key in mounted.into_iter().chain(of_connection).chain(of_nodes) {
        assert!(keys.contains(&format!("`{key}`")), "{key} is in no row");
    }
}
