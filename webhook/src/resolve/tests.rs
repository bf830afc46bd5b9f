//! Who runs, and who is left out.

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

fn choice<'a>(
    wanted: &'a Wanted<'a>,
    reach: Option<&'a Reach<'a>>,
    evidence: Evidence,
) -> Choice<'a> {
    Choice {
        wanted,
        reach,
        base: "main",
        evidence,
        approvable: true,
        right: Permission::Write,
        prefix: "/prbuild",
    }
}

fn chosen(rule: &LabelRule, all: &[Arc<Builder>], evidence: Evidence) -> Selection {
    let wanted = Wanted::Rule(Rule::new(rule).expect("a rule"));
    select(&choice(&wanted, None, evidence), all)
}

fn names(json: &str, all: &[Arc<Builder>]) -> Vec<String> {
    chosen(&rule(json), all, Evidence::Label).builders
}

fn left(selection: &Selection) -> Vec<&str> {
    let left = selection.left_out.iter();
    left.map(|left| left.builder.as_str()).collect()
}

#[test]
fn a_label_selects_by_flavour_tags_names_pattern_and_stability() {
    let all = [
        builder("c-refleak", r#","flavours":["refleak"],"tags":["tier-1"]"#),
        builder("b-unstable", r#","stability":"Unstable","tags":["tier-1"]"#),
        builder("a-stable", r#","tags":["tier-1","linux"]"#),
        builder("d-both", r#","flavours":["default","refleak"]"#),
    ];
    for (json, expected) in [
        ("", &["a-stable", "d-both"][..]),
        (r#","flavour":"refleak""#, &["c-refleak", "d-both"]),
        (r#","tags":["linux","none"]"#, &["a-stable"]),
        (r#","builders":["d-both"]"#, &["d-both"]),
        (
            r#","includeUnstable":true"#,
            &["a-stable", "b-unstable", "d-both"],
        ),
        (r#","flavour":"other""#, &[]),
        (r#","pattern":"STABLE$""#, &["a-stable"]),
        (
            r#","pattern":"stable","includeUnstable":true"#,
            &["a-stable", "b-unstable"],
        ),
        (r#","pattern":"refleak""#, &[]),
    ] {
        assert_eq!(names(json, &all), expected, "{json}");
    }
    let named = rule(r#","builders":["a-stable"],"pattern":"^x""#);
    let selection = chosen(&named, &all, Evidence::Label);
    assert_eq!(left(&selection), ["a-stable"]);
    assert!(Rule::new(&rule(r#","pattern":"(""#)).is_err());
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
    assert_eq!(left(&selection), ["branch", "review", "sha"]);
    assert!(
        selection
            .left_out
            .iter()
            .all(|left| left.reason.ends_with('.'))
    );
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
    assert_eq!(left(&named), ["unstable", "gone"]);
    let wanted = Wanted::Rule(Rule::new(&everything).expect("a rule"));
    assert_eq!(evidence_wanted(&wanted, None, &all), Evidence::Review);
}

#[test]
fn a_build_is_bounded() {
    let all: Vec<_> = (0..600).map(|n| builder(&format!("b{n:03}"), "")).collect();
    let everything = rule("");
    let selection = chosen(&everything, &all, Evidence::Label);
    assert_eq!(
        (selection.builders.len(), selection.left_out.len()),
        (256, 256)
    );
    let wanted = Wanted::Pattern(compile("b0").expect("a pattern"));
    assert_eq!(count(&wanted, None, &all), 100);
}

fn asked(
    wanted: &Wanted<'_>,
    labels: &[LabelRule],
    right: Permission,
    all: &[Arc<Builder>],
) -> Selection {
    let reach = Reach::of(labels, Some(right));
    select(&choice(wanted, Some(&reach), Evidence::Label), all)
}

fn named(flavours: &[&str], tags: &[&str], builders: &[&str]) -> Wanted<'static> {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Wanted::Words(Named {
        flavours: owned(flavours),
        tags: owned(tags),
        builders: owned(builders),
    })
}

#[test]
fn a_command_selects_as_a_label_and_who_is_named_may_be_unstable() {
    let labels = [rule(""), rule(r#","flavour":"refleak""#)];
    let all = [
        builder("a", r#","tags":["linux"]"#),
        builder("b", r#","tags":["linux"],"stability":"Unstable""#),
        builder("c", r#","flavours":["refleak"],"tags":["linux"]"#),
        builder("d", r#","flavours":["elsewhere"]"#),
    ];
    for (wanted, expected) in [
        (named(&["default"], &[], &[]), &["a"][..]),
        (named(&["default", "refleak"], &["linux"], &[]), &["a", "c"]),
        (named(&["default"], &["mac"], &[]), &[]),
        (named(&[], &[], &["b"]), &["b"]),
        (named(&["refleak"], &[], &["b"]), &["b", "c"]),
        (named(&[], &[], &["d"]), &[]),
        (
            Wanted::Pattern(compile(".").expect("a pattern")),
            &["a", "b", "c"],
        ),
        (
            Wanted::Pattern(compile("B|C").expect("a pattern")),
            &["b", "c"],
        ),
    ] {
        let selection = asked(&wanted, &labels, Permission::Write, &all);
        assert_eq!(selection.builders, expected, "{wanted:?}");
    }
    let selection = asked(
        &named(&[], &[], &["d", "gone"]),
        &labels,
        Permission::Write,
        &all,
    );
    assert_eq!(left(&selection), ["d", "gone"]);
}

#[test]
fn nobody_gets_by_a_command_what_only_a_label_of_others_starts() {
    let labels = [
        rule(r#","tags":["open"]"#),
        rule(r#","builders":["release"],"minimum":"Admin""#),
        rule(r#","flavour":"lan","minimum":"Maintain""#),
    ];
    let all = [
        builder("release", ""),
        builder("shared", r#","tags":["open"],"flavours":["default","lan"]"#),
        builder("lan", r#","flavours":["lan"],"stability":"Unstable""#),
        builder("plain", ""),
    ];
    let everything = Wanted::Pattern(compile(".").expect("a pattern"));
    for (right, expected) in [
        (Permission::Write, &["plain", "shared"][..]),
        (Permission::Maintain, &["lan", "plain", "shared"]),
        (Permission::Admin, &["lan", "plain", "release", "shared"]),
    ] {
        let selection = asked(&everything, &labels, right, &all);
        assert_eq!(selection.builders, expected, "{right:?}");
    }
    let by_name = asked(
        &named(&[], &[], &["release"]),
        &labels,
        Permission::Write,
        &all,
    );
    assert!(by_name.builders.is_empty());
    assert!(by_name.left_out[0].reason.contains("more access"));
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
