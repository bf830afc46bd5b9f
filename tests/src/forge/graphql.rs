//! The GraphQL endpoint, as far as it is needed: a repository's pull request with its test merge, and
//! the rate limit. The query is parsed, and just the fields that it asks for are answered.

use graphql_tools::parser::parse_query;
use graphql_tools::parser::query::{
    Definition, Field, OperationDefinition, Selection, SelectionSet, Value as Term,
};
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::clock::iso;
use super::model::{MergeCommit, PullRequest, PullState, Repository, World};
use super::rest::{Answer, Call, Reply};

type Set<'a> = SelectionSet<'a, String>;

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
    let document = match parse_query::<String>(&text) {
        Ok(document) => document,
        Err(error) => return Ok(failed(Value::Null, json!([{"message": error.to_string()}]))),
    };
    let set = document
        .definitions
        .iter()
        .find_map(|definition| match definition {
            Definition::Operation(OperationDefinition::Query(query)) => Some(&query.selection_set),
            Definition::Operation(OperationDefinition::SelectionSet(set)) => Some(set),
            _ => None,
        });
    let Some(set) = set else {
        return Ok(failed(
            Value::Null,
            json!([{"message": "The forge answers queries only."}]),
        ));
    };
    call.forge.edit(|world| {
        let mut run = Run {
            call,
            world,
            errors: Vec::new(),
        };
        let data = run.query(set);
        let errors = std::mem::take(&mut run.errors);
        Ok(if errors.is_empty() {
            Answer::ok(json!({"data": data}))
        } else {
            failed(data, Value::Array(errors))
        })
    })
}

fn failed(data: Value, errors: Value) -> Answer {
    Answer::ok(json!({"data": data, "errors": errors}))
}

/// One query that is being answered.
struct Run<'a> {
    call: &'a Call<'a>,
    world: &'a mut World,
    errors: Vec<Value>,
}

impl Run<'_> {
    fn query(&mut self, set: &Set<'_>) -> Value {
        let mut out = Map::new();
        for field in fields(set) {
            let value = match field.name.as_str() {
                "repository" => self.repository(field),
                "viewer" => self.viewer(field),
                "rateLimit" => self.rate_limit(field),
                name => self.unknown(name, "Query"),
            };
            out.insert(key(field), value);
        }
        Value::Object(out)
    }

    fn repository(&mut self, field: &Field<'_, String>) -> Value {
        let name = |name| {
            self.argument(field, name)
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let full_name = format!("{}/{}", name("owner"), name("name"));
        let found = self
            .world
            .repository(&full_name)
            .filter(|one| self.call.caller.sees(one));
        let Some(found) = found.map(|one| json!({"id": format!("R_kgDO{}", one.id), "databaseId": one.id, "name": one.name, "nameWithOwner": full_name, "isPrivate": one.private})) else {
            return self.missing(&["repository"], &format!("Could not resolve to a Repository with the name '{full_name}'."));
        };
        let mut out = Map::new();
        for inner in fields(&field.selection_set) {
            let value = match inner.name.as_str() {
                "pullRequest" => {
                    let number = self.argument(inner, "number").as_u64().unwrap_or_default();
                    self.pull_request(&full_name, number, &inner.selection_set)
                }
                _ => self.project_field(&found, inner, "Repository"),
            };
            out.insert(key(inner), value);
        }
        Value::Object(out)
    }

    fn pull_request(&mut self, full_name: &str, number: u64, set: &Set<'_>) -> Value {
        let about_merge = fields(set)
            .iter()
            .any(|field| matches!(field.name.as_str(), "mergeable" | "potentialMergeCommit"));
        let found = self
            .world
            .repository_mut(full_name)
            .and_then(|one| one.pulls.get_mut(&number));
        let Some(pull) = found else {
            return self.missing(
                &["repository", "pullRequest"],
                &format!("Could not resolve to a PullRequest with the number of {number}."),
            );
        };
        let (mergeable, merge) = if about_merge {
            test_merge(pull)
        } else {
            ("UNKNOWN", None)
        };
        let shown = match self
            .world
            .repository(full_name)
            .and_then(|one| Some((one, one.pulls.get(&number)?)))
        {
            Some((repository, pull)) => self.fields_of(repository, pull, mergeable, merge.as_ref()),
            None => Value::Null,
        };
        self.project(&shown, set, "PullRequest")
    }

    fn fields_of(
        &self,
        repository: &Repository,
        pull: &PullRequest,
        mergeable: &str,
        merge: Option<&MergeCommit>,
    ) -> Value {
        let state = match pull.state {
            PullState::Open => "OPEN",
            PullState::Closed => "CLOSED",
            PullState::Merged => "MERGED",
        };
        let commit = merge.map(|merge| {
            let parents: Vec<Value> = merge.parents.iter().map(|oid| json!({"oid": oid})).collect();
            json!({"oid": merge.oid, "tree": {"oid": merge.tree}, "parents": {"totalCount": parents.len(), "nodes": parents}})
        });
        json!({
            "id": format!("PR_kwDO{}", pull.id),
            "fullDatabaseId": pull.id.to_string(),
            "number": pull.number,
            "title": pull.title,
            "url": self.call.wire(self.world).pull_html(repository, pull.number),
            "author": {"login": self.world.login(pull.author)},
            "headRefOid": pull.head_sha,
            "headRefName": pull.head_ref,
            "baseRefName": pull.base_ref,
            "baseRefOid": pull.base_sha,
            "isDraft": pull.draft,
            "state": state,
            "merged": pull.state == PullState::Merged,
            "mergeable": mergeable,
            "createdAt": iso(pull.created_at),
            "updatedAt": iso(pull.updated_at),
            "potentialMergeCommit": commit,
        })
    }

    fn viewer(&mut self, field: &Field<'_, String>) -> Value {
        let login = self
            .call
            .caller
            .writer()
            .map(|(id, _)| self.world.login(id).to_owned());
        self.project(&json!({"login": login}), &field.selection_set, "User")
    }

    fn rate_limit(&mut self, field: &Field<'_, String>) -> Value {
        let budget = self.call.forge.limits.look(
            &self.call.caller.budget(),
            "graphql",
            self.call.forge.clock.now(),
        );
        let left = budget.limit.saturating_sub(budget.used);
        let shown = json!({"limit": budget.limit, "cost": 1, "used": budget.used, "remaining": left, "nodeCount": 0});
        self.project(&shown, &field.selection_set, "RateLimit")
    }

    /// Just the asked fields of an object, of each object of a list, or null.
    fn project(&mut self, value: &Value, set: &Set<'_>, kind: &str) -> Value {
        match value {
            Value::Object(_) if !set.items.is_empty() => {
                let asked = fields(set);
                Value::Object(
                    asked
                        .into_iter()
                        .map(|field| (key(field), self.project_field(value, field, kind)))
                        .collect(),
                )
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

    fn missing(&mut self, path: &[&str], message: &str) -> Value {
        self.errors
            .push(json!({"type": "NOT_FOUND", "path": path, "message": message}));
        Value::Null
    }

    /// An argument, looked up among the variables if it is one.
    fn argument(&self, field: &Field<'_, String>, name: &str) -> Value {
        let found = field
            .arguments
            .iter()
            .find(|(argument, _)| argument == name);
        match found.map(|(_, term)| term) {
            Some(Term::Variable(variable)) => self.call.body["variables"][variable].clone(),
            Some(Term::String(text)) => json!(text),
            Some(Term::Int(number)) => json!(number.as_i64()),
            _ => Value::Null,
        }
    }
}

/// The fields of a selection; inline fragments are taken as if they always applied.
fn fields<'s, 'a>(set: &'s Set<'a>) -> Vec<&'s Field<'a, String>> {
    let mut found = Vec::new();
    for item in &set.items {
        match item {
            Selection::Field(field) => found.push(field),
            Selection::InlineFragment(fragment) => found.extend(fields(&fragment.selection_set)),
            Selection::FragmentSpread(_) => {}
        }
    }
    found
}

fn key(field: &Field<'_, String>) -> String {
    field.alias.clone().unwrap_or_else(|| field.name.clone())
}

/// What GitHub says of the test merge; each answer uses up the switches of lateness and staleness.
fn test_merge(pull: &mut PullRequest) -> (&'static str, Option<MergeCommit>) {
    let merge = &mut pull.test_merge;
    if merge.unknown_answers > 0 {
        merge.unknown_answers -= 1;
        return ("UNKNOWN", None);
    }
    if pull.state != PullState::Open {
        return ("UNKNOWN", merge.current.clone());
    }
    if merge.stale_answers > 0 && merge.previous.is_some() {
        merge.stale_answers -= 1;
        return ("MERGEABLE", merge.previous.clone());
    }
    match &merge.current {
        Some(current) if !merge.conflicting => ("MERGEABLE", Some(current.clone())),
        _ => ("CONFLICTING", None),
    }
}
