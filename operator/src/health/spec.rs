//! Pure: what is wrong with the spec of a Repository by itself: labels, patterns, templates, checks.

use crds::{Builder, LabelRule, PATTERN_BYTES, PATTERN_DEPTH, Repository};
use regex::RegexBuilder;

use crate::report::{template, text::code};

/// Something wrong: one word for programs, and a sentence that names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One word for programs.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Fault {
    /// Something wrong.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Everything that is wrong with a spec, what weighs most first. `is_app` says whether its connection
/// is a GitHub App, where that is known.
pub fn faults(repository: &Repository, builders: &[&Builder], is_app: Option<bool>) -> Vec<Fault> {
    let spec = &repository.spec;
    let mut faults = Vec::new();
    faults.extend(checks_need_an_app(repository, is_app));
    faults.extend(waits_for_itself(repository, builders));
    faults.extend(same_labels(&spec.labels));
    faults.extend(spec.labels.iter().enumerate().filter_map(pattern));
    let templates = [
        ("announcement", &spec.reporting.announcement),
        ("result", &spec.reporting.result),
    ];
    for (field, text) in templates {
        let problems = text.as_deref().map(template::problems).unwrap_or_default();
        faults.extend(problems.into_iter().take(3).map(|problem| {
            Fault::new(
                "InvalidTemplate",
                format!("spec.reporting.{field}: {problem}; `{{{{` and `}}}}` stand for braces"),
            )
        }));
    }
    faults
}

fn checks_need_an_app(repository: &Repository, is_app: Option<bool>) -> Option<Fault> {
    let spec = &repository.spec;
    let wrong = spec.reporting.mode == crds::ReportMode::Checks && is_app == Some(false);
    wrong.then(|| {
        Fault::new(
            "ChecksNeedApp",
            format!(
                "spec.reporting.mode is Checks, and only a GitHub App writes check runs: the connection `{}` is a \
                 personal token; make it an App, or set the mode to Statuses",
                spec.connection
            ),
        )
    })
}

/// A build that waits for its own results never begins.
fn waits_for_itself(repository: &Repository, builders: &[&Builder]) -> Option<Fault> {
    let spec = &repository.spec;
    let (before, after) = spec.reporting.context.split_once("{builder}")?;
    let is_ours = |context: &&String| {
        let name = context
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .filter(|name| !name.is_empty());
        let named = |builder: &&Builder| Some(builder.spec.display_name.as_str()) == name;
        // Without words of its own a context is any name.
        let marked = before.len() + after.len() > 0;
        name.is_some() && (marked || builders.iter().any(named))
    };
    let own = spec.guards.after_checks.iter().find(is_ours)?;
    Some(Fault::new(
        "WaitsForItself",
        format!(
            "spec.guards.afterChecks names {}, which is a result of PrBuild itself: no build would ever begin; \
             remove it, or change spec.reporting.context",
            code(own, 255)
        ),
    ))
}

/// Which labels are one on GitHub: by name or alias, in whatever spelling. The API server refuses only
/// those that differ in upper and lower case; it knows no emoji.
fn same_labels(labels: &[LabelRule]) -> Option<Fault> {
    let mut seen: Vec<(usize, &str, String)> = Vec::new();
    for (index, rule) in labels.iter().enumerate() {
        let name = (rule.name.as_str(), format!("spec.labels[{index}].name"));
        let aliases = rule.aliases.iter().enumerate().map(|(at, alias)| {
            let field = format!("spec.labels[{index}].aliases[{at}]");
            (alias.as_str(), field)
        });
        for (spelling, field) in std::iter::once(name).chain(aliases) {
            let earlier = seen
                .iter()
                .find(|(of, known, _)| *of != index && github::same_label(known, spelling));
            if let Some((_, first, first_field)) = earlier {
                return Some(Fault::new(
                    "SameLabel",
                    format!(
                        "{} ({first_field}) and {} ({field}) are the same label on GitHub, and only the first \
                         counts; remove one of them",
                        code(first, 100),
                        code(spelling, 100)
                    ),
                ));
            }
            seen.push((index, spelling, field));
        }
    }
    None
}

fn pattern((index, rule): (usize, &LabelRule)) -> Option<Fault> {
    let pattern = rule.pattern.as_deref()?;
    let why = compile(pattern).err()?;
    Some(Fault::new(
        "InvalidPattern",
        format!(
            "spec.labels[{index}].pattern {} of the label {} is no regular expression that can be used: {why}",
            code(pattern, 256),
            code(&rule.name, 100)
        ),
    ))
}

/// A pattern of a label, ready to be searched, within the limits that the gate has, too; or why it
/// cannot be used.
pub fn compile(pattern: &str) -> Result<regex::Regex, String> {
    let built = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .nest_limit(PATTERN_DEPTH)
        .build();
    built.map_err(|error| match &error {
        regex::Error::CompiledTooBig(_) => "it becomes too large".to_owned(),
        // Several lines that draw the place, and then what is wrong there.
        regex::Error::Syntax(drawn) => {
            let what = drawn
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("error: "));
            what.unwrap_or("it cannot be read").to_owned()
        }
        _ => "it cannot be used".to_owned(),
    })
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
