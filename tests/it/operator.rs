//! From a PrBuild to Jobs to statuses, with a stand-in for the kubelet.

mod admission;
mod lifecycle;

use tests::{
    cluster::{Fate, shared_control_plane},
    story::{Setting, Story},
};

/// A story with an operator, whose pods do what `fate` says.
async fn begin(name: &str, fate: Fate) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default()).await.unwrap();
    story.pods_go(move |_| fate.clone());
    story.start_operator().await.unwrap();
    story
}
