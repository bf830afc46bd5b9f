//! What keeps a pod from being ready, as Kubernetes Events about it: `kubectl describe pod` shows the
//! sentence that the log has. Events are told, not relied on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::Standing;

/// Between two looks: a sentence that is another one each time makes no Event each time.
const PAUSE: Duration = Duration::from_secs(10);
/// Until what was not taken is told again.
const AGAIN: Duration = Duration::from_secs(30);
/// Bytes of a note. Kubernetes takes 1024.
const NOTE_BYTES: usize = 1000;

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// This is missing, for that reason.
    Lacks(&'static str, String),
    /// Nothing is missing any more.
    Ready,
}

/// What was told: of each thing the last sentence.
#[derive(Default)]
struct Told(BTreeMap<&'static str, String>);

impl Told {
    /// What is to be told now.
    fn news(&self, missing: &BTreeMap<&'static str, String>, ready: bool) -> Vec<News> {
        if ready {
            return (!self.0.is_empty())
                .then_some(News::Ready)
                .into_iter()
                .collect();
        }
        let other = missing
            .iter()
            .filter(|(what, because)| self.0.get(**what) != Some(*because));
        other
            .map(|(what, because)| News::Lacks(what, because.clone()))
            .collect()
    }

    /// It was told.
    fn learn(&mut self, news: News) {
        match news {
            News::Lacks(what, because) => {
                self.0.insert(what, because);
            }
            News::Ready => self.0.clear(),
        }
    }
}

/// Tells of the pod that this is, as `POD_NAME`, `POD_NAMESPACE` and `POD_UID` say, what keeps it from being
/// ready, until the token is cancelled. Without these there is nothing that it could be told of.
pub async fn tell(
    standing: Arc<Standing>,
    client: Client,
    program: &'static str,
    stop: CancellationToken,
) {
    let Some(pod) = pod(|name| std::env::var(name).ok()) else {
        return;
    };
    let namespace = pod.namespace.clone().unwrap_or_default();
    let events: Api<Event> = Api::namespaced(client, &namespace);
    let mut told = Told::default();
    loop {
        let mut behind = false;
        let ready = standing.problem().is_none();
        for news in told.news(&standing.missing(), ready) {
            let event = event(&pod, program, &news);
            match events.create(&PostParams::default(), &event).await {
                Ok(_) => told.learn(news),
                Err(error) => {
                    tracing::debug!(%error, "an Event could not be published");
                    behind = true;
                }
            }
        }
        let news = async {
            match behind {
                true => tokio::time::sleep(AGAIN).await,
                false => standing.changed().await,
            }
            tokio::time::sleep(PAUSE).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = news => {}
        }
    }
}

/// The pod, by variables that the chart sets.
fn pod(variable: impl Fn(&str) -> Option<String>) -> Option<ObjectReference> {
    let given = |name| variable(name).filter(|value| !value.is_empty());
    Some(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(given("POD_NAME")?),
        namespace: Some(given("POD_NAMESPACE")?),
        uid: Some(given("POD_UID")?),
        ..ObjectReference::default()
    })
}

fn event(pod: &ObjectReference, program: &str, news: &News) -> Event {
    let (kind, reason, note) = match news {
        News::Lacks(what, because) => ("Warning", "NotReady", format!("{what}: {because}")),
        News::Ready => ("Normal", "Ready", "what it waited for is there".to_owned()),
    };
    let (now, name) = (Timestamp::now(), pod.name.clone().unwrap_or_default());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: pod.namespace.clone(),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        action: Some(reason.to_owned()),
        note: Some(cut(&note).to_owned()),
        event_time: Some(MicroTime(now)),
        regarding: Some(pod.clone()),
        reporting_controller: Some(program.to_owned()),
        reporting_instance: Some(name),
        ..Event::default()
    }
}

/// As much of a text as the note of an Event takes. Kubernetes refuses an Event with a longer one.
pub fn cut(text: &str) -> &str {
    let mut end = text.len().min(NOTE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(pairs: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(what, because)| (*what, (*because).to_owned()))
            .collect()
    }

    #[test]
    fn each_sentence_is_told_once_and_so_is_that_all_is_there() {
        let mut told = Told::default();
        let nothing = missing(&[]);
        assert!(told.news(&nothing, true).is_empty(), "nothing was wrong");
        let old = missing(&[("Kubernetes", "it is 1.32")]);
        for news in told.news(&old, false) {
            assert_eq!(news, News::Lacks("Kubernetes", "it is 1.32".to_owned()));
            told.learn(news);
        }
        assert!(told.news(&old, false).is_empty());
        let other = missing(&[("Kubernetes", "no answer")]);
        assert_eq!(told.news(&other, false).len(), 1, "another sentence");
        assert!(told.news(&nothing, false).is_empty(), "not looked at yet");
        assert_eq!(told.news(&nothing, true), [News::Ready]);
        told.learn(News::Ready);
        assert!(told.news(&nothing, true).is_empty());
    }

    #[test]
    fn an_event_is_about_the_pod_and_no_longer_than_kubernetes_takes() {
        let variable = |name: &str| Some(name.to_lowercase());
        let about = pod(variable).unwrap();
        assert_eq!(about.uid.as_deref(), Some("pod_uid"));
        let long = News::Lacks("GitHub", "é".repeat(1000));
        let event = event(&about, "prbuild-webhook", &long);
        assert!(event.note.unwrap().len() <= NOTE_BYTES);
        assert_eq!(event.regarding, Some(about));
        assert_eq!(pod(|name| (name != "POD_UID").then(String::new)), None);
    }
}
