//! `/builders`: every builder, with what it does now and how its last runs went.

mod histories;
mod html;
mod machines;
mod model;

use std::{collections::HashMap, sync::Arc};

use axum::{extract::State, response::Response};
use jiff::Timestamp;

use super::{Site, asked::Asked, problem::Problem, shell::Page};

pub use histories::Histories;
pub(super) use html::{now, traits};
pub use model::{Builders, Load, Row, load_of, row};

/// Seconds after which the page is looked at again.
const AGAIN: u32 = 10;

/// The page of all builders.
pub(super) async fn page(State(site): State<Arc<Site>>, asked: Asked) -> Response {
    let found: Result<_, Problem> = Ok(find(&site, Timestamp::now()).await);
    asked.answer(found, |builders| Page {
        title: "Builders".to_owned(),
        path: "/builders".to_owned(),
        again: Some(AGAIN),
        body: html::html(builders),
        ..Page::default()
    })
}

async fn find(site: &Site, now: Timestamp) -> Builders {
    let builders = site.cluster.builders();
    let loads: HashMap<String, Load> = builders
        .iter()
        .map(|builder| {
            let name = builder.metadata.name.clone().unwrap_or_default();
            let load = load_of(builder, &site.cluster.live_runs_of(&name));
            (name, load)
        })
        .collect();
    let names = loads.keys().cloned();
    let histories = site.histories.of(&site.app.records, names).await;
    Builders {
        note: site.note(now).or(histories.note),
        builders: model::rows(
            &builders,
            &site.cluster.workers(),
            &loads,
            &histories.by_name,
        ),
    }
}
