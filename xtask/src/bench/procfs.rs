//! What webhook and operator use: processor time and memory from /proc, and writes to the API.

use std::fs;

use tests::story::Story;

use crate::Result;

/// Clock ticks a second in `/proc/PID/stat`: fixed at 100 on Linux (`proc(5)`, `USER_HZ`).
const TICKS: f64 = 100.0;

/// Use of webhook and operator together, up to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor seconds.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: f64,
    /// Writes to the Kubernetes API: builds, answers, runs, ledgers, Jobs, Events.
    pub writes: f64,
}

impl Usage {
    /// Use up to now.
    pub async fn of(story: &mut Story) -> Result<Self> {
        let mut usage = Self::default();
        for pid in story.pids() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // Fields are counted behind the name, which is in parentheses and may hold spaces.
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            let ticks = |index: usize| {
                fields
                    .get(index)
                    .and_then(|field| field.parse::<f64>().ok())
            };
            usage.cpu += (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS;
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status
                .lines()
                .find(|line| line.starts_with("VmRSS:"))
                .unwrap_or_default();
            let kilobytes = line
                .split_whitespace()
                .nth(1)
                .and_then(|number| number.parse::<f64>().ok());
            usage.resident += kilobytes.unwrap_or(0.0) * 1024.0;
        }
        usage.writes = story.api_writes().await?;
        Ok(usage)
    }

    /// Use since an earlier look; memory is what it is now.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            writes: self.writes - before.writes,
            ..*self
        }
    }
}
