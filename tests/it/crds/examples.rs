//! The examples of the documents, as an API server takes them.

use std::collections::BTreeMap;
use std::path::Path;

use kube::api::DynamicObject;
use serde_json::Value;

use super::{Desk, create, objects};

/// All objects of the examples of CPython.
fn fleet() -> Vec<DynamicObject> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/cpython");
    let entries = std::fs::read_dir(dir).unwrap();
    let files = entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let objects = files.flat_map(|text| {
        let objects: Vec<DynamicObject> = serde_saphyr::from_multiple(&text).unwrap();
        objects
    });
    objects.collect()
}

#[tokio::test]
async fn cpythons_fleet_is_taken_as_it_stands_in_the_examples() {
    let desk = Desk::open("examples").await;
    let mut builders = BTreeMap::new();
    for object in fleet() {
        let kind = object.types.clone().unwrap_or_default().kind;
        let name = object.metadata.name.clone().unwrap_or_default();
        let spec: Value = object.data["spec"].clone();
        let api = objects(desk.install.client(), desk.install.namespace(), &kind);
        let made = create(&api, &kind, &name, &spec, false).await;
        made.unwrap_or_else(|said| panic!("{name}: {said}"));
        if kind == "Builder" {
            let shown = spec["displayName"].as_str().unwrap().to_lowercase();
            assert!(
                builders.insert(shown, spec).is_none(),
                "{name} is there twice"
            );
        }
    }
    // As many as its configuration has, of all tiers, in the cluster and on machines of volunteers.
    assert_eq!(builders.len(), 150);
    let count = |is: &dyn Fn(&Value) -> bool| builders.values().filter(|spec| is(spec)).count();
    for (tier, stable) in [("tier-1", 20), ("tier-2", 18), ("tier-3", 24)] {
        let found = count(&|spec| spec["tier"] == tier && spec["stability"].is_null());
        assert_eq!(found, stable, "{tier}");
    }
    let tagged = |spec: &Value, tag: &str| {
        let tags = spec["tags"].as_array().unwrap();
        tags.iter().any(|found| found == tag)
    };
    for system in ["macOS", "windows", "freebsd", "solaris", "iOS", "android"] {
        let lent = count(&|spec| tagged(spec, system) && spec["worker"].is_object());
        assert!(lent > 0, "{system}");
    }
    for spec in builders.values() {
        let leaks = spec["flavours"].as_array();
        let leaks = leaks.is_some_and(|all| all.iter().any(|one| one == "refleaks"));
        assert_eq!(leaks, tagged(spec, "refleak"), "{spec}");
    }
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
