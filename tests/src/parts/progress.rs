//! What a person sees while something takes long: one line that changes on a terminal, plain lines
//! elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much is printed. Set once by the program; tests print plain lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loudness {
    /// Nothing but errors.
    Quiet,
    /// One line for each thing that takes long.
    #[default]
    Normal,
}

/// A piece of work that is shown until it is dropped or finished.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    title: String,
    stop: Option<Sender<()>>,
    painter: Option<JoinHandle<()>>,
    loudness: Loudness,
}

impl Progress {
    /// Shows that a piece of work has begun, which is expected to take so long.
    pub fn start(title: &str, expected: Option<Duration>, loudness: Loudness) -> Self {
        let started = Instant::now();
        let (stop, stopped) = channel();
        let terminal = std::io::stderr().is_terminal();
        let text = title.to_owned();
        let painter = (loudness == Loudness::Normal).then(|| {
            let every = if terminal {
                Duration::from_millis(250)
            } else {
                Duration::from_secs(30)
            };
            std::thread::spawn(move || {
                let mut wait = Duration::ZERO;
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    paint(terminal, &line(&text, started.elapsed(), expected));
                    wait = every;
                }
            })
        });
        Self {
            started,
            title: title.to_owned(),
            stop: Some(stop),
            painter,
            loudness,
        }
    }

    /// Ends the line with what came of it, and tells how long it took.
    pub fn finish(mut self, result: &str) -> Duration {
        let took = self.started.elapsed();
        self.stop_painting();
        if self.loudness == Loudness::Normal {
            eprintln!("{}: {result} in {}", self.title, duration(took));
        }
        took
    }

    fn stop_painting(&mut self) {
        drop(self.stop.take());
        if let Some(painter) = self.painter.take() {
            // The painter ends as soon as its channel is closed; its panic would be a closed stderr.
            let _ = painter.join();
            if std::io::stderr().is_terminal() {
                eprint!("\r\x1b[K");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop_painting();
    }
}

fn paint(terminal: bool, line: &str) {
    let mut stderr = std::io::stderr().lock();
    // Progress that cannot be shown is no reason to stop the work.
    let _ = if terminal {
        write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
    } else {
        writeln!(stderr, "{line}")
    };
}

fn line(title: &str, elapsed: Duration, expected: Option<Duration>) -> String {
    match expected {
        Some(expected) => {
            format!(
                "{title}: {} of about {}",
                duration(elapsed),
                duration(expected)
            )
        }
        None => format!("{title}: {}", duration(elapsed)),
    }
}

/// A duration as people read it: `0.8 s`, `51 s`, `4 min 12 s`, `2 h 05 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let read = |millis| duration(Duration::from_millis(millis));
        assert_eq!(read(840), "0.8 s");
        assert_eq!(read(51_900), "51 s");
        assert_eq!(read(252_000), "4 min 12 s");
        assert_eq!(read(7_500_000), "2 h 05 min");
    }

    #[test]
    fn a_line_says_what_how_long_and_how_long_it_took_last_time() {
        let text = line(
            "building kubelet 1.35.4",
            Duration::from_secs(12),
            Some(Duration::from_secs(17)),
        );
        assert_eq!(text, "building kubelet 1.35.4: 12 s of about 17 s");
    }
}
