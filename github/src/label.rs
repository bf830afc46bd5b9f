//! Spellings of one label. GitHub stores a label as it was typed: `:hammer: test` and `🔨 test` look
//! the same on its pages, and it does not tell upper from lower case.

/// Whether two spellings stand for the same label: shortcode or emoji, with or without variation
/// selector, upper or lower case, percent-encoded or not, however many spaces.
pub fn same_label(a: &str, b: &str) -> bool {
    a == b || canonical(a) == canonical(b)
}

fn canonical(label: &str) -> String {
    let decoded = percent_decoded(label);
    let shown = with_emoji(&decoded);
    let bare: String = shown
        .chars()
        // Variation selectors and the joiner choose a glyph, not a character.
        .filter(|c| !matches!(c, '\u{FE0E}' | '\u{FE0F}' | '\u{200D}'))
        .flat_map(char::to_lowercase)
        .collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Decodes `%20` and the like, where all of it is UTF-8; otherwise the text as it is.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .filter(|hex| bytes[at] == b'%' && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Replaces `:shortcode:` by its emoji; what is no shortcode stays.
fn with_emoji(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(':') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let found = from[1..].find(':').and_then(|length| {
            let code = from[1..1 + length].to_ascii_lowercase();
            let emoji = emojis::get_by_shortcode(&code)?;
            Some((emoji, &from[length + 2..]))
        });
        match found {
            Some((emoji, after)) => {
                out.push_str(emoji.as_str());
                rest = after;
            }
            None => {
                out.push(':');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_label_are_the_same() {
        for (a, b) in [
            (":hammer: test-with-buildbots", "🔨 test-with-buildbots"),
            (":HAMMER: Test-With-Buildbots", "🔨 test-with-buildbots"),
            (
                ":hammer:  test-with-buildbots ",
                ":hammer: test-with-buildbots",
            ),
            (
                "%3Ahammer%3A%20test-with-buildbots",
                "🔨 test-with-buildbots",
            ),
            (":heart: x", "❤️ x"),
            ("❤ x", "❤️ x"),
            (":hammer_and_wrench: x", "🛠️ x"),
            ("BUILD", "build"),
            ("100%", "100%"),
            ("ärger: ja", "ÄRGER: ja"),
        ] {
            assert!(same_label(a, b), "{a:?} and {b:?}");
            assert!(same_label(b, a), "{b:?} and {a:?}");
        }
    }

    #[test]
    fn different_labels_are_different() {
        for (a, b) in [
            (":hammer: test", ":wrench: test"),
            (":hammer: test", "test"),
            ("hammer test", ":hammer: test"),
            ("test", "test-with-buildbots"),
            ("type:bug", "typebug"),
            (":nosuchcode: x", "x"),
            ("%ff", "%fe"),
        ] {
            assert!(!same_label(a, b), "{a:?} and {b:?}");
        }
    }
}
