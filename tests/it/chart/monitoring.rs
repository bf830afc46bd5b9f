//! Alerts and dashboard: which install they are about.

use std::collections::BTreeSet;
use std::process::Command;

use ::crds::RunPhase;
use serde_json::{Value, json};
use tests::parts;

use super::rendered::variant;
use super::{NEEDED, object, objects};
use crate::series::{plain, table};

#[test]
fn alerts_are_about_their_own_release_and_wait_as_long_as_they_are_told() {
    let all = objects(&variant(&[
        "monitoring.prometheusRule=true,monitoring.queueOldSeconds=3600000,monitoring.runbooks=https://wiki.example.org",
    ]));
    let rule = object(&all, "PrometheusRule", "prbuild");
    let alerts = rule["spec"]["groups"][0]["rules"].as_array().unwrap();
    for alert in alerts {
        let (name, asks) = (&alert["alert"], alert["expr"].as_str().unwrap());
        let metrics = asks.matches("prbuild_").count();
        assert!(metrics > 0, "{name}: {asks}");
        let here = asks.matches("{namespace=\"prbuild\"").count();
        assert_eq!(here, metrics, "{name}: {asks}");
        assert_eq!(alert["labels"]["namespace"], "prbuild", "{name}");
        let page = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert!(page.starts_with("https://wiki.example.org/"), "{page}");
    }
    let mut old = alerts
        .iter()
        .filter(|alert| alert["alert"] == "PrBuildQueueOld");
    let asks = old.next().unwrap()["expr"].as_str().unwrap();
    assert!(asks.ends_with(" > 3600000"), "{asks}");
}

#[test]
fn a_dashboard_shows_its_own_install_first_and_two_of_them_are_two() {
    let of = |namespace: &str| -> Value {
        let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
        helm.args(["template", "prbuild"])
            .arg(tests::cluster::Release::chart());
        helm.args(["--namespace", namespace, "--set", NEEDED]);
        let output = helm.args(["--set", "monitoring.dashboard=true"]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let all = objects(&text);
        let map = object(&all, "ConfigMap", "prbuild-dashboard");
        serde_json::from_str(map["data"]["prbuild.json"].as_str().unwrap()).unwrap()
    };
    let (one, other) = (of("prbuild"), of("staging"));
    assert_ne!(one["uid"], other["uid"], "Grafana takes each once");
    assert!(one["uid"].as_str().unwrap().len() <= 40);
    assert_eq!(one["title"], "PrBuild in prbuild");
    let variables = other["templating"]["list"].as_array().unwrap().iter();
    let mut namespaces = variables.filter(|variable| variable["name"] == "namespace");
    let shown = &namespaces.next().unwrap()["current"]["value"];
    assert_eq!(shown, &json!(["staging"]));
    let panels = one["panels"].as_array().unwrap().iter();
    for target in panels.flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let asks = target["expr"].as_str().unwrap();
        let metrics = asks.matches("prbuild_").count();
        let chosen = asks.matches("{namespace=~\"$namespace\"").count();
        assert!(metrics > 0 && chosen == metrics, "{asks}");
    }
}

/// A metric that is asked for, and the values of labels by which its series are chosen.
type Chosen = (String, Vec<(String, String)>);

/// All metrics of an expression.
fn chosen(asks: &str) -> Vec<Chosen> {
    let starts = asks.match_indices("prbuild_").map(|(at, _)| &asks[at..]);
    let metric = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = braces.map_or("", |(inner, _)| inner).split(',');
        let values = labels.filter_map(|label| {
            let (name, value) = label.split_once('=')?;
            Some((name.to_owned(), value.split('"').nth(1)?.to_owned()))
        });
        (name.to_owned(), values.collect::<Vec<_>>())
    };
    starts.map(metric).collect()
}

/// The labels by which an expression groups.
fn grouped(asks: &str) -> BTreeSet<String> {
    let groups = asks.split("by (").skip(1);
    let groups = groups.filter_map(|rest| Some(rest.split_once(')')?.0));
    let labels = groups.flat_map(|group| group.split(", "));
    labels
        .filter(|label| *label != "le")
        .map(str::to_owned)
        .collect()
}

/// The labels that stand in a text behind this, up to what ends a name.
fn told(text: &str, behind: &str) -> BTreeSet<String> {
    let names = text.split(behind).skip(1);
    let name = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    names.map(name).collect()
}

/// Of what only grows, how much it has grown says something, and of nothing else.
#[track_caller]
fn assert_grows(asks: &str) {
    for (at, _) in asks.match_indices("prbuild_") {
        let (before, metric) = asks.split_at(at);
        let metric = metric.split_once('{').unwrap().0;
        let grows = metric.ends_with("_total") || metric.ends_with("_bucket");
        let asked = before.ends_with("rate(") || before.ends_with("increase(");
        assert_eq!(asked, grows, "{metric}: {asks}");
    }
}

#[track_caller]
fn assert_exists(asks: &str, told: &BTreeSet<String>) {
    assert_grows(asks);
    let table = table();
    let by = grouped(asks);
    for (metric, values) in chosen(asks) {
        let row = table.get(plain(&metric));
        let row = row.filter(|row| row.name == metric);
        let row = row.unwrap_or_else(|| panic!("there is no {metric}: {asks}"));
        for label in &by {
            assert!(
                row.labels.contains(label),
                "{metric} has no {label}: {asks}"
            );
        }
        for (label, value) in values.iter().filter(|(label, _)| label != "namespace") {
            assert!(
                row.labels.contains(label),
                "{metric} has no {label}: {asks}"
            );
            for word in value.split('|') {
                assert!(row.words.contains(word), "{metric} is never {word}: {asks}");
            }
        }
        // A text can say what is left after grouping, or all where nothing is grouped.
        let left = if asks.contains("by (") || asks.contains("sum(") {
            &by
        } else {
            &row.labels
        };
        assert!(told.is_subset(left), "{told:?}: {asks}");
    }
}

#[test]
fn alerts_and_panels_choose_series_by_labels_and_words_that_there_are() {
    let set = "monitoring.prometheusRule=true,monitoring.dashboard=true";
    let all = objects(&variant(&[set]));
    let rule = object(&all, "PrometheusRule", "prbuild");
    let alerts = rule["spec"]["groups"][0]["rules"].as_array().unwrap();
    for alert in alerts {
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        let told = told(summary, "$labels.");
        assert_exists(alert["expr"].as_str().unwrap(), &told);
    }
    let map = object(&all, "ConfigMap", "prbuild-dashboard");
    let board = map["data"]["prbuild.json"].as_str().unwrap();
    let board: Value = serde_json::from_str(board).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    for target in panels.flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let told = told(target["legendFormat"].as_str().unwrap(), "{{");
        assert_exists(target["expr"].as_str().unwrap(), &told);
    }
    // The words of the table are those of the code.
    let table = table();
    let results = &table["prbuild_runs_ended"].words;
    let ends = [
        RunPhase::Succeeded,
        RunPhase::Failed,
        RunPhase::TimedOut,
        RunPhase::Cancelled,
        RunPhase::Error,
    ];
    for phase in ends {
        assert!(results.contains(phase.word()), "{results:?}");
    }
}
