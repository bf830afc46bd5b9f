//! What is said on a pull request when a build begins, in two requests: a look at its labels and who
//! set them, and one that comments and takes a label off. GraphQL has a budget of its own, and counts
//! such a request as one.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::graphql::Problem;
use crate::repo::Repo;
use crate::{Dated, GithubError};

const LOOK: &str = "query($owner: String!, $name: String!, $number: Int!) { \
repository(owner: $owner, name: $name) { pullRequest(number: $number) { id \
labels(first: 100) { nodes { id name } } \
timelineItems(itemTypes: [LABELED_EVENT], last: 100) { nodes { \
... on LabeledEvent { createdAt actor { login } label { name } } } } } } }";

const COMMENT: &str = "comment: addComment(input: {subjectId: $subject, body: $body}) \
{ commentEdge { node { fullDatabaseId } } }";

const UNLABEL: &str = "label: removeLabelsFromLabelable(input: {labelableId: $subject, \
labelIds: $labels}) { clientMutationId }";

/// A pull request's labels, and who set them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The pull request's id in GraphQL.
    pub id: String,
    /// The labels that it has now.
    pub labels: Vec<NamedLabel>,
    /// The newest hundred labellings, oldest first.
    pub labellings: Vec<Labelling>,
}

/// A label with its id in GraphQL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NamedLabel {
    /// Its id in GraphQL.
    pub id: String,
    /// As it is spelled on GitHub.
    pub name: String,
}

/// That a label was set. GraphQL does not tell the event's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelling {
    /// When; whole seconds.
    pub at: Timestamp,
    /// Login of who did it. Absent when the account is gone.
    pub by: Option<String>,
    /// The label.
    pub label: String,
}

/// What is to be done about a pull request, in one request.
#[derive(Clone, Debug, Default)]
pub struct Saying<'a> {
    /// Text of a comment.
    pub comment: Option<&'a str>,
    /// Id of a label that comes off.
    pub unlabel: Option<&'a str>,
}

/// What became of each part of a [`Saying`]; none for a part that was not asked for.
#[derive(Debug)]
pub struct Said {
    /// The comment's id, as REST knows it.
    pub comment: Option<Result<i64, GithubError>>,
    /// The label is off.
    pub unlabelled: Option<Result<(), GithubError>>,
}

impl Repo {
    /// Looks at a pull request's labels and at who set them.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when there is no such pull request.
    pub async fn conversation(&self, n: i64) -> Result<Dated<Conversation>, GithubError> {
        let found = self.of_pull_request::<PullRequest>(n, LOOK, "labels");
        Ok(found.await?.map(Conversation::from))
    }

    /// Comments on a pull request and takes a label off it, in one request. `subject` is its id in
    /// GraphQL. Each part may succeed without the other.
    ///
    /// # Errors
    /// The whole request failed. Where there was no answer, both parts may have been carried out.
    pub async fn say(&self, subject: &str, saying: &Saying<'_>) -> Result<Said, GithubError> {
        let call = format!("POST /graphql (comment and label on {})", self.full_name());
        let answer = self.graphql(mutation(subject, saying)).await?;
        let found = self.envelope::<Done>(&call, &answer)?;
        let done = found.data.unwrap_or_default();
        let problem = |part: &str| {
            let about = found.errors.iter().find(|problem| problem.is_about(part));
            about.map(|problem| self.refused(problem, format!("{call}: {part}"), &answer))
        };
        let nothing = |part: &str| GithubError::Malformed {
            call: format!("{call}: {part}"),
            reason: "neither done nor refused".to_owned(),
        };
        let comment = saying
            .comment
            .map(|_| match (done.id(), problem("comment")) {
                (Some(id), _) => Ok(id),
                (None, Some(error)) => Err(error),
                (None, None) => Err(nothing("comment")),
            });
        let unlabelled = saying
            .unlabel
            .map(|_| match (done.label, problem("label")) {
                (_, Some(GithubError::NotFound { .. })) => Ok(()),
                (_, Some(error)) => Err(error),
                (Some(_), None) => Ok(()),
                (None, None) => Err(nothing("label")),
            });
        Ok(Said {
            comment,
            unlabelled,
        })
    }
}

/// A request for just the parts that are asked for.
fn mutation(subject: &str, saying: &Saying<'_>) -> Value {
    let mut declared = vec!["$subject: ID!"];
    let mut parts = Vec::new();
    let mut variables = json!({ "subject": subject });
    if let Some(body) = saying.comment {
        declared.push("$body: String!");
        parts.push(COMMENT);
        variables["body"] = body.into();
    }
    if let Some(label) = saying.unlabel {
        declared.push("$labels: [ID!]!");
        parts.push(UNLABEL);
        variables["labels"] = json!([label]);
    }
    let (declared, parts) = (declared.join(", "), parts.join(" "));
    json!({
        "query": format!("mutation({declared}) {{ {parts} }}"),
        "variables": variables,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    id: String,
    labels: Option<Nodes<NamedLabel>>,
    timeline_items: Nodes<Event>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    #[serde(default = "Vec::new")]
    nodes: Vec<Option<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    created_at: Timestamp,
    actor: Option<Actor>,
    label: Name,
}

#[derive(Deserialize)]
struct Actor {
    login: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl From<PullRequest> for Conversation {
    fn from(pull: PullRequest) -> Self {
        let labels = pull.labels.map(|labels| labels.nodes).unwrap_or_default();
        let events = pull.timeline_items.nodes.into_iter().flatten();
        Self {
            id: pull.id,
            labels: labels.into_iter().flatten().collect(),
            labellings: events
                .map(|event| Labelling {
                    at: event.created_at,
                    by: event.actor.map(|actor| actor.login),
                    label: event.label.name,
                })
                .collect(),
        }
    }
}

#[derive(Default, Deserialize)]
struct Done {
    #[serde(default)]
    comment: Option<Commented>,
    #[serde(default)]
    label: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commented {
    comment_edge: Option<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    node: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    /// A `BigInt` travels as text; older servers send a number.
    full_database_id: Value,
}

impl Done {
    fn id(&self) -> Option<i64> {
        let node = self
            .comment
            .as_ref()?
            .comment_edge
            .as_ref()?
            .node
            .as_ref()?;
        match &node.full_database_id {
            Value::String(text) => text.parse().ok(),
            number => number.as_i64(),
        }
    }
}

impl Problem {
    /// Whether it is about this part of a request, or about the whole of it.
    fn is_about(&self, part: &str) -> bool {
        let first = self.path.first().and_then(Value::as_str);
        first.is_none_or(|first| first == part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_just_the_parts_that_are_asked_for() {
        let both = mutation(
            "PR_1",
            &Saying {
                comment: Some("hello"),
                unlabel: Some("LA_1"),
            },
        );
        let query = both["query"].as_str().expect("a query");
        assert!(query.contains("addComment") && query.contains("removeLabelsFromLabelable"));
        assert_eq!(both["variables"]["labels"], json!(["LA_1"]));
        let one = mutation(
            "PR_1",
            &Saying {
                unlabel: Some("LA_1"),
                ..Saying::default()
            },
        );
        let query = one["query"].as_str().expect("a query");
        assert!(!query.contains("addComment") && !query.contains("$body"));
    }

    #[test]
    fn the_id_of_a_comment_is_read_as_text_and_as_a_number() {
        for id in [json!("5000000000"), json!(5_000_000_000_i64)] {
            let done = json!({"comment": {"commentEdge": {"node": {"fullDatabaseId": id}}}});
            let done: Done = serde_json::from_value(done).expect("an answer");
            assert_eq!(done.id(), Some(5_000_000_000));
        }
    }

    #[test]
    fn a_problem_without_a_path_is_about_everything() {
        let problem = |path: Value| {
            let json = json!({"type": "FORBIDDEN", "path": path, "message": "no"});
            serde_json::from_value::<Problem>(json).expect("a problem")
        };
        assert!(problem(json!(["comment"])).is_about("comment"));
        assert!(!problem(json!(["comment"])).is_about("label"));
        assert!(problem(json!([])).is_about("label"));
    }
}
