//! The operator's keys: asked for when there are newer ones, and taken where they follow from the pinned ones.

use protocol::worker::keys::KeyChain;

use super::{Daemon, say, threads};
use crate::worker::{keyset, link::CallError};

impl Daemon {
    /// The gateway said something, and which keys are the newest.
    pub(super) fn answered(&mut self, keys: u64) {
        self.shared.heard();
        let known = self.pinned.as_ref().map_or(0, |pinned| pinned.set.version);
        if (self.pinned.is_none() || keys > known) && !self.asked_for_keys {
            self.asked_for_keys = true;
            threads::ask_for_keys(&self.link, &self.to_self);
        }
    }

    /// The gateway served the operator's keys, or did not answer. Only keys that do not follow from the pinned
    /// ones are not trusted; for an answer that was lost they are asked for again with the next one.
    pub(super) fn keys(&mut self, chain: Result<KeyChain, CallError>) {
        self.asked_for_keys = false;
        let chain = match chain {
            Ok(chain) => chain,
            Err(error) => return self.shared.failed(&error),
        };
        let (site, pinned) = (&self.site, self.pinned.as_ref());
        match keyset::follow(&site.layout, &site.config.operator, pinned, &chain) {
            Ok(pinned) => {
                say(&format!(
                    "trusts version {} of the operator's keys",
                    pinned.set.version
                ));
                self.pinned = Some(pinned);
                self.shared.distrust(None);
            }
            Err(why) => {
                say(&format!("the operator's keys are not taken: {why}"));
                if self.pinned.is_none() {
                    self.shared.distrust(Some(why.to_string()));
                }
            }
        }
    }
}
