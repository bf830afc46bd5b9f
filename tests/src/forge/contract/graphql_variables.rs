//! The variables of a GraphQL request against what its document declares. Pure.
//!
//! <https://spec.graphql.org/October2021/#sec-Coercing-Variable-Values>

use graphql_tools::parser::query::{Definition, Document, OperationDefinition, Type};
use serde_json::{Map, Value};

/// How the values differ: one that is missing, that nobody declared, or that is of another type.
pub fn differences(document: &Document<'static, String>, given: &Value) -> Vec<String> {
    let none = Map::new();
    let given = given.as_object().unwrap_or(&none);
    let declared = document.definitions.iter().find_map(|one| match one {
        Definition::Operation(OperationDefinition::Query(one)) => Some(&one.variable_definitions),
        Definition::Operation(OperationDefinition::Mutation(one)) => {
            Some(&one.variable_definitions)
        }
        _ => None,
    });
    let declared = declared.map_or(&[][..], Vec::as_slice);
    let wrong = declared.iter().filter_map(|one| {
        let value = given.get(&one.name);
        let left_out = value.is_none() && one.default_value.is_some();
        let fits = left_out || fits(&one.var_type, value.unwrap_or(&Value::Null));
        (!fits).then(|| {
            let value = value.map_or("missing".to_owned(), Value::to_string);
            format!("the variable ${} is no {}: {value}", one.name, one.var_type)
        })
    });
    let unknown = given
        .keys()
        .filter(|name| declared.iter().all(|one| one.name != **name))
        .map(|name| format!("the variable ${name} is not declared"));
    wrong.chain(unknown).collect()
}

/// Whether a value has a type. What a type of input holds is left to GitHub: PrBuild sends scalars.
fn fits(kind: &Type<'static, String>, value: &Value) -> bool {
    match (kind, value) {
        (Type::NonNullType(kind), value) => !value.is_null() && fits(kind, value),
        (_, Value::Null) => true,
        (Type::ListType(kind), Value::Array(all)) => all.iter().all(|one| fits(kind, one)),
        // One value stands for a list of one.
        (Type::ListType(kind), one) => fits(kind, one),
        (Type::NamedType(name), value) => match name.as_str() {
            "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "String" => value.is_string(),
            "ID" => value.is_string() || value.is_i64(),
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::forge::graphql::parsed;

    #[test]
    fn variables_are_held_against_what_the_document_declares() {
        let text = "query($owner: String!, $number: Int!, $ids: [ID!], $first: Int = 5) { viewer { login } }";
        let document = parsed(text).unwrap();
        let of = |given| differences(&document, &given);
        assert_eq!(of(json!({ "owner": "o", "number": 1 })), [""; 0]);
        let all = json!({ "owner": "o", "number": 1, "ids": ["a"], "first": null });
        assert_eq!(of(all), [""; 0]);
        let wrong = of(json!({ "number": "1", "ids": [null], "more": true }));
        assert_eq!(
            wrong,
            [
                "the variable $owner is no String!: missing",
                "the variable $number is no Int!: \"1\"",
                "the variable $ids is no [ID!]: [null]",
                "the variable $more is not declared",
            ]
        );
        let bare = parsed("{ viewer { login } }").unwrap();
        assert_eq!(differences(&bare, &Value::Null), [""; 0]);
    }
}
