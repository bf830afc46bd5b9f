//! Pure: which workers may take a run now, or why none may.

use crds::{OnWorker, Worker, condition};
use jiff::Timestamp;
use kube::ResourceExt;

/// Workers that one assignment may be for.
const AUDIENCE: usize = 64;

/// A worker with what it has in hand.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The object.
    pub worker: &'a Worker,
    /// Runs that it has, or that are promised to it alone.
    pub taken: i64,
    /// It declined this run lately, and why.
    pub declined: Option<&'a str>,
}

/// What the run asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The Builder's words.
    pub on: &'a OnWorker,
    /// Name of the Repository object.
    pub repository: &'a str,
    /// Runs that are promised to whichever of several workers takes them first, and that nobody has taken.
    pub promised: i64,
    /// Now.
    pub now: Timestamp,
}

/// Who may take a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Names of workers.
    pub to: Vec<String>,
    /// Whoever takes it first.
    pub pool: bool,
}

/// Who may take a run now.
///
/// # Errors
/// What it waits for, as a sentence.
pub fn choose(wish: &Wish<'_>, machines: &[Machine<'_>]) -> Result<Choice, String> {
    match &wish.on.name {
        Some(name) => pinned(wish, machines, name),
        None => pooled(wish, machines),
    }
}

fn pinned(wish: &Wish<'_>, machines: &[Machine<'_>], name: &str) -> Result<Choice, String> {
    let found = machines.iter().find(|one| one.worker.name_any() == name);
    let machine = found.ok_or_else(|| format!("waiting for `{name}`: there is no such worker"))?;
    if let Some(why) = obstacle(wish, machine) {
        return Err(format!("waiting for `{name}`: {why}"));
    }
    Ok(Choice {
        to: vec![name.to_owned()],
        pool: false,
    })
}

fn pooled(wish: &Wish<'_>, machines: &[Machine<'_>]) -> Result<Choice, String> {
    let selected = machines
        .iter()
        .filter(|one| is_selected(wish.on, one.worker));
    let selected: Vec<&Machine<'_>> = selected.collect();
    if selected.is_empty() {
        let labels = wish
            .on
            .selector
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        return Err(format!("waiting for a worker with {labels}: there is none"));
    }
    let (mut to, mut free, mut whys) = (Vec::new(), 0, Vec::new());
    for machine in &selected {
        match obstacle(wish, machine) {
            None => {
                to.push(machine.worker.name_any());
                free += machine.worker.spec.slots - machine.taken;
            }
            Some(why) => whys.push(format!("`{}`: {why}", machine.worker.name_any())),
        }
    }
    if to.is_empty() {
        return Err(format!("waiting for a worker: {}", few(&whys)));
    }
    if free <= wish.promised {
        // No number of runs: it changes with each, and every run that waits would say so anew.
        return Err(match to.len() {
            1 => "waiting for a worker: the one that fits has enough to do".to_owned(),
            some => format!("waiting for a worker: the {some} that fit have enough to do"),
        });
    }
    to.sort_unstable();
    to.truncate(AUDIENCE);
    Ok(Choice { to, pool: true })
}

/// Whether a Builder that selects by labels selects this worker.
pub fn is_selected(on: &OnWorker, worker: &Worker) -> bool {
    let labels = &worker.spec.labels;
    let mut asked = on.selector.iter();
    asked.all(|(name, value)| labels.get(name) == Some(value))
}

/// Why this worker may not have the run now.
fn obstacle(wish: &Wish<'_>, machine: &Machine<'_>) -> Option<String> {
    let (worker, spec) = (machine.worker, &machine.worker.spec);
    let allowed = &spec.repositories;
    if !allowed.is_empty() && !allowed.iter().any(|name| name == wish.repository) {
        return Some(format!("it does not take builds of `{}`", wish.repository));
    }
    if spec.paused {
        return Some("it is paused".to_owned());
    }
    if spec.drain {
        return Some("it is being drained".to_owned());
    }
    for window in &spec.windows {
        match window.closed_until(wish.now) {
            Ok(None) => {}
            Ok(Some(until)) => {
                let until = until.strftime("%a %H:%M %Z");
                return Some(format!("in a maintenance window until {until}"));
            }
            Err(zone) => return Some(format!("its time zone `{}` does not exist", zone.0)),
        }
    }
    if let Some(why) = not_ready(worker) {
        return Some(why);
    }
    if !wish.on.allow_shared && !is_isolated(worker) {
        return Some(
            "its builds run as the same user as its agent, which this builder does not allow"
                .to_owned(),
        );
    }
    if let Some(why) = machine.declined {
        return Some(format!("it declined: {why}"));
    }
    (machine.taken >= spec.slots).then(|| match machine.taken {
        1 => "it is busy".to_owned(),
        taken => format!("it is busy with {taken} runs"),
    })
}

/// What the gateway says of a worker that takes nothing.
fn not_ready(worker: &Worker) -> Option<String> {
    let status = worker.status.as_ref();
    let conditions = status.map_or([].as_slice(), |status| &status.conditions);
    let Some(ready) = condition::find(conditions, condition::kind::READY) else {
        return Some("its agent has never been here".to_owned());
    };
    (ready.status != "True").then(|| ready.message.clone())
}

fn is_isolated(worker: &Worker) -> bool {
    let status = worker.status.as_ref();
    let conditions = status.map_or([].as_slice(), |status| &status.conditions);
    condition::is_true(conditions, condition::kind::ISOLATED)
}

/// The first of several sentences, and how many more there are.
fn few(whys: &[String]) -> String {
    match whys {
        [] => "none fits".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one}; {two}"),
        [one, two, rest @ ..] => format!("{one}; {two}; and {} more", rest.len()),
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
