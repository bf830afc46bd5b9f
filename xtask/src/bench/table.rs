//! The numbers, for people and as JSON.

use std::fmt;

use serde::Serialize;

/// What a number should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most this, in the number's base unit.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Only told.
    None,
}

/// All numbers of a run.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    reached: Option<bool>,
    note: String,
    prow: String,
}

impl Table {
    /// A duration in seconds.
    pub fn time(&mut self, what: &str, seconds: f64, goal: Goal, prow: &str) {
        self.add(
            what,
            seconds * 1e3,
            "ms",
            scaled(goal, 1e3),
            String::new(),
            prow,
        );
    }

    /// A duration as a multiple of its floor.
    pub fn ratio(&mut self, what: &str, seconds: f64, floor: f64, goal: Goal, prow: &str) {
        let note = format!("{:.1} ms, floor {:.1} ms", seconds * 1e3, floor * 1e3);
        self.add(what, seconds / floor, "× floor", goal, note, prow);
    }

    /// A rate as a share of another.
    pub fn share(&mut self, what: &str, rate: f64, floor: f64, goal: Goal) {
        let note = format!("floor {floor:.1}/s");
        self.add(what, rate / floor, "× floor", goal, note, "");
    }

    /// Something a second.
    pub fn rate(&mut self, what: &str, per_second: f64, goal: Goal, prow: &str) {
        self.add(what, per_second, "/s", goal, String::new(), prow);
    }

    /// A number of things.
    pub fn count(&mut self, what: &str, count: f64, goal: Goal, prow: &str) {
        self.add(what, count, "", goal, String::new(), prow);
    }

    /// Bytes.
    pub fn memory(&mut self, what: &str, bytes: f64, goal: Goal, prow: &str) {
        self.add(
            what,
            bytes / 1e6,
            "MB",
            scaled(goal, 1e-6),
            String::new(),
            prow,
        );
    }

    fn add(
        &mut self,
        what: &str,
        value: f64,
        unit: &'static str,
        goal: Goal,
        note: String,
        prow: &str,
    ) {
        let (goal, reached) = match goal {
            Goal::AtMost(most) => (Some(format!("≤ {}", short(most))), Some(value <= most)),
            Goal::AtLeast(least) => (Some(format!("≥ {}", short(least))), Some(value >= least)),
            Goal::None => (None, None),
        };
        let row = Row {
            what: what.to_owned(),
            value,
            unit,
            goal,
            reached,
            note,
            prow: prow.to_owned(),
        };
        println!("  {row}");
        self.rows.push(row);
    }

    /// Whether every goal was reached.
    pub fn all_reached(&self) -> bool {
        self.rows.iter().all(|row| row.reached != Some(false))
    }

    /// The rows as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.rows).unwrap_or_default()
    }
}

fn scaled(goal: Goal, by: f64) -> Goal {
    match goal {
        Goal::AtMost(most) => Goal::AtMost(most * by),
        Goal::AtLeast(least) => Goal::AtLeast(least * by),
        Goal::None => Goal::None,
    }
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        let value = format!("{:.1} {}", self.value, self.unit);
        let goal = self.goal.as_deref().unwrap_or_default();
        write!(
            f,
            "{:<48} {value:>14}  {goal:<8} {mark:<8} {:<28} {}",
            self.what, self.note, self.prow
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<48} {:>14}  {:<8} {:<8} {:<28} Prow",
            "what", "measured", "goal", "", "beside"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        match self.rows.iter().any(|row| !row.prow.is_empty()) {
            true => writeln!(
                f,
                "Prow: measured once, on two cores, with the same stand-in kubelet."
            ),
            false => Ok(()),
        }
    }
}
