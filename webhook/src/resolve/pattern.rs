//! Regular expressions over display names: as people know them, in linear time, and small.

use crds::{PATTERN_BYTES, PATTERN_CHARACTERS, PATTERN_DEPTH};
use regex::{Regex, RegexBuilder};

/// Characters of an expression.
pub const LONGEST: usize = PATTERN_CHARACTERS;

/// Compiles an expression. Upper and lower case are alike.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn compile(text: &str) -> Result<Regex, String> {
    if text.is_empty() {
        return Err(
            "Write a regular expression after it; it is searched in the names of builders."
                .to_owned(),
        );
    }
    let length = text.chars().count();
    if length > LONGEST {
        return Err(format!(
            "It has {length} characters, and {LONGEST} is the most."
        ));
    }
    RegexBuilder::new(text)
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .nest_limit(PATTERN_DEPTH)
        .build()
        .map_err(|error| sentence(&error))
}

fn sentence(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "It becomes too large; write it with fewer or smaller repetitions.".to_owned()
        }
        // Several lines that draw the place, and then what is wrong there.
        regex::Error::Syntax(drawn) => {
            let what = drawn
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("error: "));
            match what {
                Some(what) => format!("It cannot be read: {what}."),
                None => "It cannot be read.".to_owned(),
            }
        }
        _ => "It cannot be used.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_searched_in_any_case() {
        for (pattern, name, found) in [
            ("ios|android", "iOS ARM64 Simulator", true),
            ("^ios", "not iOS", false),
            (".*refleaks.*", "AMD64 Debian Refleaks", true),
            (r"3\.1\d", "x 3.14", true),
            ("[^a]", "a", false),
            (r"\bwindows\b", "ARM64 Windows Non-Debug", true),
        ] {
            let regex = compile(pattern).expect(pattern);
            assert_eq!(regex.is_match(name), found, "{pattern} {name}");
        }
    }

    #[test]
    fn what_cannot_be_used_gets_a_sentence() {
        let long = "x".repeat(257);
        let nested = format!("{}x{}", "(".repeat(40), ")".repeat(40));
        for (pattern, word) in [
            ("", "Write a regular expression"),
            ("(", "unclosed group"),
            ("*", "repetition operator missing"),
            ("[z-a]", "invalid character class range"),
            ("^(?!.*Refleaks)", "look-around"),
            (r"(a)\1", "backreferences"),
            (long.as_str(), "257 characters"),
            ("((((a{99}){99}){99}){99})", "too large"),
            (nested.as_str(), "cannot be read"),
        ] {
            let said = compile(pattern).expect_err(pattern);
            assert!(
                said.contains(word) && said.ends_with('.'),
                "{pattern}: {said}"
            );
            assert!(!said.contains('\n') && said.len() < 200, "{said}");
        }
    }

    #[test]
    fn s26_an_expression_that_explodes_elsewhere_is_matched_in_time() {
        let regex = compile("(a+)+$").expect("an expression");
        let started = std::time::Instant::now();
        for _ in 0..1000 {
            assert!(!regex.is_match(&format!("{}b", "a".repeat(80))));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }
}
