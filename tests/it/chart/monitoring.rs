//! Alerts and dashboard: which install they are about.

use std::process::Command;

use serde_json::{Value, json};
use tests::parts;

use super::rendered::variant;
use super::{NEEDED, object, objects};

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
