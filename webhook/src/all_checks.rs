//! Pure: which builds the button of all check runs of a commit repeats.

use std::collections::HashSet;

use crds::PrBuild;
use jiff::Timestamp;

/// The builds that all checks of a commit came from: no repetitions, nothing that was asked for since
/// the button was shown, and of each pull request none whose builders were all built again by newer ones.
pub(crate) fn all_checks(builds: &[PrBuild], shown: Timestamp) -> Vec<&PrBuild> {
    let mut builds: Vec<&PrBuild> = builds
        .iter()
        .filter(|build| {
            let request = &build.spec.request;
            request.rerun_of.is_none() && request.trigger.time.0 <= shown
        })
        .collect();
    builds.sort_by_key(|build| {
        let trigger = &build.spec.request.trigger;
        std::cmp::Reverse((trigger.time.0, trigger.event_id))
    });
    let mut covered = HashSet::new();
    builds.retain(|build| {
        let request = &build.spec.request;
        let new = |builder| covered.insert((request.number, builder));
        request.builders.iter().map(new).filter(|new| *new).count() > 0
    });
    builds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(number: i64, second: i64, builders: &[&str], rerun_of: Option<&str>) -> PrBuild {
        let object = serde_json::json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "PrBuild",
            "metadata": { "name": format!("app-{number}-l{second}") },
            "spec": { "request": {
                "repository": { "name": "app", "id": 1, "fullName": "o/r" }, "number": number,
                "headSha": "a", "baseRef": "main", "flavour": "default", "builders": builders,
                "rerunOf": rerun_of,
                "trigger": { "kind": "Label", "eventId": second, "label": "test",
                    "time": Timestamp::from_second(second).expect("a time"),
                    "user": { "id": 2, "login": "ada" }, "permission": "write" },
            }},
        });
        serde_json::from_value(object).expect("a build")
    }

    #[test]
    fn all_checks_of_a_commit_are_those_of_every_label_and_the_same_when_asked_again() {
        let mut builds = vec![
            build(7, 10, &["linux"], None),
            build(7, 20, &["linux", "windows"], None),
            build(7, 30, &["refleaks"], None),
            build(7, 40, &["linux"], Some("app-7-l20")),
            build(8, 15, &["linux"], None),
        ];
        let names = |builds: &[PrBuild]| -> Vec<String> {
            let shown = Timestamp::from_second(50).expect("a time");
            all_checks(builds, shown)
                .into_iter()
                .filter_map(|build| build.metadata.name.clone())
                .collect()
        };
        let expected = ["app-7-l30", "app-7-l20", "app-8-l15"];
        assert_eq!(names(&builds), expected);
        builds.push(build(8, 60, &["linux", "windows"], None));
        assert_eq!(names(&builds), expected, "what was asked for since");
    }
}
