//! What the chart renders, for values that people choose.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::parts::{self, Cache, Loudness};

use super::{NEEDED, object, objects, render};

/// Ways to install it that differ in what is rendered.
pub(super) const VARIANTS: [(&str, &[&str]); 5] = [
    ("as it comes", &[]),
    (
        "with a bucket",
        &["gateway.replicas=2,gateway.store.bucket=s3://logs,gateway.store.bucketSecret=bucket"],
    ),
    (
        "small, without cluster-wide objects",
        &[
            "webhook.replicas=1,operator.replicas=1,gateway.store.directory=emptyDir,priorityClasses.create=false,policy.create=false,ingress.enabled=false,networkPolicy.enabled=false,selfTest.enabled=false,fixedUser=false",
        ],
    ),
    (
        "watched",
        &[
            "monitoring.serviceMonitor=true,monitoring.prometheusRule=true,monitoring.dashboard=true,monitoring.labels.release=prometheus",
        ],
    ),
    (
        "with everything",
        &[
            "image.pullSecrets={pull},builds.pullSecrets={pull},builds.nameServers={9.9.9.9},builds.userNamespaces=true,ingress.tls.issuer.name=letsencrypt,ingress.className=nginx,image.digests.webhook=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,networkPolicy.builds.alsoTo[0].ipBlock.cidr=203.0.113.0/24,operator.notifyUrl=https://hooks.example.org/prbuild",
        ],
    ),
];

pub(super) fn variant(values: &[&str]) -> String {
    render(&[&[NEEDED], values].concat()).unwrap()
}

/// Gives a text to a program, and returns whether it was content and what it said.
pub(super) fn ask(part: &'static parts::Part, args: &[&str], text: &str) -> (bool, String) {
    let program = parts::obtain(part, &Cache::of_user(), Loudness::Quiet).unwrap();
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // Who has seen enough may stop reading.
    let _ = writer.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn helm_has_nothing_against_the_chart() {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["lint", "--strict", "--set", NEEDED]);
    let output = helm.arg(tests::cluster::Release::chart()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn no_variant_is_fragile_or_unsafe() {
    // What is left out, and why: a limit on processor time only slows pods down, and what pods write is
    // limited by their volumes; tags are not reused; pods of builds are made later, by Jobs; a directory's
    // one gateway cannot be two.
    const LEFT_OUT: [&str; 6] = [
        "container-resources",
        "container-ephemeral-storage-request-and-limit",
        "container-image-pull-policy",
        "networkpolicy-targets-pod",
        "deployment-has-host-podantiaffinity",
        "deployment-replicas",
    ];
    let mut args = vec!["score", "-", "--kubernetes-version", "v1.33"];
    args.extend(["--output-format", "ci"]);
    for left_out in LEFT_OUT {
        args.extend(["--ignore-test", left_out]);
    }
    for (name, values) in VARIANTS {
        if name.starts_with("small") {
            continue;
        }
        let (content, said) = ask(&parts::KUBE_SCORE, &args, &variant(values));
        let critical: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("[CRITICAL]"))
            .collect();
        assert!(
            content && critical.is_empty(),
            "{name}:\n{}",
            critical.join("\n")
        );
    }
}

#[test]
fn a_service_for_the_outside_has_no_port_for_logs_and_metrics() {
    let open = "webhook.service.type=LoadBalancer,gateway.service.type=NodePort";
    let rendered = objects(&variant(&[open]));
    for service in rendered.iter().filter(|one| one["kind"] == "Service") {
        let outside = service["spec"]["type"].as_str().unwrap_or("ClusterIP");
        let name = service["metadata"]["name"].as_str().unwrap();
        let ports = service["spec"]["ports"].as_array().unwrap().iter();
        let ports: Vec<&str> = ports.map(|port| port["name"].as_str().unwrap()).collect();
        match name {
            "prbuild-webhook" => assert_eq!((outside, ports), ("LoadBalancer", vec!["http"])),
            "prbuild-gateway" => {
                assert_eq!((outside, ports), ("NodePort", vec!["http", "workers"]));
            }
            _ => assert_eq!(outside, "ClusterIP", "{name}"),
        }
    }
}

#[test]
fn every_pod_of_ours_is_unprivileged_and_says_what_it_takes() {
    for (name, values) in VARIANTS {
        let all = objects(&variant(values));
        for (what, pod) in all.iter().filter_map(pod_of) {
            assert_eq!(
                pod["securityContext"]["runAsNonRoot"], true,
                "{name}: {what}"
            );
            assert_eq!(pod["enableServiceLinks"], false, "{name}: {what}");
            let container = &pod["containers"][0];
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}: {what}");
            assert_eq!(
                security["capabilities"]["drop"],
                json!(["ALL"]),
                "{name}: {what}"
            );
            assert!(
                !container["resources"]["limits"]["memory"].is_null(),
                "{name}: {what}"
            );
        }
    }
}

#[test]
fn what_runs_twice_is_spread_comes_before_builds_and_keeps_no_node_from_being_drained() {
    let all = objects(&variant(&[
        "gateway.replicas=2,gateway.store.bucket=s3://logs",
    ]));
    let priority = |name: &str| object(&all, "PriorityClass", name)["value"].as_i64();
    assert!(priority("prbuild-prbuild") > priority("prbuild-prbuild-builds"));
    for name in ["prbuild-webhook", "prbuild-operator", "prbuild-gateway"] {
        let deployment = &object(&all, "Deployment", name)["spec"];
        let (pod, ours) = (&deployment["template"]["spec"], &deployment["selector"]);
        assert_eq!(pod["priorityClassName"], "prbuild-prbuild", "{name}");
        let spread = &pod["topologySpreadConstraints"][0];
        assert_eq!(spread["topologyKey"], "kubernetes.io/hostname", "{name}");
        assert_eq!(spread["labelSelector"], *ours, "{name}");
        let budget = &object(&all, "PodDisruptionBudget", name)["spec"];
        assert_eq!(budget["selector"], *ours, "{name}");
        assert_eq!(budget["maxUnavailable"], 1, "{name}");
        let policy = &budget["unhealthyPodEvictionPolicy"];
        assert_eq!(policy, "AlwaysAllow", "{name}");
    }
    // One that is alone may go: a budget would keep its node for ever.
    let alone = objects(&variant(&[]));
    let budgets = alone
        .iter()
        .filter(|one| one["kind"] == "PodDisruptionBudget");
    let names = budgets.map(|budget| budget["metadata"]["name"].as_str());
    let names: Vec<_> = names.collect();
    assert_eq!(names, [Some("prbuild-webhook"), Some("prbuild-operator")]);
}

#[test]
fn s24_the_namespace_of_builds_has_nothing_to_take_and_enforces_restricted() {
    for (pull_secrets, secrets) in [("", "0"), ("builds.pullSecrets={pull}", "1")] {
        let all = objects(&variant(&[pull_secrets]));
        let namespace = object(&all, "Namespace", "prbuild-builds");
        for mode in ["enforce", "warn", "audit"] {
            let level = format!("pod-security.kubernetes.io/{mode}");
            let labels = &namespace["metadata"]["labels"];
            assert_eq!(labels[&level], "restricted", "{mode}");
            assert_eq!(labels[format!("{level}-version")], "v1.33", "{mode}");
        }
        let account = object(&all, "ServiceAccount", "prbuild-build");
        assert_eq!(account["automountServiceAccountToken"], false);
        let most = &object(&all, "ResourceQuota", "prbuild")["spec"]["hard"];
        // Not one more than those by which nodes fetch images.
        assert_eq!(most["count/secrets"], secrets);
        assert_eq!(most["count/services"], "0");
        assert_eq!(most["persistentvolumeclaims"], "0");
        let limits = &object(&all, "LimitRange", "prbuild")["spec"]["limits"][0];
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            assert!(limits["default"][resource].is_string(), "{resource}");
        }
    }
}

#[test]
fn what_somebody_adds_stands_once_and_comes_before_what_the_chart_says() {
    let given = [
        "builds.quota.more.pods=7,builds.quota.more.count/services=2",
        r"ingress.tls.issuer.name=letsencrypt,ingress.annotations.cert-manager\.io/cluster-issuer=mine",
        r"monitoring.dashboard=true,monitoring.labels.grafana_dashboard=yes,monitoring.labels.app\.kubernetes\.io/name=mine",
    ];
    let text = variant(&given);
    let all = objects(&text);
    let most = &object(&all, "ResourceQuota", "prbuild")["spec"]["hard"];
    assert_eq!(
        (&most["pods"], &most["count/services"]),
        (&json!("7"), &json!("2"))
    );
    assert_eq!(most["count/secrets"], "0");
    let annotations = &object(&all, "Ingress", "prbuild")["metadata"]["annotations"];
    assert_eq!(annotations["cert-manager.io/cluster-issuer"], "mine");
    let labels = &object(&all, "ConfigMap", "prbuild-dashboard")["metadata"]["labels"];
    assert_eq!(labels["grafana_dashboard"], "yes");
    assert_eq!(labels["app.kubernetes.io/name"], "mine");
    assert_eq!(labels["app.kubernetes.io/instance"], "prbuild");
    for once in [
        "\n    count/services:",
        "\n    pods:",
        "cluster-issuer:",
        "grafana_dashboard:",
    ] {
        assert_eq!(text.matches(once).count(), 1, "{once}");
    }
}

/// The pod that an object is or makes, and the object's name.
fn pod_of(object: &Value) -> Option<(&Value, &Value)> {
    let template = &object["spec"]["template"]["spec"];
    let pod = match object["kind"] == "Pod" {
        true => &object["spec"],
        false => template,
    };
    (!pod.is_null()).then_some((&object["metadata"]["name"], pod))
}

#[test]
fn the_gateway_has_one_half_of_the_key_and_the_operator_the_other() {
    let all = objects(&variant(&[]));
    let key = |name: &str| {
        let volumes = &object(&all, "Deployment", name)["spec"]["template"]["spec"]["volumes"];
        let mut volumes = volumes.as_array().unwrap().iter();
        let found = volumes.find(|volume| volume["name"] == "key").cloned();
        found.map(|volume| volume["secret"]["items"].clone())
    };
    assert_eq!(
        key("prbuild-operator"),
        Some(json!([{ "key": "private.pem", "path": "private.pem" }]))
    );
    assert_eq!(
        key("prbuild-gateway"),
        Some(json!([
            { "key": "public.pem", "path": "public.pem" },
            { "key": "session.key", "path": "session.key" },
        ]))
    );
    assert_eq!(key("prbuild-webhook"), None);
}

#[test]
fn the_operator_learns_whom_to_tell_of_a_quarantined_worker() {
    let args = |values: &[&str]| {
        let all = objects(&variant(values));
        let pod = &object(&all, "Deployment", "prbuild-operator")["spec"]["template"]["spec"];
        pod["containers"][0]["args"].to_string()
    };
    let told = args(&["operator.notifyUrl=https://hooks.example.org/a?b=c#d"]);
    let flag = "\"--notify-url=https://hooks.example.org/a?b=c#d\"";
    assert!(told.contains(flag), "{told}");
    assert!(!args(&[]).contains("notify-url"));
    for bad in ["hooks.example.org", "ftp://hooks.example.org", "https://"] {
        let value = format!("operator.notifyUrl={bad}");
        assert!(render(&[NEEDED, &value]).is_err(), "{bad}");
    }
}

#[test]
fn no_role_reaches_secrets_but_two_that_are_gone_afterwards_and_read_none_that_others_made() {
    for role in objects(&variant(&[])) {
        if role["kind"] != "Role" {
            assert_ne!(role["kind"], "ClusterRole");
            assert_ne!(role["kind"], "ClusterRoleBinding");
            continue;
        }
        let text = role["rules"].to_string();
        assert!(!text.contains("\"*\""), "{text}");
        if !text.contains("secrets") {
            continue;
        }
        let policy = &role["metadata"]["annotations"]["helm.sh/hook-delete-policy"];
        let policy = policy.as_str().unwrap();
        assert!(policy.contains("before-hook-creation,hook-succeeded"));
        match role["metadata"]["name"].as_str().unwrap() {
            // It makes one Secret, and looks whether that is there.
            "prbuild-make-keys" => {}
            // It fills one that helm made, and reads none.
            "prbuild-self-test" => assert_eq!(
                role["rules"][0],
                json!({
                    "apiGroups": [""], "resources": ["secrets"],
                    "resourceNames": ["prbuild-self-test"], "verbs": ["patch"],
                })
            ),
            other => panic!("{other} reaches Secrets"),
        }
    }
}

#[test]
fn the_test_of_a_release_is_there_only_while_it_runs_and_touches_objects_of_its_own_name() {
    let all = objects(&variant(&[]));
    let of_test = |object: &&Value| {
        object["metadata"]["labels"]["app.kubernetes.io/component"] == "self-test"
    };
    let test: Vec<&Value> = all.iter().filter(of_test).collect();
    assert_eq!(test.len(), 11);
    for object in test {
        let notes = &object["metadata"]["annotations"];
        assert_eq!(notes["helm.sh/hook"], "test", "{object}");
        let policy = "before-hook-creation,hook-succeeded,hook-failed";
        assert_eq!(notes["helm.sh/hook-delete-policy"], policy, "{object}");
    }
    for rule in object(&all, "Role", "prbuild-self-test")["rules"]
        .as_array()
        .unwrap()
    {
        let names = rule["resourceNames"].as_array().unwrap();
        let ours = |name: &Value| name.as_str().unwrap().starts_with("prbuild-self-test");
        assert!(names.iter().all(ours), "{rule}");
    }
    // No label of anybody selects its Builder: it has a flavour of its own.
    let builder = object(&all, "Builder", "prbuild-self-test");
    assert_eq!(builder["spec"]["flavours"], json!(["prbuild-self-test"]));
    let echo = object(&all, "NetworkPolicy", "prbuild-self-test");
    assert_eq!(echo["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    // Its build tries an address that only the policies of the build namespace keep it from.
    let build = json!({ "prbuild.dev/builder": "prbuild-self-test" });
    let ports = |rules: &Value, end: &str| -> Vec<Value> {
        let is_of_build = |rule: &&Value| {
            let mut peers = rule[end].as_array().into_iter().flatten();
            end == "to" || peers.any(|peer| peer["podSelector"]["matchLabels"] == build)
        };
        let rules = rules.as_array().unwrap().iter().filter(is_of_build);
        rules
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].clone())
            .collect()
    };
    assert_eq!(ports(&echo["spec"]["ingress"], "from"), [8080, 8081]);
    let in_builds = |object: &&Value| object["metadata"]["namespace"] == "prbuild-builds";
    let of_builds = all.iter().filter(of_test).find(in_builds).unwrap();
    assert_eq!(ports(&of_builds["spec"]["egress"], "to"), [8080]);
    let off = variant(&["selfTest.enabled=false"]);
    assert!(!off.contains("self-test"), "nothing of it where it is off");
}
