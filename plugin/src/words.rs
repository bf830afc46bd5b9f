//! What is said about objects. Pure.

use crds::{Answer, AnswerReason, AnswerSpec, BuilderRun, PrBuild};
use jiff::Timestamp;
use kube::ResourceExt;

/// Rows with their columns below each other, the first one a heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(line.join("   ").trim_end());
        text.push('\n');
    }
    text
}

/// How long ago something was, as people say it.
pub fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else {
        return String::new();
    };
    match now.duration_since(then).as_secs().max(0) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// The rows of `status`, newest first.
pub fn builds(builds: &[PrBuild], now: Timestamp) -> Vec<Vec<String>> {
    let heading = ["NAME", "PR", "BY", "PHASE", "RESULT", "AGE"].map(str::to_owned);
    let row = |build: &PrBuild| {
        let (request, status) = (
            &build.spec.request,
            build.status.clone().unwrap_or_default(),
        );
        vec![
            build.name_any(),
            request.number.to_string(),
            request.trigger.user.login.clone(),
            format!("{:?}", status.phase),
            status.summary,
            ago(build.creation_timestamp().map(|time| time.0), now),
        ]
    };
    let mut sorted: Vec<&PrBuild> = builds.iter().collect();
    sorted.sort_by_key(|build| std::cmp::Reverse(build.creation_timestamp()));
    [heading.to_vec()]
        .into_iter()
        .chain(sorted.into_iter().map(row))
        .collect()
}

/// The rows of one build's `status`.
pub fn runs(runs: &[BuilderRun]) -> Vec<Vec<String>> {
    let heading = ["RUN", "BUILDER", "PHASE", "WHY"].map(str::to_owned);
    let row = |run: &BuilderRun| {
        let phase = run
            .status
            .as_ref()
            .map(|status| status.phase)
            .unwrap_or_default();
        let builder = run.spec.task.display_name.clone();
        vec![run.name_any(), builder, phase.word().to_owned(), why(run)]
    };
    [heading.to_vec()]
        .into_iter()
        .chain(runs.iter().map(row))
        .collect()
}

/// Why a run is as it is, in a sentence; nothing where that is plain.
pub fn why(run: &BuilderRun) -> String {
    let Some(status) = &run.status else {
        return "the operator has not looked at it yet".to_owned();
    };
    if let Some(outcome) = &status.outcome {
        return outcome.reason.clone();
    }
    let Some(waiting) = &status.waiting else {
        return String::new();
    };
    match waiting.ahead {
        0 => waiting.reason.clone(),
        ahead => format!("{} ({ahead} ahead)", waiting.reason),
    }
}

/// What became of a build: its phase, what is not as it should be, and what was left out.
pub fn about_build(build: &PrBuild) -> Vec<String> {
    let request = &build.spec.request;
    let trigger = &request.trigger;
    let mut lines = vec![format!(
        "{} is a build of #{} of {} at {}: @{} asked ({}), with the right `{}`",
        build.name_any(),
        request.number,
        request.repository.full_name,
        crds::names::short_sha(&request.head_sha),
        trigger.user.login,
        trigger
            .label
            .as_ref()
            .or(trigger.command.as_ref())
            .map_or("by hand", String::as_str),
        trigger.permission,
    )];
    let status = build.status.clone().unwrap_or_default();
    lines.push(format!("{:?}: {}", status.phase, status.summary));
    lines.extend(status.reason);
    if let Some(cancel) = &build.spec.cancel {
        lines.push(format!("{} stopped it: {}", cancel.by, cancel.reason));
    }
    for left in &request.left_out {
        lines.push(format!("`{}` does not run: {}", left.builder, left.reason));
    }
    let wrong = status
        .conditions
        .iter()
        .filter(|condition| condition.status != "True");
    lines.extend(
        wrong.map(|condition| format!("not yet {}: {}", condition.type_, condition.message)),
    );
    lines
}

/// How a run stands or ended, in a line.
pub fn in_a_line(run: &BuilderRun) -> String {
    let status = run.status.as_ref();
    let phase = status.map(|status| status.phase).unwrap_or_default();
    let (name, word) = (run.name_any(), phase.word());
    match why(run) {
        why if why.is_empty() => format!("{name} {word}"),
        why => format!("{name} {word}: {why}"),
    }
}

/// What became of a run.
pub fn about_run(run: &BuilderRun) -> Vec<String> {
    let task = &run.spec.task;
    let status = run.status.clone().unwrap_or_default();
    let mut lines = vec![format!(
        "{} is attempt {} of `{}` for the build {}: {}",
        run.name_any(),
        run.spec.attempt,
        task.display_name,
        run.spec.pr_build.name,
        status.phase.word(),
    )];
    let why = why(run);
    if !why.is_empty() {
        lines.push(why);
    }
    if let Some(other) = &status.same_as {
        lines.push(format!(
            "it takes over what comes of {other}, which builds the same"
        ));
    }
    if let Some(error) = status.report.and_then(|report| report.error) {
        lines.push(format!("GitHub does not take its result: {error}"));
    }
    lines.extend(
        status
            .outcome
            .into_iter()
            .flat_map(|outcome| outcome.failures),
    );
    lines
}

/// What was answered to somebody who built nothing: the sentence, whether it was told, and what comes next.
pub fn about_answer(answer: &Answer) -> Vec<String> {
    let spec = &answer.spec;
    let status = answer.status.clone().unwrap_or_default();
    let mut lines = vec![format!(
        "{} is an answer to @{} on #{} of {}: {:?}",
        answer.name_any(),
        spec.trigger.user.login,
        spec.number,
        spec.repository.full_name,
        spec.reason,
    )];
    let sentence = status.sentence;
    lines.push(sentence.unwrap_or_else(|| "the operator has not answered yet".to_owned()));
    let told = match status.given.as_deref() {
        Some("Reaction") => Some("on GitHub it is a reaction, without these words"),
        Some("Silent") => Some("nobody was told on GitHub"),
        Some("Failed") => Some("GitHub did not take it"),
        _ => None,
    };
    lines.extend(told.map(str::to_owned));
    lines.extend(next_step(spec).map(|next| format!("try: {next}")));
    lines.push("docs/refusals.md says more".to_owned());
    lines
}

/// What helps after a refusal; nothing where what was asked for was done.
fn next_step(spec: &AnswerSpec) -> Option<String> {
    let repository = &spec.repository.name;
    let next = match spec.reason {
        AnswerReason::Permission => {
            let needed = spec.facts.needed.as_deref().unwrap_or("write");
            return Some(format!("let somebody with {needed} access ask for it"));
        }
        AnswerReason::Denied => {
            return Some(format!(
                "take the id off `authorization.deniedUserIds` of the Repository {repository}, if it is there by mistake"
            ));
        }
        AnswerReason::Team => "let an active member of the team ask for it",
        AnswerReason::Bot => "let a person ask for it",
        AnswerReason::ThroughApp => "let the person ask for it on github.com, or with `gh`",
        AnswerReason::ActorMismatch => {
            "rotate the webhook secret, as docs/rotation.md says: others may know it"
        }
        AnswerReason::HeadMovedBefore | AnswerReason::HeadMovedAfter => {
            "look at the changes, then ask again"
        }
        AnswerReason::MovementUnknown => {
            "approve exactly this commit in a review and ask again, or name its full SHA in a command"
        }
        AnswerReason::Closed => "reopen the pull request, then ask again",
        AnswerReason::ForkDeleted => "open a new pull request from a branch that exists",
        AnswerReason::BaseBranch => {
            return Some(format!(
                "change the base of the pull request, or `guards.baseBranches` of the Repository {repository}"
            ));
        }
        AnswerReason::Conflict => "update the branch, then ask again",
        AnswerReason::NoBuilder => {
            return Some(format!(
                "do what the reasons say, or correct the labels of the Repository {repository}: kubectl get builders"
            ));
        }
        AnswerReason::WrongSha => "copy the SHA from the pull request's list of commits",
        AnswerReason::UnknownCommand => "write one of the commands in docs/commands.md",
        AnswerReason::Pattern => "correct the regular expression of the command or label",
        AnswerReason::NoMatch => "name builders that there are: kubectl get builders",
        AnswerReason::TooMany => "ask for fewer at a time",
        AnswerReason::NoBuild => "kubectl prbuild status, for the builds that there are",
        AnswerReason::Paused => {
            return Some(format!(
                "kubectl prbuild resume --repository {repository}, then ask again"
            ));
        }
        AnswerReason::TooOld => "ask again",
        AnswerReason::Unknown => "a kubectl-prbuild of the version that is installed",
        AnswerReason::Help | AnswerReason::Status | AnswerReason::Cancelled => return None,
    };
    Some(next.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_below_each_other_and_lines_end_with_words() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = table(&[row(["A", "B"]), row(["long", ""]), row(["é", "x"])]);
        assert_eq!(text, "A      B\nlong\né      x\n");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let said = |seconds: i64| {
            ago(
                Some(Timestamp::from_second(1_000_000 - seconds).unwrap()),
                now,
            )
        };
        assert_eq!(said(5), "5 s");
        assert_eq!(said(600), "10 min");
        assert_eq!(said(7200), "2 h");
        assert_eq!(said(259_200), "3 d");
        assert_eq!(ago(None, now), "");
    }

    fn answer(reason: &str, facts: serde_json::Value, status: serde_json::Value) -> Answer {
        let object = serde_json::json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Answer",
            "metadata": { "name": "app-7-l10" },
            "spec": {
                "repository": { "name": "app", "id": 1, "fullName": "o/r" }, "number": 7,
                "reason": reason, "facts": facts,
                "trigger": { "kind": "Label", "eventId": 10, "label": "test",
                    "time": "1970-01-01T00:00:00Z",
                    "user": { "id": 2, "login": "ada" }, "permission": "triage" },
            },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_refusal_is_explained_by_its_sentence_and_by_what_to_do() {
        let sentence = "This label needs write access (you have triage).";
        let given = serde_json::json!({ "given": "Comment", "sentence": sentence });
        let facts = serde_json::json!({ "needed": "maintain" });
        assert_eq!(
            about_answer(&answer("Permission", facts, given)),
            [
                "app-7-l10 is an answer to @ada on #7 of o/r: Permission",
                sentence,
                "try: let somebody with maintain access ask for it",
                "docs/refusals.md says more",
            ]
        );
        let nothing = || serde_json::json!({});
        let silent = serde_json::json!({ "given": "Silent", "sentence": "Builds are paused." });
        assert_eq!(
            about_answer(&answer("Paused", nothing(), silent))[1..],
            [
                "Builds are paused.",
                "nobody was told on GitHub",
                "try: kubectl prbuild resume --repository app, then ask again",
                "docs/refusals.md says more",
            ]
        );
        assert_eq!(
            about_answer(&answer("Help", nothing(), nothing()))[1..],
            [
                "the operator has not answered yet",
                "docs/refusals.md says more"
            ]
        );
    }
}
