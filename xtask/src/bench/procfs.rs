//! What programs use: processor time and memory from /proc, and writes to the API.

use std::collections::BTreeMap;
use std::fs;

use tests::cluster::ControlPlane;
use tests::story::Story;

use crate::Result;

/// Clock ticks a second in `/proc/PID/stat`: fixed at 100 on Linux (`proc(5)`, `USER_HZ`).
const TICKS: f64 = 100.0;

/// Processes that everything is shared with, by the name of the program.
const AROUND: [&str; 3] = ["kube-apiserver", "etcd", "kube-controller-manager"];

/// Use of webhook and operator, and of what is around them, up to now.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Processor seconds by program.
    cpu: BTreeMap<&'static str, f64>,
    /// Resident bytes of webhook and operator.
    pub resident: f64,
    /// Writes to the Kubernetes API: builds, answers, runs, ledgers, Jobs, Events.
    pub writes: f64,
}

impl Usage {
    /// Use up to now.
    pub async fn of(story: &mut Story, plane: &mut ControlPlane) -> Result<Self> {
        let mut usage = Self::default();
        let ours = ["webhook", "operator"].into_iter().zip(story.pids());
        for (name, pid) in ours {
            usage.cpu.insert(name, cpu(pid)?);
            usage.resident += resident(pid)?;
        }
        for name in AROUND {
            if let Some(process) = plane.process(name) {
                usage.cpu.insert(name, cpu(process.pid())?);
            }
        }
        usage.cpu.insert("forge and load", cpu(std::process::id())?);
        usage.writes = story.api_writes().await?;
        Ok(usage)
    }

    /// Use since an earlier look; memory is what it is now.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |name: &str| before.cpu.get(name).copied().unwrap_or(0.0);
        let cpu = self.cpu.iter();
        Self {
            cpu: cpu
                .map(|(name, now)| (*name, now - earlier(name)))
                .collect(),
            resident: self.resident,
            writes: self.writes - before.writes,
        }
    }

    /// Processor seconds of webhook and operator.
    pub fn ours(&self) -> f64 {
        self.cpu("webhook") + self.cpu("operator")
    }

    /// Processor seconds of one program.
    pub fn cpu(&self, name: &str) -> f64 {
        self.cpu.get(name).copied().unwrap_or(0.0)
    }

    /// Processor time a build of everything that takes part, in words.
    pub fn by_program(&self, builds: f64) -> String {
        let each = self.cpu.iter();
        each.map(|(name, seconds)| format!("{name} {:.1} ms", seconds / builds * 1e3))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Processor seconds of a process, with those of its threads.
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields are counted behind the name, which is in parentheses and may hold spaces: `utime` and
    // `stime` are the 12th and 13th, `cutime` and `cstime` of ended children (git) follow.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(4);
    Ok(ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS)
}

/// Resident bytes of a process.
pub fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(kilobytes.unwrap_or(0.0) * 1024.0)
}
