//! What nobody may print, and where it was printed all the same. Every story ends with a look at all
//! that its programs wrote, and its pods, that stands in objects, and that GitHub was told.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crds::Worker;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::api::LogParams;

use super::*;
use crate::secrets::{self, LEAST};

/// Objects of a kind that are looked at.
const MOST: u32 = 2_000;
/// Files of a connection that are no secret.
const PUBLIC: [&str; 4] = ["api-url", "git-url", "app-id", "installation-id"];

/// A secret, and what it looks like where it is printed.
struct Hidden {
    what: String,
    forms: Vec<String>,
}

impl Hidden {
    fn new(what: impl Into<String>, secret: &[u8]) -> Self {
        let text = String::from_utf8_lossy(secret);
        let text = text.trim();
        let mut forms: Vec<&str> = match text.starts_with("-----BEGIN") {
            // Line by line: what prints a key may break it elsewhere.
            true => text.lines().filter(|line| !line.starts_with('-')).collect(),
            false => vec![text],
        };
        forms.retain(|form| form.len() >= LEAST && form.is_ascii());
        let mut forms: Vec<String> = forms.into_iter().map(str::to_owned).collect();
        // As it stands in an object; the end depends on what follows.
        let encoded = BASE64_STANDARD.encode(secret);
        let whole = encoded.trim_end_matches('=');
        forms.extend(
            whole
                .get(..whole.len().saturating_sub(2))
                .map(str::to_owned),
        );
        forms.retain(|form| form.len() >= LEAST);
        Self {
            what: what.into(),
            forms,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form))
    }
}

/// Something that was written: what it is, and the text.
type Printed = (String, String);

impl Story {
    /// Secrets that can be read somewhere, each with where; never with the secret.
    pub async fn leaks(&self) -> Vec<String> {
        self.leaks_of(&self.hidden().await).await
    }

    async fn leaks_of(&self, hidden: &[Hidden]) -> Vec<String> {
        let mut printed = self.install.printed();
        printed.extend(self.said_by_pods().await);
        printed.extend(self.stands_in_objects().await);
        printed.push(("what GitHub was told".to_owned(), self.forge.written()));
        let mut leaks = Vec::new();
        for (place, text) in &printed {
            let found = hidden.iter().filter(|hidden| hidden.is_in(text));
            leaks.extend(found.map(|hidden| format!("{} is in {place}", hidden.what)));
        }
        leaks
    }

    /// Panics if something secret was printed. Notes what it looked for: when all tests are over, what
    /// was printed elsewhere is looked through for it, too.
    pub(super) async fn nothing_secret_was_printed(&self) {
        let hidden = self.hidden().await;
        let leaks = self.leaks_of(&hidden).await;
        assert!(leaks.is_empty(), "printed: {}", leaks.join("; "));
        let forms = hidden.iter().flat_map(|one| {
            let forms = one.forms.iter();
            forms.map(|form| (one.what.as_str(), form.as_str()))
        });
        let noted = secrets::note(self.install.access().dir(), self.install.namespace(), forms);
        if let Err(error) = noted {
            panic!("the secrets of a story cannot be noted: {error}");
        }
    }

    /// The programs of this story print a secret on purpose: what they print is not looked through when
    /// all tests are over.
    pub fn plants_secrets(&self) {
        let (berth, name) = (self.install.access().dir(), self.install.namespace());
        if let Err(error) = secrets::note_planted(berth, name) {
            panic!("that a secret is planted cannot be noted: {error}");
        }
    }

    async fn hidden(&self) -> Vec<Hidden> {
        let mut hidden = vec![Hidden::new("the webhook's secret", SECRET.as_bytes())];
        let tokens = self.forge.tokens().into_iter();
        hidden.extend(tokens.map(|token| Hidden::new("a token of GitHub", token.as_bytes())));
        if let Ok(connections) = self.connections() {
            hidden.extend(files_below(&connections));
        }
        if let Some(key) = self.gateway.as_ref().map(Gateway::key) {
            let pem = std::fs::read(key).unwrap_or_default();
            hidden.push(Hidden::new("the signing key", &pem));
        }
        let accounts = self.install.account_tokens().into_iter();
        hidden.extend(accounts.map(|token| Hidden::new("an account's token", token.as_bytes())));
        if self.release.is_some() {
            hidden.extend(self.in_secrets().await);
        }
        hidden.extend(self.run_tokens().await);
        // The same secret lies in several places.
        let mut known = BTreeSet::new();
        hidden.retain(|one| known.insert(one.forms.clone()));
        hidden
    }

    /// What a release keeps in Secrets.
    async fn in_secrets(&self) -> Vec<Hidden> {
        let all = self.api::<Secret>().list(&ListParams::default()).await;
        let all = all.map(|all| all.items).unwrap_or_default();
        let ours = all.into_iter().filter(|secret| {
            // helm's own hold manifests, and those are public.
            secret.type_.as_deref() == Some("Opaque")
        });
        let mut hidden = Vec::new();
        for secret in ours {
            let name = secret.name_any();
            for (key, value) in secret.data.unwrap_or_default() {
                if !PUBLIC.contains(&key.as_str()) && key != "public.pem" && key != "chain.json" {
                    hidden.push(Hidden::new(format!("{key} of {name}"), &value.0));
                }
            }
        }
        hidden
    }

    /// What sidecars are let send logs by.
    async fn run_tokens(&self) -> Vec<Hidden> {
        let jobs = self.in_builds::<Job>().list(&ListParams::default()).await;
        let jobs = jobs.map(|jobs| jobs.items).unwrap_or_default();
        let pods = jobs.into_iter().filter_map(|job| job.spec?.template.spec);
        let all = pods.flat_map(|pod| {
            let first = pod.init_containers.unwrap_or_default();
            first.into_iter().chain(pod.containers)
        });
        let values = all
            .flat_map(|container| container.env.unwrap_or_default())
            .filter(|variable| variable.name.contains("TOKEN"))
            .filter_map(|variable| variable.value);
        values
            .map(|token| Hidden::new("a run's token", token.as_bytes()))
            .collect()
    }

    /// What pods wrote, where containers run; those that are gone, too, as far as their logs were kept.
    async fn said_by_pods(&self) -> Vec<Printed> {
        if self.setting.host.is_loopback() {
            return Vec::new();
        }
        let berth = self.install.access().dir();
        let mut said = secrets::kept_of(berth, self.install.namespace());
        said.extend(secrets::kept_of(berth, self.install.builds()));
        for pods in [self.api::<Pod>(), self.pods()] {
            let all = pods.list(&ListParams::default()).await;
            for pod in all.map(|all| all.items).unwrap_or_default() {
                let name = pod.name_any();
                let spec = pod.spec.unwrap_or_default();
                let first = spec.init_containers.unwrap_or_default();
                for container in first.into_iter().chain(spec.containers) {
                    let of = LogParams {
                        container: Some(container.name.clone()),
                        ..LogParams::default()
                    };
                    // One that has not started has said nothing.
                    let text = pods.logs(&name, &of).await.unwrap_or_default();
                    said.push((format!("the log of {} in {name}", container.name), text));
                }
            }
        }
        said
    }

    /// What people read with kubectl: our kinds, and Events.
    async fn stands_in_objects(&self) -> Vec<Printed> {
        vec![
            ("PrBuilds".to_owned(), text_of(self.api::<PrBuild>()).await),
            (
                "BuilderRuns".to_owned(),
                text_of(self.api::<BuilderRun>()).await,
            ),
            (
                "Repositories".to_owned(),
                text_of(self.api::<Repository>()).await,
            ),
            ("Builders".to_owned(), text_of(self.api::<Builder>()).await),
            ("Answers".to_owned(), text_of(self.api::<Answer>()).await),
            ("Workers".to_owned(), text_of(self.api::<Worker>()).await),
            ("Events".to_owned(), text_of(self.api::<Event>()).await),
            (
                "Events of builds".to_owned(),
                text_of(self.in_builds::<Event>()).await,
            ),
        ]
    }
}

/// The objects of a kind as one text.
async fn text_of<K>(api: Api<K>) -> String
where
    K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    match api.list(&ListParams::default().limit(MOST)).await {
        Ok(all) => serde_json::to_string(&all.items).unwrap_or_default(),
        // A story may have taken the kind away.
        Err(kube::Error::Api(status)) if status.is_not_found() => String::new(),
        Err(error) => panic!("what stands in objects cannot be looked at: {error}"),
    }
}

fn files_below(connections: &std::path::Path) -> Vec<Hidden> {
    let folders = std::fs::read_dir(connections)
        .into_iter()
        .flatten()
        .flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok());
    let files = files.flatten().flatten();
    let secret = files.filter_map(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        let text = std::fs::read(file.path()).ok()?;
        (!PUBLIC.contains(&name.as_str())).then(|| Hidden::new(name, text.trim_ascii()))
    });
    secret.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_as_it_is_and_as_objects_encode_it() {
        let hidden = Hidden::new("it", b"0123456789abcdef0123");
        for text in ["x 0123456789abcdef0123 y", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM="] {
            assert!(hidden.is_in(text), "{text}");
        }
        assert!(!hidden.is_in("0123456789abcdef"));
        let short = Hidden::new("it", b"short");
        assert!(!short.is_in("short"), "it may stand there by chance");
    }

    #[test]
    fn each_line_of_a_key_is_secret_and_its_frame_is_not() {
        let line = "A".repeat(64);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}\nQUJD\n-----END PRIVATE KEY-----\n");
        let hidden = Hidden::new("the key", pem.as_bytes());
        assert!(hidden.is_in(&line));
        assert!(!hidden.is_in("-----BEGIN PRIVATE KEY-----"));
    }
}
