//! The line between a worker and its gateway, which goes wrong in the ways that lines do: nothing comes through and
//! nobody is told, an answer is cut in the middle, every connection is gone at once.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// A relay on loopback. Dropped, it carries nothing any more.
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nothing comes through, in both directions; connections stay.
    held: bool,
    /// The next answers are cut after so many bytes, each with its connection.
    cuts: Vec<usize>,
    /// Both ends of every connection; those of an earlier age are gone.
    ends: Vec<TcpStream>,
    age: usize,
    over: bool,
}

impl Line {
    /// A line to this address.
    pub fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        let shared = line.shared.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if shared.state().over {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(far)) else {
                    continue;
                };
                let age = {
                    let mut state = shared.state();
                    let ends = [&near, &far].map(|end| end.try_clone().unwrap());
                    state.ends.extend(ends);
                    state.age
                };
                for (from, to, answers) in [(&near, &far, false), (&far, &near, true)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let shared = shared.clone();
                    std::thread::spawn(move || shared.carry(&from, &to, answers, age));
                }
            }
        });
        line
    }

    /// Address of its near end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets nothing through, and tells nobody: what is under way comes when it is mended.
    pub fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.change(|state| state.held = false);
    }

    /// Ends every connection there is. What was under way is lost.
    pub fn drop_all(&self) {
        self.change(State::drop_all);
    }

    /// Cuts the next answers after so many bytes each.
    pub fn cut_after(&self, bytes: &[usize]) {
        self.change(|state| state.cuts = bytes.to_vec());
    }

    /// Answers that are still to be cut.
    pub fn cuts_left(&self) -> usize {
        self.shared.state().cuts.len()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state());
        self.shared.changed.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.change(|state| {
            state.over = true;
            state.drop_all();
        });
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn drop_all(&mut self) {
        self.age += 1;
        for end in self.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Carries bytes until one end is gone, or the connection's age is over.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, answers: bool, age: usize) {
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut state = self.state();
            while state.held && state.age == age {
                state = self.changed.wait(state).unwrap();
            }
            if state.age != age {
                break;
            }
            let cut = match answers && !state.cuts.is_empty() {
                true => Some(state.cuts.remove(0)),
                false => None,
            };
            drop(state);
            let whole = cut.is_none();
            let count = cut.unwrap_or(count).min(count);
            if to.write_all(&buffer[..count]).is_err() || !whole {
                break;
            }
        }
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
