//! The operator's keys: asked for when there are newer ones, and taken where they follow from the pinned ones.

use protocol::worker::keys::KeyChain;

use super::{Daemon, say, threads};
use crate::worker::keyset;

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

    /// The gateway served the operator's keys.
    pub(super) fn keys(&mut self, chain: Result<KeyChain, String>) {
        self.asked_for_keys = false;
        let (site, pinned) = (&self.site, self.pinned.as_ref());
        let followed = chain.and_then(|chain| {
            let fingerprint = &site.config.operator;
            let followed = keyset::follow(&site.layout, fingerprint, pinned, &chain);
            followed.map_err(|error| error.to_string())
        });
        match followed {
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
                    self.shared.distrust(Some(why));
                }
            }
        }
    }
}
