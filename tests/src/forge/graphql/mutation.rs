//! Mutations: `addComment`, `updateIssueComment` and `removeLabelsFromLabelable`, one after another.
//! One may fail while others succeed; then `errors[].path` names its alias and its data is null.

use graphql_tools::parser::query::Field;
use serde_json::{Map, Value, json};

use super::{Run, Set, fields, key};
use crate::forge::auth::{Caller, Needs};
use crate::forge::model::{Id, Role};

/// A comment takes so many characters.
const LONGEST: usize = 65_536;

/// Why a mutation fails: GitHub's type of error, and its words.
struct Failure(&'static str, String);

/// What a mutation changed, to be shown.
enum Changed {
    /// A comment of a repository.
    Comment(Id, Id),
    /// A pull request of a repository.
    Pull(Id, u64),
}

impl Run<'_> {
    /// Does what a mutation asks for, in its order.
    pub fn mutate(&mut self, set: &Set<'_>) -> Value {
        let mut out = Map::new();
        for field in fields(set, "Mutation") {
            let input = self.argument(field, "input");
            let done = match self.call.forge.faults.take_mutation(&field.name) {
                Some(kind) => Err(Failure(kind, "Something went wrong.".to_owned())),
                None => self.work(&field.name, &input),
            };
            let value = match done {
                Ok(changed) => self.shown(field, &changed, &input["clientMutationId"]),
                Err(Failure(kind, message)) => self.fail(&[&key(field)], field, kind, &message),
            };
            out.insert(key(field), value);
        }
        Value::Object(out)
    }

    fn work(&mut self, name: &str, input: &Value) -> Result<Changed, Failure> {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        match name {
            "addComment" => self.add_comment(&text("subjectId"), &text("body")),
            "updateIssueComment" => self.update_comment(&text("id"), &text("body")),
            "removeLabelsFromLabelable" => {
                let labels: Vec<String> = input["labelIds"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|id| id.as_str().map(str::to_owned))
                    .collect();
                self.remove_labels(&text("labelableId"), &labels)
            }
            _ => Err(Failure(
                "NOT_FOUND",
                format!("The forge has no mutation `{name}`."),
            )),
        }
    }

    fn add_comment(&mut self, subject: &str, body: &str) -> Result<Changed, Failure> {
        let (repository, number) = self.subject(subject)?;
        let (by, app) = self.may(repository, "AddComment", Role::Read)?;
        check(body)?;
        let full_name = self.name(repository);
        let forge = self.call.forge;
        let id = forge.write_comment(self.world, &full_name, number, body, by, app);
        Ok(Changed::Comment(repository, id))
    }

    fn update_comment(&mut self, node: &str, body: &str) -> Result<Changed, Failure> {
        let id = number_of(node, "IC_kwDO").unwrap_or_default();
        let found = self.world.repositories.values();
        let found = found
            .filter(|one| self.call.caller.sees(one))
            .find_map(|one| Some((one.id, one.comments.get(&id)?.user)));
        let (repository, author) = found.ok_or_else(|| unresolved(node))?;
        let (by, _) = self.may(repository, "UpdateIssueComment", Role::Read)?;
        if by != author {
            return Err(self.forbidden("UpdateIssueComment"));
        }
        check(body)?;
        let (full_name, forge) = (self.name(repository), self.call.forge);
        forge.rewrite_comment(self.world, &full_name, id, body, by);
        Ok(Changed::Comment(repository, id))
    }

    /// Labels that are not set are passed over; those that the repository does not have fail.
    fn remove_labels(&mut self, subject: &str, labels: &[String]) -> Result<Changed, Failure> {
        let (repository, number) = self.subject(subject)?;
        let (by, app) = self.may(repository, "RemoveLabelsFromLabelable", Role::Triage)?;
        let mut names = Vec::new();
        for node in labels {
            let id = number_of(node, "LA_kwDO");
            let known = &self.world.repositories[&repository].labels;
            let label = known.iter().find(|label| Some(label.id) == id);
            names.push(label.ok_or_else(|| unresolved(node))?.name.clone());
        }
        let (full_name, forge) = (self.name(repository), self.call.forge);
        for name in names {
            forge.take_label(self.world, &full_name, number, &name, by, app);
        }
        Ok(Changed::Pull(repository, number))
    }

    /// The pull request of a node id.
    fn subject(&self, node: &str) -> Result<(Id, u64), Failure> {
        let id = number_of(node, "PR_kwDO");
        for one in self.world.repositories.values() {
            let pull = one.pulls.values().find(|pull| Some(pull.id) == id);
            if let (Some(pull), true) = (pull, self.call.caller.sees(one)) {
                return Ok((one.id, pull.number));
            }
        }
        Err(unresolved(node))
    }

    /// The account that writes and its App, if it may.
    fn may(&self, repository: Id, what: &str, role: Role) -> Result<(Id, Option<Id>), Failure> {
        let needs = Needs::Write(&["pull_requests", "issues"], role);
        let repository = self.world.repositories.get(&repository);
        let writer = self.call.caller.writer();
        match (self.call.caller.may(self.world, repository, needs), writer) {
            (Ok(()), Some(writer)) => Ok(writer),
            _ => Err(self.forbidden(what)),
        }
    }

    fn forbidden(&self, what: &str) -> Failure {
        let message = match self.call.caller {
            Caller::Person { id, .. } => format!(
                "{} does not have the correct permissions to execute `{what}`",
                self.world.login(*id)
            ),
            _ => "Resource not accessible by integration".to_owned(),
        };
        Failure("FORBIDDEN", message)
    }

    fn name(&self, repository: Id) -> String {
        self.world.full_name(&self.world.repositories[&repository])
    }

    /// The payload of a mutation, as far as it was asked for.
    fn shown(&mut self, field: &Field<'_, String>, changed: &Changed, client: &Value) -> Value {
        let mut out = Map::new();
        for inner in fields(&field.selection_set, "Payload") {
            let value = match (inner.name.as_str(), changed) {
                ("clientMutationId", _) => client.clone(),
                ("labelable" | "subject", Changed::Pull(repository, number)) => {
                    self.pull_request(*repository, *number, inner, &[&key(field), &key(inner)])
                }
                ("subject", Changed::Comment(repository, id)) => {
                    let number = self.world.repositories[repository].comments[id].number;
                    self.pull_request(*repository, number, inner, &[&key(field), &key(inner)])
                }
                ("issueComment" | "commentEdge", Changed::Comment(repository, id)) => {
                    let one = &self.world.repositories[repository];
                    let node = self.wire().node_comment(one, &one.comments[id]);
                    let edge = json!({"node": node, "cursor": "1"});
                    let whole = if inner.name == "commentEdge" {
                        edge
                    } else {
                        node
                    };
                    self.project(&whole, &inner.selection_set, "IssueComment")
                }
                (name, _) => self.unknown(name, &field.name),
            };
            out.insert(key(inner), value);
        }
        Value::Object(out)
    }
}

fn number_of(node: &str, prefix: &str) -> Option<Id> {
    node.strip_prefix(prefix)?.parse().ok()
}

fn unresolved(node: &str) -> Failure {
    let message = format!("Could not resolve to a node with the global id of '{node}'");
    Failure("NOT_FOUND", message)
}

fn check(body: &str) -> Result<(), Failure> {
    let complaint = match body.chars().count() {
        _ if body.trim().is_empty() => "Body can't be blank",
        found if found > LONGEST => "Body is too long (maximum is 65536 characters)",
        _ => return Ok(()),
    };
    Err(Failure("UNPROCESSABLE", complaint.to_owned()))
}
