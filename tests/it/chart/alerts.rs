//! Alerts as Prometheus itself evaluates them: what somebody is woken for, and what not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};
use tests::parts;

use super::cases::{CASES, Case};
use super::rendered::variant;
use super::{object, objects};

/// What promtool says of files in a directory of its own, which is gone then.
fn promtool(name: &str, args: &[&str], files: &[(&str, &Value)]) -> (bool, String) {
    let directory = format!("prbuild-promtool-{}-{name}", std::process::id());
    let directory: PathBuf = std::env::temp_dir().join(directory);
    std::fs::create_dir_all(&directory).unwrap();
    for (file, text) in files {
        // What is JSON is YAML.
        std::fs::write(directory.join(file), text.to_string()).unwrap();
    }
    let promtool = parts::existing(&parts::PROMTOOL).unwrap();
    let output = Command::new(promtool)
        .current_dir(&directory)
        .args(args)
        .output();
    std::fs::remove_dir_all(&directory).unwrap();
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The alerts of a chart with these values, as a file of rules.
fn rules(values: &str) -> Value {
    let set = format!("monitoring.prometheusRule=true,{values}");
    let all = objects(&variant(&[&set]));
    let rule = object(&all, "PrometheusRule", "prbuild");
    json!({ "groups": rule["spec"]["groups"] })
}

/// Each alert by its name.
fn alerts(rules: &Value) -> BTreeMap<String, Value> {
    let alerts = rules["groups"][0]["rules"].as_array().unwrap();
    let name = |alert: &Value| alert["alert"].as_str().unwrap().to_owned();
    let named = alerts.iter().map(|alert| (name(alert), alert.clone()));
    named.collect()
}

/// A case in promtool's words.
fn asked(case: &Case, alert: &Value) -> Value {
    let here = |series: &str| series.replace("HERE", "namespace=\"prbuild\"");
    let series = case
        .series
        .iter()
        .map(|(series, values)| json!({ "series": here(series), "values": values }));
    let fires = case.fires.iter().map(|(labels, summary)| {
        let mut all: Map<String, Value> = alert["labels"].as_object().unwrap().clone();
        for (name, value) in *labels {
            all.insert((*name).to_owned(), json!(value));
        }
        let mut annotations = alert["annotations"].clone();
        annotations["summary"] = json!(summary);
        json!({ "exp_labels": all, "exp_annotations": annotations })
    });
    json!({
        "name": case.name,
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "alert_rule_test": [{
            "eval_time": format!("{}m", case.minute),
            "alertname": case.alert,
            "exp_alerts": fires.collect::<Vec<_>>(),
        }],
    })
}

/// Whether all cases come out with these rules, and what promtool says.
fn judged(name: &str, rules: &Value) -> (bool, String) {
    let alerts = alerts(rules);
    let asked = CASES.iter().map(|case| asked(case, &alerts[case.alert]));
    let tests = json!({
        "rule_files": ["rules.json"],
        "evaluation_interval": "1m",
        "tests": asked.collect::<Vec<_>>(),
    });
    let files = [("rules.json", rules), ("tests.json", &tests)];
    promtool(name, &["test", "rules", "tests.json"], &files)
}

#[test]
fn every_alert_fires_when_it_should_and_is_silent_when_it_should_not() {
    let rules = rules("monitoring.queueOldSeconds=7200");
    let of = |fires: bool| -> BTreeSet<String> {
        let cases = CASES.iter().filter(|case| case.fires.is_empty() != fires);
        cases.map(|case| case.alert.to_owned()).collect()
    };
    let all: BTreeSet<String> = alerts(&rules).into_keys().collect();
    assert_eq!(of(true), all, "each is shown to fire");
    assert_eq!(of(false), all, "each is shown to be silent");
    let (content, said) = judged("alerts", &rules);
    assert!(content, "{said}");
}

#[test]
fn an_alert_that_fires_too_late_is_noticed() {
    let (content, said) = judged("late", &rules("monitoring.queueOldSeconds=7300"));
    assert!(!content && said.contains("PrBuildQueueOld"), "{said}");
}

#[test]
fn prometheus_understands_whatever_the_dashboard_asks() {
    let all = objects(&variant(&["monitoring.dashboard=true"]));
    let map = object(&all, "ConfigMap", "prbuild-dashboard");
    let board = map["data"]["prbuild.json"].as_str().unwrap();
    let board: Value = serde_json::from_str(board).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let asks = targets.map(|target| target["expr"].as_str().unwrap().replace("$namespace", ".*"));
    let recorded = asks
        .enumerate()
        .map(|(index, asks)| json!({ "record": format!("panel:{index}"), "expr": asks }));
    let mut recorded: Vec<Value> = recorded.collect();
    assert!(recorded.len() > 20, "{recorded:?}");
    let check = |name: &str, recorded: &[Value]| {
        let rules = json!({ "groups": [{ "name": "panels", "rules": recorded }] });
        let files = [("rules.json", &rules)];
        promtool(name, &["check", "rules", "rules.json"], &files)
    };
    let (content, said) = check("panels", &recorded);
    assert!(content, "{said}");
    recorded[0]["expr"] = json!("sum by builder (prbuild_runs_live)");
    let (content, said) = check("wrong-panel", &recorded);
    assert!(!content, "{said}");
}
