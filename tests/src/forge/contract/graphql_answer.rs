//! GraphQL answers against the public schema: what is there has the type that the schema gives it, and
//! nothing that was asked for is left out.

use std::collections::HashMap;
use std::sync::OnceLock;

use graphql_tools::static_graphql::{query, schema};
use serde_json::{Map, Value};

use super::graphql::shared;
use crate::forge::graphql::parsed;

/// How an answer differs from what the schema says of the fields that were asked for.
pub fn differences(request: &[u8], answer: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = request["query"].as_str().unwrap_or_default();
    // What is wrong with the request was told of it already.
    let (Ok(document), Some(types)) = (parsed(text), types()) else {
        return Vec::new();
    };
    let (Some((kind, set)), Some(data)) = (root(&document), answer["data"].as_object()) else {
        return Vec::new();
    };
    let mut walk = Walk {
        types,
        found: Vec::new(),
    };
    walk.object(kind, set, data, "data", true);
    walk.found
}

type Types = HashMap<&'static str, &'static schema::TypeDefinition>;

/// The types of the schema by name. There are far more than a thousand, and each field of an answer asks
/// for one or two.
fn types() -> Option<&'static Types> {
    static TYPES: OnceLock<Types> = OnceLock::new();
    let schema = shared().ok()?;
    let types = schema.definitions.iter().filter_map(|one| match one {
        schema::Definition::TypeDefinition(one) => Some((one.name(), one)),
        _ => None,
    });
    Some(TYPES.get_or_init(|| types.collect()))
}

fn root(document: &query::Document) -> Option<(&'static str, &query::SelectionSet)> {
    document
        .definitions
        .iter()
        .find_map(|definition| match definition {
            query::Definition::Operation(query::OperationDefinition::Query(one)) => {
                Some(("Query", &one.selection_set))
            }
            query::Definition::Operation(query::OperationDefinition::Mutation(one)) => {
                Some(("Mutation", &one.selection_set))
            }
            query::Definition::Operation(query::OperationDefinition::SelectionSet(set)) => {
                Some(("Query", set))
            }
            _ => None,
        })
}

/// A walk through request and answer at once.
struct Walk {
    types: &'static Types,
    found: Vec<String>,
}

impl Walk {
    /// An object of a type. A fragment on another type than that may not apply: then (`sure` is false)
    /// its fields may be missing.
    fn object(
        &mut self,
        kind: &str,
        set: &query::SelectionSet,
        value: &Map<String, Value>,
        path: &str,
        sure: bool,
    ) {
        let types = self.types;
        for item in &set.items {
            match item {
                query::Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    let definition = types.get(kind);
                    let definition = definition.and_then(|kind| kind.field_by_name(&field.name));
                    let path = format!("{path}.{key}");
                    match (definition, value.get(key)) {
                        (Some(definition), Some(value)) => {
                            let inner = &field.selection_set;
                            self.value(&definition.field_type, inner, value, &path);
                        }
                        (Some(_), None) if sure => self.found.push(format!("{path} is missing")),
                        _ => {}
                    }
                }
                query::Selection::InlineFragment(fragment) => {
                    let on = match &fragment.type_condition {
                        Some(query::TypeCondition::On(name)) => name.as_str(),
                        None => kind,
                    };
                    let inner = &fragment.selection_set;
                    self.object(on, inner, value, path, sure && on == kind);
                }
                query::Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn value(&mut self, kind: &schema::Type, set: &query::SelectionSet, value: &Value, path: &str) {
        match (kind, value) {
            (schema::Type::NonNullType(_), Value::Null) => {
                self.found.push(format!("{path} is null"));
            }
            (_, Value::Null) => {}
            (schema::Type::NonNullType(inner), _) => self.value(inner, set, value, path),
            (schema::Type::ListType(inner), Value::Array(all)) => {
                for one in all {
                    self.value(inner, set, one, path);
                }
            }
            (schema::Type::ListType(_), _) => self.found.push(format!("{path} is no list")),
            (schema::Type::NamedType(name), _) => self.named(name, set, value, path),
        }
    }

    fn named(&mut self, name: &str, set: &query::SelectionSet, value: &Value, path: &str) {
        let fits = match self.types.get(name) {
            Some(schema::TypeDefinition::Scalar(_)) => match name {
                "Int" => value.is_i64() || value.is_u64(),
                "Float" => value.is_number(),
                "Boolean" => value.is_boolean(),
                _ => value.is_string(),
            },
            Some(schema::TypeDefinition::Enum(words)) => {
                let mut words = words.values.iter();
                words.any(|word| value == word.name.as_str())
            }
            _ => match value.as_object() {
                Some(object) => return self.object(name, set, object, path, true),
                None => false,
            },
        };
        if !fits {
            self.found.push(format!("{path} is no {name}: {value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::differences;

    fn of(data: Value) -> Vec<String> {
        let query = "query { repository(owner: \"o\", name: \"n\") { pullRequest(number: 1) { state labels(first: 1) { nodes { name } } timelineItems(first: 1) { nodes { ... on LabeledEvent { id } } } } } }";
        let pull = json!({"data": {"repository": {"pullRequest": data}}});
        let request = json!({"query": query}).to_string();
        differences(request.as_bytes(), pull.to_string().as_bytes())
    }

    #[test]
    fn an_answer_of_the_right_shape_differs_in_nothing() {
        let whole = json!({"state": "OPEN", "labels": null, "timelineItems": {"nodes": [{"id": "LE_1"}, {}]}});
        assert_eq!(of(whole), Vec::<String>::new());
        assert_eq!(of(Value::Null), Vec::<String>::new());
    }

    #[test]
    fn a_null_a_wrong_word_and_a_field_that_is_missing_are_found() {
        let labels = json!({"nodes": [{"name": null}]});
        let found = of(json!({"state": "open", "labels": labels}));
        let pull = "data.repository.pullRequest";
        assert_eq!(
            found,
            [
                format!("{pull}.state is no PullRequestState: \"open\""),
                format!("{pull}.labels.nodes.name is null"),
                format!("{pull}.timelineItems is missing"),
            ]
        );
    }
}
