//! Every object that the chart renders, held against the API server's own description of its kind: by
//! kubeconform, strictly.

use std::path::PathBuf;

use tests::cluster::{Kind, shared_control_plane, write_schemas};
use tests::parts;

use super::rendered::{VARIANTS, ask, variant};
use super::{object, objects};

/// Kinds of the Prometheus operator, which a cluster of tests does not have.
const FOREIGN: [&str; 2] = ["PrometheusRule", "ServiceMonitor"];

/// What kubeconform says of manifests, by the schemas in a directory.
fn judged(dir: &std::path::Path, text: &str) -> (bool, String) {
    let schemas = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        dir.display()
    );
    let skip = FOREIGN.join(",");
    let args = ["-strict", "-schema-location", &schemas, "-skip", &skip, "-"];
    ask(&parts::KUBECONFORM, &args, text)
}

/// Schemas of all kinds that the chart renders.
async fn schemas(name: &str) -> PathBuf {
    let access = shared_control_plane();
    let dir = access.dir().join("schemas").join(name);
    let all = VARIANTS.iter().map(|(_, values)| variant(values));
    let kinds = all.flat_map(|text| objects(&text));
    let kinds = kinds.map(|object| Kind::of(&object)).collect();
    let mut unknown = write_schemas(&access, kinds, &dir).await.unwrap();
    unknown.sort();
    assert_eq!(unknown, FOREIGN, "the API server knows all other kinds");
    dir
}

#[tokio::test]
async fn every_variant_is_what_the_api_server_describes() {
    let dir = schemas("variants").await;
    for (name, values) in VARIANTS {
        let (valid, said) = judged(&dir, &variant(values));
        assert!(valid, "{name}:\n{said}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_wrong_field_is_refused_in_built_in_kinds_and_in_ours() {
    let dir = schemas("wrong").await;
    let all = objects(&variant(&[]));
    for (kind, name, path, says) in [
        (
            "Deployment",
            "prbuild-operator",
            "/spec/template/spec",
            "'wrong' not allowed",
        ),
        (
            "NetworkPolicy",
            "prbuild-builds",
            "/spec",
            "'wrong' not allowed",
        ),
        (
            "Builder",
            "prbuild-self-test",
            "/spec/kubernetes",
            "'wrong' not allowed",
        ),
        (
            "Repository",
            "prbuild-self-test",
            "/spec/labels/0",
            "'wrong' not allowed",
        ),
    ] {
        let mut object = object(&all, kind, name).clone();
        let (valid, said) = judged(&dir, &object.to_string());
        assert!(valid, "{kind}: {said}");
        object.pointer_mut(path).unwrap()["wrong"] = "x".into();
        let (valid, said) = judged(&dir, &object.to_string());
        assert!(!valid && said.contains(says), "{kind}: {said}");
    }
    let mut object = object(&all, "Builder", "prbuild-self-test").clone();
    object["spec"]["infraRetries"] = "none".into();
    let (valid, said) = judged(&dir, &object.to_string());
    assert!(!valid && said.contains("/spec/infraRetries"), "{said}");
    std::fs::remove_dir_all(dir).unwrap();
}
