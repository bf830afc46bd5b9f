//! Check runs and check suites. Only Apps write them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, statuses};
use crate::forge::auth::Caller;
use crate::forge::model::{CheckAction, CheckOutput, CheckRun, CheckSuite, Id, Repository, World};

const STATES: &[&str] = &["queued", "in_progress", "completed"];
const CONCLUSIONS: &[&str] = &[
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "success",
    "skipped",
    "timed_out",
];

/// `POST …/check-runs`
pub fn create(call: &Call<'_>) -> Reply {
    let (bot, app) = writer(call)?;
    limits(call)?;
    let name = required(call, "name")?;
    let sha = required(call, "head_sha")?;
    let now = call.forge.clock.now();
    let run = CheckRun {
        id: 0,
        suite: 0,
        app,
        name,
        head_sha: sha.clone(),
        details_url: None,
        external_id: String::new(),
        status: "queued".to_owned(),
        conclusion: None,
        started_at: now,
        completed_at: None,
        output: CheckOutput::default(),
        actions: Vec::new(),
    };
    let run = changed(call, run)?;
    call.forge.edit(|world| {
        let repository = call.repository(world)?;
        let (id, network) = (repository.id, repository.network);
        if !world.commits.contains(&(network, sha.clone())) {
            return Err(Answer::error(
                422,
                &format!("No commit found for SHA: {sha}"),
            ));
        }
        let run = call
            .forge
            .add_check(world, id, run, bot)
            .ok_or_else(Answer::not_found)?;
        let (repository, run) = (call.repository(world)?, run);
        let written = call
            .wire(world)
            .check_run(repository, &repository.checks.runs[&run]);
        let mut answer = Answer::json(201, written);
        let url = format!(
            "{}/check-runs/{run}",
            call.wire(world).repository_url(repository)
        );
        answer.headers.push(("location", url));
        Ok(answer)
    })
}

/// `PATCH …/check-runs/{check_run_id}`
pub fn update(call: &Call<'_>) -> Reply {
    let (bot, app) = writer(call)?;
    limits(call)?;
    call.forge.edit(|world| {
        let (repository, run) = find(call, world)?;
        if run.app != app {
            let message = format!(
                "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it."
            );
            return Err(Answer::error(403, &message));
        }
        let (id, run) = (repository.id, changed(call, run.clone())?);
        call.forge.change_check(world, id, run, bot);
        let (repository, run) = find(call, world)?;
        Ok(Answer::ok(call.wire(world).check_run(repository, run)))
    })
}

/// `GET …/check-runs/{check_run_id}`
pub fn get(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, run) = find(call, &world)?;
    Ok(Answer::ok(call.wire(&world).check_run(repository, run)))
}

/// `GET …/check-runs/{check_run_id}/annotations`
pub fn annotations(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, run) = find(call, &world)?;
    let wire = call.wire(&world);
    Ok(call.page(&run.output.annotations, |one| {
        wire.annotation(repository, run, one)
    }))
}

/// `POST …/check-runs/{check_run_id}/rerequest`
pub fn rerequest(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    call.forge.edit(|world| {
        let (repository, run) = find(call, world)?;
        let (id, run) = (repository.id, run.clone());
        if run.status != "completed" {
            let message = "This check run is not rerequestable";
            return Err(Answer::error(422, message));
        }
        call.forge.rerequest_check(world, id, &run, by);
        Ok(Answer::json(201, json!({})))
    })
}

/// `GET …/commits/{ref}/check-runs`: newest first, and of each name and App only the newest unless all
/// are asked for.
pub fn of_commit(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    let sha = statuses::commit(call, repository);
    let suites = repository.checks.suites.values();
    let suites: Vec<&CheckSuite> = suites.filter(|suite| suite.head_sha == sha).collect();
    Ok(runs_of(call, &world, repository, &suites))
}

/// `GET …/check-suites/{check_suite_id}/check-runs`
pub fn of_suite(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, suite) = suite(call, &world)?;
    Ok(runs_of(call, &world, repository, &[suite]))
}

fn runs_of(
    call: &Call<'_>,
    world: &World,
    repository: &Repository,
    suites: &[&CheckSuite],
) -> Answer {
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let all = query("filter") == Some("all");
    let mut runs: Vec<&CheckRun> = Vec::new();
    for suite in suites {
        if query("app_id").is_some_and(|app| app != suite.app.to_string()) {
            continue;
        }
        match all {
            true => runs.extend(repository.checks.of_suite(suite.id)),
            false => runs.extend(repository.checks.latest(suite.id)),
        }
    }
    runs.retain(|run| {
        query("check_name").is_none_or(|name| name == run.name)
            && query("status").is_none_or(|status| status == run.status)
    });
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    let wire = call.wire(world);
    call.counted("check_runs", &runs, |run| wire.check_run(repository, run))
}

/// `GET …/commits/{ref}/check-suites`
pub fn suites(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    let sha = statuses::commit(call, repository);
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let found: Vec<&CheckSuite> = repository
        .checks
        .suites
        .values()
        .filter(|suite| {
            let named = |name: &str| {
                let mut runs = repository.checks.of_suite(suite.id);
                runs.any(|run| run.name == name)
            };
            suite.head_sha == sha
                && query("app_id").is_none_or(|app| app == suite.app.to_string())
                && query("check_name").is_none_or(named)
        })
        .collect();
    let wire = call.wire(&world);
    Ok(call.counted("check_suites", &found, |suite| {
        wire.check_suite(repository, suite)
    }))
}

/// `GET …/check-suites/{check_suite_id}`
pub fn get_suite(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, suite) = suite(call, &world)?;
    Ok(Answer::ok(call.wire(&world).check_suite(repository, suite)))
}

/// `POST …/check-suites/{check_suite_id}/rerequest`
pub fn rerequest_suite(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    call.forge.edit(|world| {
        let (repository, suite) = suite(call, world)?;
        let (id, suite) = (repository.id, suite.clone());
        call.forge.rerequest_suite(world, id, &suite, by);
        Ok(Answer::json(201, json!({})))
    })
}

/// The bot and the App; a person's token is refused.
fn writer(call: &Call<'_>) -> Result<(Id, Id), Answer> {
    match call.caller {
        Caller::Installation { bot, app, .. } => Ok((*bot, *app)),
        _ => Err(Answer::error(
            403,
            "You must authenticate via a GitHub App.",
        )),
    }
}

fn find<'w>(call: &Call<'_>, world: &'w World) -> Result<(&'w Repository, &'w CheckRun), Answer> {
    let (repository, id) = (call.repository(world)?, call.number("check_run_id")?);
    let run = repository.checks.runs.get(&id);
    Ok((repository, run.ok_or_else(Answer::not_found)?))
}

fn suite<'w>(
    call: &Call<'_>,
    world: &'w World,
) -> Result<(&'w Repository, &'w CheckSuite), Answer> {
    let (repository, id) = (call.repository(world)?, call.number("check_suite_id")?);
    let suite = repository.checks.suites.get(&id);
    Ok((repository, suite.ok_or_else(Answer::not_found)?))
}

/// GitHub's words when a request is larger than it takes.
fn limits(call: &Call<'_>) -> Result<(), Answer> {
    let items = |value: &Value, most: usize| match value.as_array().map_or(0, Vec::len) {
        found if found > most => Err(unfit(&format!(
            "No more than {most} items are allowed; {found} were supplied."
        ))),
        _ => Ok(()),
    };
    let letters =
        |value: &Value, most: usize| match value.as_str().map_or(0, |text| text.chars().count()) {
            found if found > most => Err(unfit(&format!(
                "Only {most} characters are allowed; {found} were supplied."
            ))),
            _ => Ok(()),
        };
    let output = &call.body["output"];
    items(&output["annotations"], 50)?;
    for text in ["title", "summary", "text"] {
        letters(&output[text], 65_535)?;
    }
    items(&call.body["actions"], 3)?;
    for action in call.body["actions"].as_array().into_iter().flatten() {
        letters(&action["label"], 20)?;
        letters(&action["description"], 40)?;
        letters(&action["identifier"], 20)?;
    }
    Ok(())
}

fn unfit(message: &str) -> Answer {
    Answer::error(422, &format!("Invalid request.\n\n{message}"))
}

fn required(call: &Call<'_>, name: &str) -> Result<String, Answer> {
    call.text(name)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| unfit(&format!("\"{name}\" wasn't supplied.")))
}

/// A run with what the body says of it.
fn changed(call: &Call<'_>, mut run: CheckRun) -> Result<CheckRun, Answer> {
    let now = call.forge.clock.now();
    if let Some(name) = call.text("name") {
        run.name = name;
    }
    if let Some(url) = call.text("details_url") {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Answer::error(422, "details_url must use http or https"));
        }
        run.details_url = Some(url);
    }
    if let Some(id) = call.text("external_id") {
        run.external_id = id;
    }
    if let Some(time) = time(call, "started_at")? {
        run.started_at = time;
    }
    let (status, conclusion) = (call.text("status"), call.text("conclusion"));
    if let Some(status) = &status {
        known(STATES, status)?;
        run.status.clone_from(status);
    }
    if let Some(conclusion) = conclusion {
        known(CONCLUSIONS, &conclusion)?;
        // A conclusion completes a run, whatever the status says.
        run.status = "completed".to_owned();
        run.conclusion = Some(conclusion);
        run.completed_at = Some(time(call, "completed_at")?.unwrap_or(now));
    } else if run.status != "completed" {
        (run.conclusion, run.completed_at) = (None, None);
    } else if run.conclusion.is_none() {
        return Err(unfit("\"conclusion\" wasn't supplied."));
    }
    write_output(&mut run.output, &call.body["output"])?;
    if let Some(actions) = call.body["actions"].as_array() {
        let text =
            |action: &Value, name: &str| action[name].as_str().unwrap_or_default().to_owned();
        run.actions = actions
            .iter()
            .map(|action| CheckAction {
                label: text(action, "label"),
                description: text(action, "description"),
                identifier: text(action, "identifier"),
            })
            .collect();
    }
    Ok(run)
}

fn write_output(output: &mut CheckOutput, sent: &Value) -> Result<(), Answer> {
    if !sent.is_object() {
        return Ok(());
    }
    let text = |name: &str| sent[name].as_str().map(str::to_owned);
    let Some(summary) = text("summary") else {
        return Err(unfit("\"summary\" wasn't supplied."));
    };
    output.summary = Some(summary);
    output.title = text("title").or(output.title.take());
    if output.title.is_none() {
        return Err(unfit("\"title\" wasn't supplied."));
    }
    output.text = text("text").or(output.text.take());
    let more = sent["annotations"].as_array().into_iter().flatten();
    output.annotations.extend(more.cloned());
    Ok(())
}

fn known(words: &[&str], word: &str) -> Result<(), Answer> {
    if words.contains(&word) {
        return Ok(());
    }
    Err(unfit(&format!("{word} is not a member of {words:?}.")))
}

fn time(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, Answer> {
    let Some(text) = call.text(name) else {
        return Ok(None);
    };
    let parsed = text.parse::<Timestamp>();
    parsed
        .map(Some)
        .map_err(|_| unfit(&format!("{text} is not a valid date-time.")))
}
