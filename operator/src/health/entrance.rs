//! Whether what happens on GitHub reaches the webhook, and whether a fork's activity can be read.
//!
//! The probe asks, the judgement is pure. What it finds does not keep a Repository from building: the
//! sweep finds labels that no delivery tells of. Commands and buttons need the deliveries.

use crds::{ReportMode, Repository};
use github::{Delivery, GithubError, Listing, PullRequest, Repo, Webhook};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, spec::Fault};
use crate::report::text::code;

/// Condition of a Repository: what happens on GitHub reaches the webhook.
pub const WEBHOOK: &str = "Webhook";
/// Condition of a Repository: the movements of a branch in a fork can be read.
pub const FORK_ACTIVITY: &str = "ForkActivity";

/// Forks that are tried.
const FORKS: usize = 3;
/// GitHub keeps deliveries so long.
const KEPT: SignedDuration = SignedDuration::from_hours(72);
/// A delivery may be so late.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// The ping that GitHub sends when a webhook is made may be so late.
const PING: SignedDuration = SignedDuration::from_mins(1);

/// What a probe saw.
#[derive(Clone, Debug)]
pub struct Probe {
    /// When, by GitHub's clock.
    pub at: Timestamp,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// When a pull request last changed.
    pub last_change: Option<Timestamp>,
    /// What became of reading the activity of forks.
    pub forks: Forks,
    /// With what to ask whether a pull request changed since.
    pub etag: Option<String>,
}

/// Which webhooks there are.
#[derive(Clone, Debug)]
pub enum Webhooks {
    /// The App's.
    App(Option<Webhook>),
    /// Those of the repository.
    Own(Vec<Webhook>),
    /// The credential may not see them.
    Hidden,
    /// GitHub did not answer.
    Unknown(String),
}

/// What became of reading the activity of forks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forks {
    /// There is no open pull request from a fork to try it with.
    None,
    /// It can be read.
    Readable,
    /// It cannot: of this fork, for this reason.
    Unreadable(String, String),
    /// GitHub did not answer.
    Unknown,
}

/// Asks GitHub about the webhooks. Those of an App are the same for every Repository of it.
pub async fn webhooks(repo: &Repo) -> Webhooks {
    let connection = repo.connection();
    match connection.is_app() {
        true => match connection.app_webhook().await {
            Ok(webhook) => Webhooks::App(webhook),
            Err(error) => Webhooks::Unknown(error.to_string()),
        },
        false => match repo.webhooks().await {
            Ok(webhooks) => Webhooks::Own(webhooks),
            Err(GithubError::NotFound { .. } | GithubError::Forbidden { .. }) => Webhooks::Hidden,
            Err(error) => Webhooks::Unknown(error.to_string()),
        },
    }
}

/// Asks GitHub about the rest: when a pull request last changed, and whether the activity of forks can
/// be read. `before` is what an earlier probe saw: where no pull request changed since, that costs
/// nothing of the budget.
pub async fn probe(repo: &Repo, webhooks: Webhooks, before: Option<Probe>) -> Probe {
    // What could not be read may be readable now.
    let before = before.filter(|seen| matches!(seen.forks, Forks::Readable | Forks::None));
    let etag = before.as_ref().and_then(|seen| seen.etag.as_deref());
    let page = repo.changed_pull_requests(etag, 1).await;
    let at = page
        .as_ref()
        .map_or_else(|_| Timestamp::now(), |page| page.date);
    match (page.map(|page| page.value), before) {
        (Ok(Listing::Changed { items, etag }), _) => Probe {
            at,
            webhooks,
            last_change: items.iter().map(|pull| pull.updated_at).max(),
            forks: activity(repo, &items).await,
            etag,
        },
        (Ok(Listing::NotModified), Some(before)) => Probe {
            at,
            webhooks,
            ..before
        },
        _ => Probe {
            at,
            webhooks,
            last_change: None,
            forks: Forks::Unknown,
            etag: None,
        },
    }
}

/// Reads the activity of the branches of pull requests that come from forks, until one can be read.
async fn activity(repo: &Repo, pulls: &[PullRequest]) -> Forks {
    let branches = pulls.iter().filter_map(|pull| {
        let fork = pull.head.repo.as_ref()?;
        (fork.id != pull.base.repo.id).then_some((fork, &pull.head.branch))
    });
    let mut seen = Forks::None;
    for (fork, branch) in branches.take(FORKS) {
        let why = match repo.activity(fork.id, branch).await {
            Ok(movements) if !movements.value.entries.is_empty() => return Forks::Readable,
            Ok(_) => "GitHub shows none".to_owned(),
            Err(GithubError::NotFound { .. }) => "GitHub answers 404".to_owned(),
            Err(GithubError::Forbidden { message, .. }) => message,
            Err(_) => {
                seen = Forks::Unknown;
                continue;
            }
        };
        seen = Forks::Unreadable(fork.full_name.clone(), why);
    }
    seen
}

/// What the conditions say of a probe, and what keeps the Repository from being `Ready`.
pub fn judge(repository: &Repository, probe: &Probe) -> (Vec<Finding>, Option<Fault>) {
    let mut findings = Vec::new();
    let fault = match webhook(repository, probe) {
        Entrance::Works(message) => {
            findings.push(Finding::good(WEBHOOK, "Delivering", message));
            None
        }
        Entrance::Unseen(reason, message) => {
            findings.push(Finding::unknown(WEBHOOK, reason, message));
            None
        }
        Entrance::Missing(message) => {
            findings.push(Finding::bad(WEBHOOK, "NoWebhook", message));
            None
        }
        Entrance::Wrong(fault) => {
            findings.push(Finding::bad(WEBHOOK, fault.reason, fault.message.clone()));
            Some(fault)
        }
    };
    findings.extend(fork_activity(&probe.forks));
    (findings, fault)
}

/// How it stands with deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entrance {
    Works(String),
    /// Nothing can be said; one word why, and a sentence.
    Unseen(&'static str, String),
    /// There is no webhook, which may be on purpose.
    Missing(String),
    Wrong(Fault),
}

fn webhook(repository: &Repository, probe: &Probe) -> Entrance {
    let needed = needed(repository);
    let none = || {
        Entrance::Missing(
            "no webhook tells of this repository: labels are found by the sweep, and commands and buttons are not \
             heard; add a webhook if they should be"
                .to_owned(),
        )
    };
    match &probe.webhooks {
        Webhooks::Unknown(error) => Entrance::Unseen(
            "NotAsked",
            format!(
                "GitHub could not be asked about webhooks: {}",
                code(error, 200)
            ),
        ),
        Webhooks::Hidden => Entrance::Unseen(
            "NotVisible",
            format!(
                "the token of the connection `{}` may not see the repository's webhooks (`Webhooks: read`, or \
                 `admin:repo_hook`), so it cannot be said whether deliveries arrive",
                repository.spec.connection
            ),
        ),
        Webhooks::App(None) => none(),
        Webhooks::App(Some(webhook)) => one(repository, probe, webhook, &needed),
        Webhooks::Own(webhooks) => {
            // Others tell other programs. Ours tells of pull requests, and one that works is enough.
            let ours = webhooks.iter().filter(|hook| hears(hook, "pull_request"));
            let judged = ours.map(|hook| one(repository, probe, hook, &needed));
            let mut worst = None;
            for entrance in judged {
                match entrance {
                    Entrance::Wrong(_) => worst = worst.or(Some(entrance)),
                    other => return other,
                }
            }
            let deaf = || webhooks.iter().find(|hook| hears(hook, "issue_comment"));
            match (worst, deaf()) {
                (Some(wrong), _) => wrong,
                (None, Some(hook)) => one(repository, probe, hook, &needed),
                (None, None) => none(),
            }
        }
    }
}

/// The events that are needed.
fn needed(repository: &Repository) -> Vec<&'static str> {
    let mut needed = vec!["pull_request", "issue_comment"];
    if repository.spec.reporting.mode == ReportMode::Checks {
        needed.extend(["check_run", "check_suite"]);
    }
    needed
}

fn hears(hook: &Webhook, event: &str) -> bool {
    hook.events
        .iter()
        .any(|known| known == "*" || known == event)
}

/// How it stands with one webhook.
fn one(repository: &Repository, probe: &Probe, hook: &Webhook, needed: &[&str]) -> Entrance {
    let name = match hook.id {
        Some(id) => format!("the webhook {id} to {}", code(&hook.host, 200)),
        None => format!("the App's webhook to {}", code(&hook.host, 200)),
    };
    let wrong = |reason, message| Entrance::Wrong(Fault::new(reason, message));
    if !hook.active {
        let message = format!("{name} is switched off; set it active in its settings");
        return wrong("WebhookOff", message);
    }
    let deaf: Vec<String> = needed
        .iter()
        .filter(|event| !hears(hook, event))
        .map(|event| format!("`{event}`"))
        .collect();
    if !deaf.is_empty() {
        let events = deaf.join(", ");
        let message =
            format!("{name} does not tell of {events}; subscribe it to that in its settings");
        return wrong("EventMissing", message);
    }
    match hook.deliveries.iter().find(|one| one.status_code != 0) {
        Some(newest) => delivers(repository, hook, newest, &name),
        None if is_silent(probe, hook) => wrong(
            "WebhookSilent",
            format!(
                "{name} has never delivered anything; check its address, and redeliver its ping on GitHub"
            ),
        ),
        None => Entrance::Unseen(
            "Quiet",
            format!("{name} had nothing to tell in the last days"),
        ),
    }
}

/// How it stands with a webhook that delivered something, by the newest delivery that came to an end.
fn delivers(repository: &Repository, hook: &Webhook, newest: &Delivery, name: &str) -> Entrance {
    let wrong = |reason, message| Entrance::Wrong(Fault::new(reason, message));
    let at = newest.delivered_at.strftime("%Y-%m-%d %H:%M");
    let status = newest.status_code;
    // A delivery arrived before, or the answer says to come again: it is an outage, not a mistake.
    let is_outage = || status == 503 || hook.deliveries.iter().any(|one| one.was_taken());
    if newest.was_taken() {
        Entrance::Works(format!("{name} delivers"))
    } else if status == 401 {
        let message = format!(
            "{name} signs with another secret than the connection `{}` has (a delivery of {at} UTC was answered \
             with 401); set the same one in its settings and as `webhook-secret` of the connection",
            repository.spec.connection,
        );
        wrong("WebhookSecret", message)
    } else if is_outage() {
        Entrance::Works(format!(
            "{name} delivers; the newest delivery was answered with {status}"
        ))
    } else {
        let message = format!(
            "nothing that {name} delivers arrives: the newest delivery, of {at} UTC, ended with {status}; check its \
             address, and redeliver on GitHub"
        );
        wrong("WebhookSilent", message)
    }
}

/// Something happened that should have been told: the webhook was made, or a pull request changed.
fn is_silent(probe: &Probe, hook: &Webhook) -> bool {
    let ago = |at: Timestamp| probe.at.duration_since(at);
    let pinged = hook.created_at.is_none_or(|at| ago(at) > PING);
    let told = |at: Timestamp| ago(at) < KEPT && ago(at) > LATE;
    let changed = probe
        .last_change
        .filter(|at| hook.created_at.is_none_or(|made| made < *at));
    let made = hook.created_at.filter(|at| ago(*at) < KEPT);
    pinged && (hook.unused || made.is_some() || changed.is_some_and(told))
}

fn fork_activity(forks: &Forks) -> Option<Finding> {
    Some(match forks {
        Forks::Readable => Finding::good(
            FORK_ACTIVITY,
            "Readable",
            "the movements of branches in forks can be read",
        ),
        Forks::Unreadable(fork, why) => Finding::bad(
            FORK_ACTIVITY,
            "Unreadable",
            format!(
                "the movements of branches in {} cannot be read ({}); a label builds where the fork was not pushed \
                 to since, else with an approval of the commit or its typed SHA",
                code(fork, 140),
                code(why, 200)
            ),
        ),
        Forks::None => Finding::unknown(
            FORK_ACTIVITY,
            "NoFork",
            "there is no pull request from a fork yet to try it with",
        ),
        Forks::Unknown => return None,
    })
}

#[cfg(test)]
#[path = "entrance_tests.rs"]
mod tests;
