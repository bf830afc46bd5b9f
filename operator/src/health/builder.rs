//! Pure: whether runs of a Builder can be started, beyond what the API server checks itself.

use std::borrow::Borrow;

use crds::{Builder, BuilderStatus, Kubernetes, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::{Recipe, Step, is_reserved_variable};

use super::{Change, Finding, counts_beside, image, is_older, label_syntax, settle};
use crate::report::text::code;

/// Bytes that the steps may take in a run, which has the commits, the machine and its names beside them:
/// all that is bounded by its own lengths stays below the difference. They travel in one environment variable
/// of a container, and Linux gives one at most 128 KiB.
pub(crate) const RECIPE_LIMIT: usize = 32 * 1024;

/// Why runs of a Builder cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// One word, for the condition.
    pub reason: &'static str,
    /// A sentence: what is wrong, and what to change.
    pub message: String,
}

impl Invalid {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Whether runs of this Builder can be started; `others` are all Builders of the install.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(builder: &Builder, others: &[impl Borrow<Builder>]) -> Result<(), Invalid> {
    let spec = &builder.spec;
    match (&spec.kubernetes, &spec.worker) {
        (Some(machine), None) => check_machine(machine)?,
        (None, Some(_)) => {}
        _ => {
            return Err(Invalid::new(
                "NoBackend",
                "it names no one way to run; set either spec.kubernetes or spec.worker",
            ));
        }
    }
    check_steps(&spec.steps)?;
    check_size(builder)?;
    check_name(builder, others)
}

/// The status that a Builder should have, when it is another than it has.
pub fn check(
    builder: &Builder,
    others: &[impl Borrow<Builder>],
    now: &Time,
) -> Option<Change<BuilderStatus>> {
    let finding = match validate(builder, others) {
        Ok(()) => Finding::good(condition::kind::READY, "Valid", "runs can be started"),
        Err(Invalid { reason, message }) => Finding::bad(condition::kind::READY, reason, message),
    };
    let before = builder.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let news = settle(&mut status.conditions, vec![finding], now);
    status.observed_generation = builder.metadata.generation;
    (status != before).then_some(Change { status, news })
}

fn check_machine(machine: &Kubernetes) -> Result<(), Invalid> {
    let name = code(&machine.image, 200);
    image::check(&machine.image).map_err(|error| {
        Invalid::new(
            "InvalidImage",
            format!("{name} is not the name of an image: {error}"),
        )
    })?;
    let resources = &machine.resources;
    for (field, quantity) in [
        ("cpu", &resources.cpu),
        ("memory", &resources.memory),
        ("disk", &resources.disk),
    ] {
        if !is_positive(quantity) {
            let quantity = code(quantity, 40);
            let message = format!(
                "resources.{field} is {quantity}; write an amount above zero, such as `1` or `2Gi`"
            );
            return Err(Invalid::new("InvalidResources", message));
        }
    }
    for (key, value) in &machine.node_selector {
        if !label_syntax::is_key(key) || !label_syntax::is_value(value) {
            let label = code(&format!("{key}: {value}"), 200);
            let message = format!("nodeSelector: no node can have the label {label}");
            return Err(Invalid::new("InvalidNodeSelector", message));
        }
    }
    Ok(())
}

/// Whether a quantity of Kubernetes is one, and more than nothing.
fn is_positive(quantity: &str) -> bool {
    let units = ["Ki", "Mi", "Gi", "Ti", "m", "k", "M", "G", "T"];
    let number = units
        .iter()
        .find_map(|unit| quantity.strip_suffix(unit))
        .unwrap_or(quantity);
    let digits = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits
        && number
            .parse::<f64>()
            .is_ok_and(|amount| amount > 0.0 && amount < 1e15)
}

fn check_steps(steps: &[Step]) -> Result<(), Invalid> {
    let invalid = |message| Err(Invalid::new("InvalidStep", message));
    for step in steps {
        let title = code(step.title(), 60);
        if step.run.trim().is_empty() || step.run.contains('\0') {
            return invalid(format!(
                "the script of the step {title} is empty, or has a NUL character"
            ));
        }
        let minutes = step.timeout_minutes.unwrap_or(1.0);
        if !minutes.is_finite() || minutes <= 0.0 {
            return invalid(format!("timeout-minutes of the step {title} is no time"));
        }
        if step.working_directory.as_deref().is_some_and(leaves) {
            return invalid(format!(
                "the working-directory of the step {title} leaves the checkout; write a path inside it"
            ));
        }
        for (name, value) in &step.env {
            if !is_variable(name) || value.contains('\0') {
                let name = code(name, 60);
                return invalid(format!(
                    "the step {title} sets {name}, which is not the name of a variable, or has a NUL character"
                ));
            }
            if is_reserved_variable(name) {
                let name = code(name, 60);
                return invalid(format!(
                    "the step {title} sets {name}, and what begins with GITHUB_, RUNNER_ or PRBUILD_ no step can set; choose another name"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a path leaves the directory that it is relative to.
fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

/// Whether this is a name that shells know for a variable.
fn is_variable(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(inside)
}

fn check_size(builder: &Builder) -> Result<(), Invalid> {
    let spec = &builder.spec;
    let recipe = Recipe {
        steps: spec.steps.clone(),
        exit_codes: spec.exit_codes.clone(),
        timeouts: spec.timeouts,
        tests: spec.tests.clone(),
    };
    match serde_json::to_string(&recipe) {
        Ok(text) if text.len() <= RECIPE_LIMIT => Ok(()),
        Ok(text) => {
            let message = format!(
                "the steps with their variables take {} characters; at most {RECIPE_LIMIT} fit. Put scripts into the image",
                text.len()
            );
            Err(Invalid::new("TooLarge", message))
        }
        Err(error) => Err(Invalid::new(
            "InvalidStep",
            format!("the steps cannot be written down: {error}"),
        )),
    }
}

/// Two Builders with one display name would overwrite each other's statuses: the older one keeps it.
/// GitHub does not tell upper from lower case in contexts everywhere.
fn check_name(builder: &Builder, others: &[impl Borrow<Builder>]) -> Result<(), Invalid> {
    let name = &builder.spec.display_name;
    let mut older = others.iter().map(Borrow::borrow).filter(|other| {
        counts_beside(*other, builder)
            && other.spec.display_name.eq_ignore_ascii_case(name)
            && is_older(*other, builder)
    });
    match older.next() {
        None => Ok(()),
        Some(other) => Err(Invalid::new(
            "DuplicateDisplayName",
            format!(
                "the Builder `{}` has the display name {} already; their statuses would overwrite each other. Choose another",
                other.name_any(),
                code(name, 80)
            ),
        )),
    }
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
