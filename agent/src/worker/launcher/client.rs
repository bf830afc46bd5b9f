//! The agent's side of the launcher.

use std::{
    collections::HashMap,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use super::message::{self, Reply, Request, Word};
use crate::{
    os::{self, Leash},
    worker::builder::{End, Started, Unclean},
};

/// How long the launcher may take to answer: it kills, and a build's directory can be large.
const PATIENCE: Duration = Duration::from_secs(600);

type Waiting = Arc<Mutex<HashMap<(u32, u8), Sender<Reply>>>>;

/// What answers are waited for: that something started, that it ended, that it is clean.
const START: u8 = 0;
const END: u8 = 1;
const CLEAN: u8 = 2;

/// The launcher, as the agent sees it.
pub struct Client {
    socket: UnixStream,
    waiting: Waiting,
}

impl Client {
    /// The launcher is at this process's standard input.
    pub fn of_standard_input() -> io::Result<Self> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (from, waiting) = (socket.try_clone()?, Waiting::default());
        let known = waiting.clone();
        std::thread::spawn(move || listen(&from, &known));
        Ok(Self { socket, waiting })
    }

    /// Starts the build of a slot.
    pub fn start(&self, slot: u32) -> io::Result<Started> {
        let (leash, input) = Leash::new()?;
        let (output, writer) = io::pipe()?;
        let (started, ended) = (self.expect(slot, START), self.expect(slot, END));
        let ends = vec![input, writer.into()];
        let word = Word::Start;
        message::send(&self.socket, &Request { word, slot, ends })?;
        let gone = |_| io::Error::other("the launcher does not answer");
        let reply = started.recv_timeout(PATIENCE).map_err(gone)?;
        if reply.word == Word::Failed {
            return Err(failure(reply.value));
        }
        let (told, end) = channel();
        std::thread::spawn(move || {
            // However it ended: the launcher kills by user, and so does the next start.
            let _ = ended.recv();
            let _ = told.send(());
        });
        Ok(Started {
            leash,
            output,
            process: os::process(reply.value.cast_unsigned()),
            end: End::Told(end),
        })
    }

    /// Removes what the build of a slot left.
    pub fn clean(&self, slot: u32) -> Result<(), Unclean> {
        let cleaned = self.expect(slot, CLEAN);
        let (word, ends) = (Word::Clean, Vec::new());
        let sent = message::send(&self.socket, &Request { word, slot, ends });
        sent.map_err(|error| Unclean(error.to_string()))?;
        match cleaned.recv_timeout(PATIENCE) {
            Ok(reply) if reply.value == 0 => Ok(()),
            _ => Err(Unclean("the launcher could not remove it".into())),
        }
    }

    fn expect(&self, slot: u32, what: u8) -> Receiver<Reply> {
        let (sender, receiver) = channel();
        lock(&self.waiting).insert((slot, what), sender);
        receiver
    }
}

/// Why something did not start, by the system's number of the error; where it has none, it was no error of the
/// system.
fn failure(number: i32) -> io::Error {
    match number {
        0 => io::Error::other(
            "the launcher did not start it: processes of the build before do not die",
        ),
        number => io::Error::from_raw_os_error(number),
    }
}

/// Hands replies to who waits for them. A launcher that is gone leaves nobody waiting, and an agent
/// without it can do nothing safely: it ends, and the service manager starts both again.
fn listen(from: &UnixStream, waiting: &Waiting) {
    while let Ok(Some(reply)) = message::receive_reply(from) {
        let what = match reply.word {
            Word::Started | Word::Failed => START,
            Word::Ended => END,
            _ => CLEAN,
        };
        if let Some(sender) = lock(waiting).remove(&(reply.slot, what)) {
            // Who waited too long is gone.
            let _ = sender.send(reply);
        }
    }
    eprintln!(
        "error: the launcher is gone\n  because it was killed\n  try: start the service again"
    );
    std::process::exit(1);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_failed_never_says_success() {
        assert!(failure(0).to_string().contains("do not die"));
        assert_eq!(failure(2).kind(), io::ErrorKind::NotFound);
    }
}
