//! What the outside world talks to: takes logs and records in, keeps them, and shows them as pages.
