//! "Did you mean": the known words that are closest to an unknown one.

/// Suggestions at most.
const MOST: usize = 3;
/// Longer words are not guessed at.
const LONGEST: usize = 80;

/// The known words that are one slip or a few away, closest first; else those that contain the word.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > LONGEST {
        return Vec::new();
    }
    // One slip in a short word, more in a long one.
    let most = (length / 3).max(1);
    let mut near = Vec::new();
    let mut containing = Vec::new();
    for candidate in known {
        let lower = candidate.to_lowercase();
        if lower.chars().count().abs_diff(length) <= most {
            let distance = strsim::osa_distance(&word, &lower);
            if distance <= most && distance < length {
                near.push((distance, candidate));
                continue;
            }
        }
        if length >= 3 && lower.contains(&word) {
            containing.push(candidate);
        }
    }
    near.sort_unstable();
    near.dedup();
    containing.sort_unstable();
    containing.dedup();
    let best = near.first().map(|(distance, _)| *distance);
    match best {
        Some(best) => near
            .into_iter()
            .filter(|(distance, _)| *distance == best)
            .map(|(_, candidate)| candidate)
            .take(MOST)
            .collect(),
        None => containing.into_iter().take(MOST).collect(),
    }
}

/// `Did you mean `a` or `b`?`; nothing without a suggestion.
pub fn question(suggestions: &[impl AsRef<str>]) -> Option<String> {
    let names: Vec<String> = suggestions
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    let (last, others) = names.split_last()?;
    Some(match others {
        [] => format!("Did you mean {last}?"),
        others => format!("Did you mean {} or {last}?", others.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts_are_guessed_and_other_words_are_not() {
        let known = ["s390x Debian", "AMD64 Debian", "linux", "windows", "ios"];
        for (word, expected) in [
            ("s390x debain", &["s390x Debian"][..]),
            ("linxu", &["linux"]),
            ("LINUX", &["linux"]),
            ("windws", &["windows"]),
            ("s390x", &["s390x Debian"]),
            ("debian", &["AMD64 Debian", "s390x Debian"]),
            ("io", &["ios"]),
            ("os", &["ios"]),
            ("zz", &[]),
            ("solaris", &[]),
            ("", &[]),
        ] {
            assert_eq!(closest(word, known), expected, "{word}");
        }
        assert!(closest(&"x".repeat(100_000), known).is_empty());
    }

    #[test]
    fn a_suggestion_is_a_question() {
        assert_eq!(question(&[] as &[&str]), None);
        assert_eq!(question(&["a"]).as_deref(), Some("Did you mean `a`?"));
        let three = question(&["a", "b", "c"]);
        assert_eq!(three.as_deref(), Some("Did you mean `a`, `b` or `c`?"));
    }
}
