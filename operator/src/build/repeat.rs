//! Pure: whether a build that was made by hand repeats the one that it names.
//!
//! The chart's policies ask the same where both are there, and say it to who makes the build. They
//! cannot ask for a build that is not there, and an install may be without them.

use crds::{Evidence, PrBuild, TriggerKind};
use kube::ResourceExt;

/// Why a build that was made by hand builds nothing, as a sentence. `origin` is the build that it names,
/// if that is there. What the webhook made passes: the gate looked at it.
///
/// Asked once, before its first runs are made: later its origin may have been collected.
pub fn unfounded(build: &PrBuild, origin: Option<&PrBuild>) -> Option<String> {
    let asked = &build.spec.request;
    if asked.trigger.kind != TriggerKind::Manual {
        return None;
    }
    let Some(origin) = origin else {
        let says =
            "it was made by hand, and there is no build that it repeats; add the label again";
        return Some(says.to_owned());
    };
    let (name, first) = (origin.name_any(), &origin.spec.request);
    // A build that was refused its commits must not lend them to the next one.
    if first.trigger.kind == TriggerKind::Manual {
        return Some(format!(
            "it says it repeats `{name}`, which was made by hand itself; make it with `kubectl prbuild rerun {name}`"
        ));
    }
    let other = if asked.repository != first.repository || asked.number != first.number {
        "it is not of the pull request of `"
    } else if asked.head_sha != first.head_sha
        || asked.merge_sha != first.merge_sha
        || asked.merge_tree != first.merge_tree
        || asked.base_sha != first.base_sha
        || asked.base_ref != first.base_ref
    {
        "it is not of the commits of `"
    } else if !asked
        .builders
        .iter()
        .all(|one| first.builders.contains(one))
    {
        "it has other builders than `"
    } else if asked.trigger.user.id != first.trigger.user.id {
        "it counts for another person than `"
    } else if ![Evidence::Label, first.trigger.evidence].contains(&asked.trigger.evidence) {
        "it claims more evidence than `"
    } else {
        return None;
    };
    Some(format!(
        "{other}{name}`, which it says it repeats; make it with `kubectl prbuild rerun {name}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::guard::tests::build;

    /// The first build: a pinned test merge on two builders.
    fn origin() -> PrBuild {
        let mut origin = build();
        let request = &mut origin.spec.request;
        request.merge_sha = Some("d".repeat(40));
        request.merge_tree = Some("e".repeat(40));
        request.base_sha = Some("f".repeat(40));
        request.builders = vec!["debian".to_owned(), "windows".to_owned()];
        request.trigger.evidence = Evidence::ExactSha;
        origin
    }

    /// What `kubectl prbuild rerun` makes of it.
    fn repetition() -> PrBuild {
        let mut again = origin();
        again.metadata.name = Some("app-7-m2".to_owned());
        let request = &mut again.spec.request;
        request.rerun_of = Some("app-7-l1".to_owned());
        request.trigger.kind = TriggerKind::Manual;
        request.trigger.user.login = "system:serviceaccount:infra:ada".to_owned();
        again
    }

    #[test]
    fn the_same_commits_on_the_same_builders_or_fewer_are_built_again() {
        let mut again = repetition();
        assert_eq!(unfounded(&again, Some(&origin())), None);
        again.spec.request.builders = vec!["windows".to_owned()];
        again.spec.request.trigger.evidence = Evidence::Label;
        assert_eq!(unfounded(&again, Some(&origin())), None);
    }

    #[test]
    fn what_the_webhook_made_needs_no_origin_that_is_there() {
        let mut pressed = repetition();
        for kind in [
            TriggerKind::Label,
            TriggerKind::Comment,
            TriggerKind::Button,
        ] {
            pressed.spec.request.trigger.kind = kind;
            assert_eq!(unfounded(&pressed, None), None, "{kind:?}");
        }
    }

    #[test]
    fn without_its_origin_nothing_is_built_and_what_to_do_is_said() {
        let says = unfounded(&repetition(), None).unwrap();
        assert!(says.contains("there is no build"), "{says}");
        assert!(says.ends_with("add the label again"), "{says}");
    }

    #[test]
    fn a_build_that_was_made_by_hand_lends_its_commits_to_no_other() {
        let says = unfounded(&repetition(), Some(&repetition())).unwrap();
        assert!(
            says.contains("`app-7-m2`, which was made by hand"),
            "{says}"
        );
    }

    type Change = fn(&mut crds::Request);

    #[test]
    fn another_pull_request_commit_builder_person_or_evidence_is_not_built() {
        let table: [(&str, Change); 12] = [
            ("pull request", |asked| asked.repository.id = 2),
            ("pull request", |asked| {
                asked.repository.full_name = "octo/other".to_owned();
            }),
            ("pull request", |asked| asked.number = 8),
            ("commits", |asked| asked.head_sha = "0".repeat(40)),
            ("commits", |asked| asked.merge_sha = Some("0".repeat(40))),
            ("commits", |asked| asked.merge_tree = None),
            ("commits", |asked| asked.base_sha = Some("0".repeat(40))),
            ("commits", |asked| asked.base_ref = "3.14".to_owned()),
            ("builders", |asked| {
                asked.builders.push("solaris".to_owned());
            }),
            ("builders", |asked| {
                asked.builders = vec!["solaris".to_owned()];
            }),
            ("person", |asked| asked.trigger.user.id = 2),
            ("evidence", |asked| {
                asked.trigger.evidence = Evidence::Review;
            }),
        ];
        for (number, (word, change)) in table.into_iter().enumerate() {
            let mut again = repetition();
            change(&mut again.spec.request);
            let says = unfounded(&again, Some(&origin())).unwrap_or_default();
            assert!(says.contains(word), "{number}: {says}");
            assert!(
                says.ends_with("make it with `kubectl prbuild rerun app-7-l1`"),
                "{number}: {says}"
            );
        }
    }

    #[test]
    fn no_sentence_names_a_sha() {
        let mut again = repetition();
        again.spec.request.head_sha = "0".repeat(40);
        let says = unfounded(&again, Some(&origin())).unwrap();
        assert!(!says.contains(&"0".repeat(7)), "{says}");
    }
}
