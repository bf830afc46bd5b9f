//! The names that may stand at a place, as the cluster has them.

use std::fmt::Debug;
use std::time::Duration;

use crds::{Answer, Builder, BuilderRun, PrBuild, Repository, Worker};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::place::{Noun, Place, Wanted};
use crate::Desk;
use crate::cli::Way;

/// How long somebody who types is kept waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// The names, each once; none where they cannot be found out.
pub(super) async fn names(place: &Place) -> Vec<String> {
    match &place.wanted {
        Wanted::Words(words) => words.clone(),
        Wanted::File => Vec::new(),
        Wanted::Names([Noun::Contexts]) => contexts(&place.way),
        Wanted::Names(nouns) => {
            let found = tokio::time::timeout(PATIENCE, of_cluster(&place.way, nouns)).await;
            let mut found = found.unwrap_or_default();
            found.sort();
            found.dedup();
            found
        }
    }
}

fn contexts(way: &Way) -> Vec<String> {
    let read = match &way.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let contexts = read.map(|read| read.contexts).unwrap_or_default();
    contexts.into_iter().map(|context| context.name).collect()
}

async fn of_cluster(way: &Way, nouns: &[Noun]) -> Vec<String> {
    let Ok(desk) = Desk::open(way).await else {
        return Vec::new();
    };
    let lists = nouns.iter().map(|noun| of_noun(&desk, *noun));
    join_all(lists).await.concat()
}

async fn of_noun(desk: &Desk, noun: Noun) -> Vec<String> {
    match noun {
        Noun::Builds => listed(desk.api::<PrBuild>()).await,
        Noun::Runs => listed(desk.api::<BuilderRun>()).await,
        Noun::Answers => listed(desk.api::<Answer>()).await,
        Noun::Builders => listed(desk.api::<Builder>()).await,
        Noun::Repositories => listed(desk.api::<Repository>()).await,
        Noun::Workers => listed(desk.api::<Worker>()).await,
        Noun::Namespaces => listed(Api::<Namespace>::all(desk.client.clone())).await,
        // They are in the kubeconfig, and in no cluster.
        Noun::Contexts => Vec::new(),
    }
}

/// Names alone: there may be thousands of objects.
async fn listed<K>(api: Api<K>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let listed = api.list_metadata(&ListParams::default()).await;
    let items = listed.map(|listed| listed.items).unwrap_or_default();
    items.iter().map(ResourceExt::name_any).collect()
}
