//! Logs as they come in: how much one core takes, and in how little memory.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::sender::{Chunk, Sender, lines};
use super::{CHUNK, Logs};
use crate::Result;
use crate::bench::procfs;
use crate::bench::table::Goal;

/// Logs that are sent at once, and chunks of each.
const LOGS: usize = 8;
const CHUNKS: usize = 100;
/// Logs that go on at the same time, each with 100 kB/s.
const STREAMS: usize = 200;
const PACE: Duration = Duration::from_millis(200);
const PIECE: usize = 20_000;
/// Time between two looks at how much memory is taken.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of text that are stored as one object.
const SEGMENT: usize = 256 << 10;

impl Logs {
    /// Megabytes of log that one core takes in a second, and what the same bytes cost without us.
    pub(super) async fn taken_in(&mut self) -> Result<()> {
        let chunks = self.scaled(CHUNKS);
        let prepared: Vec<Chunk> = (0..8)
            .map(|n| Chunk::of(&lines(n * 10_000, CHUNK)))
            .collect::<Result<_>>()?;
        let total = (LOGS * chunks * CHUNK) as f64 / 1e6;
        let floor = total / floor(&prepared, LOGS * chunks)?;
        let runs: Vec<String> = (0..LOGS).map(|_| self.uid()).collect();
        let mut senders: Vec<Sender> = runs.iter().map(|run| self.sender(run)).collect();
        let pid = self.pid()?;
        let (before, began) = (procfs::cpu(pid)?, Instant::now());
        let sent = senders.iter_mut().map(|sender| {
            let prepared = &prepared;
            async move {
                for chunk in prepared.iter().cycle().take(chunks) {
                    sender.send(chunk).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        });
        // At most 1 MiB of each log is taken in and not stored yet.
        try_join_all(sent).await?;
        let (cpu, wall) = (procfs::cpu(pid)? - before, began.elapsed().as_secs_f64());
        for sender in &mut senders {
            sender.end().await?;
        }
        for run in &runs {
            self.archived(run).await?;
        }
        let with_files = procfs::cpu(pid)? - before;
        self.table.rate(
            "log taken in, MB a second of one core",
            total / cpu,
            Goal::AtLeast(150.0),
            "",
        );
        self.table.share(
            "… beside the same bytes through zstd and stored",
            total / cpu,
            floor,
            Goal::None,
        );
        self.table.rate(
            "… with one file made of each log at its end",
            total / with_files,
            Goal::None,
            "",
        );
        self.table.rate(
            "… MB a second, sender on the same machine",
            total / wall,
            Goal::None,
            "",
        );
        Ok(())
    }

    /// The most memory that many logs take which go on.
    pub(super) async fn many_streams(&mut self) -> Result<()> {
        let pid = self.pid()?;
        let seconds = if self.quick { 2 } else { 15 };
        let pieces = seconds * 1000 / u32::try_from(PACE.as_millis())?;
        let chunk = Chunk::of(&lines(0, PIECE))?;
        let runs: Vec<String> = (0..STREAMS).map(|_| self.uid()).collect();
        let (before, began) = (procfs::cpu(pid)?, Instant::now());
        let sent = (0u32..).zip(&runs).map(|(n, run)| {
            let (mut sender, chunk) = (self.sender(run), &chunk);
            async move {
                let offset = PACE * n / u32::try_from(STREAMS)?;
                for piece in 0..pieces {
                    sleep_until(began + offset + PACE * piece).await;
                    sender.send(chunk).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        });
        let mut most = procfs::resident(pid)?;
        tokio::select! {
            sent = try_join_all(sent) => drop(sent?),
            failed = look(pid, &mut most) => failed?,
        }
        let wall = began.elapsed().as_secs_f64();
        let cpu = procfs::cpu(pid)? - before;
        self.table.memory(
            "memory with 200 logs of 100 kB/s, at most",
            most,
            Goal::AtMost(64e6),
            "",
        );
        self.table
            .count("… share of a core, %", cpu / wall * 100.0, Goal::None, "");
        Ok(())
    }
}

/// Looks again and again how much memory a process has.
async fn look(pid: u32, most: &mut f64) -> Result<()> {
    loop {
        *most = most.max(procfs::resident(pid)?);
        sleep(LOOK).await;
    }
}

/// Processor seconds of what nobody can do without: hash, decompress, compress, store, be sure of it.
fn floor(prepared: &[Chunk], chunks: usize) -> Result<f64> {
    use sha2::{Digest, Sha256};
    let dir = std::env::temp_dir().join(format!("prbuild-floor-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let before = procfs::cpu(std::process::id())?;
    for (n, chunk) in prepared.iter().cycle().take(chunks).enumerate() {
        std::hint::black_box(Sha256::digest(&chunk.body));
        let text = zstd::bulk::decompress(&chunk.body, CHUNK)?;
        for (part, piece) in text.chunks(SEGMENT).enumerate() {
            let mut file = fs::File::create(dir.join(format!("{n}-{part}")))?;
            file.write_all(&zstd::bulk::compress(piece, 1)?)?;
            file.sync_all()?;
        }
    }
    let took = procfs::cpu(std::process::id())? - before;
    fs::remove_dir_all(&dir)?;
    Ok(took)
}
