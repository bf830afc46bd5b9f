//! Documents that say what stands elsewhere, too: metrics, alerts, values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Words of a text that look like the name of a metric of ours, without what a histogram, a counter or
/// an info puts behind it.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("prbuild_"));
    let plain = ours.map(|word| {
        let endings = ["_total", "_bucket", "_count", "_sum", "_info"];
        let ending = endings.into_iter().find(|ending| word.ends_with(ending));
        word.trim_end_matches(ending.unwrap_or_default()).to_owned()
    });
    plain.collect()
}

/// Names that are registered in a file: the first text behind `register(`.
fn registered(path: &str, prefix: &str) -> BTreeSet<String> {
    let text = read(path);
    let calls = text.split("register(").skip(1);
    let names = calls.filter_map(|call| {
        let rest = call.trim_start().strip_prefix('"')?;
        Some(format!("{prefix}_{}", rest.split_once('"')?.0))
    });
    names.collect()
}

#[test]
fn every_metric_is_in_the_table_and_every_one_of_the_table_exists() {
    let mut code = registered("webhook/src/metrics.rs", "prbuild_webhook");
    code.extend(registered("gateway/src/metrics.rs", "prbuild_gateway"));
    for path in [
        "operator/src/metrics.rs",
        "operator/src/metrics/way.rs",
        "operator/src/report/metrics.rs",
        "operator/src/record/metrics.rs",
    ] {
        code.extend(registered(path, "prbuild"));
    }
    let docs = read("docs/kinds.md");
    let section = docs.split_once("\n## Metrics\n").unwrap().1;
    let table = metrics_in(section);
    assert!(code.len() > 30, "{code:?}");
    assert_eq!(code, table);
}

/// What a program waits for at its start: the constants of its file that are texts.
fn awaited(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let lines = text.lines().filter_map(|line| {
        let (_, value) = line.split_once("const ")?.1.split_once(": &str = \"")?;
        Some(value.strip_suffix("\";")?.to_owned())
    });
    lines.collect()
}

#[test]
fn everything_that_a_program_waits_for_is_in_the_table() {
    let docs = read("docs/operations.md");
    let (_, section) = docs.split_once("\n## A pod that is not ready\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut count = 0;
    for path in [
        "webhook/src/main.rs",
        "operator/src/app.rs",
        "operator/src/waiting.rs",
        "gateway/src/main.rs",
    ] {
        for what in awaited(path) {
            count += 1;
            assert!(section.contains(&format!("`{what}: ")), "{path}: {what}");
        }
    }
    assert!(count >= 13, "{count} things are awaited");
}

/// Outcomes that no delivery comes to: whoever reads back a press says when it was delivered.
const NO_DELIVERYS: [&str; 1] = ["not_told"];

/// The Rust files below a folder, without tests and without the sweep, which has no deliveries.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_left_out = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy();
        name == "sweep" || name.ends_with("tests")
    };
    let paths = paths.filter(|path| !is_left_out(path));
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .collect()
}

/// The words that stand in quotes behind this.
fn quoted_behind(marker: &str, text: &str) -> BTreeSet<String> {
    let places = text.split(marker).skip(1);
    let words = places.filter_map(|rest| rest.split_once('"'));
    words.map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn every_outcome_of_a_delivery_is_in_the_table_and_every_one_of_the_table_exists() {
    let mut code = BTreeSet::new();
    for path in sources(&checkout().join("webhook/src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for outcome in ["Stored", "Ignored", "Later"] {
            code.extend(quoted_behind(&format!("Outcome::{outcome}(\""), text));
        }
        code.extend(quoted_behind("Stop::Nothing(\"", text));
        // Those that the sweep has to know have a name.
        for name in ["_GONE", "ANSWERED"] {
            code.extend(quoted_behind(&format!("{name}: &str = \""), text));
        }
        let words = text.split("fn word(self) -> &'static str {").skip(1);
        let says_outcomes = ["handle.rs", "event.rs", "receive.rs"];
        let name = path.file_name().unwrap().to_string_lossy();
        if says_outcomes.contains(&name.as_ref()) {
            let bodies = words.filter_map(|rest| rest.split_once("\n    }\n"));
            code.extend(bodies.flat_map(|(body, _)| quoted_behind("=> \"", body)));
        }
    }
    assert!(NO_DELIVERYS.iter().all(|word| code.remove(*word)));
    let docs = read("docs/kinds.md");
    let mut rows = docs.lines();
    let row = rows.find(|line| line.starts_with("| `prbuild_webhook_deliveries_total` |"));
    let words = row.unwrap().split('`').skip(1).step_by(2);
    let table: BTreeSet<String> = words.skip(2).map(str::to_owned).collect();
    assert_eq!(code, table);
}

#[test]
fn every_alert_asks_for_metrics_that_exist_and_has_a_page_that_says_what_to_do() {
    let known = metrics_in(&read("docs/kinds.md"));
    let alerts: Vec<Value> =
        serde_saphyr::from_str(&read("charts/prbuild/files/alerts.yaml")).unwrap();
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        for metric in metrics_in(alert["expr"].as_str().unwrap()) {
            assert!(known.contains(&metric), "{name} asks for {metric}");
        }
        let page = read(&format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{page}");
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(url, format!("RUNBOOKS/{name}.md"));
    }
    let pages = std::fs::read_dir(checkout().join("docs/runbooks")).unwrap();
    assert_eq!(pages.count(), alerts.len());
}

/// The Markdown files below a folder.
fn pages_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let pages = paths.flat_map(|path| match path.is_dir() {
        true => pages_below(&path),
        false => vec![path],
    });
    pages
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect()
}

#[test]
fn every_metric_that_a_page_names_is_in_the_table() {
    let docs = read("docs/kinds.md");
    let table = metrics_in(docs.split_once("\n## Metrics\n").unwrap().1);
    let mut count = 0;
    for page in pages_below(&checkout().join("docs")) {
        let text = std::fs::read_to_string(&page).unwrap();
        for metric in metrics_in(&text) {
            count += 1;
            assert!(table.contains(&metric), "{}: {metric}", page.display());
        }
    }
    assert!(count > table.len(), "{count}");
}

/// Metrics that only an alert or a person who looks for something asks for: about memory, about one replica, about
/// what another panel shows already, or of a rotation.
const NOT_SHOWN: [&str; 16] = [
    "prbuild_gateway_archived",
    "prbuild_gateway_open_runs",
    "prbuild_gateway_refused",
    "prbuild_gateway_removed",
    "prbuild_gateway_segment_bytes",
    "prbuild_gateway_segments",
    "prbuild_gateway_store_listings",
    "prbuild_gateway_swept_timestamp_seconds",
    "prbuild_github_status_calls",
    "prbuild_github_statuses_known",
    "prbuild_github_statuses_under_way",
    "prbuild_record_requests",
    "prbuild_record_seconds",
    "prbuild_webhook_secrets",
    "prbuild_webhook_sweeps",
    "prbuild_webhook_swept_timestamp_seconds",
];

#[test]
fn the_dashboard_shows_every_metric_but_those_that_are_said_not_to_be_shown() {
    let docs = read("docs/kinds.md");
    let known = metrics_in(docs.split_once("\n## Metrics\n").unwrap().1);
    let shown = metrics_in(&read("charts/prbuild/files/dashboard.json"));
    assert!(shown.is_subset(&known), "{:?}", shown.difference(&known));
    let not_shown: Vec<&str> = known.difference(&shown).map(String::as_str).collect();
    assert_eq!(not_shown, NOT_SHOWN);
}

/// The properties of a schema and of those below it, by their path, with what is said of each.
fn described(schema: &Value, above: &str) -> Vec<(String, String)> {
    let Some(properties) = schema["properties"].as_object() else {
        return Vec::new();
    };
    let of_one = |(name, schema): (&String, &Value)| {
        let path = format!("{above}{name}");
        let said = schema["description"].as_str().unwrap_or_default();
        let below = described(schema, &format!("{path}."));
        [(path, said.to_owned())].into_iter().chain(below)
    };
    properties.iter().flat_map(of_one).collect()
}

#[test]
fn the_schema_says_of_every_value_what_the_table_says() {
    let schema = read("charts/prbuild/files/values.schema.json");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let described: BTreeMap<String, String> = described(&schema, "").into_iter().collect();
    assert!(described.len() > 80, "{}", described.len());
    for (path, said) in &described {
        assert!(!said.is_empty(), "{path} has no description");
        assert!(!said.contains('\n'), "{path}: {said}");
    }
    let table = read("docs/values.md");
    let rows = table.lines().filter_map(|line| {
        let cells = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (path, cells) = cells.split_once("` | ")?;
        let (_, said) = cells.split_once(" | ")?;
        Some((path, said.replace("\\|", "|")))
    });
    let commented: Vec<(&str, String)> = rows.filter(|(_, said)| !said.is_empty()).collect();
    assert!(commented.len() > 50, "{}", commented.len());
    for (path, said) in commented {
        assert_eq!(described.get(path), Some(&said), "{path}");
    }
}
