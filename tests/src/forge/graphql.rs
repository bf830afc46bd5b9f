//! The GraphQL endpoint, as far as it is needed. The document is parsed, and just the fields that it
//! asks for are answered. Errors come with status 200, with their type and path, beside the data that
//! could be had.

mod mutation;
mod query;
mod shapes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use graphql_tools::parser::parse_query;
use graphql_tools::parser::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, TypeCondition,
    Value as Term,
};
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::model::World;
use super::rest::{Answer, Call, Reply};
use super::wire::Wire;

type Set<'a> = SelectionSet<'a, String>;

/// What the document of a request asks for.
enum Operation<'d, 'a> {
    Query(&'d Set<'a>),
    Mutation(&'d Set<'a>),
}

/// `POST /graphql`
pub fn answer(call: &Call<'_>) -> Reply {
    if matches!(call.caller, Caller::Anonymous | Caller::App(_)) {
        return Err(Answer::error(
            401,
            "This endpoint requires you to be authenticated.",
        ));
    }
    let text = call.text("query").ok_or_else(|| {
        Answer::error(
            400,
            "A query attribute must be specified and must be a string.",
        )
    })?;
    let document = match parsed(&text) {
        Ok(document) => document,
        Err(error) => return Ok(failed(Value::Null, json!([{"message": error}]))),
    };
    let Some(operation) = operation(&document) else {
        let errors = json!([{"message": "The forge answers queries and mutations only."}]);
        return Ok(failed(Value::Null, errors));
    };
    call.forge.edit(|world| {
        let mut run = Run {
            call,
            world,
            errors: Vec::new(),
        };
        let data = match operation {
            Operation::Query(set) => run.query(set),
            Operation::Mutation(set) => run.mutate(set),
        };
        let errors = std::mem::take(&mut run.errors);
        Ok(if errors.is_empty() {
            Answer::ok(json!({"data": data}))
        } else {
            failed(data, Value::Array(errors))
        })
    })
}

/// The document of a request. It is looked at four times, its text is one of few, and to parse it takes
/// longer than to answer it.
pub(super) fn parsed(text: &str) -> Result<Arc<Document<'static, String>>, String> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Document<'static, String>>>> =
        Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(document) = known().get(text) {
        return Ok(document.clone());
    }
    let document = parse_query::<String>(text).map_err(|error| error.to_string())?;
    let document = Arc::new(document.into_static());
    known().insert(text.to_owned(), document.clone());
    Ok(document)
}

/// The names of the mutations that a request asks for, none for a query: what it costs depends on them.
pub fn mutations(body: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = request["query"].as_str().unwrap_or_default();
    let Ok(document) = parsed(text) else {
        return Vec::new();
    };
    match operation(&document) {
        Some(Operation::Mutation(set)) => fields(set, "Mutation")
            .into_iter()
            .map(|field| field.name.clone())
            .collect(),
        _ => Vec::new(),
    }
}

fn operation<'d, 'a>(document: &'d Document<'a, String>) -> Option<Operation<'d, 'a>> {
    document
        .definitions
        .iter()
        .find_map(|definition| match definition {
            Definition::Operation(OperationDefinition::Query(query)) => {
                Some(Operation::Query(&query.selection_set))
            }
            Definition::Operation(OperationDefinition::SelectionSet(set)) => {
                Some(Operation::Query(set))
            }
            Definition::Operation(OperationDefinition::Mutation(mutation)) => {
                Some(Operation::Mutation(&mutation.selection_set))
            }
            _ => None,
        })
}

fn failed(data: Value, errors: Value) -> Answer {
    Answer::ok(json!({"data": data, "errors": errors}))
}

/// One request that is being answered.
struct Run<'a> {
    call: &'a Call<'a>,
    world: &'a mut World,
    errors: Vec<Value>,
}

impl Run<'_> {
    fn wire(&self) -> Wire<'_> {
        self.call.wire(self.world)
    }

    /// Just the asked fields of an object, of each object of a list, or null. An object that does not
    /// say what it is, is of this kind.
    fn project(&mut self, value: &Value, set: &Set<'_>, kind: &str) -> Value {
        match value {
            Value::Object(_) if !set.items.is_empty() => {
                let kind = value["__typename"].as_str().unwrap_or(kind);
                let asked = fields(set, kind);
                let shown: Map<String, Value> = asked
                    .into_iter()
                    .map(|field| (key(field), self.project_field(value, field, kind)))
                    .collect();
                Value::Object(shown)
            }
            Value::Array(all) => all.iter().map(|one| self.project(one, set, kind)).collect(),
            other => other.clone(),
        }
    }

    fn project_field(&mut self, value: &Value, field: &Field<'_, String>, kind: &str) -> Value {
        if field.name == "__typename" {
            return json!(kind);
        }
        match value.get(&field.name) {
            Some(found) => self.project(found, &field.selection_set, &field.name),
            None => self.unknown(&field.name, kind),
        }
    }

    fn unknown(&mut self, field: &str, kind: &str) -> Value {
        self.errors.push(json!({"message": format!("Field '{field}' doesn't exist on type '{kind}' (as far as the forge goes)")}));
        Value::Null
    }

    /// Writes down why there is null at this path.
    fn fail(
        &mut self,
        path: &[&str],
        field: &Field<'_, String>,
        kind: &str,
        message: &str,
    ) -> Value {
        let at = json!([{"line": field.position.line, "column": field.position.column}]);
        self.errors
            .push(json!({"type": kind, "path": path, "locations": at, "message": message}));
        Value::Null
    }

    /// An argument with its variables filled in; null if it was left out.
    fn argument(&self, field: &Field<'_, String>, name: &str) -> Value {
        let found = field
            .arguments
            .iter()
            .find(|(argument, _)| argument == name);
        found.map_or(Value::Null, |(_, term)| self.value(term))
    }

    fn value(&self, term: &Term<'_, String>) -> Value {
        match term {
            Term::Variable(variable) => self.call.body["variables"][variable].clone(),
            Term::String(text) | Term::Enum(text) => json!(text),
            Term::Int(number) => json!(number.as_i64()),
            Term::Float(number) => json!(number),
            Term::Boolean(truth) => json!(truth),
            Term::List(all) => all.iter().map(|one| self.value(one)).collect(),
            Term::Object(fields) => {
                let filled = fields
                    .iter()
                    .map(|(name, inner)| (name.clone(), self.value(inner)));
                Value::Object(filled.collect())
            }
            Term::Null => Value::Null,
        }
    }
}

/// The fields of a selection that apply to an object of this kind. A fragment on another kind of
/// object does not; one on an interface or union does.
fn fields<'s, 'a>(set: &'s Set<'a>, kind: &str) -> Vec<&'s Field<'a, String>> {
    let mut found = Vec::new();
    for item in &set.items {
        match item {
            Selection::Field(field) => found.push(field),
            Selection::InlineFragment(fragment) => {
                let applies = match &fragment.type_condition {
                    Some(TypeCondition::On(name)) => name == kind || !is_object(name),
                    None => true,
                };
                if applies {
                    found.extend(fields(&fragment.selection_set, kind));
                }
            }
            Selection::FragmentSpread(_) => {}
        }
    }
    found
}

/// Whether a type is one of the kinds of objects that can stand in one place.
fn is_object(name: &str) -> bool {
    matches!(
        name,
        "User" | "Bot" | "Organization" | "Mannequin" | "Issue" | "PullRequest" | "IssueComment"
    ) || name.ends_with("Event")
        || matches!(name, "PullRequestCommit" | "PullRequestReview")
}

fn key(field: &Field<'_, String>) -> String {
    field.alias.clone().unwrap_or_else(|| field.name.clone())
}
