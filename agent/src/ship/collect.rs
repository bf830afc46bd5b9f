//! Makes the two streams of a run out of the spools of its checkout and of its build.

use std::time::{Duration, Instant};

use protocol::log::{LogLimits, SPOOL_LOG, SPOOL_MARKS, SpoolEnd, cut_note};

use super::{
    marks::{Lines, MarkStream},
    reader::{Found, SpoolReader},
    stream::LogStream,
};
use crate::spool::piece_size;

/// How long nothing is printed any more after somebody asked to stop, until it is taken for certain
/// that whoever printed is gone. Only an executor that was killed says no end.
const QUIET: Duration = Duration::from_secs(1);
/// Bytes that are enough for a note of what is left out.
const NOTE: u64 = 128;

/// What is collected of a run.
#[derive(Debug)]
pub struct Collector {
    checkout: SpoolReader,
    build: SpoolReader,
    limits: LogLimits,
    log: LogStream,
    marks: MarkStream,
    checkout_marks: Lines,
    build_marks: Lines,
    stage: Stage,
    /// When the log was last longer than before, or the wish to stop was heard.
    heard: Instant,
    stopping: bool,
    ended: Ended,
}

/// What is missing in a log to which nothing more comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Bytes that were printed and are not in the log, because it was too long.
    pub left_out: u64,
    /// Whoever printed was stopped before it could say that this is all.
    pub unfinished: bool,
}

/// Whose log is read. The offsets are the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The checkout's; whether its file is there.
    Checkout { is_open: bool },
    /// The build's, which begins at `base`; whether its file is there.
    Build { base: u64, is_open: bool },
    /// Nobody's any more.
    Over,
}

impl Collector {
    /// Of two spools; `lost` is where a collector before lost the log.
    pub fn new(
        checkout: SpoolReader,
        build: SpoolReader,
        limits: LogLimits,
        lost: Option<u64>,
    ) -> Self {
        let mut log = LogStream::default();
        if let Some(at) = lost {
            log.lose(at);
        }
        Self {
            checkout,
            build,
            limits,
            log,
            marks: MarkStream::default(),
            checkout_marks: Lines::default(),
            build_marks: Lines::default(),
            stage: Stage::Checkout { is_open: false },
            heard: Instant::now(),
            stopping: false,
            ended: Ended::default(),
        }
    }

    /// Looks what there is by now. `received` bytes of the log are where they belong already, and
    /// `stopping` says that whoever printed has ended, or soon will.
    pub fn look(&mut self, received: u64, stopping: bool) {
        let before = self.log.len();
        if let Stage::Checkout { is_open } = self.stage {
            self.look_at_checkout(is_open);
        }
        if let Stage::Build { base, is_open } = self.stage {
            self.look_at_build(base, is_open, received, stopping);
        }
        if self.log.len() > before || stopping != self.stopping {
            self.heard = Instant::now();
            self.stopping = stopping;
        }
        if stopping && self.stage != Stage::Over && self.heard.elapsed() >= QUIET {
            self.finish(None);
        }
        if received > self.log.len() {
            // A sidecar before this one found more than there is now.
            self.lose(received);
        }
    }

    /// What is to be sent of the log.
    pub fn log(&mut self) -> &mut LogStream {
        &mut self.log
    }

    /// The marks. All that are about bytes of the log that can be read are there.
    pub fn marks(&self) -> &[u8] {
        self.marks.bytes()
    }

    /// Whether nothing more comes; then what is missing.
    pub fn ended(&self) -> Option<Ended> {
        (self.stage == Stage::Over).then_some(self.ended)
    }

    fn look_at_checkout(&mut self, is_open: bool) {
        // Asked before the log is measured: after that it does not grow.
        let build_began = !matches!(self.build.find(SPOOL_LOG), Found::Nothing);
        let end = self.checkout.end();
        let is_open = is_open || self.open_log(Whose::Checkout) == Opened::Yes;
        if is_open {
            self.log.measure(self.limits.tail);
        }
        if let Found::File(file) = self.checkout.find(SPOOL_MARKS) {
            let (from, limit) = (&mut self.checkout_marks, self.limits.tail);
            self.marks.take(from, &file, 0, limit);
        }
        self.stage = Stage::Checkout { is_open };
        if end.is_some() || build_began {
            let cut = end.map_or(0, |end| end.bytes.saturating_sub(self.log.found()));
            if cut > 0 {
                self.log.add_text(cut_note(cut));
            }
            let (base, is_open) = (self.log.found(), false);
            self.stage = Stage::Build { base, is_open };
        }
    }

    fn look_at_build(&mut self, base: u64, is_open: bool, received: u64, stopping: bool) {
        // Asked before the log is measured, for the same reason.
        let end = self.build.end();
        let opened = match is_open {
            true => Opened::Yes,
            false => self.open_log(Whose::Build),
        };
        let is_open = opened == Opened::Yes;
        let is_shorter = is_open && self.log.measure(self.limits.head);
        if is_shorter || opened == Opened::Never {
            self.lose(received.max(base));
        }
        if let Found::File(file) = self.build.find(SPOOL_MARKS) {
            let (from, head) = (&mut self.build_marks, self.limits.head);
            self.marks.take(from, &file, base, head);
        }
        self.stage = Stage::Build { base, is_open };
        let never_began = stopping && !is_open;
        if end.is_some() || never_began {
            self.finish(end);
        }
    }

    /// Opens a spool's log, if it can be.
    fn open_log(&mut self, whose: Whose) -> Opened {
        let spool = match whose {
            Whose::Checkout => &mut self.checkout,
            Whose::Build => &mut self.build,
        };
        match spool.find(SPOOL_LOG) {
            Found::File(file) => {
                self.log.add_file(file, 0, 0);
                Opened::Yes
            }
            Found::Nothing => Opened::NotYet,
            Found::Unusable => Opened::Never,
        }
    }

    /// Ends the log with the last pieces of one that is too long, and with nothing else where the log
    /// is whole.
    fn finish(&mut self, end: Option<SpoolEnd>) {
        // A build that never printed has nothing that could be missing; one that did says its end.
        self.ended.unfinished = end.is_none()
            && matches!(
                self.stage,
                Stage::Build { is_open: true, .. } | Stage::Checkout { is_open: true }
            );
        if let Stage::Build { base, .. } = self.stage
            && self.log.lost().is_none()
        {
            let printed = end.map_or(0, |end| end.bytes);
            match self.log.found() - base {
                head if head == self.limits.head => self.add_tail(base, printed),
                head if printed > head => self.lose(base + head),
                _ => {}
            }
        }
        self.stage = Stage::Over;
    }

    fn add_tail(&mut self, base: u64, printed: u64) {
        let (first, files) = self.build.pieces();
        let size = piece_size(self.limits);
        let sizes: Vec<u64> = files
            .iter()
            .map(|file| file.metadata().map_or(0, |meta| meta.len()).min(size))
            .collect();
        let kept: u64 = sizes.iter().sum();
        let used = base + self.limits.head + NOTE;
        let skipped = kept.saturating_sub(self.limits.most().saturating_sub(used));
        self.ended.left_out = match files.is_empty() {
            true => printed.saturating_sub(self.limits.head),
            false => (first - 1).saturating_mul(size).saturating_add(skipped),
        };
        if self.ended.left_out > 0 {
            self.log.add_text(cut_note(self.ended.left_out));
        }
        let mut to_skip = skipped;
        for (file, size) in files.into_iter().zip(sizes) {
            let skip = to_skip.min(size);
            to_skip -= skip;
            self.log.add_file(file, skip, size - skip);
        }
    }

    fn lose(&mut self, at: u64) {
        if self.log.lost().is_none() {
            self.log.lose(at);
        }
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Checkout,
    Build,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Yes,
    NotYet,
    Never,
}
