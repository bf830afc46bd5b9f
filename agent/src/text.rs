//! Words for people: durations, names, SHAs.

use std::time::Duration;

/// A duration as people read it: `0.8 s`, `12 s`, `4 min 12 s`, `2 h 05 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => {
            let tenths = time.as_millis() / 100;
            match tenths % 10 {
                0 => format!("{} s", tenths / 10),
                rest => format!("{}.{rest} s", tenths / 10),
            }
        }
        10..60 => format!("{seconds} s"),
        60..3600 => match seconds % 60 {
            0 => format!("{} min", seconds / 60),
            rest => format!("{} min {rest} s", seconds / 60),
        },
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// One line of at most `limit` characters: what would move the cursor becomes a space.
pub fn one_line(text: &str, limit: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().take(limit).map(clean).collect();
    if text.trim().chars().nth(limit).is_some() {
        line.push('…');
    }
    line
}

/// Foreign text as one plain line: white space collapses to single spaces, and what nobody sees
/// (control characters, overrides of the direction) goes.
pub fn plain(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As [`plain`], with its lines and what they begin with.
pub fn plain_lines(text: &str) -> String {
    let clean = |line: &str| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        " ".repeat(indent.min(40)) + &plain(line)
    };
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n").trim().to_owned()
}

/// Characters that are not seen and change what is seen around them.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// A SHA as people read it.
pub fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_pages_write_them() {
        for (milliseconds, text) in [
            (0, "0 s"),
            (840, "0.8 s"),
            (3_000, "3 s"),
            (12_900, "12 s"),
            (60_000, "1 min"),
            (252_000, "4 min 12 s"),
            (7_500_000, "2 h 05 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn foreign_text_is_plain() {
        assert_eq!(plain(" a\t\n b\u{202e}\u{1b}c "), "a bc");
        assert_eq!(plain_lines("a\u{0}\n    b  c\r\n\n"), "a\n    b c");
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(one_line(" a\u{1b}[2J\nb ", 80), "a [2J b");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }
}
