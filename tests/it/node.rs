//! The whole way on a real node: webhook, gate, operator, kubelet, containers, statuses.

mod followed;
mod hardening;
mod label_to_status;
mod logs;
mod pages;
mod workers;

use crds::BuilderSpec;
use tests::{
    cluster::shared_node,
    images::{CHECKOUT, GCC},
    story::{Setting, Story},
};

/// A story on the shared node, with webhook and operator.
async fn begin(name: &str) -> Story {
    with(name, false).await
}

/// A story on the shared node, with webhook, operator and gateway.
async fn with_pages(name: &str) -> Story {
    with(name, true).await
}

async fn with(name: &str, gateway: bool) -> Story {
    let (access, facts) = shared_node();
    let setting = Setting {
        host: facts.host_address.into(),
        checkout_image: CHECKOUT.to_owned(),
        ..Setting::default()
    };
    let mut story = Story::begin(&access, name, setting).await.unwrap();
    if gateway {
        story.start_gateway().await.unwrap();
    }
    story.start_operator().await.unwrap();
    story.start_webhook_with(&["--no-sweep"]).await.unwrap();
    story
}

/// Lets a builder run this script in an image with a compiler.
fn runs(script: &str) -> impl FnOnce(&mut BuilderSpec) {
    let script = script.to_owned();
    move |spec| {
        spec.steps[0].run = script;
        if let Some(machine) = &mut spec.kubernetes {
            machine.image = GCC.to_owned();
        }
    }
}
