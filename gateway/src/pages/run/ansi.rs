//! What a line of a log looks like on a terminal: colours, bold, and what was written over.
//!
//! Output is hostile, so this is no terminal: it knows the sequences for colours (SGR), erasing to the
//! end of the line, carriage return and backspace. Every other sequence is taken out and does nothing,
//! links (OSC 8) and the clipboard (OSC 52) among them. What is no complete sequence is shown. A
//! style ends with its line.

/// How a character looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colour, 0 to 15.
    pub fore: Option<u8>,
    /// Colour behind it, 0 to 15.
    pub back: Option<u8>,
    /// Bold.
    pub bold: bool,
    /// Less visible.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
}

/// One character as it stands at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The character, which may be a control character.
    pub c: char,
    /// How it looks.
    pub style: Style,
}

/// The cells of a line (without its line feed) once everything in it was written.
pub fn cells(text: &str) -> Vec<Cell> {
    let mut row = Row::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{1b}' => rest = row.escape(rest),
            '\r' => row.column = 0,
            '\u{8}' => row.column = row.column.saturating_sub(1),
            _ => row.put(c),
        }
    }
    row.cells
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<Cell>,
    column: usize,
    style: Style,
}

impl Row {
    fn put(&mut self, c: char) {
        let cell = Cell {
            c,
            style: self.style,
        };
        match self.cells.get_mut(self.column) {
            Some(place) => *place = cell,
            None => self.cells.push(cell),
        }
        self.column += 1;
    }

    /// Takes a sequence whose escape character was read; answers what follows it.
    fn escape<'a>(&mut self, rest: &'a str) -> &'a str {
        match Sequence::parse(rest) {
            Some((sequence, rest)) => {
                match sequence {
                    Sequence::Style(parameters) => self.style.apply(parameters),
                    Sequence::Erase(parameters) => self.erase(parameters),
                    Sequence::Other => {}
                }
                rest
            }
            None => {
                self.put('\u{1b}');
                rest
            }
        }
    }

    fn erase(&mut self, parameters: &str) {
        match parameters {
            "" | "0" => self.cells.truncate(self.column),
            "2" => {
                let blank = Cell {
                    c: ' ',
                    style: Style::default(),
                };
                self.cells.truncate(self.column);
                self.cells.fill(blank);
            }
            _ => {}
        }
    }
}

#[derive(Debug)]
enum Sequence<'a> {
    /// `ESC [ … m`
    Style(&'a str),
    /// `ESC [ … K`
    Erase(&'a str),
    /// One that is not carried out.
    Other,
}

impl<'a> Sequence<'a> {
    /// Reads what follows an escape character; answers what comes after the sequence. None where it is
    /// not complete.
    fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let first = text.chars().next()?;
        let rest = &text[first.len_utf8()..];
        match first {
            '[' => Self::control(rest),
            ']' => after_string(rest, true).map(|rest| (Self::Other, rest)),
            'P' | 'X' | '^' | '_' => after_string(rest, false).map(|rest| (Self::Other, rest)),
            ' '..='/' => {
                let rest = rest.trim_start_matches(|c| (' '..='/').contains(&c));
                let last = rest.chars().next().filter(|c| ('0'..='~').contains(c))?;
                Some((Self::Other, &rest[last.len_utf8()..]))
            }
            '0'..='~' => Some((Self::Other, rest)),
            _ => None,
        }
    }

    fn control(text: &'a str) -> Option<(Self, &'a str)> {
        let end = text.find(|c| !('0'..='?').contains(&c))?;
        let (parameters, rest) = text.split_at(end);
        let between = rest.trim_start_matches(|c| (' '..='/').contains(&c));
        let last = between.chars().next().filter(|c| ('@'..='~').contains(c))?;
        let plain = between.len() == rest.len();
        let sequence = match last {
            'm' if plain => Self::Style(parameters),
            'K' if plain => Self::Erase(parameters),
            _ => Self::Other,
        };
        Some((sequence, &between[last.len_utf8()..]))
    }
}

/// What follows a string that ends with `ESC \`, or with BEL where that is allowed.
fn after_string(text: &str, bell: bool) -> Option<&str> {
    let end = text.find(|c| c == '\u{1b}' || (bell && c == '\u{7}'))?;
    let rest = &text[end..];
    rest.strip_prefix("\u{1b}\\")
        .or_else(|| rest.strip_prefix('\u{7}'))
}

/// Parameters of one sequence that are looked at.
const PARAMETERS: usize = 32;

impl Style {
    /// Carries out `ESC [ parameters m`. Hidden text and blinking do not exist here.
    fn apply(&mut self, parameters: &str) {
        let mut groups = parameters.split(';').take(PARAMETERS);
        while let Some(group) = groups.next() {
            match number(group.split(':').next()) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = !group.ends_with(":0"),
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                code @ 30..=37 => self.fore = Some((code - 30) as u8),
                38 => self.fore = colour(group, &mut groups),
                39 => self.fore = None,
                code @ 40..=47 => self.back = Some((code - 40) as u8),
                48 => self.back = colour(group, &mut groups),
                49 => self.back = None,
                code @ 90..=97 => self.fore = Some((code - 82) as u8),
                code @ 100..=107 => self.back = Some((code - 92) as u8),
                _ => {}
            }
        }
    }
}

/// A parameter; absent is 0, and so is what is no number.
fn number(text: Option<&str>) -> u32 {
    text.unwrap_or_default().parse().unwrap_or(0)
}

/// A colour of `38;5;n`, `38;2;r;g;b` or the same with colons, as one of the sixteen.
fn colour<'a>(group: &str, groups: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    let mut inside = group.split(':').skip(1);
    if let Some(kind) = inside.next() {
        let values: Vec<u32> = inside.map(|text| number(Some(text))).collect();
        return match (kind, &values[..]) {
            ("5", [index, ..]) => of_256(*index),
            ("2", [.., red, green, blue]) => Some(nearest(*red, *green, *blue)),
            _ => None,
        };
    }
    match number(groups.next()) {
        5 => of_256(number(groups.next())),
        2 => {
            let mut channel = || number(groups.next());
            Some(nearest(channel(), channel(), channel()))
        }
        _ => None,
    }
}

/// A colour of the palette of 256 as one of the sixteen.
fn of_256(index: u32) -> Option<u8> {
    match index {
        0..=15 => Some(index as u8),
        16..=231 => {
            let channel = |step: u32| if step == 0 { 0 } else { 55 + 40 * step };
            let index = index - 16;
            Some(nearest(
                channel(index / 36),
                channel(index / 6 % 6),
                channel(index % 6),
            ))
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            Some(nearest(grey, grey, grey))
        }
        _ => None,
    }
}

/// Of the sixteen colours the one that comes closest to what is meant: hue first, then brightness.
fn nearest(red: u32, green: u32, blue: u32) -> u8 {
    let most = red.max(green).max(blue).min(255);
    let least = red.min(green).min(blue).min(255);
    if most - least < 32 {
        return match most {
            0..48 => 0,
            48..128 => 8,
            128..208 => 7,
            _ => 15,
        };
    }
    let middle = (most + least) / 2;
    let bit = |channel: u32, place: u8| u8::from(channel > middle) << place;
    let hue = bit(red, 0) | bit(green, 1) | bit(blue, 2);
    if most > 208 { hue + 8 } else { hue }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        cells(line).iter().map(|cell| cell.c).collect()
    }

    fn style(line: &str) -> Style {
        cells(line).last().unwrap().style
    }

    #[test]
    fn colours_and_bold_are_understood_in_all_their_spellings() {
        for (sequence, fore) in [
            ("31", Some(1)),
            ("1;32", Some(2)),
            ("91", Some(9)),
            ("38;5;1", Some(1)),
            ("38;5;196", Some(9)),
            ("38;5;244", Some(7)),
            ("38;2;0;0;250", Some(12)),
            ("38:2::0:100:0", Some(2)),
            ("38:5:12", Some(12)),
            ("31;39", None),
            ("31;", None),
            ("38;5;999", None),
            ("38", None),
            ("99999999999", None),
        ] {
            let line = format!("\u{1b}[{sequence}mx");
            assert_eq!(style(&line).fore, fore, "{sequence}");
        }
        let bold = style("\u{1b}[1;4;44mx");
        assert!(bold.bold && bold.underline);
        assert_eq!(bold.back, Some(4));
        assert_eq!(style("\u{1b}[1m\u{1b}[mx"), Style::default());
    }

    #[test]
    fn what_a_progress_bar_wrote_over_is_gone() {
        assert_eq!(text("10%\r50%\r100%"), "100%");
        assert_eq!(text("downloading\rdone"), "doneloading");
        assert_eq!(text("downloading\r\u{1b}[Kdone"), "done");
        assert_eq!(text("downloading\u{1b}[2K\rdone").trim_end(), "done");
        assert_eq!(text("ab\u{8}c"), "ac");
        assert_eq!(text("plain\r"), "plain");
    }

    #[test]
    fn every_other_sequence_is_taken_out_and_does_nothing() {
        for line in [
            "a\u{1b}[2Jb",
            "a\u{1b}[10;10Hb",
            "a\u{1b}[?25lb",
            "a\u{1b}]0;title\u{7}b",
            "a\u{1b}]8;;javascript:alert(1)\u{1b}\\b",
            "a\u{1b}]52;c;aGFja2Vk\u{7}b",
            "a\u{1b}P$q\u{1b}\\b",
            "a\u{1b}(Bb",
            "a\u{1b}7b",
            "a\u{1b}[31 mb",
        ] {
            assert_eq!(text(line), "ab", "{line:?}");
            assert_eq!(style(line), Style::default(), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_complete_sequence_is_shown() {
        assert_eq!(text("a\u{1b}"), "a\u{1b}");
        assert_eq!(text("a\u{1b}[31"), "a\u{1b}[31");
        assert_eq!(text("a\u{1b}]8;;http://x"), "a\u{1b}]8;;http://x");
        assert_eq!(text("\u{1b}\u{1b}[31mx"), "\u{1b}x");
        assert_eq!(text("\u{1b}é"), "\u{1b}é");
    }

    #[test]
    fn hidden_text_is_not_hidden() {
        assert_eq!(style("\u{1b}[8mx"), Style::default());
    }
}
