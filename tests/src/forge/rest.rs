//! The routes of the REST API.

mod answer;
mod apps;
mod call;
mod checks;
mod deliveries;
mod issues;
mod pulls;
mod repositories;
mod statuses;
mod table;

pub use answer::Answer;
pub use call::Call;
pub use table::ROUTES;

use super::auth::Needs;

/// One operation.
pub struct Route {
    /// GET, POST, PATCH or DELETE.
    pub method: &'static str,
    /// The path as GitHub's description writes it.
    pub template: &'static str,
    needs: Needs,
    work: fn(&Call<'_>) -> Reply,
}

/// An answer, or the answer that refuses.
pub type Reply = Result<Answer, Answer>;

const fn route(
    method: &'static str,
    template: &'static str,
    needs: Needs,
    work: fn(&Call<'_>) -> Reply,
) -> Route {
    Route {
        method,
        template,
        needs,
        work,
    }
}
