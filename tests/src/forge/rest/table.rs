//! The table of operations.

use super::{Route, apps, checks, deliveries, issues, pulls, repositories, route, statuses};
use crate::forge::auth::Needs;
use crate::forge::graphql;
use crate::forge::model::Role;

/// A pull request is an issue too: either permission will do for what they share.
const PULL: &[&str] = &["pull_requests", "issues"];

/// Reading and writing checks.
const CHECKS: &[&str] = &["checks"];

/// Every operation that the forge knows, with the permission that GitHub's documentation names.
pub static ROUTES: &[Route] = &[
    route("POST", "/graphql", Needs::Nothing, graphql::answer),
    route("GET", "/rate_limit", Needs::Nothing, apps::rate_limit),
    route("GET", "/user", Needs::Nothing, apps::user),
    route(
        "GET",
        "/user/{account_id}",
        Needs::Nothing,
        apps::user_by_id,
    ),
    route(
        "GET",
        "/users/{username}",
        Needs::Nothing,
        apps::user_by_name,
    ),
    route("GET", "/app", Needs::Jwt, apps::app),
    route("GET", "/app/installations", Needs::Jwt, apps::installations),
    route(
        "GET",
        "/app/installations/{installation_id}",
        Needs::Jwt,
        apps::installation,
    ),
    route(
        "POST",
        "/app/installations/{installation_id}/access_tokens",
        Needs::Jwt,
        apps::create_token,
    ),
    route("GET", "/app/hook/deliveries", Needs::Jwt, deliveries::list),
    route(
        "GET",
        "/app/hook/deliveries/{delivery_id}",
        Needs::Jwt,
        deliveries::get,
    ),
    route(
        "POST",
        "/app/hook/deliveries/{delivery_id}/attempts",
        Needs::Jwt,
        deliveries::redeliver,
    ),
    route(
        "GET",
        "/installation/repositories",
        Needs::Read(&["metadata"]),
        apps::repositories,
    ),
    route(
        "GET",
        "/orgs/{org}/teams/{team_slug}/memberships/{username}",
        Needs::Read(&["members"]),
        apps::membership,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}",
        Needs::Read(&["metadata"]),
        repositories::get,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/installation",
        Needs::Jwt,
        apps::repository_installation,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/activity",
        Needs::Read(&["contents"]),
        repositories::activity,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/collaborators/{username}/permission",
        Needs::Read(&["metadata"]),
        repositories::permission,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/pulls",
        Needs::Read(&["pull_requests"]),
        pulls::list,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/pulls/{pull_number}",
        Needs::Read(&["pull_requests"]),
        pulls::get,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
        Needs::Read(&["pull_requests"]),
        pulls::reviews,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/{issue_number}/events",
        Needs::Read(PULL),
        pulls::events,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/{issue_number}/timeline",
        Needs::Read(PULL),
        pulls::timeline,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/{issue_number}/labels",
        Needs::Read(PULL),
        issues::labels,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/issues/{issue_number}/labels",
        Needs::Write(PULL, Role::Triage),
        issues::add_labels,
    ),
    route(
        "DELETE",
        "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
        Needs::Write(PULL, Role::Triage),
        issues::remove_label,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        Needs::Read(PULL),
        issues::comments,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        Needs::Write(PULL, Role::Read),
        issues::create_comment,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        Needs::Read(PULL),
        issues::comment,
    ),
    route(
        "PATCH",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        Needs::Write(PULL, Role::Read),
        issues::update_comment,
    ),
    route(
        "DELETE",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        Needs::Write(PULL, Role::Read),
        issues::delete_comment,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        Needs::Read(PULL),
        issues::reactions,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        Needs::Write(PULL, Role::Read),
        issues::react,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/statuses/{sha}",
        Needs::Write(&["statuses"], Role::Write),
        statuses::create,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}/statuses",
        Needs::Read(&["statuses"]),
        statuses::list,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}/status",
        Needs::Read(&["statuses"]),
        statuses::combined,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/check-runs",
        Needs::Write(CHECKS, Role::None),
        checks::create,
    ),
    route(
        "PATCH",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}",
        Needs::Write(CHECKS, Role::None),
        checks::update,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}",
        Needs::Read(CHECKS),
        checks::get,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
        Needs::Read(CHECKS),
        checks::annotations,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest",
        Needs::Write(CHECKS, Role::Write),
        checks::rerequest,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}/check-runs",
        Needs::Read(CHECKS),
        checks::of_commit,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}/check-suites",
        Needs::Read(CHECKS),
        checks::suites,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/check-suites/{check_suite_id}",
        Needs::Read(CHECKS),
        checks::get_suite,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs",
        Needs::Read(CHECKS),
        checks::of_suite,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest",
        Needs::Write(CHECKS, Role::Write),
        checks::rerequest_suite,
    ),
    route("GET", "/app/hook/config", Needs::Jwt, deliveries::config),
    route(
        "GET",
        "/repos/{owner}/{repo}/hooks",
        Needs::Hooks(false),
        deliveries::hooks,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/hooks/{hook_id}",
        Needs::Hooks(false),
        deliveries::get_hook,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
        Needs::Hooks(false),
        deliveries::list,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}",
        Needs::Hooks(false),
        deliveries::get,
    ),
    route(
        "POST",
        "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
        Needs::Hooks(true),
        deliveries::redeliver,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/comments",
        Needs::Read(PULL),
        issues::all_comments,
    ),
];
