//! The chart: what it renders, and what becomes of it in a real cluster with real helm.

mod alerts;
mod argo;
mod cases;
mod gitops;
mod guides;
mod images;
mod mistakes;
mod monitoring;
mod network;
mod node;
mod notes;
mod older;
mod rendered;
mod rules;
mod self_test;
mod snapshots;
mod tables;
mod valid;
mod values;

use std::process::Command;

use serde_json::Value;
use tests::cluster::Release;
use tests::parts;

/// Values without which nothing is rendered.
const NEEDED: &str = "host=prbuild.example.org,image.registry=registry.example.org/prbuild";

/// What helm says: the manifests, or why there are none.
fn render(values: &[&str]) -> Result<String, String> {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    helm.args(["--namespace", "prbuild"]);
    for values in values {
        helm.args(["--set", values]);
    }
    let output = helm.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// The objects of a rendered chart.
fn objects(text: &str) -> Vec<Value> {
    let objects: Vec<Option<Value>> = serde_saphyr::from_multiple(text).unwrap();
    objects.into_iter().flatten().collect()
}

/// One of them, by kind and name.
#[track_caller]
fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut all = objects.iter();
    let found = all.find(|found| found["kind"] == kind && found["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}
