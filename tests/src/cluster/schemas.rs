//! JSON schemas of what an API server takes, made of its own description: of built-in kinds and of ours
//! alike, and strict, so that a field that nobody knows is a mistake.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Access, ClusterError};

/// Group, version and kind of an object; the group of built-in kinds may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    group: String,
    version: String,
    kind: String,
}

impl Kind {
    /// That of an object.
    pub fn of(object: &Value) -> Self {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let api = text("apiVersion");
        let (group, version) = api.split_once('/').unwrap_or(("", &api));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text("kind"),
        }
    }

    /// Where the API server describes it.
    fn path(&self) -> String {
        match self.group.as_str() {
            "" => format!("/openapi/v3/api/{}", self.version),
            group => format!("/openapi/v3/apis/{group}/{}", self.version),
        }
    }

    /// Name of its file, as kubeconform's `{{.ResourceKind}}{{.KindSuffix}}` says it.
    fn file(&self) -> String {
        let group = self.group.split('.').next().unwrap_or_default();
        let group = match group {
            "" => String::new(),
            group => format!("-{group}"),
        };
        format!("{}{group}-{}.json", self.kind, self.version).to_lowercase()
    }
}

/// Writes a schema for each kind that the API server knows into a directory. Returns those that it does
/// not know.
pub async fn write_schemas(
    access: &Access,
    kinds: BTreeSet<Kind>,
    dir: &Path,
) -> Result<Vec<String>, ClusterError> {
    std::fs::create_dir_all(dir).map_err(ClusterError::io(dir))?;
    let client = access.client().await?;
    let mut unknown = Vec::new();
    for kind in kinds {
        let asked = http::Request::get(kind.path()).body(Vec::new());
        let asked = asked.map_err(|error| ClusterError::Command {
            what: format!("{} cannot be asked for", kind.path()),
            because: error.to_string(),
        })?;
        let text = match client.request_text(asked).await {
            Ok(text) => text,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                unknown.push(kind.kind);
                continue;
            }
            Err(error) => return Err(ClusterError::api(kind.path())(error)),
        };
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        let file = dir.join(kind.file());
        match schema(&document, &kind) {
            Some(schema) => {
                std::fs::write(&file, schema.to_string()).map_err(ClusterError::io(&file))?;
            }
            None => unknown.push(kind.kind),
        }
    }
    Ok(unknown)
}

/// The schema of a kind, with all that it refers to.
fn schema(document: &Value, kind: &Kind) -> Option<Value> {
    let all = document["components"]["schemas"].as_object()?;
    let (name, _) = all.iter().find(|(_, schema)| is_of(schema, kind))?;
    let definitions: Map<String, Value> = all
        .iter()
        .map(|(name, schema)| (name.clone(), strict(schema)))
        .collect();
    Some(json!({ "$ref": format!("#/definitions/{name}"), "definitions": definitions }))
}

fn is_of(schema: &Value, kind: &Kind) -> bool {
    let names = schema["x-kubernetes-group-version-kind"].as_array();
    names.into_iter().flatten().any(|name| {
        name["group"] == kind.group && name["version"] == kind.version && name["kind"] == kind.kind
    })
}

/// A schema of OpenAPI as JSON Schema, in which only fields that it names are allowed.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Array(all) => all.iter().map(strict).collect(),
        Value::Object(fields) => {
            let mut strict_one: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), field(name, value)))
                .collect();
            let open = fields.contains_key("additionalProperties")
                || fields.contains_key("x-kubernetes-preserve-unknown-fields");
            // `properties` may also be the name of a field.
            let is_schema = fields.get("type").is_none_or(Value::is_string);
            if fields.get("properties").is_some_and(Value::is_object) && is_schema && !open {
                strict_one.insert("additionalProperties".to_owned(), false.into());
            }
            if fields.contains_key("x-kubernetes-int-or-string") {
                strict_one.remove("type");
            }
            Value::Object(strict_one)
        }
        other => other.clone(),
    }
}

/// The value of a keyword; fields of an object are schemas, whatever they are called.
fn field(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("$ref", Value::String(to)) => to.replace("#/components/schemas/", "#/definitions/").into(),
        ("properties", Value::Object(fields)) => fields
            .iter()
            .map(|(name, schema)| (name.clone(), strict(schema)))
            .collect::<Map<_, _>>()
            .into(),
        ("default" | "enum" | "example" | "x-kubernetes-group-version-kind", other) => {
            other.clone()
        }
        (_, other) => strict(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_are_named_are_allowed_and_references_stay_within_the_file() {
        let document = json!({ "components": { "schemas": {
            "a.Thing": {
                "type": "object",
                "properties": {
                    "meta": { "allOf": [{ "$ref": "#/components/schemas/a.Meta" }], "default": {} },
                    "properties": { "type": "object", "additionalProperties": { "type": "string" } },
                    "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                              "properties": { "x": { "type": "string" } } },
                },
                "x-kubernetes-group-version-kind": [{ "group": "a.example", "version": "v1", "kind": "Thing" }],
            },
            "a.Meta": { "type": "object", "properties": { "name": { "type": "string" } } },
        }}});
        let kind = Kind::of(&json!({ "apiVersion": "a.example/v1", "kind": "Thing" }));
        let made = schema(&document, &kind).unwrap();
        assert_eq!(made["$ref"], "#/definitions/a.Thing");
        let thing = &made["definitions"]["a.Thing"];
        assert_eq!(thing["additionalProperties"], false);
        let fields = &thing["properties"];
        assert_eq!(fields["meta"]["allOf"][0]["$ref"], "#/definitions/a.Meta");
        assert!(fields["properties"]["additionalProperties"].is_object());
        assert!(fields["free"]["additionalProperties"].is_null());
        assert_eq!(kind.file(), "thing-a-v1.json");
        let pod = Kind::of(&json!({ "apiVersion": "v1", "kind": "Pod" }));
        assert_eq!(
            (pod.file().as_str(), pod.path().as_str()),
            ("pod-v1.json", "/openapi/v3/api/v1")
        );
    }
}
