//! Who reaches whom, as the chart's NetworkPolicies say.

use serde_json::{Value, json};

use super::rendered::variant;
use super::{object, objects};

#[test]
fn builds_reach_names_the_log_and_the_internet_and_no_private_address() {
    let all = objects(&variant(&[]));
    let policy = object(&all, "NetworkPolicy", "prbuild-builds");
    assert_eq!(policy["spec"]["podSelector"], json!({}));
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["spec"]["ingress"], Value::Null);
    let text = policy["spec"]["egress"].to_string();
    for address in [
        "10.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    ] {
        assert!(text.contains(address), "{text}");
    }
    let rules = policy["spec"]["egress"].as_array().unwrap().iter();
    let of_pods = rules.filter(|rule| {
        let mut peers = rule["to"].as_array().into_iter().flatten();
        rule["to"].is_null() || peers.any(|peer| peer["ipBlock"].is_null())
    });
    // Besides the cluster's name servers: of ours the gateway where logs come in, and nothing else.
    let of_ours: Vec<&Value> = of_pods
        .filter(|rule| rule["ports"][0]["port"] != 53)
        .collect();
    let gateway = json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "prbuild" } },
        "podSelector": { "matchLabels": {
            "app.kubernetes.io/name": "prbuild",
            "app.kubernetes.io/instance": "prbuild",
            "app.kubernetes.io/component": "gateway",
        } },
    });
    let ingest = json!({ "to": [gateway], "ports": [{ "port": 8081, "protocol": "TCP" }] });
    assert_eq!(of_ours, [&ingest]);
}

#[test]
fn builds_with_name_servers_of_their_own_ask_these_and_no_others() {
    let all = objects(&variant(&["builds.nameServers={9.9.9.9,2620:fe::fe}"]));
    let rule = |name: &str| {
        let policy = object(&all, "NetworkPolicy", name);
        let rules = policy["spec"]["egress"].as_array().unwrap().iter();
        let of_names = rules.filter(|rule| rule["ports"][0]["port"] == 53);
        let of_names: Vec<&Value> = of_names.collect();
        assert_eq!(of_names.len(), 1, "{name}");
        of_names[0].clone()
    };
    let ports = json!([{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }]);
    assert_eq!(
        rule("prbuild-builds"),
        json!({
            "to": [
                { "ipBlock": { "cidr": "9.9.9.9/32" } },
                { "ipBlock": { "cidr": "2620:fe::fe/128" } },
            ],
            "ports": ports,
        })
    );
    let kube_system = json!({ "kubernetes.io/metadata.name": "kube-system" });
    let cluster = json!([{ "namespaceSelector": { "matchLabels": kube_system } }]);
    assert_eq!(
        rule("prbuild-operator"),
        json!({ "to": cluster, "ports": ports })
    );
}

#[test]
fn every_pod_of_ours_connects_to_the_ports_that_are_named_and_to_no_others() {
    let all = objects(&variant(&["networkPolicy.ports={8443}"]));
    // In the release's namespace, and with an end outside of it.
    for name in [
        "prbuild-webhook",
        "prbuild-operator",
        "prbuild-gateway",
        "prbuild-make-keys",
        "prbuild-self-test",
    ] {
        let policy = object(&all, "NetworkPolicy", name);
        let rules = policy["spec"]["egress"].as_array().unwrap().iter();
        let anywhere = rules.filter(|rule| rule["to"].is_null());
        let ports: Vec<&Value> = anywhere.map(|rule| &rule["ports"]).collect();
        let named = json!([{ "port": 8443, "protocol": "TCP" }]);
        assert_eq!(ports, [&named], "{name}");
    }
}
