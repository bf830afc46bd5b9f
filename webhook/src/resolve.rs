//! Which builders a request gets. Pure: the answer is frozen in the PrBuild.

use std::sync::Arc;

use crds::{Builder, Evidence, LabelRule, LeftOut, Permission, Stability};
use kube::ResourceExt;

/// The most builders that one PrBuild names.
const MOST: usize = 256;

/// What builders are chosen for.
pub struct Choice<'a> {
    /// The rules that select; a builder needs to fit one of them.
    pub rules: Vec<&'a LabelRule>,
    /// The base branch.
    pub base: &'a str,
    /// The strongest evidence that there is.
    pub evidence: Evidence,
    /// What the person may do.
    pub right: Permission,
    /// The word that a command begins with, for sentences that say what would help.
    pub prefix: &'a str,
}

/// The builders that run, and those that were named and do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Object names, in order.
    pub builders: Vec<String>,
    /// With the reason as a sentence.
    pub left_out: Vec<LeftOut>,
}

/// Chooses.
pub fn select(choice: &Choice<'_>, all: &[Arc<Builder>]) -> Selection {
    let mut sorted: Vec<&Arc<Builder>> = all.iter().collect();
    sorted.sort_by_key(|builder| builder.name_any());
    let mut selection = Selection::default();
    for builder in sorted {
        let excluded = match named_by(&choice.rules, builder) {
            Named::No => continue,
            Named::But(reason) => Some(reason),
            Named::Yes => obstacle(choice, builder),
        };
        let name = builder.name_any();
        match excluded {
            None if selection.builders.len() < MOST => selection.builders.push(name),
            None => selection.leave(name, format!("One build has at most {MOST} builders.")),
            Some(reason) => selection.leave(name, reason),
        }
    }
    for name in choice.rules.iter().flat_map(|rule| &rule.builders) {
        if !all.iter().any(|builder| builder.name_any() == *name) {
            selection.leave(name.clone(), "There is no builder of this name.".to_owned());
        }
    }
    selection
}

/// The strongest evidence that a builder that is otherwise chosen asks for.
pub fn evidence_wanted(rules: &[&LabelRule], all: &[Arc<Builder>]) -> Evidence {
    all.iter()
        .filter(|builder| matches!(named_by(rules, builder), Named::Yes))
        .map(|builder| builder.spec.evidence)
        .max()
        .unwrap_or_default()
}

impl Selection {
    fn leave(&mut self, builder: String, reason: String) {
        let known = self.left_out.iter().any(|left| left.builder == builder);
        if !known && self.left_out.len() < MOST {
            self.left_out.push(LeftOut { builder, reason });
        }
    }
}

enum Named {
    Yes,
    No,
    /// By its own name, but the rest of the rule keeps it out.
    But(String),
}

fn named_by(rules: &[&LabelRule], builder: &Builder) -> Named {
    let mut result = Named::No;
    for rule in rules {
        match fits(rule, builder) {
            Named::Yes => return Named::Yes,
            Named::But(reason) => result = Named::But(reason),
            Named::No => {}
        }
    }
    result
}

fn fits(rule: &LabelRule, builder: &Builder) -> Named {
    let explicit = rule.builders.contains(&builder.name_any());
    if !rule.builders.is_empty() && !explicit {
        return Named::No;
    }
    let spec = &builder.spec;
    let obstacle = if !spec.flavours.contains(&rule.flavour) {
        format!("It takes no part in the flavour `{}`.", rule.flavour)
    } else if !rule.tags.is_empty() && !rule.tags.iter().any(|tag| spec.tags.contains(tag)) {
        "It has none of the tags that this label selects.".to_owned()
    } else if spec.stability != Stability::Stable && !rule.include_unstable {
        "It is unstable, and this selects stable builders only.".to_owned()
    } else {
        return Named::Yes;
    };
    match explicit {
        true => Named::But(obstacle),
        false => Named::No,
    }
}

/// Why a builder that is named does not run, and what would include it.
fn obstacle(choice: &Choice<'_>, builder: &Builder) -> Option<String> {
    let spec = &builder.spec;
    if !branch_fits(&spec.base_branches, choice.base) {
        return Some(format!(
            "It does not build pull requests for `{}`.",
            choice.base.chars().take(200).collect::<String>()
        ));
    }
    if choice.right < Permission::Write && spec.kubernetes.is_none() {
        return Some(
            "It is a machine that is lent, and those run only what somebody with write access asks for."
                .to_owned(),
        );
    }
    if spec.evidence > choice.evidence {
        return Some(match spec.evidence {
            Evidence::Review => {
                "It needs an approval of exactly this commit by a core developer other than the author."
                    .to_owned()
            }
            _ => format!(
                "It needs the full SHA: write `{} run <full SHA>`, or approve exactly this commit.",
                choice.prefix
            ),
        });
    }
    None
}

/// Whether a branch is one of these; `*` stands for any characters, and no pattern for all.
pub fn branch_fits(patterns: &[String], branch: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, branch))
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    // `split` gives at least one part.
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(name: &str, spec: &str) -> Arc<Builder> {
        let json = format!(
            r#"{{"apiVersion":"prbuild.dev/v1alpha1","kind":"Builder","metadata":{{"name":"{name}"}},
            "spec":{{"displayName":"{name}","steps":[{{"run":"true"}}],"kubernetes":{{"image":"x"}}{spec}}}}}"#
        );
        Arc::new(serde_json::from_str(&json).expect("a builder"))
    }

    fn rule(json: &str) -> LabelRule {
        serde_json::from_str(&format!(r#"{{"name":"test"{json}}}"#)).expect("a rule")
    }

    fn chosen(rule: &LabelRule, all: &[Arc<Builder>], evidence: Evidence) -> Selection {
        let choice = Choice {
            rules: vec![rule],
            base: "main",
            evidence,
            right: Permission::Write,
            prefix: "/prbuild",
        };
        select(&choice, all)
    }

    fn names(json: &str, all: &[Arc<Builder>]) -> Vec<String> {
        chosen(&rule(json), all, Evidence::Label).builders
    }

    #[test]
    fn a_label_selects_by_flavour_tags_names_and_stability() {
        let all = [
            builder("c-refleak", r#","flavours":["refleak"],"tags":["tier-1"]"#),
            builder("b-unstable", r#","stability":"Unstable","tags":["tier-1"]"#),
            builder("a-stable", r#","tags":["tier-1","linux"]"#),
            builder("d-both", r#","flavours":["default","refleak"]"#),
        ];
        assert_eq!(names("", &all), ["a-stable", "d-both"]);
        assert_eq!(
            names(r#","flavour":"refleak""#, &all),
            ["c-refleak", "d-both"]
        );
        assert_eq!(names(r#","tags":["linux","none"]"#, &all), ["a-stable"]);
        assert_eq!(names(r#","builders":["d-both"]"#, &all), ["d-both"]);
        assert_eq!(
            names(r#","includeUnstable":true"#, &all),
            ["a-stable", "b-unstable", "d-both"]
        );
        assert_eq!(names(r#","flavour":"other""#, &all), [""; 0]);
    }

    #[test]
    fn who_is_named_and_does_not_run_is_left_out_with_a_sentence() {
        let all = [
            builder("branch", r#","baseBranches":["3.*"]"#),
            builder("review", r#","evidence":"Review""#),
            builder("sha", r#","evidence":"ExactSha""#),
            builder("unstable", r#","stability":"Unstable""#),
        ];
        let everything = rule("");
        let selection = chosen(&everything, &all, Evidence::Label);
        assert!(selection.builders.is_empty());
        let left: Vec<(&str, bool)> = selection
            .left_out
            .iter()
            .map(|left| (left.builder.as_str(), left.reason.ends_with('.')))
            .collect();
        assert_eq!(left, [("branch", true), ("review", true), ("sha", true)]);
        assert!(selection.left_out[2].reason.contains("/prbuild run"));

        let with_sha = chosen(&everything, &all, Evidence::ExactSha);
        assert_eq!(with_sha.builders, ["sha"]);
        let with_review = chosen(&everything, &all, Evidence::Review);
        assert_eq!(with_review.builders, ["review", "sha"]);

        let named = chosen(
            &rule(r#","builders":["unstable","gone"]"#),
            &all,
            Evidence::Label,
        );
        assert!(named.builders.is_empty());
        let left: Vec<&str> = named.left_out.iter().map(|l| l.builder.as_str()).collect();
        assert_eq!(left, ["unstable", "gone"]);
        assert_eq!(evidence_wanted(&[&everything], &all), Evidence::Review);
    }

    #[test]
    fn a_build_is_bounded() {
        let all: Vec<_> = (0..600).map(|n| builder(&format!("b{n:03}"), "")).collect();
        let selection = chosen(&rule(""), &all, Evidence::Label);
        assert_eq!(
            (selection.builders.len(), selection.left_out.len()),
            (256, 256)
        );
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, branch, fits) in [
            ("main", "main", true),
            ("main", "maint", false),
            ("3.*", "3.14", true),
            ("3.*", "13.1", false),
            ("*", "anything/at/all", true),
            ("release-*-lts", "release-1-lts", true),
            ("release-*-lts", "release-lts", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("ab*ba", "aba", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, branch), fits, "{pattern} {branch}");
        }
        assert!(branch_fits(&[], "x"));
    }
}
