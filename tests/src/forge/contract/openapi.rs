//! Requests and answers against the REST description.

use axum::body::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::schemas::Schemas;
use super::trim::key;
use crate::forge::rest::Answer;

/// How a request differs: operation, query and body.
pub fn request(
    schemas: &'static Schemas,
    template: Option<&str>,
    request: &Parts,
    body: &Bytes,
) -> Vec<String> {
    let Some(template) = template else {
        return vec!["the forge has no such route".to_owned()];
    };
    let key = key(request.method.as_str(), template);
    let operation = &schemas.rest["operations"][&key];
    if operation.is_null() {
        return vec!["GitHub has no such operation".to_owned()];
    }
    let mut found = query(schemas, &key, operation, request);
    match (&operation["body"], body.is_empty()) {
        (Value::Null, true) => {}
        (Value::Null, false) => found.push("this operation takes no body".to_owned()),
        (_, true) if operation["bodyRequired"] == true => {
            found.push("the body is missing".to_owned())
        }
        (_, true) => {}
        (_, false) => match serde_json::from_slice(body) {
            Ok(value) => found.extend(schemas.rest(&format!("/operations/{key}/body"), &value)),
            Err(error) => found.push(format!("the body is no JSON: {error}")),
        },
    }
    found
}

fn query(schemas: &'static Schemas, key: &str, operation: &Value, request: &Parts) -> Vec<String> {
    let mut found = Vec::new();
    let pairs: Vec<(String, String)> = axum::extract::Query::try_from_uri(&request.uri)
        .map(|query| query.0)
        .unwrap_or_default();
    let parameters = operation["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (name, text) in &pairs {
        match parameters
            .iter()
            .position(|parameter| parameter["name"] == **name)
        {
            None => found.push(format!("there is no query parameter `{name}`")),
            Some(index) => {
                let schema = &parameters[index]["schema"];
                let value = typed(schema, text);
                let pointer = format!("/operations/{key}/parameters/{index}/schema");
                found.extend(
                    schemas
                        .rest(&pointer, &value)
                        .into_iter()
                        .map(|one| format!("query parameter `{name}` {one}")),
                );
            }
        }
    }
    for parameter in parameters
        .iter()
        .filter(|parameter| parameter["required"] == true)
    {
        if !pairs.iter().any(|(name, _)| parameter["name"] == **name) {
            found.push(format!(
                "the query parameter {} is missing",
                parameter["name"]
            ));
        }
    }
    found
}

/// The text of a query parameter as the type that its schema wants.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number") => text
            .parse::<i64>()
            .map_or_else(|_| json!(text), |number| json!(number)),
        Some("boolean") => text
            .parse::<bool>()
            .map_or_else(|_| json!(text), |truth| json!(truth)),
        _ => json!(text),
    }
}

/// How an answer differs. A success must be in the description; an error that is not there has the
/// shape of all errors.
pub fn answer(
    schemas: &'static Schemas,
    template: &str,
    request: &Parts,
    answer: &Answer,
) -> Vec<String> {
    let key = key(request.method.as_str(), template);
    let status = answer.status.to_string();
    let bytes = answer.bytes();
    let value: Value = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    match schemas.rest["operations"][&key]["answers"].get(&status) {
        Some(_) if bytes.is_empty() => Vec::new(),
        Some(_) => schemas.rest(&format!("/operations/{key}/answers/{status}"), &value),
        // Every operation on a repository leads on from its old name, whether it is written or not.
        None if matches!(answer.status, 301 | 307) && value["url"].is_string() => Vec::new(),
        None if answer.status < 400 => vec![format!("GitHub does not answer {status}")],
        None if value["message"].is_string() => Vec::new(),
        None => vec!["an error without a message".to_owned()],
    }
}
