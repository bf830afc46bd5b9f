//! GraphQL requests against the public schema.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use graphql_tools::parser::parse_schema;
use graphql_tools::static_graphql::schema;
use graphql_tools::validation::rules::default_rules_validation_plan;
use graphql_tools::validation::validate::validate;
use serde_json::Value;

use super::{graphql_variables, published};
use crate::forge::graphql::parsed;

/// How a request differs: fields, arguments, types of variables, and their values.
pub fn differences(body: &[u8]) -> Vec<String> {
    let request: Value = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return vec![format!("the body is no JSON: {error}")],
    };
    match request["query"].as_str() {
        Some(text) => {
            let mut all = of_document(text);
            if let Ok(document) = parsed(text) {
                all.extend(graphql_variables::differences(
                    &document,
                    &request["variables"],
                ));
            }
            all
        }
        None => vec!["there is no query".to_owned()],
    }
}

/// How a document differs. That depends on its text alone, which is one of few, and the schema is long.
fn of_document(text: &str) -> Vec<String> {
    static KNOWN: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(differences) = known().get(text) {
        return differences.clone();
    }
    let differences = validated(text);
    known().insert(text.to_owned(), differences.clone());
    differences
}

fn validated(text: &str) -> Vec<String> {
    let document = match parsed(text) {
        Ok(document) => document,
        Err(error) => return vec![format!("the query cannot be parsed: {error}")],
    };
    match shared() {
        Ok(schema) => {
            let errors = validate(schema, &document, &default_rules_validation_plan());
            errors.into_iter().map(|error| error.message).collect()
        }
        Err(error) => vec![format!("GitHub's GraphQL schema cannot be read: {error}")],
    }
}

/// The schema, parsed once for the process.
pub fn shared() -> Result<&'static schema::Document, &'static String> {
    static SHARED: OnceLock<Result<schema::Document, String>> = OnceLock::new();
    let read = || {
        let file = published::graphql().map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        // What every schema has without saying so.
        let text = text + "\nscalar Int scalar Float scalar String scalar Boolean scalar ID\n";
        let document = parse_schema::<String>(&text).map_err(|error| error.to_string())?;
        Ok(document.into_static())
    };
    SHARED.get_or_init(read).as_ref()
}
