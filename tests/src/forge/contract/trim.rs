//! The REST description, cut down to the operations of the forge and turned into JSON Schema: the
//! whole is 13 MB, and `nullable` is no word of JSON Schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The key of an operation in the trimmed description.
pub fn key(method: &str, template: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    format!("{}{}", method.to_lowercase(), template)
        .chars()
        .map(plain)
        .collect()
}

/// `{operations: {key: {parameters, body, bodyRequired, answers: {status: schema}}}, components: {schemas}}`.
pub fn trim(description: &Value, operations: &[(&str, &str)]) -> Value {
    let mut kept = Map::new();
    for (method, template) in operations {
        let path = &description["paths"][*template];
        let operation = &path[method.to_lowercase()];
        if operation.is_object() {
            let mut trimmed = trim_operation(description, path, operation);
            correct_operation(template, &mut trimmed);
            kept.insert(key(method, template), trimmed);
        }
    }
    let mut schemas = Map::new();
    let mut wanted = BTreeSet::new();
    let mut kept = Value::Object(kept);
    refs(&kept, &mut wanted);
    while let Some(name) = wanted.pop_first() {
        if schemas.contains_key(&name) {
            continue;
        }
        let mut schema = description["components"]["schemas"][&name].clone();
        correct(&name, &mut schema);
        schema = to_json_schema(schema);
        refs(&schema, &mut wanted);
        schemas.insert(name, schema);
    }
    kept = to_json_schema(kept);
    json!({"operations": kept, "components": {"schemas": schemas}})
}

fn trim_operation(description: &Value, path: &Value, operation: &Value) -> Value {
    let mut parameters = Vec::new();
    for list in [&path["parameters"], &operation["parameters"]] {
        for parameter in list.as_array().into_iter().flatten() {
            let parameter = resolve(description, parameter);
            if parameter["in"] == "query" {
                let required = parameter["required"].as_bool().unwrap_or(false);
                parameters.push(json!({"name": parameter["name"], "required": required, "schema": parameter["schema"]}));
            }
        }
    }
    let mut answers = Map::new();
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let schema = resolve(description, answer)["content"]["application/json"]["schema"].clone();
        answers.insert(
            status.clone(),
            if schema.is_object() {
                schema
            } else {
                json!({})
            },
        );
    }
    let body = resolve(description, &operation["requestBody"]);
    json!({
        "parameters": parameters,
        "body": body["content"]["application/json"]["schema"],
        "bodyRequired": body["required"].as_bool().unwrap_or(false),
        "answers": answers,
    })
}

/// What a `$ref` points to, or the value itself.
fn resolve<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"]
        .as_str()
        .and_then(|reference| description.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
}

/// The names of all schemas that a value refers to.
fn refs(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|one| one.strip_prefix("#/components/schemas/"))
            {
                found.insert(name.to_owned());
            }
            fields.values().for_each(|inner| refs(inner, found));
        }
        Value::Array(all) => all.iter().for_each(|inner| refs(inner, found)),
        _ => {}
    }
}

/// Where the description of an operation contradicts itself.
fn correct_operation(template: &str, operation: &mut Value) {
    if template == "/app/installations" {
        // An account cannot be user and enterprise at once, as it is written there; the list is of the
        // installations that `/app/installations/{installation_id}` describes.
        operation["answers"]["200"] =
            json!({"type": "array", "items": {"$ref": "#/components/schemas/installation"}});
    }
}

/// Where a schema is known to differ from what GitHub answers.
fn correct(name: &str, schema: &mut Value) {
    if !matches!(name, "pull-request" | "pull-request-simple") {
        return;
    }
    // The fork of a pull request may be gone; then `head.repo` is null. The webhook schemas say so.
    schema["properties"]["head"]["properties"]["repo"]["nullable"] = json!(true);
    // API version 2026-03-10 answers without this field; the description is of 2022-11-28.
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|field| field != "merge_commit_sha");
    }
}

/// `nullable` as JSON Schema says it, without examples and descriptions.
fn to_json_schema(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let nullable = fields.get("nullable") == Some(&Value::Bool(true));
            let mut out = Map::new();
            for (name, inner) in fields {
                // Properties may have these names too; then they are schemas and not text.
                let text = matches!(name.as_str(), "description" | "example" | "title")
                    && !inner.is_object();
                if text || name == "examples" || name == "nullable" && nullable {
                    continue;
                }
                out.insert(name, to_json_schema(inner));
            }
            if nullable {
                or_null(out)
            } else {
                Value::Object(out)
            }
        }
        Value::Array(all) => all.into_iter().map(to_json_schema).collect(),
        other => other,
    }
}

fn or_null(mut schema: Map<String, Value>) -> Value {
    let combined = ["$ref", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|word| schema.contains_key(*word));
    match schema.get("type").cloned() {
        Some(Value::String(kind)) if !combined => {
            schema.insert("type".to_owned(), json!([kind, "null"]));
            if let Some(Value::Array(values)) = schema.get_mut("enum")
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
            Value::Object(schema)
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_json_schema;

    #[test]
    fn what_may_be_null_is_said_in_the_words_of_json_schema() {
        assert_eq!(
            to_json_schema(
                json!({"type": "string", "nullable": true, "enum": ["a"], "example": "a"})
            ),
            json!({"type": ["string", "null"], "enum": ["a", null]})
        );
        assert_eq!(
            to_json_schema(json!({"nullable": true, "$ref": "#/x"})),
            json!({"anyOf": [{"$ref": "#/x"}, {"type": "null"}]})
        );
    }

    #[test]
    fn a_property_named_description_stays() {
        let schema = json!({"properties": {"description": {"type": "string"}}});
        assert_eq!(to_json_schema(schema.clone()), schema);
    }
}
