//! Objects of ours as they are stored, for those who follow many of them: read once, without what nobody
//! decides by, and one that cannot be read hides no other.

/// What is in it is called as its kind is.
macro_rules! named_as {
    ($kind:ident) => {
        type DynamicType = $kind::DynamicType;
        type Scope = $kind::Scope;

        fn kind(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
            $kind::kind(dynamic)
        }

        fn group(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
            $kind::group(dynamic)
        }

        fn version(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
            $kind::version(dynamic)
        }

        fn plural(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
            $kind::plural(dynamic)
        }
    };
}

mod guarded;
mod lean;
mod unread;

pub use guarded::{FromText, Guarded};
pub use lean::{Lean, Parts, lean_metadata};
pub use unread::Unread;

/// An object of ours as a list or a watch brings it.
pub type Stored<K> = Guarded<Lean<K>>;
