//! Building the same commits once more. Nothing new is built, so that it does not matter how the head
//! moved since; who asks goes through the same gate as whoever sets a label.

use std::collections::BTreeSet;

use crds::{AnswerReason, Evidence, Facts as Found, PrBuild};
use jiff::SignedDuration;

use super::Authorized;
use super::builds::{Family, Known};
use super::facts::Question;
use super::people::Right;
use super::refusal::bounded;
use super::verdict::{Case, Go, Stop};
use crate::command::Word;
use crate::event::Button;
use crate::request::Press;
use crate::resolve::{Choice, Name, Reach, Vocabulary, Wanted, select};

/// A button is good for as long as its build is kept, after its end; the operator's housekeeping keeps
/// builds this long. What a press made is then there for longer than the press is taken, so that one
/// that comes again finds it.
pub(super) const KEPT: SignedDuration = SignedDuration::from_hours(48);
/// Of such a button.
const TOO_OLD: &str = "That build is too old; add the label again.";

impl<'a> Case<'a> {
    /// The builds of the pull request that were asked for before this event.
    pub(super) fn builds(&self) -> Go<Known<'a>> {
        let builds = self.facts.builds.as_ref();
        let builds = builds.ok_or(Stop::Ask(Question::Builds))?;
        let trigger = self.trigger(crds::Evidence::Label);
        Ok(Known::before(&trigger, builds))
    }

    /// `rerun failed`.
    pub(super) fn rerun_failed(&self, right: &Right) -> Go<Authorized> {
        let Some(family) = self.builds()?.families().into_iter().next() else {
            return Err(self.no_build(
                None,
                "No build of this pull request is left; add the label.",
            ));
        };
        self.failed_of(&family, right)
    }

    /// `rerun <builder>`: of the newest build that has all that are named.
    pub(super) fn rerun(&self, words: &[Word], right: &Right) -> Go<Authorized> {
        let known = self.builds()?;
        let builders = self.builders_named(words)?;
        let families = known.families();
        let family = families
            .iter()
            .find(|family| builders.is_subset(&family.builders()));
        let Some(family) = family else {
            let detail = match families.is_empty() {
                true => "No build of this pull request is left; add the label.".to_owned(),
                false => format!(
                    "No build of this pull request has it; write `{} run` to build it.",
                    self.spec().commands.prefix
                ),
            };
            return Err(self.no_build(Some(self.shown(&builders)), &detail));
        };
        self.once_more(family, builders, right)
    }

    /// A button that builds once more.
    pub(super) fn press(&self, press: &Press, right: &Right) -> Go<Authorized> {
        let known = self.builds()?;
        let build = self.pressed(&known, press)?;
        if self.now.duration_since(press.changed_at) > KEPT {
            return Err(self.no_build(None, TOO_OLD));
        }
        let Some(family) = known.family_of(build) else {
            return Err(self.no_build(None, TOO_OLD));
        };
        match press.button {
            Button::RerunFailed => self.failed_of(&family, right),
            Button::RerunAll => {
                let builders = build.spec.request.builders.iter().cloned().collect();
                self.once_more(&family, builders, right)
            }
            Button::Rerun | Button::Cancel => {
                self.once_more(&family, [press.builder.clone()].into(), right)
            }
        }
    }

    /// The build that a button belongs to.
    pub(super) fn pressed(&self, known: &Known<'a>, press: &Press) -> Go<&'a PrBuild> {
        let Some(build) = known.named(&press.build) else {
            return Err(self.no_build(None, TOO_OLD));
        };
        let builders = &build.spec.request.builders;
        let has = press.builder.is_empty() || builders.contains(&press.builder);
        if build.spec.request.head_sha != press.head_sha || !has {
            return Err(Stop::Nothing("not_a_button_of_ours"));
        }
        Ok(build)
    }

    fn failed_of(&self, family: &Family<'_>, right: &Right) -> Go<Authorized> {
        let builders = family.not_passed();
        if builders.is_empty() {
            let detail = match family.is_live() {
                true => "Nothing of the newest build has failed so far; it is not complete yet.",
                false => "Every builder of the newest build passed; there is nothing to run again.",
            };
            return Err(self.no_build(None, detail));
        }
        self.once_more(family, builders, right)
    }

    /// The same commits, with the evidence that there is for them.
    fn once_more(
        &self,
        family: &Family<'_>,
        builders: BTreeSet<String>,
        right: &Right,
    ) -> Go<Authorized> {
        let origin = &family.origin().spec.request;
        self.is_built_branch(&origin.base_ref)?;
        self.goes_still_to(&origin.base_ref)?;
        let reach = Reach::of(&self.spec().labels, right.level());
        let evidence = self.evidence_left(origin, &builders)?;
        let wanted = Wanted::these(builders);
        let choice = Choice {
            wanted: &wanted,
            reach: Some(&reach),
            base: &origin.base_ref,
            evidence,
            approvable: !self.has_unread_reviews(),
            right: self.level(right),
            prefix: &self.spec().commands.prefix,
        };
        let mut selection = select(&choice, self.builders);
        self.is_any_left(&selection)?;
        for left in &origin.left_out {
            if !selection.builders.contains(&left.builder) {
                selection.leave(left.builder.clone(), left.reason.clone());
            }
        }
        let trigger = self.trigger(evidence);
        Ok(Authorized {
            name: self.name(&trigger),
            request: crds::Request {
                repository: self.repository(),
                builders: selection.builders,
                left_out: selection.left_out,
                trigger,
                after_checks: self.spec().guards.after_checks.clone(),
                rerun_of: Some(family.key().to_owned()),
                ..origin.clone()
            },
        })
    }

    /// A build for another base branch would stop at once.
    fn goes_still_to(&self, base: &str) -> Go<()> {
        let today = &self.pull()?.base.branch;
        if base == today {
            return Ok(());
        }
        let detail = format!(
            "That build was for `{}`, and the pull request goes to `{}` now; ask for a new build.",
            bounded(base, 200),
            bounded(today, 200),
        );
        Err(self.no_build(None, &detail))
    }

    /// The evidence that there was for these commits, if it is still there where it matters: an approval
    /// can be withdrawn, a label or SHA that was given once cannot.
    fn evidence_left(&self, origin: &crds::Request, builders: &BTreeSet<String>) -> Go<Evidence> {
        let given = origin.trigger.evidence;
        let is_needed = self.builders.iter().any(|builder| {
            let name = builder.metadata.name.as_deref().unwrap_or_default();
            builder.spec.evidence > Evidence::Label && builders.contains(name)
        });
        if given < Evidence::Review || !is_needed || self.is_approved(&origin.head_sha)? {
            return Ok(given);
        }
        Ok(Evidence::Label)
    }

    /// Builders by their names, among those that there are and those of the pull request's builds.
    pub(super) fn builders_named(&self, words: &[Word]) -> Go<BTreeSet<String>> {
        let builds = self.facts.builds.as_ref();
        let builds = builds.ok_or(Stop::Ask(Question::Builds))?;
        let mut names: BTreeSet<Name<'_>> = self
            .builders
            .iter()
            .map(|builder| Name {
                object: builder.metadata.name.as_deref().unwrap_or_default(),
                display: &builder.spec.display_name,
            })
            .collect();
        let built = builds.iter().flat_map(|build| &build.spec.request.builders);
        for object in built {
            if !names.iter().any(|name| name.object == object) {
                names.insert(Name {
                    object,
                    display: object,
                });
            }
        }
        let vocabulary = Vocabulary {
            builders: names.into_iter().collect(),
            ..Vocabulary::default()
        };
        let named = vocabulary.understand(words);
        Ok(named.map_err(|unknown| self.unknown(&unknown))?.builders)
    }

    /// Builders as people read them.
    pub(super) fn shown(&self, builders: &BTreeSet<String>) -> String {
        let names = builders.iter().map(|object| {
            let mut known = self.builders.iter();
            let known = known.find(|builder| builder.metadata.name.as_ref() == Some(object));
            known.map_or(object.as_str(), |builder| &builder.spec.display_name)
        });
        let names: Vec<&str> = names.collect();
        bounded(&names.join(", "), 300)
    }

    pub(super) fn no_build(&self, subject: Option<String>, detail: &str) -> Stop {
        self.refuse(
            AnswerReason::NoBuild,
            Found {
                subject,
                detail: Some(detail.to_owned()),
                ..Found::default()
            },
        )
    }
}
