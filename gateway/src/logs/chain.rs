//! What is stored of a log that has not ended: segments, each beginning where the one before it ends.

use futures::TryStreamExt as _;
use protocol::log::Stream;

use super::frames;
use super::tail::{Place, SEGMENT_LIMIT};
use crate::names::{RunKey, segment_place};
use crate::store::{Store, StoreError};

/// Segments after which their places are noted again: a page of a log that goes on, and that another
/// gateway takes in, reads one note and at most so many segments.
pub const NOTED: usize = 32;

/// What is stored of a log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where its segments begin.
    pub segments: Vec<Place>,
    /// Where the last one ends.
    pub end: Place,
    /// The last byte.
    pub last: Option<u8>,
}

impl Chain {
    /// Adds the segment that begins where the last one ended.
    pub fn push(&mut self, text: &[u8]) {
        self.segments.push(self.end);
        self.end = self.end.after(text);
        self.last = text.last().copied().or(self.last);
    }
}

/// The text of a segment; none where there is none at this place.
pub async fn read(
    store: &Store,
    run: &RunKey,
    stream: Stream,
    at: Place,
) -> Result<Option<Vec<u8>>, StoreError> {
    let key = run.segment(stream, at.offset, at.line);
    let Some(bytes) = store.get(&key).await? else {
        return Ok(None);
    };
    let text = frames::decode(&bytes, SEGMENT_LIMIT).map_err(|error| StoreError::Damaged {
        key: key.clone(),
        cause: error.to_string(),
    })?;
    match text.is_empty() {
        false => Ok(Some(text)),
        true => Err(StoreError::Damaged {
            key,
            cause: "it is empty".to_owned(),
        }),
    }
}

/// Finds the chain by listing the run's segments; reads only the last. For the ingest.
pub async fn listed(store: &Store, run: &RunKey, stream: Stream) -> Result<Chain, StoreError> {
    let mut places = places(store, run, stream).await?;
    let mut chain = Chain::default();
    let Some(last) = places.pop() else {
        return Ok(chain);
    };
    chain.segments = places;
    chain.end = last;
    if let Some(text) = read(store, run, stream, last).await? {
        chain.push(&text);
    }
    Ok(chain)
}

/// The places of all segments that a listing finds, in order.
pub async fn places(store: &Store, run: &RunKey, stream: Stream) -> Result<Vec<Place>, StoreError> {
    let prefix = run.segments(stream);
    let mut found = store.list(&prefix);
    let mut places = Vec::new();
    while let Some(object) = found.try_next().await? {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if let Some((offset, line)) = segment_place(name) {
            places.push(Place { offset, line });
        }
    }
    places.sort_by_key(|place| place.offset);
    Ok(places)
}

/// Notes where the segments of a stream begin, once for every [`NOTED`] of them.
pub async fn note(
    store: &Store,
    run: &RunKey,
    stream: Stream,
    places: &[Place],
) -> Result<(), StoreError> {
    let places: Vec<(u64, u64)> = places.iter().map(|at| (at.offset, at.line)).collect();
    let bytes = serde_json::to_vec(&places).unwrap_or_default();
    store.put(&run.places(stream), bytes.into()).await
}

/// The places that were noted last; none where there are none that can be read.
async fn noted(store: &Store, run: &RunKey, stream: Stream) -> Result<Vec<Place>, StoreError> {
    let bytes = store.get(&run.places(stream)).await?.unwrap_or_default();
    let places: Vec<(u64, u64)> = serde_json::from_slice(&bytes).unwrap_or_default();
    let place = |(offset, line)| Place { offset, line };
    Ok(places.into_iter().map(place).collect())
}

/// Finds the chain from segment to segment: the end of each is the key of the next. Begins with the last
/// one that was noted. For pages, which never list.
pub async fn walked(store: &Store, run: &RunKey, stream: Stream) -> Result<Chain, StoreError> {
    let mut segments = noted(store, run, stream).await?;
    let mut chain = Chain {
        end: segments.pop().unwrap_or_default(),
        segments,
        last: None,
    };
    while let Some(text) = read(store, run, stream, chain.end).await? {
        chain.push(&text);
    }
    Ok(chain)
}
