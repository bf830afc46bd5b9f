//! Objects of ours as they are stored, for those who follow many of them: read once, without what nobody
//! decides by, and one that cannot be read hides no other.

mod guarded;
mod lean;
mod unread;

pub use guarded::{FromText, Guarded};
pub use lean::{Lean, Parts, lean_metadata};
pub use unread::Unread;

/// An object of ours as a list or a watch brings it.
pub type Stored<K> = Guarded<Lean<K>>;
