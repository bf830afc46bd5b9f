//! What is said about objects. Pure.

use crds::{Answer, BuilderRun, PrBuild};
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

/// What was answered to somebody who built nothing.
pub fn about_answer(answer: &Answer) -> Vec<String> {
    let spec = &answer.spec;
    vec![format!(
        "{} is an answer to @{} on #{} of {}: {:?}; docs/refusals.md says what it means and what to do",
        answer.name_any(),
        spec.trigger.user.login,
        spec.number,
        spec.repository.full_name,
        spec.reason,
    )]
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
}
