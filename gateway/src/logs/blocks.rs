//! The pieces of stored logs that were read last, unpacked: many people look at the same place.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;

/// Bytes that are remembered.
const MOST: usize = 8 << 20;

/// The pieces, the last used ones last.
#[derive(Default)]
pub struct Blocks {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: VecDeque<(String, u64, Bytes)>,
    bytes: usize,
}

impl Blocks {
    /// The text of a piece: of the object with this key, from this position on.
    pub fn get(&self, key: &str, position: u64) -> Option<Bytes> {
        let mut kept = self.lock();
        let is_it = |(other, at, _): &(String, u64, Bytes)| *at == position && other == key;
        let place = kept.blocks.iter().position(is_it)?;
        let block = kept.blocks.remove(place)?;
        let text = block.2.clone();
        kept.blocks.push_back(block);
        Some(text)
    }

    /// Remembers the text of a piece, and forgets what was used longest ago.
    pub fn add(&self, key: &str, position: u64, text: Bytes) {
        let mut kept = self.lock();
        kept.bytes += text.len();
        kept.blocks.push_back((key.to_owned(), position, text));
        while kept.bytes > MOST {
            let Some((_, _, oldest)) = kept.blocks.pop_front() else {
                break;
            };
            kept.bytes -= oldest.len();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let blocks = Blocks::default();
        let text = Bytes::from(vec![b'x'; MOST / 4]);
        for position in 0..4 {
            blocks.add("a", position, text.clone());
        }
        assert!(blocks.get("a", 0).is_some());
        blocks.add("b", 0, text);
        assert!(blocks.get("a", 0).is_some());
        assert!(blocks.get("a", 1).is_none());
        assert!(blocks.get("b", 0).is_some());
    }
}
