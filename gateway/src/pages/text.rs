//! Foreign text made harmless: names, branches, logins, reasons and failing tests are written by
//! strangers. HTML is escaped by maud; here, what cannot be seen becomes visible, and what is endless ends.

use std::fmt::Write as _;

use maud::{Escaper, Markup, Render, html};
use serde::{Deserialize, Serialize};

/// Characters of a foreign text that a page shows.
pub const SHOWN: usize = 300;

/// Text that somebody else wrote. JSON has it as it is; a page shows at most [`SHOWN`] characters of it, on
/// one line and with every control character visible.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Foreign(pub String);

impl Foreign {
    /// As a page shows it, not yet escaped.
    pub fn shown(&self) -> String {
        plain(&self.0, SHOWN)
    }

    /// A sentence, in which what stands in backticks is a name.
    pub fn sentence(&self) -> Markup {
        let shown = self.shown();
        html! {
            @for (place, part) in shown.split('`').enumerate() {
                @if place % 2 == 1 { code { (part) } } @else { (part) }
            }
        }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl<T: Into<String>> From<T> for Foreign {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Render for Foreign {
    fn render_to(&self, buffer: &mut String) {
        // Writing to a String cannot fail.
        let _ = Escaper::new(buffer).write_str(&self.shown());
    }
}

/// A text as one line of at most `limit` characters, the last one then an ellipsis. White space becomes
/// single spaces; control and format characters, which reorder or hide what is around them, are written
/// as their code points: `‹U+202E›`.
pub fn plain(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let (mut count, mut gap) = (0, false);
    for character in text.trim().chars() {
        if character.is_whitespace() {
            gap = true;
            continue;
        }
        if count >= limit {
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
            count += 1;
        }
        count += 1;
        if is_unseen(character) {
            let _ = write!(line, "‹U+{:04X}›", u32::from(character));
        } else {
            line.push(character);
        }
    }
    line
}

/// Whether a character is not seen itself and may change what is seen around it.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_and_what_is_markup_is_text() {
        let hostile = Foreign::from("a\u{202E}b\0 <img src=x onerror=\"alert(1)\">\n\n\tc&'");
        let page = html! { p title=(hostile) { (hostile) } }.into_string();
        let text = "a‹U+202E›b‹U+0000› &lt;img src=x onerror=&quot;alert(1)&quot;&gt; c&amp;'";
        assert_eq!(page, format!("<p title=\"{text}\">{text}</p>"));
    }

    #[test]
    fn names_in_backticks_are_set_as_names() {
        let sentence = Foreign::from("step `<Test>` failed `");
        let html = sentence.sentence().into_string();
        assert_eq!(html, "step <code>&lt;Test&gt;</code> failed <code></code>");
    }

    #[test]
    fn an_endless_text_ends() {
        let endless = Foreign::from("é".repeat(10_000_000));
        assert_eq!(endless.shown().chars().count(), SHOWN + 1);
        assert_eq!(plain("aaa bbb", 5), "aaa b…");
        assert_eq!(plain("aaa  ", 3), "aaa");
    }
}
