//! Templates: what they may name, and what comes of it.
