//! Whether builds of a Repository can be started and told: asks GitHub, decides purely.
//!
//! `Ready` is about the whole Repository. A label that selects no builder does not stop the others:
//! the condition `LabelsSelect` names it, and `Ready` is false only when no label selects any. Other
//! mistakes make `Ready` false, too; which of them keep it from building,
//! [`condition::builds`](crds::condition::builds) says.

use std::borrow::Borrow;

use crds::{Builder, LabelRule, ReportMode, Repository, RepositoryStatus, Stability, condition};
use github::{Connections, GithubError, RepositoryInfo};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    Change, Finding, counts_beside,
    entrance::{self, Probe},
    is_older, settle,
    spec::{self, Fault},
};
use crate::report::{talk, text::code};

/// Condition of a Repository: every label selects a builder that there is.
pub const LABELS_SELECT: &str = "LabelsSelect";

/// What GitHub showed of a repository.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The connection is not mounted, or not valid.
    NoConnection,
    /// It is there.
    Found(Box<RepositoryInfo>),
    /// The App was not granted these permissions, as `statuses: write`; without them it gets no
    /// token and reads nothing.
    Lacks(Vec<String>),
    /// It is there, and takes no statuses from the personal token, of which GitHub does not tell
    /// what it may do.
    NoStatuses,
    /// GitHub answered with an error.
    Failed(GithubError),
}

/// Asks GitHub about a repository.
pub async fn look(connections: &Connections, repository: &Repository) -> Seen {
    let spec = &repository.spec;
    let Some(connection) = connections.get(&spec.connection) else {
        return Seen::NoConnection;
    };
    let repo = connection.repo(&spec.owner, &spec.name);
    let more = permissions(repository);
    let asked = match repo.missing_permissions_with(&more).await {
        Ok(missing) if !missing.is_empty() => return Seen::Lacks(missing),
        Ok(_) => repo.repository().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(info) => Seen::Found(Box::new(info.value)),
        Err(error) => Seen::Failed(error),
    }
}

/// The permissions that an App needs on top of what every Repository needs.
fn permissions(repository: &Repository) -> Vec<(&'static str, &'static str)> {
    let spec = &repository.spec;
    let mut more = Vec::new();
    if spec.reporting.mode == ReportMode::Checks {
        more.push(("checks", "write"));
    } else if !spec.guards.after_checks.is_empty() {
        more.push(("checks", "read"));
    }
    if spec.authorization.team.is_some() {
        more.push(("members", "read"));
    }
    more
}

/// The status that a Repository should have, when it is another than it has. `others` and `builders`
/// are all of the install; `is_app` says whether its connection is a GitHub App; `probe` is what was
/// seen of its webhook, where that was looked at.
pub fn check(
    repository: &Repository,
    seen: &Seen,
    is_app: Option<bool>,
    probe: Option<&Probe>,
    others: &[impl Borrow<Repository>],
    builders: &[impl Borrow<Builder>],
    now: &Time,
) -> Option<Change<RepositoryStatus>> {
    let before = repository.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let builders: Vec<&Builder> = builders.iter().map(Borrow::borrow).collect();
    let labels = labels_select(&repository.spec.labels, &builders);
    let (mut findings, entrance) =
        probe.map_or_else(Default::default, |probe| entrance::judge(repository, probe));
    let mut faults = spec::faults(repository, &builders, is_app);
    faults.extend(entrance);
    match ready(repository, seen, others) {
        Ok(info) => {
            // The id is recorded once; from then on another repository under this name is refused.
            status.id = Some(info.id);
            status.full_name = Some(info.full_name.clone());
            if let Labels::None(message) = &labels {
                faults.push(Fault::new("ImpossibleSelector", message));
            }
            findings.push(match summed(&faults) {
                Some(fault) => bad(fault.reason, fault.message),
                None => Finding::good(condition::kind::READY, "Valid", usable(repository, info)),
            });
        }
        Err(Some(finding)) => findings.push(finding),
        // GitHub is away: what was known stays, of the spec that it was known of.
        Err(None) => {}
    }
    if findings
        .iter()
        .any(|found| found.kind == condition::kind::READY)
    {
        status.observed_generation = repository.metadata.generation;
    }
    findings.push(labels.finding());
    // Who looks works; it says so where it was said that it does not.
    let operator = condition::kind::OPERATOR_READY;
    if condition::find(&status.conditions, operator).is_some() {
        findings.push(Finding::good(operator, "Works", "the operator works"));
    }
    let news = settle(&mut status.conditions, findings, now);
    (status != before).then_some(Change { status, news })
}

/// Several faults as one. The first reason that keeps the Repository from building stands for all.
fn summed(faults: &[Fault]) -> Option<Fault> {
    let soft = |fault: &&Fault| condition::BUILDS_ALL_THE_SAME.contains(&fault.reason);
    let first = faults
        .iter()
        .find(|fault| !soft(fault))
        .or(faults.first())?;
    let messages = faults.iter().take(5).map(|fault| fault.message.as_str());
    Some(Fault::new(
        first.reason,
        messages.collect::<Vec<_>>().join("; "),
    ))
}

fn bad(reason: &'static str, message: impl Into<String>) -> Finding {
    Finding::bad(condition::kind::READY, reason, message)
}

fn usable(repository: &Repository, info: &RepositoryInfo) -> String {
    let asked = format!("{}/{}", repository.spec.owner, repository.spec.name);
    if info.full_name.eq_ignore_ascii_case(&asked) {
        "builds can be started and told".to_owned()
    } else {
        let name = code(&info.full_name, 140);
        format!(
            "builds can be started and told; GitHub calls it {name} now, so change owner and name in the spec"
        )
    }
}

/// The repository, when all is well with it; else what is wrong; nothing when GitHub is away and
/// something is known already.
fn ready<'s>(
    repository: &Repository,
    seen: &'s Seen,
    others: &[impl Borrow<Repository>],
) -> Result<&'s RepositoryInfo, Option<Finding>> {
    let spec = &repository.spec;
    let name = format!("`{}/{}`", spec.owner, spec.name);
    let connection = &spec.connection;
    let info = match seen {
        Seen::NoConnection => {
            let message = format!(
                "there is no valid connection `{connection}`; mount a Secret of that name, or correct spec.connection"
            );
            return Err(Some(bad("NoConnection", message)));
        }
        Seen::Lacks(missing) => {
            let message = format!(
                "the App of the connection `{connection}` lacks permissions on {name}: {}; \
                 grant them in its settings and accept them for the repository",
                missing.join(", ")
            );
            return Err(Some(bad("PermissionMissing", message)));
        }
        Seen::NoStatuses => {
            let message = format!(
                "GitHub takes no statuses for {name} from the token of the connection `{connection}`; give it \
                 the permission `statuses: write` (a classic token the scope `repo:status`), and its account \
                 write access to the repository"
            );
            return Err(Some(bad("PermissionMissing", message)));
        }
        Seen::Failed(error) => return Err(failed(repository, &name, error)),
        Seen::Found(info) => info,
    };
    if info.private {
        let message = format!(
            "{name} is private; only public repositories are built, because logs and statuses are public"
        );
        return Err(Some(bad("Private", message)));
    }
    let recorded = repository.status.as_ref().and_then(|status| status.id);
    if let Some(id) = recorded.filter(|id| *id != info.id) {
        let message = format!(
            "{name} is another repository now (id {}) than the one that was set up (id {id}); if that is right, delete this Repository and make it anew",
            info.id
        );
        return Err(Some(bad("Replaced", message)));
    }
    if let Some(other) = older_with_same_id(repository, info.id, others) {
        let message =
            format!("the Repository `{other}` stands for {name} already; keep one of them");
        return Err(Some(bad("Duplicate", message)));
    }
    if info.archived {
        let message = format!("{name} is archived: GitHub takes no statuses for it");
        return Err(Some(bad("Archived", message)));
    }
    Ok(info)
}

fn failed(repository: &Repository, name: &str, error: &GithubError) -> Option<Finding> {
    let connection = &repository.spec.connection;
    let message = match error {
        GithubError::NotFound { .. } => format!(
            "{name} does not exist, or the connection `{connection}` cannot see it; check the name, and that its App is installed there"
        ),
        GithubError::Unauthorized { .. } => {
            format!(
                "GitHub does not accept the credential of the connection `{connection}`; renew it in its Secret"
            )
        }
        // The message names the permission where GitHub does.
        GithubError::Forbidden { message, .. } => {
            format!(
                "the connection `{connection}` may not read {name}: {}",
                code(message, 200)
            )
        }
        // Of the credential: an App is no longer installed where its Secret says, as after a transfer.
        GithubError::Unprocessable { message, .. } => format!(
            "the App of the connection `{connection}` gets no token for {name}: {}; \
             check that it is installed there, and that `installation-id` of the connection is that installation",
            code(message, 200)
        ),
        _ => {
            let status = repository.status.as_ref();
            let known = status.is_some_and(|status| {
                condition::find(&status.conditions, condition::kind::READY).is_some()
            });
            if known {
                return None;
            }
            format!("GitHub could not be asked about {name} yet: {error}")
        }
    };
    Some(bad(talk::reason(error), message))
}

/// The older of the Repositories that stand for the same repository on GitHub.
fn older_with_same_id(
    repository: &Repository,
    id: i64,
    others: &[impl Borrow<Repository>],
) -> Option<String> {
    let mut older = others.iter().map(Borrow::borrow).filter(|other| {
        counts_beside(*other, repository)
            && other.status.as_ref().and_then(|status| status.id) == Some(id)
            && is_older(*other, repository)
    });
    older.next().map(ResourceExt::name_any)
}

/// Which labels select builders.
enum Labels {
    /// Each selects some.
    All,
    /// Some select none; which, and why.
    Some(String),
    /// None selects any; why.
    None(String),
}

impl Labels {
    fn finding(&self) -> Finding {
        match self {
            Self::All => Finding::good(LABELS_SELECT, "Valid", "every label selects a builder"),
            Self::Some(message) | Self::None(message) => {
                Finding::bad(LABELS_SELECT, "ImpossibleSelector", message.clone())
            }
        }
    }
}

fn labels_select(labels: &[LabelRule], builders: &[&Builder]) -> Labels {
    let impossible: Vec<&LabelRule> = labels
        .iter()
        .filter(|rule| !builders.iter().any(|builder| selects(rule, builder)))
        .collect();
    if impossible.is_empty() {
        return Labels::All;
    }
    let mut reasons: Vec<String> = impossible
        .iter()
        .take(3)
        .map(|rule| why_nothing(rule, builders))
        .collect();
    if impossible.len() > 3 {
        reasons.push(format!(
            "and {} more labels select none",
            impossible.len() - 3
        ));
    }
    let message = reasons.join("; ");
    if impossible.len() == labels.len() {
        Labels::None(message)
    } else {
        Labels::Some(message)
    }
}

/// Whether a label's selector fits a builder. Base branch and evidence are the gate's: they depend on
/// the pull request.
fn selects(rule: &LabelRule, builder: &Builder) -> bool {
    let spec = &builder.spec;
    let named = rule.pattern.as_deref().is_none_or(|pattern| {
        // One that cannot be used is told of on its own.
        super::spec::compile(pattern).is_ok_and(|pattern| pattern.is_match(&spec.display_name))
    });
    builder.metadata.deletion_timestamp.is_none()
        && named
        && spec.flavours.contains(&rule.flavour)
        && (rule.tags.is_empty() || rule.tags.iter().any(|tag| spec.tags.contains(tag)))
        && (rule.builders.is_empty() || rule.builders.contains(&builder.name_any()))
        && (rule.include_unstable || spec.stability == Stability::Stable)
}

/// Why a label selects no builder: the first part of its selector that leaves none.
fn why_nothing(rule: &LabelRule, builders: &[&Builder]) -> String {
    let label = code(&rule.name, 100);
    if builders.is_empty() {
        return format!("the label {label} selects no builder: there is none");
    }
    let open = |change: fn(&mut LabelRule)| {
        let mut rule = rule.clone();
        change(&mut rule);
        builders.iter().any(|builder| selects(&rule, builder))
    };
    let list = |words: &[String]| {
        words
            .iter()
            .take(5)
            .map(|word| code(word, 40))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let why = if !builders
        .iter()
        .any(|builder| builder.spec.flavours.contains(&rule.flavour))
    {
        format!("none has the flavour {}", code(&rule.flavour, 40))
    } else if open(|rule| rule.include_unstable = true) {
        "all that fit are unstable; set includeUnstable if it means them".to_owned()
    } else if open(|rule| rule.tags.clear()) {
        format!(
            "none of that flavour has one of the tags {}",
            list(&rule.tags)
        )
    } else if open(|rule| rule.builders.clear()) {
        format!(
            "none of that flavour and tags is called {}",
            list(&rule.builders)
        )
    } else if open(|rule| rule.pattern = None) {
        let pattern = rule.pattern.as_deref().unwrap_or_default();
        format!(
            "the pattern {} finds none of those names",
            code(pattern, 256)
        )
    } else {
        "no builder has all that it asks for".to_owned()
    };
    format!("the label {label} selects no builder: {why}")
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
