//! Whether the API server knows our kinds as this program knows them.
//!
//! An API server silently drops fields that its definition of a kind does not have. A program that is
//! newer than the definitions would believe that it wrote something. So it asks first, through the
//! OpenAPI description, which every account may read; reading definitions would take a right of its own.

use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::Client;
use serde_json::Value;

/// Why the kinds of a cluster do not do.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// No kind of ours is there.
    #[error("the kinds of {group} are not installed; install the chart with `crds.install=true`", group = crds::GROUP)]
    Missing,
    /// They are of another version than this program.
    #[error("the kinds of {group} are of another version: {what} is missing; upgrade the chart with `crds.install=true`", group = crds::GROUP)]
    Other {
        /// The first field or value that is missing.
        what: String,
    },
    /// They cannot be looked at.
    #[error("the API server does not tell its kinds: {0}")]
    Unknown(String),
}

/// Looks once.
///
/// # Errors
/// What is missing.
pub async fn fit(client: &Client) -> Result<(), Unfit> {
    let path = format!("/openapi/v3/apis/{}/v1alpha1", crds::GROUP);
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| Unfit::Unknown(error.to_string()))?;
    let text = match client.request_text(request).await {
        Ok(text) => text,
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(Unfit::Missing),
        Err(error) => return Err(Unfit::Unknown(error.to_string())),
    };
    let served: Value =
        serde_json::from_str(&text).map_err(|error| Unfit::Unknown(error.to_string()))?;
    match crds::all().iter().find_map(|kind| missing(kind, &served)) {
        Some(what) => Err(Unfit::Other { what }),
        None => Ok(()),
    }
}

/// The first thing of a kind that a served description lacks.
fn missing(kind: &CustomResourceDefinition, served: &Value) -> Option<String> {
    let name = &kind.spec.names.kind;
    let schema = kind.spec.versions.first()?.schema.as_ref()?;
    let ours = schema.open_api_v3_schema.as_ref()?;
    let schemas = served["components"]["schemas"].as_object()?;
    let theirs = schemas
        .iter()
        .find(|(key, _)| key.ends_with(&format!(".v1alpha1.{name}")));
    match theirs {
        None => Some(name.clone()),
        Some((_, theirs)) => lacking(ours, theirs, name),
    }
}

/// Every field and every value of ours has to be there; what is there beyond does no harm.
fn lacking(ours: &JSONSchemaProps, theirs: &Value, path: &str) -> Option<String> {
    for (name, field) in ours.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        match theirs["properties"].get(name) {
            None => return Some(path),
            Some(theirs) => {
                if let Some(found) = lacking(field, theirs, &path) {
                    return Some(found);
                }
            }
        }
    }
    let values = ours.enum_.iter().flatten();
    let known = theirs["enum"].as_array();
    let unknown = values
        .map(|value| &value.0)
        .find(|value| known.is_some_and(|known| !known.contains(value)));
    if let Some(value) = unknown {
        return Some(format!("the value {value} of {path}"));
    }
    let items = match &ours.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => lacking(items, &theirs["items"], path),
        _ => None,
    };
    items.or_else(|| match &ours.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => {
            lacking(values, &theirs["additionalProperties"], path)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Value {
        let schema = |kind: &CustomResourceDefinition| {
            let schema = kind.spec.versions[0].schema.as_ref();
            let key = format!("dev.prbuild.v1alpha1.{}", kind.spec.names.kind);
            let schema = schema.and_then(|schema| schema.open_api_v3_schema.clone());
            (key, serde_json::to_value(schema).unwrap_or_default())
        };
        let schemas: serde_json::Map<_, _> = crds::all().iter().map(schema).collect();
        serde_json::json!({ "components": { "schemas": schemas } })
    }

    fn first_missing(served: &Value) -> Option<String> {
        crds::all().iter().find_map(|kind| missing(kind, served))
    }

    #[test]
    fn our_own_kinds_fit_and_more_than_we_know_does_no_harm() {
        let mut served = served();
        assert_eq!(first_missing(&served), None);
        let more = "/components/schemas/dev.prbuild.v1alpha1.Builder/properties/spec/properties";
        served.pointer_mut(more).unwrap()["new"] = serde_json::json!({ "type": "string" });
        assert_eq!(first_missing(&served), None);
    }

    #[test]
    fn a_field_a_value_and_a_kind_that_are_missing_are_named() {
        let mut fewer = served();
        let fields = "/components/schemas/dev.prbuild.v1alpha1.PrBuild/properties/spec/properties";
        let fields = fewer.pointer_mut(fields).unwrap().as_object_mut();
        fields.unwrap().remove("cancelBuilders");
        assert_eq!(
            first_missing(&fewer).as_deref(),
            Some("PrBuild.spec.cancelBuilders")
        );

        let mut fewer = served();
        let phase = "/components/schemas/dev.prbuild.v1alpha1.PrBuild/properties/status/properties/phase/enum";
        let values = fewer.pointer_mut(phase).unwrap().as_array_mut().unwrap();
        values.retain(|value| value != "Cancelling");
        assert_eq!(
            first_missing(&fewer).as_deref(),
            Some("the value \"Cancelling\" of PrBuild.status.phase")
        );

        let mut fewer = served();
        let kinds = fewer["components"]["schemas"].as_object_mut().unwrap();
        kinds.remove("dev.prbuild.v1alpha1.Answer");
        assert_eq!(first_missing(&fewer).as_deref(), Some("Answer"));
    }
}
