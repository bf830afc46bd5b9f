//! GitHub as PrBuild uses it: authentication, a handful of narrow calls with wire types of our own,
//! the rate budget. Nobody else speaks to GitHub. Tokens, retries, pages and errors are handled here, where
//! a test can see them; connections are hyper's, the JWT is jsonwebtoken's.
//!
//! Nothing here decides who may do what; that is the gate's. Times come from GitHub's own clock,
//! the `Date` header of its answers.

mod auth;
mod budget;
mod calls;
mod checks;
mod comments;
mod commit_states;
mod connection;
mod conversation;
mod deliveries;
mod error;
mod graphql;
mod jwt;
mod label;
mod limit;
mod pages;
mod path;
mod permissions;
mod reads;
mod repo;
mod settings;
mod setup;
mod transport;
mod wire;
mod writes;

pub use budget::Budget;
pub use calls::Called;
pub use checks::{
    ANNOTATIONS, AnnotationLevel, CheckAction, CheckAnnotation, CheckOutput, CheckRun, CheckState,
    Conclusion, StandingCheck,
};
pub use comments::Place;
pub use commit_states::{CHECKS_PAGE, CheckApp, CommitCheck, CommitContext};
pub use connection::{Access, Connection, Connections};
pub use conversation::{Conversation, Labelling, NamedLabel, Said, Saying};
pub use deliveries::{Delivered, Delivery, DeliveryPage};
pub use error::GithubError;
pub use label::same_label;
pub use reads::{LabelEvents, Listing, Movements, Reviews};
pub use repo::Repo;
pub use settings::{ConnectionError, SELF_TEST};
pub use setup::Webhook;
pub use wire::{
    Activity, AppRef, Base, Collaborator, Comment, ForkRef, Head, IssueEvent, Label, MergeCommit,
    Mergeable, PullRequest, RepositoryInfo, Review, TestMerge, User,
};
pub use writes::{Reaction, StatusState};

/// A value and when it was true: GitHub's clock, from the `Date` header of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dated<T> {
    /// The value.
    pub value: T,
    /// GitHub's time when it answered; whole seconds.
    pub date: jiff::Timestamp,
}

impl<T> Dated<T> {
    /// The same moment with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Dated<U> {
        Dated {
            value: f(self.value),
            date: self.date,
        }
    }
}

/// Makes aws-lc-rs the TLS provider of the process. Every binary calls this first: with two
/// providers in the tree rustls could not choose and would panic at the first connection.
pub fn install_tls_provider() {
    // An error means that one is installed already, which is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
