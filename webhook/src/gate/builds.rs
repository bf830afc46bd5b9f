//! Which builds of a pull request a command or button is about. Pure.
//!
//! A build and those that repeat it are a family: they are of the same commits, and of each builder
//! the newest of them that has it says how it stands.

use std::collections::BTreeSet;

use crds::{BuildPhase, Cancel, PrBuild, RunPhase, Trigger, TriggerKind};
use kube::ResourceExt;

/// Why something stops whose button was pressed.
pub(super) const PRESSED: &str = "pressed Cancel";

/// The builds that were asked for before an event, newest first.
pub(super) struct Known<'a>(Vec<&'a PrBuild>);

/// A build and those that repeat it, newest first.
pub(super) struct Family<'a> {
    key: String,
    members: Vec<&'a PrBuild>,
}

/// A build that shall stop, or builders of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// Name of the PrBuild.
    pub build: String,
    /// Object names. Empty: the whole build.
    pub builders: Vec<String>,
}

/// Whether the gate decided it, and not a person by hand.
fn is_of_the_gate(build: &&PrBuild) -> bool {
    build.spec.request.trigger.kind != TriggerKind::Manual
}

impl<'a> Known<'a> {
    /// Those before this event. What was asked for later is not what the person meant, and an event
    /// that is looked at again must not meet what it made itself.
    pub fn before(event: &Trigger, builds: &'a [PrBuild]) -> Self {
        let mut known: Vec<&PrBuild> = builds
            .iter()
            .filter(|build| is_before(&build.spec.request.trigger, event))
            .collect();
        // GitHub's times are whole seconds; ids are in order among events of one kind only.
        known.sort_by_key(|build| {
            let request = &build.spec.request;
            let made = build.creation_timestamp().map(|made| made.0);
            let repeats = request.rerun_of.is_some();
            (
                request.trigger.time.0,
                made,
                repeats,
                request.trigger.event_id,
            )
        });
        known.reverse();
        Self(known)
    }

    /// The build of that name.
    pub fn named(&self, name: &str) -> Option<&'a PrBuild> {
        self.0
            .iter()
            .copied()
            .find(|build| build.name_any() == name)
    }

    /// All families, the one with the newest build first. One of builds that people made by hand and
    /// nothing else is none: the gate decided nothing of its commits.
    pub fn families(&self) -> Vec<Family<'a>> {
        let mut families: Vec<Family<'a>> = Vec::new();
        for build in &self.0 {
            let key = key(build);
            match families.iter_mut().find(|family| family.key == key) {
                Some(family) => family.members.push(build),
                None => families.push(Family {
                    key,
                    members: vec![build],
                }),
            }
        }
        families.retain(|family| family.members.iter().any(is_of_the_gate));
        families
    }

    /// The family that a build belongs to.
    pub fn family_of(&self, build: &PrBuild) -> Option<Family<'a>> {
        let key = key(build);
        self.families().into_iter().find(|family| family.key == key)
    }

    /// What stops when everything is to stop, or these builders; `mark` is what stands in a build that
    /// this very event stopped before it was answered.
    pub fn targets(
        &self,
        builders: &BTreeSet<String>,
        mark: &Cancel,
        may: impl Fn(&PrBuild) -> bool,
    ) -> Vec<Target> {
        let builds = self.0.iter().filter(|build| may(build));
        let targets = builds.filter_map(|build| {
            let builders = match builders.is_empty() {
                true => whole(build, mark)?,
                false => Some(part(build, builders, mark)).filter(|part| !part.is_empty())?,
            };
            Some(Target {
                build: build.name_any(),
                builders,
            })
        });
        targets.collect()
    }

    /// The builds that go on with what stops in another one: they have asked for the same builder on
    /// the same commit.
    pub fn beside(&self, targets: &[Target]) -> Vec<&'a PrBuild> {
        let (mut stopping, mut asked) = (BTreeSet::new(), BTreeSet::new());
        for target in targets {
            let Some(build) = self.named(&target.build) else {
                continue;
            };
            let request = &build.spec.request;
            let builders = match target.builders.is_empty() {
                true => &request.builders,
                false => &target.builders,
            };
            for builder in builders {
                stopping.insert((build.name_any(), builder.as_str()));
                asked.insert((request.head_sha.as_str(), builder.as_str()));
            }
        }
        let is_beside = |build: &&PrBuild| {
            let request = &build.spec.request;
            request.builders.iter().any(|builder| {
                asked.contains(&(request.head_sha.as_str(), builder.as_str()))
                    && !stopping.contains(&(build.name_any(), builder.as_str()))
                    && goes_on(build, builder)
            })
        };
        self.0.iter().copied().filter(is_beside).collect()
    }

    /// Whether one of them has not ended.
    pub fn is_any_live(&self) -> bool {
        self.0.iter().any(|build| is_live(build))
    }
}

impl<'a> Family<'a> {
    /// The build that the others repeat, or the oldest of them that is left and that the gate decided.
    pub fn origin(&self) -> &'a PrBuild {
        let mut oldest_first = self.members.iter().rev();
        let decided = oldest_first.find(|build| is_of_the_gate(build));
        decided.unwrap_or(&self.members[self.members.len() - 1])
    }

    /// What a build that repeats it names as its origin.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// All builders, by object name.
    pub fn builders(&self) -> BTreeSet<String> {
        let builders = self
            .members
            .iter()
            .flat_map(|build| &build.spec.request.builders);
        builders.cloned().collect()
    }

    /// The builders whose last result is that they did not pass.
    pub fn not_passed(&self) -> BTreeSet<String> {
        let mut builders = self.builders();
        builders.retain(|builder| {
            let phase = self.phase(builder);
            phase.is_terminal() && phase != RunPhase::Succeeded
        });
        builders
    }

    /// Whether a builder has not ended.
    pub fn is_live(&self) -> bool {
        let builders = self.builders();
        builders
            .iter()
            .any(|builder| !self.phase(builder).is_terminal())
    }

    fn phase(&self, builder: &str) -> RunPhase {
        let newest = self.members.iter().find(|build| names(build, builder));
        newest.map_or(RunPhase::Queued, |build| phase_in(build, builder))
    }
}

fn key(build: &PrBuild) -> String {
    let origin = build.spec.request.rerun_of.clone();
    origin.unwrap_or_else(|| build.name_any())
}

fn is_before(one: &Trigger, event: &Trigger) -> bool {
    let (at, of_event) = (one.time.0, event.time.0);
    if at != of_event || one.kind != event.kind {
        return at <= of_event;
    }
    // Within a second, comments and the commands in them are in the order of their ids. Presses are
    // not, and the time of a press is that of its decision: what is there was there before.
    match event.kind {
        TriggerKind::Comment => one.event_id < event.event_id,
        _ => one.event_id != event.event_id,
    }
}

fn names(build: &PrBuild, builder: &str) -> bool {
    build
        .spec
        .request
        .builders
        .iter()
        .any(|name| name == builder)
}

fn phase_in(build: &PrBuild, builder: &str) -> RunPhase {
    let status = build.status.as_ref();
    let result = status.and_then(|status| {
        let mut results = status.results.iter();
        results.find(|result| result.builder == builder)
    });
    match result {
        Some(result) => result.phase,
        // It ended before this builder had a run.
        None if !is_live(build) => RunPhase::Cancelled,
        None => RunPhase::Queued,
    }
}

fn is_live(build: &PrBuild) -> bool {
    let phase = build.status.as_ref().map(|status| status.phase);
    build.metadata.deletion_timestamp.is_none() && phase != Some(BuildPhase::Complete)
}

/// Whether a builder of a build has not ended and was not asked to stop.
fn goes_on(build: &PrBuild, builder: &str) -> bool {
    let phase = phase_in(build, builder);
    let dropped = build.spec.cancel.as_ref().is_some_and(|cancel| {
        let waits = phase == RunPhase::Queued;
        waits || !cancel.waiting_only
    });
    let stops = dropped || build.spec.cancel_builders.contains_key(builder);
    is_live(build) && !phase.is_terminal() && !stops
}

/// Whether this very event wrote it. A press has no time of its own that could tell, but there is only
/// one button that one person could have pressed for one builder.
fn is_marked(cancel: &Cancel, mark: &Cancel) -> bool {
    let same = cancel.by == mark.by && cancel.reason == mark.reason;
    same && (cancel.at == mark.at || mark.reason == PRESSED)
}

/// What is left to stop of a whole build: nothing, these builders, or (empty) all of it.
fn whole(build: &PrBuild, mark: &Cancel) -> Option<Vec<String>> {
    match &build.spec.cancel {
        Some(cancel) if is_marked(cancel, mark) => Some(Vec::new()),
        _ if !is_live(build) => None,
        None => Some(Vec::new()),
        // What waits was dropped; what runs is to stop now, too.
        Some(cancel) if cancel.waiting_only => {
            let all = build.spec.request.builders.iter().cloned().collect();
            Some(part(build, &all, mark)).filter(|left| !left.is_empty())
        }
        Some(_) => None,
    }
}

/// Those of these builders that can be stopped in a build.
fn part(build: &PrBuild, builders: &BTreeSet<String>, mark: &Cancel) -> Vec<String> {
    let stopping = build.spec.cancel.as_ref();
    if stopping.is_some_and(|cancel| !cancel.waiting_only) {
        return Vec::new();
    }
    let is_left = |builder: &&String| match build.spec.cancel_builders.get(*builder) {
        Some(cancel) => is_marked(cancel, mark),
        None => is_live(build) && !phase_in(build, builder).is_terminal(),
    };
    let mut named = build.spec.request.builders.iter();
    let named = named.by_ref().filter(|name| builders.contains(*name));
    named.filter(is_left).cloned().collect()
}
