//! A report made small enough for a termination message. Pure.
//!
//! The verdict and its reason are always whole enough to read. Steps, failing tests and annotations
//! share the rest: each part may use what the parts after it do not need, and no part is squeezed out
//! by one before it.

use serde::Serialize;

use crate::{
    Annotation, Level,
    findings::{
        ANNOTATIONS_LIMIT, FAILURES_LIMIT, NAME_LIMIT, PATH_LIMIT, TEXT_LIMIT, TITLE_LIMIT,
    },
    report::{ExecReport, StepReport, StepResult},
};

/// Bytes for a key of the report, its colon and its comma.
const KEY: usize = 16;
/// Bytes that the reason takes at most, as JSON.
const REASON: usize = 768;
/// Parts of a hundred that are kept for failing tests, when they need as much.
const FOR_FAILURES: usize = 35;
/// Parts of a hundred that are kept for annotations, when they need as much.
const FOR_ANNOTATIONS: usize = 25;

/// The report as JSON of at most `limit` bytes. Below about 1,200 bytes there may be no room even for
/// the verdict; then the text is as short as it gets.
pub(crate) fn fit(report: &ExecReport, limit: usize) -> String {
    let mut fitted = ExecReport {
        reason: report.reason.clone().map(short_reason),
        steps: Vec::new(),
        failures: Vec::new(),
        annotations: Vec::new(),
        ..*report
    };
    let mut steps = report.steps.clone();
    shorten(&mut steps, 80);
    let mut failures = report.failures.clone();
    failures.truncate(FAILURES_LIMIT);
    for name in &mut failures {
        truncate(name, NAME_LIMIT);
    }
    let mut annotations = report.annotations.clone();
    shape(&mut annotations);

    let room = limit.saturating_sub(size(&fitted) + 3 * KEY);
    let for_failures = size(&failures).min(room * FOR_FAILURES / 100);
    let for_annotations = size(&annotations).min(room * FOR_ANNOTATIONS / 100);
    fit_steps(&mut steps, room - for_failures - for_annotations);
    let room = room.saturating_sub(size(&steps));
    fit_failures(&mut failures, room.saturating_sub(for_annotations));
    let room = room.saturating_sub(size(&failures));
    fit_annotations(&mut annotations, room);

    fitted.steps = steps;
    fitted.failures = failures;
    fitted.annotations = annotations;
    serde_json::to_string(&fitted).unwrap_or_default()
}

/// Names get shorter, then what passed is left out, then anything, always from the middle: the
/// first steps and the last ones tell most.
fn fit_steps(steps: &mut Vec<StepReport>, room: usize) {
    for limit in [48, 32, 20] {
        if size(steps) <= room {
            return;
        }
        shorten(steps, limit);
    }
    while size(steps) > room && !steps.is_empty() {
        let dull: Vec<usize> = (0..steps.len())
            .filter(|at| matches!(steps[*at].result, StepResult::Passed | StepResult::Skipped))
            .collect();
        let at = dull.get(dull.len() / 2).copied();
        steps.remove(at.unwrap_or(steps.len() / 2));
    }
}

/// The last names are left out: `failures_total` tells how many there were.
fn fit_failures(failures: &mut Vec<String>, room: usize) {
    while size(failures) > room && !failures.is_empty() {
        failures.pop();
    }
}

/// Messages get shorter, then the mildest annotations are left out, the last of them first.
fn fit_annotations(annotations: &mut Vec<Annotation>, room: usize) {
    for limit in [500, 250, 120, 60] {
        if size(annotations) <= room {
            return;
        }
        for annotation in annotations.iter_mut() {
            truncate(&mut annotation.message, limit);
        }
    }
    while size(annotations) > room {
        let mildest = annotations.iter().map(|annotation| annotation.level).max();
        let is_mildest = |annotation: &Annotation| Some(annotation.level) == mildest;
        match annotations.iter().rposition(is_mildest) {
            Some(at) => drop(annotations.remove(at)),
            None => return,
        }
    }
}

fn shorten(steps: &mut [StepReport], limit: usize) {
    for step in steps {
        truncate(&mut step.name, limit);
    }
}

/// As many as may be, the worst if there are more, and each as long as it may be.
fn shape(annotations: &mut Vec<Annotation>) {
    for level in [Level::Notice, Level::Warning, Level::Failure] {
        while annotations.len() > ANNOTATIONS_LIMIT {
            match annotations.iter().rposition(|one| one.level == level) {
                Some(at) => drop(annotations.remove(at)),
                None => break,
            }
        }
    }
    // A path that was cut would name another file.
    annotations.retain(|annotation| annotation.path.len() <= PATH_LIMIT);
    for annotation in annotations {
        truncate(&mut annotation.message, TEXT_LIMIT);
        if let Some(title) = &mut annotation.title {
            truncate(title, TITLE_LIMIT);
        }
    }
}

fn short_reason(mut reason: String) -> String {
    let mut limit = 512;
    truncate(&mut reason, limit);
    // What JSON writes as escapes takes up to six times its bytes.
    while size(&reason) > REASON {
        limit /= 2;
        truncate(&mut reason, limit);
    }
    reason
}

/// Bytes of something as JSON.
fn size(value: &(impl Serialize + ?Sized)) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

/// Cuts a text at a character boundary, at most `limit` bytes, with an ellipsis.
pub fn truncate(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if limit >= '…'.len_utf8() {
        text.push('…');
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
