//! Wrong values: what helm says of them, and what an editor does.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use tests::cluster::Release;
use tests::parts;

use super::{NEEDED, object, objects, render};

const EXAMPLE: &str = " For example: ";

/// A file of the chart.
fn read(file: &str) -> String {
    std::fs::read_to_string(Release::chart().join(file)).unwrap()
}

/// The schema that the templates judge by.
fn schema() -> Value {
    serde_json::from_str(&read("files/values.schema.json")).unwrap()
}

/// Sentences of what helm says: each is about a value, and has an example.
#[track_caller]
pub(super) fn sentences(said: &str) -> Vec<&str> {
    let all = said.lines().filter(|line| line.contains(EXAMPLE));
    let all: Vec<&str> = all.collect();
    assert!(!all.is_empty(), "{said}");
    all
}

#[test]
fn what_null_takes_away_is_missed_before_a_template_does() {
    for path in ["gateway", "ingress.tls", "logLevel", "connections", "host"] {
        let said = render(&[NEEDED, &format!("{path}=null")]).unwrap_err();
        let says = format!(
            "{path}: it is needed. Null takes it away, and so does --reuse-values after an older chart: there use --reset-then-reuse-values.{EXAMPLE}"
        );
        // A schema whose `if` asks for all values is asked first, and has nothing against it.
        assert!(sentences(&said)[0].starts_with(&says), "{said}");
    }
}

/// Values of the chart that are empty by themselves, as `a.b`.
fn empty(values: &Value, path: &str) -> Vec<String> {
    let is_empty = match values {
        Value::Object(below) if !below.is_empty() => {
            let of_one = |(name, value): (&String, &Value)| match path {
                "" => empty(value, name),
                path => empty(value, &format!("{path}.{name}")),
            };
            return below.iter().flat_map(of_one).collect();
        }
        Value::Object(_) => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    is_empty.then(|| path.to_owned()).into_iter().collect()
}

#[test]
fn null_is_as_good_as_empty_where_a_value_is_empty_by_itself() {
    let all: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut nulls = empty(&all, "");
    nulls.retain(|path| path != "host" && path != "image.registry");
    assert!(nulls.len() > 15, "{nulls:?}");
    let nulls: Vec<String> = nulls.iter().map(|path| format!("{path}=null")).collect();
    let rendered = render(&[NEEDED, &nulls.join(",")]);
    assert_eq!(rendered, render(&[NEEDED]));

    // What a pod may take is taken off so; other charts know it, too.
    let unlimited = "webhook.resources.limits=null,operator.resources=null";
    let all = objects(&render(&[NEEDED, unlimited]).unwrap());
    let resources = |name| {
        let deployment = object(&all, "Deployment", name);
        deployment["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
    };
    assert_eq!(resources("prbuild-webhook")["limits"], Value::Null);
    assert_eq!(resources("prbuild-operator"), Value::Null);
}

#[test]
fn what_programs_and_kubernetes_understand_is_taken_as_it_is() {
    for values in [
        "logLevel=INFO",
        "webhook.resources.limits.memory=129e6",
        "builds.quota.more.requests\\.storage=1Ei",
        "gateway.resources.requests.cpu=0.5",
    ] {
        render(&[NEEDED, values]).unwrap();
    }
}

/// Values that have no values below them, by their path.
fn leaves(schema: &Value, path: &str) -> Vec<(String, Value)> {
    let Some(properties) = schema["properties"].as_object() else {
        return vec![(path.to_owned(), schema.clone())];
    };
    let of_one = |(name, schema): (&String, &Value)| match path {
        "" => leaves(schema, name),
        path => leaves(schema, &format!("{path}.{name}")),
    };
    properties.iter().flat_map(of_one).collect()
}

/// Puts a value to its path.
fn put(values: &mut Value, path: &str, value: Value) {
    let place = path
        .split('.')
        .fold(values, |values, name| &mut values[name]);
    *place = value;
}

/// Flag and value of an example, without what a shell takes away.
fn argument(example: &str) -> [String; 2] {
    let (flag, value) = example.split_once(' ').unwrap();
    [flag, value.trim_matches('\'')].map(str::to_owned)
}

/// Helm, with values of a file and more.
fn with_file(values: &Value, more: &[String]) -> Result<(), String> {
    let name = format!("prbuild-values-{}-{}.json", std::process::id(), more.len());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, values.to_string()).unwrap();
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    let output = helm.arg("--values").arg(&file).args(more).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn every_value_that_is_wrong_is_named_with_an_example_that_the_chart_takes() {
    let leaves = leaves(&schema(), "");
    let mut values = json!({});
    for (path, schema) in &leaves {
        let kinds = schema["type"].to_string();
        // Something of another kind.
        let wrong = match kinds.contains("array") || kinds.contains("object") {
            true => json!(7),
            false => json!(["wrong"]),
        };
        put(&mut values, path, wrong);
    }
    let said = with_file(&values, &[]).unwrap_err();
    let sentences = sentences(&said);
    let named = sentences
        .iter()
        .map(|line| line.split_once(": ").unwrap().0);
    let named: BTreeSet<&str> = named.collect();
    let all: BTreeSet<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
    assert!(all.len() > 80, "{}", all.len());
    assert_eq!(named, all);

    let examples = sentences.iter().map(|line| {
        let (_, example) = line.split_once(EXAMPLE).unwrap();
        argument(example)
    });
    let examples: Vec<String> = examples.flatten().collect();
    with_file(&json!({}), &examples).unwrap();
}

/// Words of JSON Schema that a schema uses, in it and in those below.
fn keywords(schema: &Value, found: &mut BTreeSet<String>) {
    for (word, value) in schema.as_object().into_iter().flatten() {
        found.insert(word.clone());
        match word.as_str() {
            "properties" | "$defs" => {
                let below = value.as_object().into_iter().flatten();
                below.for_each(|(_, schema)| keywords(schema, found));
            }
            "items" | "additionalProperties" | "propertyNames" => keywords(value, found),
            _ => {}
        }
    }
}

#[test]
fn the_schema_says_nothing_that_the_templates_do_not_judge() {
    let mut found = BTreeSet::new();
    keywords(&schema(), &mut found);
    // What is said to people and tools, and what validate.yaml says itself: how many gateways a store has.
    for word in [
        "$schema",
        "$defs",
        "title",
        "description",
        "patternErrorMessage",
        "if",
        "then",
        "else",
    ] {
        assert!(found.remove(word), "{word}");
    }
    let templates = read("templates/_values.tpl");
    for word in found {
        let judged = templates.contains(&format!(".{word}"))
            || templates.contains(&format!("index $schema \"{word}\""));
        assert!(judged, "{word}");
    }
}

#[test]
fn an_editor_judges_what_somebody_wrote_and_helm_leaves_it_to_the_templates() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let accepts = |values: &Value| jsonschema::is_valid(&schema, values);
    let bucket = |replicas: u8, bucket: &str| json!({ "gateway": { "replicas": replicas, "store": { "bucket": bucket } } });
    let preferred = |weight: u8| {
        let nodes = json!([{ "weight": weight, "preference": {} }]);
        let nodes = json!({ "preferredDuringSchedulingIgnoredDuringExecution": nodes });
        json!({ "affinity": { "nodeAffinity": nodes } })
    };
    for right in [
        json!({ "host": "prbuild.example.org" }),
        json!({ "operator": { "replicas": 2 }, "logLevel": "info,operator=debug" }),
        bucket(2, "s3://logs"),
        bucket(1, ""),
        preferred(1),
    ] {
        assert!(accepts(&right), "{right}");
    }
    for wrong in [
        json!({ "host": "https://prbuild.example.org" }),
        json!({ "operator": { "replicas": "two" } }),
        json!({ "logLevel": "loud" }),
        json!({ "webhok": { "replicas": 2 } }),
        json!({ "connections": { "prbuild-self-test": "mine" } }),
        json!({ "gateway": { "replicas": 2 } }),
        bucket(2, ""),
        bucket(1, "s3://logs"),
        preferred(0),
        json!({ "networkPolicy": { "dnsTo": [{ "ipBlock": {} }] } }),
    ] {
        assert!(!accepts(&wrong), "{wrong}");
    }
    // What helm hands over has all that the chart has: it would say less of it than the templates do.
    let mut all: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    all["operator"]["replicas"] = json!("two");
    assert!(accepts(&all));
}

/// What a command of helm says, which has to fail.
fn refused(command: &[&str], args: &[&str]) -> String {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(command).arg(Release::chart()).args(args);
    let output = helm.args(["--set", NEEDED]).output().unwrap();
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn helm_lint_refuses_what_helm_install_refuses_with_the_same_words() {
    let said = refused(&["lint"], &["--set", "webhook.replicas=two"]);
    let says = "webhook.replicas: `two` is no whole number from 1 to 20. For example: --set webhook.replicas=2";
    assert!(said.contains(says), "{said}");
    assert!(said.contains("1 chart(s) failed"), "{said}");
}

#[test]
fn values_are_judged_also_where_the_schema_is_left_out() {
    let args = ["--skip-schema-validation", "--set", "gateway.replicas=2"];
    let said = refused(&["template", "prbuild"], &args);
    assert!(said.contains("gateway.replicas: one gateway writes a directory"));
}

#[test]
fn what_a_cluster_has_no_kind_of_is_refused_by_the_name_of_its_value() {
    let monitored = "monitoring.serviceMonitor=true,monitoring.prometheusRule=true";
    // What helm finds in every cluster, and not where it asks none.
    let cluster = "apiregistration.k8s.io/v1,monitoring.coreos.com/v1/PrometheusRule";
    let args = ["--set", monitored, "--api-versions", cluster];
    let said = refused(&["template", "prbuild"], &args);
    assert_eq!(
        sentences(&said),
        [
            "monitoring.serviceMonitor: this cluster has no kind ServiceMonitor. Install the Prometheus operator first, or leave it out. For example: --set monitoring.serviceMonitor=false"
        ]
    );
    render(&[NEEDED, monitored]).unwrap();
}

#[test]
fn a_kubernetes_that_is_too_old_is_refused_before_anything_is_installed() {
    let said = refused(&["template", "prbuild"], &["--kube-version", "v1.32.9"]);
    let says =
        "chart requires kubeVersion: >=1.33.0-0 which is incompatible with Kubernetes v1.32.9";
    assert!(said.contains(says), "{said}");
}
