//! The threads that wait: for the next heartbeat, for answers.

use std::{
    sync::{Arc, mpsc::Sender},
    thread,
    time::Duration,
};

use protocol::worker::{
    envelope::Envelope,
    wire::{Accepted, Decline, Heartbeat, HeartbeatAnswer, Taken},
};

use super::{Message, say, shared::Shared};
use crate::worker::{
    bell::Bell,
    clock::steady,
    link::{CallError, Link, Patience, REQUEST},
    policy::No,
};

/// Says what runs, every few seconds while anything does.
pub fn beater(link: &Arc<Link>, shared: &Arc<Shared>, to: &Sender<Message>) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let mut patience = Patience::default();
        while !shared.is_over() {
            let running = shared.running();
            if running.is_empty() {
                shared.wait_to_beat(Duration::from_secs(3600));
                continue;
            }
            let disk_full = shared.poll().disk_full;
            let (sent, beat) = (steady(), Heartbeat { running, disk_full });
            let answer = link
                .ensure_session()
                .and_then(|()| link.ask::<HeartbeatAnswer>("heartbeat", &beat, REQUEST));
            let pause = Duration::from_secs(link.timing().heartbeat_seconds.clamp(1, 60));
            match answer {
                Ok(answer) => {
                    patience.reset();
                    if to.send(Message::Beat(sent, answer)).is_err() {
                        return;
                    }
                    shared.wait_to_beat(pause);
                }
                Err(error) => {
                    shared.failed(&error);
                    shared.wait_to_beat(patience.after(&error).min(pause));
                }
            }
        }
    });
}

/// Asks for the operator's keys.
pub fn ask_for_keys(link: &Arc<Link>, to: &Sender<Message>) {
    let (link, to) = (link.clone(), to.clone());
    thread::spawn(move || {
        // The daemon is about to end when nobody listens.
        let _ = to.send(Message::Keys(link.keys()));
    });
}

/// Asks for an assignment until there is an answer.
pub fn accept(link: &Arc<Link>, shared: &Arc<Shared>, to: &Sender<Message>, id: String) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let path = format!("assignments/{id}/accept");
        let mut sent = steady();
        let answer = until_answered(&link, &shared, || {
            let _guard = link.hold_session();
            sent = steady();
            link.ask::<Accepted>(&path, &serde_json::json!({}), REQUEST)
        });
        let Some(answer) = answer else { return };
        let _ = to.send(Message::Accepted(id, sent, answer.map(Box::new)));
    });
}

/// Tells that an offer is declined; once, for it comes again if that is lost.
pub fn decline(link: &Arc<Link>, id: &str, no: No) {
    let (link, path) = (link.clone(), format!("assignments/{id}/decline"));
    thread::spawn(move || {
        let decline = Decline {
            code: no.code,
            reason: no.reason,
        };
        if let Err(error) = link.ask::<serde_json::Value>(&path, &decline, REQUEST) {
            say(&format!("the decline was not heard: {error}"));
        }
    });
}

/// Delivers a completion until there is an answer, also after days.
pub fn deliver(
    link: &Arc<Link>,
    shared: &Arc<Shared>,
    to: &Sender<Message>,
    id: String,
    what: Envelope,
) {
    let (link, shared, to) = (link.clone(), shared.clone(), to.clone());
    thread::spawn(move || {
        let path = format!("assignments/{id}/complete");
        let answer = until_answered(&link, &shared, || link.ask::<Taken>(&path, &what, REQUEST));
        let Some(answer) = answer else { return };
        let _ = to.send(Message::Delivered(id, answer.map(drop)));
    });
}

/// Asks until there is an answer that counts; nothing when the daemon ends before.
fn until_answered<A>(
    link: &Link,
    shared: &Shared,
    mut ask: impl FnMut() -> Result<A, CallError>,
) -> Option<Result<A, protocol::worker::fault::FaultCode>> {
    let (mut patience, own) = (Patience::default(), Bell::default());
    while !shared.is_over() {
        match link.ensure_session().and_then(|()| ask()) {
            Ok(answer) => return Some(Ok(answer)),
            Err(error) => match error.never() {
                Some(code) => return Some(Err(code)),
                None => {
                    shared.failed(&error);
                    own.wait(patience.after(&error));
                }
            },
        }
    }
    None
}
