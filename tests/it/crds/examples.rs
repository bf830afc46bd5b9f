//! The examples of the documents, as an API server takes them.

use kube::api::DynamicObject;
use serde_json::Value;

use super::{Desk, create, objects};

#[tokio::test]
async fn cpythons_fleet_is_taken_as_it_stands_in_the_examples() {
    let desk = Desk::open("examples").await;
    let files = [
        include_str!("../../../docs/examples/cpython/repository.yaml"),
        include_str!("../../../docs/examples/cpython/builders.yaml"),
    ];
    let mut builders = 0;
    for text in files {
        let all: Vec<DynamicObject> = serde_saphyr::from_multiple(text).unwrap();
        for object in all {
            let kind = object.types.clone().unwrap_or_default().kind;
            let name = object.metadata.name.clone().unwrap_or_default();
            let spec: Value = object.data["spec"].clone();
            let api = objects(desk.install.client(), desk.install.namespace(), &kind);
            let made = create(&api, &kind, &name, &spec, false).await;
            made.unwrap_or_else(|said| panic!("{name}: {said}"));
            builders += u32::from(kind == "Builder");
        }
    }
    assert!(builders >= 15, "{builders} builders");
    desk.close().await;
}

/// Manifests that a page has people apply.
fn applied(page: &str) -> Vec<&str> {
    let begun = page.split("apply -f - <<'EOF'\n").skip(1);
    let ended = begun.map(|rest| rest.split("\nEOF\n").next().unwrap());
    ended.collect()
}

#[tokio::test]
async fn what_the_guides_have_people_apply_is_taken_as_it_stands() {
    let desk = Desk::open("guides").await;
    let pages = [
        include_str!("../../../docs/install.md"),
        include_str!("../../../docs/backup.md"),
        include_str!("../../../docs/migration.md"),
    ];
    for page in pages {
        let manifests = applied(page);
        assert!(!manifests.is_empty());
        let ours = manifests.iter().flat_map(|text| {
            let all: Vec<DynamicObject> = serde_saphyr::from_multiple(text).unwrap();
            all
        });
        for object in ours {
            let types = object.types.clone().unwrap_or_default();
            if !types.api_version.starts_with("prbuild.dev/") {
                continue;
            }
            let name = object.metadata.name.clone().unwrap_or_default();
            let api = objects(desk.install.client(), desk.install.namespace(), &types.kind);
            let spec: Value = object.data["spec"].clone();
            let made = create(&api, &types.kind, &name, &spec, true).await;
            made.unwrap_or_else(|said| panic!("{name}: {said}"));
        }
    }
    desk.close().await;
}
