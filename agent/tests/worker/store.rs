//! Where the gateway of tests keeps logs: every byte of them once, and in order.

use protocol::log::LogTaken;

use crate::{answer::ok, gateway::Has, http::Request};

impl Has {
    /// Takes what an agent sends of a log.
    pub fn take_log(&mut self, request: &Request) -> (u16, String) {
        if self.store_is_full {
            return (507, "the store is full".into());
        }
        let rest = request
            .path
            .strip_prefix("/v1/repositories/app/runs/")
            .unwrap();
        let Some((address, offset)) = rest.split_once("?offset=") else {
            self.ended.insert(rest.to_owned());
            return ok(&LogTaken {
                received: 0,
                durable: 0,
            });
        };
        let bytes = zstd::stream::decode_all(&request.body[..]).unwrap();
        let held = self.logs.entry(address.to_owned()).or_default();
        let offset: usize = offset.parse().unwrap();
        assert!(offset <= held.len(), "a gap in {address}");
        let known = bytes.len().min(held.len() - offset);
        assert_eq!(
            held[offset..offset + known],
            bytes[..known],
            "other bytes in {address}"
        );
        held.extend_from_slice(&bytes[known..]);
        let received = held.len() as u64;
        ok(&LogTaken {
            received,
            durable: received,
        })
    }
}
