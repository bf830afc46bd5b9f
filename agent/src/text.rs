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
    fn a_name_stays_on_its_line() {
        assert_eq!(one_line(" a\u{1b}[2J\nb ", 80), "a [2J b");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }
}
