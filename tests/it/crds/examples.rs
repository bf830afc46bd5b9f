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
