//! What the derived definitions of our kinds lack.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// Unwraps descriptions, and makes `null` mean "absent" in every field, as for Kubernetes' own kinds. A nullable field keeps
/// its null: `if:` with nothing behind it would be refused as "null is not success()", and a field
/// with a default would not get it.
pub(crate) fn polished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            polish(schema);
        }
    }
    crd
}

fn polish(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    // `kubectl explain` breaks lines by itself, and where the source broke them.
    if let Some(description) = &mut schema.description {
        let paragraphs = description
            .split("\n\n")
            .map(|text| text.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    if let Some(properties) = &mut schema.properties {
        properties.values_mut().for_each(polish);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => polish(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(polish),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        polish(values);
    }
}
