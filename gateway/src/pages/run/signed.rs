//! Whether the log that is shown is the one that its worker signed. Pure.
//!
//! What a worker signs is what it sent, and what is stored has its tokens made illegible. So both are known: the
//! digest of the text as it is stored, and, where all of it came to one gateway, that of the text as it came. Only
//! what is proven is called the same, and nothing of it changes how a run ended.

use protocol::log::{LogDigest, Stream};
use serde::Serialize;

use super::facts::Facts;
use crate::logs::Kept;

/// How a log stands to what its worker signed; what is worse comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Signed {
    /// It is that, byte for byte, but for tokens that were made illegible here.
    Same,
    /// It has other bytes, and whether that is all due to tokens that were made illegible is not known.
    Unproven,
    /// The worker signed no log.
    Unsigned,
    /// It is another one.
    Differs,
}

impl Signed {
    /// What people read.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Same => "This log is the one that its worker signed.",
            Self::Unproven => {
                "It cannot be told whether this log is the one that its worker signed: it came to more than one gateway, or over a restart, and secrets in it may have been made illegible."
            }
            Self::Unsigned => {
                "Its worker did not sign this log, so nothing proves that it is whole."
            }
            Self::Differs => {
                "The log is not the one that the worker signed: do not rely on what it says. The result is the worker's own, and signed."
            }
        }
    }
}

/// How both streams stand to what was signed; none for a run that goes on or that no worker had.
pub fn compare(facts: &Facts, log: &Kept, marks: &Kept) -> Option<Signed> {
    if facts.worker.is_none() || !facts.is_over() || facts.same_as.is_some() {
        return None;
    }
    let of = |stream: Stream, kept: &Kept| {
        let mut signed = facts.signed_logs.iter();
        let signed = signed.find(|signed| signed.stream == stream);
        signed.map_or(Signed::Unsigned, |signed| one(signed, kept))
    };
    Some(of(Stream::Log, log).max(of(Stream::Marks, marks)))
}

fn one(signed: &LogDigest, kept: &Kept) -> Signed {
    let received = kept.received_sha256.as_ref();
    if signed.bytes != kept.size {
        return Signed::Differs;
    }
    if signed.sha256 == kept.sha256 || received == Some(&signed.sha256) {
        return Signed::Same;
    }
    match received {
        Some(_) => Signed::Differs,
        None => Signed::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(received: Option<&str>) -> Kept {
        Kept {
            size: 7,
            sha256: "stored".to_owned(),
            received_sha256: received.map(str::to_owned),
        }
    }

    fn signed(bytes: u64, sha256: &str) -> LogDigest {
        LogDigest {
            stream: Stream::Log,
            bytes,
            sha256: sha256.to_owned(),
        }
    }

    #[test]
    fn only_a_log_that_is_proven_to_be_the_signed_one_is_called_that() {
        for (bytes, digest, received, expected) in [
            (7, "stored", None, Signed::Same),
            (7, "stored", Some("came"), Signed::Same),
            (7, "came", Some("came"), Signed::Same),
            (7, "came", None, Signed::Unproven),
            (7, "other", Some("came"), Signed::Differs),
            (8, "stored", None, Signed::Differs),
            (6, "came", Some("came"), Signed::Differs),
        ] {
            let found = one(&signed(bytes, digest), &kept(received));
            assert_eq!(found, expected, "{bytes} {digest} {received:?}");
        }
    }

    #[test]
    fn of_two_streams_the_worse_one_counts() {
        assert_eq!(Signed::Same.max(Signed::Unproven), Signed::Unproven);
        assert_eq!(Signed::Unproven.max(Signed::Unsigned), Signed::Unsigned);
        assert_eq!(Signed::Unsigned.max(Signed::Differs), Signed::Differs);
    }
}
