//! What holds for every kind, read from the definitions themselves.

use serde_json::{Value, json};

use super::*;

/// Every field of every kind that is ours, with its path.
fn fields() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for crd in all() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let root = &schema["openAPIV3Schema"];
        collect(&crd.spec.names.kind, root, &mut found);
    }
    found
}

fn collect(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        collect(&path, field, found);
        collect(&format!("{path}[]"), &field["items"], found);
        collect(
            &format!("{path}{{}}"),
            &field["additionalProperties"],
            found,
        );
        found.push((path, field.clone()));
    }
}

#[test]
fn every_field_explains_itself_in_a_sentence() {
    for (path, field) in fields() {
        let text = field["description"].as_str().unwrap_or_default();
        assert!(
            text.len() > 3 && text.ends_with(['.', '`', '…']),
            "{path}: {text:?}"
        );
    }
}

#[test]
fn every_text_and_list_that_people_write_has_a_bound() {
    for (path, field) in fields() {
        // A run's task is the operator's copy of what was checked on its way in.
        if !path.contains(".spec") || path.starts_with("BuilderRun.spec.task.") {
            continue;
        }
        let has = |schema: &Value, keys: &[&str]| keys.iter().any(|key| !schema[*key].is_null());
        let bounded = |schema: &Value| match schema["type"].as_str() {
            Some("string") => has(schema, &["maxLength", "pattern", "enum", "format"]),
            Some("array") => has(schema, &["maxItems"]),
            Some("object") if has(schema, &["additionalProperties"]) => {
                has(schema, &["maxProperties"])
            }
            _ => true,
        };
        assert!(bounded(&field), "{path} has no bound");
        assert!(bounded(&field["items"]), "an item of {path} has no bound");
        let value = &field["additionalProperties"];
        assert!(bounded(value), "a value of {path} has no bound");
    }
}

#[test]
fn no_field_keeps_a_null() {
    for (path, field) in fields() {
        assert!(field["nullable"].is_null(), "{path}");
    }
}

#[test]
fn every_kind_has_a_status_a_short_name_columns_and_the_category() {
    for crd in all() {
        let (names, version) = (&crd.spec.names, &crd.spec.versions[0]);
        let kind = &names.kind;
        assert!(
            names
                .short_names
                .as_ref()
                .is_some_and(|names| names.len() == 1),
            "{kind}"
        );
        assert_eq!(names.categories, Some(vec!["prbuild".to_owned()]), "{kind}");
        let subresources = version.subresources.as_ref();
        assert!(
            subresources.is_some_and(|has| has.status.is_some()),
            "{kind}"
        );
        let columns = version
            .additional_printer_columns
            .clone()
            .unwrap_or_default();
        let wide = columns
            .iter()
            .filter(|column| column.priority == Some(1))
            .count();
        assert!(wide > 0 && columns.len() - wide >= 5, "{kind}: {columns:?}");
        assert!(columns.iter().any(|column| column.name == "Age"), "{kind}");
    }
}

#[test]
fn every_column_shows_a_field_that_exists() {
    let fields: Vec<String> = fields().into_iter().map(|(path, _)| path).collect();
    for crd in all() {
        let columns = crd.spec.versions[0].additional_printer_columns.clone();
        for column in columns.unwrap_or_default() {
            // Of a condition: the list. `creationTimestamp` is Kubernetes'.
            let path = column.json_path.split('[').next().unwrap_or_default();
            let path = format!("{}{path}", crd.spec.names.kind);
            // An entry of a map has its name from whoever writes it.
            let is_entry = path.starts_with("Worker.status.facts.");
            let known =
                is_entry || fields.contains(&path) || path.ends_with(".metadata.creationTimestamp");
            assert!(known, "{path} of the column {}", column.name);
        }
    }
}

/// How a value is read that no version known today writes.
fn newer<T: serde::de::DeserializeOwned>() -> T {
    serde_json::from_value(json!("SomethingNew")).unwrap()
}

#[test]
fn a_value_of_a_newer_version_is_read_as_unknown() {
    assert_eq!(newer::<RunPhase>(), RunPhase::Unknown);
    assert_eq!(newer::<BuildPhase>(), BuildPhase::Unknown);
    assert_eq!(newer::<BuildResult>(), BuildResult::Unknown);
    assert_eq!(newer::<AnswerReason>(), AnswerReason::Unknown);
    assert_eq!(newer::<Manner>(), Manner::Unknown);
    assert_eq!(newer::<TriggerKind>(), TriggerKind::Unknown);
    assert_eq!(newer::<Stability>(), Stability::Unknown);
    assert_eq!(newer::<PullPolicy>(), PullPolicy::Unknown);
    assert_eq!(newer::<Checkout>(), Checkout::Unknown);
    assert_eq!(newer::<ReportMode>(), ReportMode::Unknown);
    assert_eq!(newer::<Preset>(), Preset::Unknown);
    assert!(
        !RunPhase::Unknown.is_terminal(),
        "what it means is not known"
    );
}

#[test]
fn nobody_has_a_permission_and_nothing_is_the_evidence_that_only_a_newer_version_knows() {
    assert!(newer::<Permission>() > Permission::Admin);
    assert!(newer::<Evidence>() > Evidence::Review);
}

#[test]
fn a_field_of_a_newer_version_does_not_make_an_object_unreadable() {
    let status = json!({ "phase": "Complete", "result": "Passed", "invented": { "later": 1 } });
    let status: PrBuildStatus = serde_json::from_value(status).unwrap();
    assert_eq!(status.phase, BuildPhase::Complete);
}
