//! Mistakes in what the chart hands on to Kubernetes as it is: what lies deep in lists, and values that are right one by
//! one and do not go together. The API server would refuse them, halfway through an install.

use std::process::Command;

use serde_json::{Value, json};
use tests::cluster::Release;
use tests::parts;

use super::values::sentences;
use super::{NEEDED, object, objects};

/// What helm renders with a value that is given as JSON, or why it does not.
fn with(path: &str, value: &Value) -> Result<String, String> {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    helm.args(["--set", NEEDED, "--set-json"]);
    let output = helm.arg(format!("{path}={value}")).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// Each value is refused with exactly these sentences, about what lies below its path.
#[track_caller]
fn refused(path: &str, example: &str, cases: &[(Value, &[&str])]) {
    for (value, says) in cases {
        let said = with(path, value).unwrap_err();
        let says = says
            .iter()
            .map(|says| format!("{path}{says} For example: --set-json '{path}={example}'"));
        assert_eq!(sentences(&said), says.collect::<Vec<_>>(), "{value}");
    }
}

#[test]
fn a_toleration_that_fits_to_no_taint_is_refused() {
    refused(
        "tolerations",
        r#"[{"key":"prbuild","operator":"Exists"}]"#,
        &[
            (
                json!([{ "value": "a" }]),
                &["[0].key: it is needed, but for the operator `Exists`."],
            ),
            (
                json!([
                    { "operator": "Exists" },
                    { "key": "a", "operator": "Exists", "value": "b", "tolerationSeconds": 3 },
                ]),
                &[
                    "[1].value: the operator `Exists` takes none.",
                    "[1].tolerationSeconds: it is for the effect `NoExecute` alone.",
                ],
            ),
            (
                json!([{ "key": "a", "effect": "Never" }]),
                &["[0].effect: `Never` is none of `NoSchedule`, `PreferNoSchedule`, `NoExecute`."],
            ),
        ],
    );
}

#[test]
fn a_peer_is_pods_or_addresses_and_somebody() {
    let addresses =
        |cidr: &str, except: &[&str]| json!([{ "ipBlock": { "cidr": cidr, "except": except } }]);
    let selects =
        |requirement: Value| json!([{ "podSelector": { "matchExpressions": [requirement] } }]);
    refused(
        "networkPolicy.ingressFrom",
        r#"[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"ingress-nginx"}}}]"#,
        &[
            (
                json!([{}]),
                &["[0]: it names nobody: give it namespaceSelector, podSelector or ipBlock."],
            ),
            (
                json!([{ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } }]),
                &[
                    "[0].ipBlock: a peer is a range of addresses, or pods by their labels. Make two of it.",
                ],
            ),
            (
                json!([{ "ipBlock": {} }]),
                &["[0].ipBlock.cidr: it is needed."],
            ),
            (
                addresses(
                    "10.64.0.0/10",
                    &["10.100.0.0/16", "10.128.0.0/16", "10.64.0.0/10"],
                ),
                &[
                    "[0].ipBlock.except[1]: `10.128.0.0/16` is no part of `10.64.0.0/10`.",
                    "[0].ipBlock.except[2]: `10.64.0.0/10` is no part of `10.64.0.0/10`.",
                ],
            ),
            (
                addresses(
                    "64:ff9b::/96",
                    &["64:ff9b::10.0.0.0/104", "64:ff9b::1/128", "64:ff9c::1/128"],
                ),
                &["[0].ipBlock.except[2]: `64:ff9c::1/128` is no part of `64:ff9b::/96`."],
            ),
            (
                addresses(
                    "::/0",
                    &["fd00::/8", "::1/128", "1:2:3:4:5:6:7:8/128", "10.0.0.0/8"],
                ),
                &["[0].ipBlock.except[3]: `10.0.0.0/8` is no part of `::/0`."],
            ),
            (
                addresses("fd00:::/8", &[]),
                &["[0].ipBlock.cidr: `fd00:::/8` is no range of addresses."],
            ),
            (
                selects(json!({ "key": "a" })),
                &["[0].podSelector.matchExpressions[0].operator: it is needed."],
            ),
            (
                selects(json!({ "operator": "Exists" })),
                &["[0].podSelector.matchExpressions[0].key: it is needed."],
            ),
            (
                selects(json!({ "key": "a", "operator": "NotIn", "values": [] })),
                &[
                    "[0].podSelector.matchExpressions[0].values: the operator `NotIn` needs at least one.",
                ],
            ),
            (
                selects(json!({ "key": "a", "operator": "DoesNotExist", "values": ["b"] })),
                &[
                    "[0].podSelector.matchExpressions[0].values: the operator `DoesNotExist` takes none.",
                ],
            ),
        ],
    );
}

#[test]
fn an_affinity_for_nodes_says_which() {
    let required = |term: Value| json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } });
    let expression = |expression: Value| required(json!({ "matchExpressions": [expression] }));
    const TERMS: &str = ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    const PREFERRED: &str = ".preferredDuringSchedulingIgnoredDuringExecution[0]";
    let terms = |says: &str| format!("{TERMS}{says}");
    let preferred = |says: &str| format!("{PREFERRED}{says}");
    for (value, says) in [
        (
            json!({ "requiredDuringSchedulingIgnoredDuringExecution": {} }),
            terms(": it is needed."),
        ),
        (
            json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] } }),
            terms(": it is empty."),
        ),
        (
            expression(json!({ "key": "a", "operator": "In" })),
            terms("[0].matchExpressions[0].values: the operator `In` needs at least one."),
        ),
        (
            expression(json!({ "key": "a", "operator": "Gt", "values": ["many"] })),
            terms("[0].matchExpressions[0].values: the operator `Gt` needs one whole number, in quotes."),
        ),
        (
            required(json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a", "b"] }] })),
            terms("[0].matchFields[0].values: 2 are too many: at most 1."),
        ),
        (
            json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 0, "preference": {} }] }),
            preferred(".weight: `0` is no whole number from 1 to 100."),
        ),
        (
            json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 1 }] }),
            preferred(".preference: it is needed."),
        ),
        (
            json!({ "required": {} }),
            ".required: there is no such value. Is it `affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`?".to_owned(),
        ),
    ] {
        refused(
            "affinity.nodeAffinity",
            r#"{"preferredDuringSchedulingIgnoredDuringExecution":[{"preference":{"matchExpressions":[{"key":"pool","operator":"In","values":["prbuild"]}]},"weight":1}]}"#,
            &[(value, &[says.as_str()])],
        );
    }
}

#[test]
fn an_affinity_for_pods_says_how_far_away_they_are() {
    let required =
        |term: Value| json!({ "requiredDuringSchedulingIgnoredDuringExecution": [term] });
    for (value, says) in [
        (
            required(json!({ "labelSelector": {} })),
            ".requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: it is needed.",
        ),
        (
            required(json!({ "topologyKey": "" })),
            ".requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: `` is no key of a label: at most 63 letters, digits, `-`, `_` and `.`, and where need be a domain and one `/` before them.",
        ),
        (
            required(json!({ "topologyKey": "zone", "matchLabelKeys": ["pod-template-hash"] })),
            ".requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: it goes with a labelSelector.",
        ),
        (
            json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 1 }] }),
            ".preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm: it is needed.",
        ),
    ] {
        refused(
            "affinity.podAntiAffinity",
            r#"{"preferredDuringSchedulingIgnoredDuringExecution":[{"podAffinityTerm":{"labelSelector":{"matchLabels":{"app":"noisy"}},"topologyKey":"kubernetes.io/hostname"},"weight":1}]}"#,
            &[(value, &[says])],
        );
    }
}

#[test]
fn all_that_kubernetes_has_for_placing_pods_is_taken_as_it_is() {
    let selector = json!({
        "matchLabels": { "app": "x" },
        "matchExpressions": [
            { "key": "a", "operator": "In", "values": ["b", ""] }, { "key": "c", "operator": "Exists" },
        ],
    });
    let pods = json!({
        "topologyKey": "topology.kubernetes.io/zone", "labelSelector": selector,
        "namespaceSelector": {}, "namespaces": ["elsewhere"], "matchLabelKeys": ["pod-template-hash"],
    });
    let nodes = json!({
        "matchExpressions": [
            { "key": "cores", "operator": "Gt", "values": ["7"] }, { "key": "spot", "operator": "DoesNotExist" },
        ],
        "matchFields": [{ "key": "metadata.name", "operator": "NotIn", "values": ["node-1"] }],
    });
    let of_pods = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": [pods],
        "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "podAffinityTerm": pods }],
    });
    let affinity = json!({
        "podAffinity": of_pods, "podAntiAffinity": of_pods,
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [nodes] },
            "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 1, "preference": nodes }],
        },
    });
    let tolerations = json!([
        { "operator": "Exists" },
        { "key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 0 },
    ]);
    for (path, value) in [("affinity", affinity), ("tolerations", tolerations)] {
        let all = objects(&with(path, &value).unwrap());
        let pod = &object(&all, "Deployment", "prbuild-operator")["spec"]["template"]["spec"];
        assert_eq!(pod[path], value);
    }
}

#[test]
fn a_list_that_is_empty_opens_nothing() {
    for (path, example) in [
        ("networkPolicy.ports", "[443,6443]"),
        ("networkPolicy.dnsPorts", "[53]"),
        (
            "networkPolicy.dnsTo",
            r#"[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}}}]"#,
        ),
    ] {
        refused(path, example, &[(json!([]), &[": it is empty."])]);
    }
    for path in ["networkPolicy.metricsFrom", "networkPolicy.builds.ports"] {
        let all = objects(&with(path, &json!([])).unwrap());
        let policies = all.iter().filter(|one| one["kind"] == "NetworkPolicy");
        let ends = policies.flat_map(|one| [&one["spec"]["ingress"], &one["spec"]["egress"]]);
        // Kubernetes takes what is empty or absent for everybody, and for every port.
        let rules: Vec<&Value> = ends.filter_map(Value::as_array).flatten().collect();
        assert!(rules.len() > 10, "{path}: {rules:?}");
        for rule in rules {
            for list in ["from", "to", "ports"] {
                let is_empty = rule[list].as_array().is_some_and(Vec::is_empty);
                assert!(!is_empty, "{path}: {rule}");
            }
            assert!(rule["ports"].is_array(), "{path}: {rule}");
        }
    }
}
