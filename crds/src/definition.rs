//! What the derived definitions of our kinds lack.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// Makes `null` mean "absent" in every field, as for Kubernetes' own kinds. A nullable field keeps
/// its null: `if:` with nothing behind it would be refused as "null is not success()", and a field
/// with a default would not get it.
pub(crate) fn null_is_absent(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            forget_null(schema);
        }
    }
    crd
}

fn forget_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(properties) = &mut schema.properties {
        properties.values_mut().for_each(forget_null);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => forget_null(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(forget_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forget_null(values);
    }
}
