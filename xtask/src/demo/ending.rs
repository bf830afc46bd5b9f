//! How the story ends, and whether it did.

/// Contexts and states that the story ends with.
const EXPECTED: [(&str, &str); 4] = [
    ("prbuild/AMD64 Debian", "success"),
    ("prbuild/AMD64 Debian strict", "failure"),
    ("prbuild/AMD64 Fedora", "error"),
    ("prbuild/Attic Linux", "success"),
];

/// What is not as the story says, a line each; nothing if every status is. Pure.
pub fn differences(said: &[(&str, &str)]) -> Vec<String> {
    let state = |of: &[(&str, &str)], context: &str| {
        let found = of.iter().find(|(name, _)| *name == context);
        found.map(|(_, state)| (*state).to_owned())
    };
    let mut differences = Vec::new();
    for (context, expected) in EXPECTED {
        match state(said, context) {
            Some(found) if found == expected => {}
            Some(found) => differences.push(format!("{context} is {found}, not {expected}")),
            None => differences.push(format!("{context} is missing; it should be {expected}")),
        }
    }
    for &(context, found) in said {
        if state(&EXPECTED, context).is_none() {
            differences.push(format!("{context} is {found}, and not of the story"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_that_came_as_told_differs_in_nothing() {
        assert!(differences(&EXPECTED).is_empty());
        let mut backwards = EXPECTED;
        backwards.reverse();
        assert!(differences(&backwards).is_empty());
    }

    #[test]
    fn a_status_that_is_missing_is_named() {
        let missing = ["prbuild/Attic Linux is missing; it should be success"];
        assert_eq!(differences(&EXPECTED[..3]), missing);
        assert_eq!(differences(&[]).len(), EXPECTED.len());
    }

    #[test]
    fn a_status_that_nobody_told_of_is_named() {
        let more = [&EXPECTED[..], &[("prbuild/Solaris", "success")]].concat();
        let extra = ["prbuild/Solaris is success, and not of the story"];
        assert_eq!(differences(&more), extra);
    }

    #[test]
    fn a_status_of_another_state_is_named() {
        for state in ["success", "error", "pending"] {
            let mut said = EXPECTED;
            said[1].1 = state;
            let differing = format!("prbuild/AMD64 Debian strict is {state}, not failure");
            assert_eq!(differences(&said), [differing]);
        }
    }
}
