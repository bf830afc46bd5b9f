//! Queries: a repository, its pull requests with labels, comments and timeline, the caller, and the
//! rate limit.

use graphql_tools::parser::query::Field;
use serde_json::{Map, Value, json};

use super::{Run, Set, fields, key};
use crate::forge::model::{MergeCommit, PullRequest, PullState};

/// GitHub answers no more entries of a list at once.
const MOST: u64 = 100;

impl Run<'_> {
    /// The answer to a query.
    pub fn query(&mut self, set: &Set<'_>) -> Value {
        let mut out = Map::new();
        for field in fields(set, "Query") {
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
        let asked = format!("{}/{}", name("owner"), name("name"));
        // Renames are followed, as GitHub does unless `followRenames` is false.
        let follow = self.argument(field, "followRenames") != json!(false);
        let found = self
            .world
            .repository(&asked)
            .or_else(|| self.world.moved(&asked).filter(|_| follow))
            .filter(|one| self.call.caller.sees(one));
        let Some(found) = found else {
            let message = format!("Could not resolve to a Repository with the name '{asked}'.");
            return self.fail(&[&key(field)], field, "NOT_FOUND", &message);
        };
        let (id, shown) = (found.id, self.wire().node_repository(found));
        let mut out = Map::new();
        for inner in fields(&field.selection_set, "Repository") {
            let value = match inner.name.as_str() {
                "pullRequest" => {
                    let number = self.argument(inner, "number").as_u64().unwrap_or_default();
                    let path = [key(field), key(inner)];
                    self.pull_request(id, number, inner, &[&path[0], &path[1]])
                }
                _ => self.project_field(&shown, inner, "Repository"),
            };
            out.insert(key(inner), value);
        }
        Value::Object(out)
    }

    /// A pull request, as far as the field asks for it.
    pub fn pull_request(
        &mut self,
        repository: u64,
        number: u64,
        field: &Field<'_, String>,
        path: &[&str],
    ) -> Value {
        let asked = fields(&field.selection_set, "PullRequest");
        let about = |names: &[&str]| asked.iter().any(|one| names.contains(&one.name.as_str()));
        let found = self
            .world
            .repositories
            .get_mut(&repository)
            .and_then(|one| one.pulls.get_mut(&number));
        let Some(pull) = found else {
            let message =
                format!("Could not resolve to a PullRequest with the number of {number}.");
            return self.fail(path, field, "NOT_FOUND", &message);
        };
        let (mergeable, merge) = match about(&["mergeable", "potentialMergeCommit"]) {
            true => test_merge(pull),
            false => ("UNKNOWN", None),
        };
        // The timeline lags here as it does in the REST API.
        let mut shown = pull.timeline.len();
        if about(&["timelineItems"]) && pull.timeline_lag > 0 {
            pull.timeline_lag -= 1;
            shown = shown.saturating_sub(1);
        }
        let one = &self.world.repositories[&repository];
        let pull = &one.pulls[&number];
        let wire = self.wire();
        let whole = wire.node_pull(one, pull, mergeable, merge.as_ref());
        let labels = pull.labels.iter().map(|name| wire.node_label(one, name));
        let labels: Vec<Value> = labels.collect();
        let comments = one.comments.values().filter(|one| one.number == number);
        let comments: Vec<Value> = comments.map(|two| wire.node_comment(one, two)).collect();
        let timeline = pull.timeline[..shown].iter();
        let timeline: Vec<(&str, Value)> = timeline
            .filter_map(|event| wire.node_event(one, event))
            .collect();
        let mut out = Map::new();
        for inner in asked {
            let value = match inner.name.as_str() {
                "labels" => self.connection(inner, &labels, path),
                "comments" => self.connection(inner, &comments, path),
                "timelineItems" => {
                    let items = self.of_kinds(inner, &timeline);
                    self.connection(inner, &items, path)
                }
                _ => self.project_field(&whole, inner, "PullRequest"),
            };
            out.insert(key(inner), value);
        }
        Value::Object(out)
    }

    /// The entries of the timeline that were asked for: of some kinds, or since some time.
    fn of_kinds(&self, field: &Field<'_, String>, all: &[(&str, Value)]) -> Vec<Value> {
        let (kinds, since) = (
            self.argument(field, "itemTypes"),
            self.argument(field, "since"),
        );
        let wanted = |kind: &str| {
            kinds
                .as_array()
                .is_none_or(|kinds| kinds.iter().any(|one| one == kind))
        };
        // Both are written the same way, so that they sort as text.
        let late = |value: &Value| match (since.as_str(), value["createdAt"].as_str()) {
            (Some(since), Some(at)) => at >= since,
            _ => true,
        };
        all.iter()
            .filter(|(kind, value)| wanted(kind) && late(value))
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The first or last entries of a list, as pages by cursor.
    fn connection(&mut self, field: &Field<'_, String>, all: &[Value], path: &[&str]) -> Value {
        let number = |name| self.argument(field, name).as_u64();
        let (first, last) = (number("first"), number("last"));
        let cursor = |name| {
            let text = self.argument(field, name);
            text.as_str().and_then(|text| text.parse::<usize>().ok())
        };
        let (after, before) = (cursor("after"), cursor("before"));
        let whole: Vec<&str> = path.iter().copied().chain([field.name.as_str()]).collect();
        let Some(size) = first.or(last) else {
            let message = format!(
                "You must provide a `first` or `last` value to properly paginate the `{}` connection.",
                field.name
            );
            return self.fail(&whole, field, "MISSING_PAGINATION_BOUNDARIES", &message);
        };
        if size > MOST {
            let message = format!(
                "Requesting {size} records on the `{}` connection exceeds the `first` limit of 100 records.",
                field.name
            );
            return self.fail(&whole, field, "EXCESSIVE_PAGINATION", &message);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut from, mut to) = (
            after.unwrap_or(0).min(all.len()),
            before.map_or(all.len(), |before| before.saturating_sub(1).min(all.len())),
        );
        match first {
            Some(_) => to = to.min(from.saturating_add(size)),
            None => from = from.max(to.saturating_sub(size)),
        }
        let nodes = all.get(from..to).unwrap_or_default();
        let edges = nodes.iter().enumerate();
        let edges: Vec<Value> = edges
            .map(|(index, node)| json!({"node": node, "cursor": (from + index + 1).to_string()}))
            .collect();
        let shown = json!({
            "nodes": nodes,
            "edges": edges,
            "totalCount": all.len(),
            "filteredCount": all.len(),
            "pageInfo": {
                "hasNextPage": to < all.len(),
                "hasPreviousPage": from > 0,
                "startCursor": (!nodes.is_empty()).then(|| (from + 1).to_string()),
                "endCursor": (!nodes.is_empty()).then(|| to.to_string()),
            },
        });
        self.project(&shown, &field.selection_set, &field.name)
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
