//! What the gateway answers to each request, and what it knows from then on.

use protocol::worker::{
    session::{SessionOpened, Timing},
    wire::{Accepted, Action, Heartbeat, HeartbeatAnswer, Instruction, RunningState},
};

use super::*;

impl Has {
    pub(super) fn loses(&mut self, path: &str) -> bool {
        let rule = self
            .lose
            .iter_mut()
            .find(|(end, left)| path.ends_with(end) && *left > 0);
        rule.map(|(_, left)| *left -= 1).is_some()
    }

    pub(super) fn open(&mut self, request: &Request) -> (u16, String) {
        let Some(key) = &self.worker else {
            return fault(FaultCode::Key);
        };
        let Ok(opened) =
            json::<Envelope>(request).open::<SessionRequest>(std::slice::from_ref(key))
        else {
            return fault(FaultCode::Key);
        };
        assert_eq!(opened.nonce, "nonce");
        self.session += 1;
        let running: Vec<_> = opened
            .running
            .iter()
            .map(|one| (one.id.clone(), one.state))
            .collect();
        self.sessions.push(opened);
        let verdicts = running
            .into_iter()
            .map(|(id, state)| self.verdict(id, state))
            .collect();
        ok(&SessionOpened {
            session: format!("s{}", self.session),
            seconds: 900,
            timing: Timing {
                poll_seconds: self.poll_seconds,
                heartbeat_seconds: 1,
                kill_margin_seconds: self.kill_margin_seconds,
            },
            verdicts,
            keys: self.keys,
        })
    }

    fn verdict(&self, id: String, state: RunningState) -> Instruction {
        let action = match state {
            _ if self.gone.contains(&id) => Action::Kill,
            RunningState::Running if self.cancelled.contains(&id) => Action::Cancel,
            _ => Action::Continue,
        };
        let lease_seconds = Some(self.lease_seconds).filter(|_| action == Action::Continue);
        let reason = None;
        Instruction {
            id,
            action,
            lease_seconds,
            reason,
        }
    }

    pub(super) fn beat(&mut self, beat: &Heartbeat) -> (u16, String) {
        self.beats += 1;
        let all = beat.running.iter();
        let verdicts = all
            .map(|one| self.verdict(one.id.clone(), one.state))
            .collect();
        let (drain, keys) = (self.drain, self.keys);
        ok(&HeartbeatAnswer {
            verdicts,
            drain,
            keys,
        })
    }

    pub(super) fn assignment(&mut self, id: &str, what: &str, request: &Request) -> (u16, String) {
        let offered = self.offers.iter().position(|offer| offer.id == id);
        match what {
            "decline" => {
                if let Some(at) = offered {
                    if !self.stubborn {
                        self.offers.remove(at);
                    }
                    self.declined.push((id.to_owned(), json(request)));
                }
                ok(&serde_json::json!({}))
            }
            "accept" => {
                // As often as it asks: the answer may have been lost.
                let signed = match (offered, self.given.get(id)) {
                    (Some(at), _) => self.offers[at].signed.clone(),
                    (None, Some(signed)) => signed.clone(),
                    (None, None) => return fault(FaultCode::Gone),
                };
                if let Some(at) = offered {
                    if !self.loses("/accept") {
                        self.offers.remove(at);
                        self.given.insert(id.to_owned(), signed.clone());
                    }
                    self.accepted.push(id.to_owned());
                }
                ok(&Accepted {
                    id: id.to_owned(),
                    signed,
                    lease_seconds: self.lease_seconds,
                    log_token: Some("token".into()),
                })
            }
            _ => {
                let key = self.worker.clone().unwrap();
                let envelope: Envelope = json(request);
                let completion: Completion = envelope.open(&[key]).unwrap();
                assert_eq!(completion.assignment, id);
                if self.gone.contains(id) {
                    return fault(FaultCode::Gone);
                }
                match self.completed.get(id) {
                    Some(known) if *known != completion => return fault(FaultCode::Completed),
                    _ => self.completed.insert(id.to_owned(), completion),
                };
                ok(&serde_json::json!({}))
            }
        }
    }
}
