//! Viewers of a live log: open connections that wait for lines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Result;

/// How long a line may take to be seen before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Many viewers of one log.
pub struct Viewers {
    seen: mpsc::UnboundedReceiver<(usize, Instant)>,
    count: usize,
    _tasks: JoinSet<()>,
}

impl Viewers {
    /// Opens so many connections, a few at a time, and waits until each has its answer. Lines that
    /// hold `needle` and a number behind it are reported.
    pub async fn open(pages: SocketAddr, path: &str, count: usize, needle: &str) -> Result<Self> {
        let (found, seen) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(pages).await?;
            let ask = format!(
                "GET {path} HTTP/1.1\r\nhost: {pages}\r\naccept: text/event-stream\r\n\r\n"
            );
            stream.write_all(ask.as_bytes()).await?;
            let (found, open, needle) = (found.clone(), open.clone(), needle.to_owned());
            tasks.spawn(async move {
                // A viewer that is cut off is missed by whoever counts.
                let _ = watch(stream, &needle, &open, &found).await;
            });
        }
        let began = Instant::now();
        while open.load(Ordering::Relaxed) < count {
            if began.elapsed() > PATIENCE {
                return Err(format!(
                    "only {} of {count} viewers were let in",
                    open.load(Ordering::Relaxed)
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Self {
            seen,
            count,
            _tasks: tasks,
        })
    }

    /// Seconds from `sent` until each viewer saw line `number`.
    pub async fn see(&mut self, number: usize, sent: Instant) -> Result<Vec<f64>> {
        let mut took = Vec::new();
        while took.len() < self.count {
            let next = timeout(PATIENCE, self.seen.recv()).await;
            let (line, when) = next
                .map_err(|_| format!("{} of {} viewers saw line {number}", took.len(), self.count))?
                .ok_or("all viewers are gone")?;
            if line == number {
                took.push(when.duration_since(sent).as_secs_f64());
            }
        }
        Ok(took)
    }
}

async fn watch(
    mut stream: TcpStream,
    needle: &str,
    open: &AtomicUsize,
    found: &mpsc::UnboundedSender<(usize, Instant)>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut kept = String::new();
    let mut first = true;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if std::mem::take(&mut first) {
            open.fetch_add(1, Ordering::Relaxed);
        }
        kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let mut done = 0;
        for (at, _) in kept.match_indices(needle) {
            let rest = &kept[at + needle.len()..];
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if digits.len() == rest.len() {
                break;
            }
            if let Ok(number) = digits.parse() {
                let _ = found.send((number, Instant::now()));
            }
            done = at + needle.len();
        }
        let keep = done.max(kept.len().saturating_sub(64));
        let keep = (keep..=kept.len())
            .find(|at| kept.is_char_boundary(*at))
            .unwrap_or(kept.len());
        kept.drain(..keep);
    }
}
