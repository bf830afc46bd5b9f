//! Argo CD's health check of docs/install.md, run by the interpreter that Argo CD has within itself.

use std::fmt::Debug;
use std::process::Command;

use crds::{Builder, Repository};
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tests::cluster::shared_control_plane;
use tests::parts;
use tests::story::{Setting, Story};

/// The script of the guide.
fn script() -> String {
    let page = include_str!("../../../docs/install.md");
    let key = "  resource.customizations.health.prbuild.dev_Repository: |\n";
    let (_, rest) = page.split_once(key).unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    script.to_owned()
}

/// A text as Lua writes it.
fn quoted(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b' ' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        other => format!("\\{other:03}"),
    });
    format!("\"{}\"", bytes.collect::<String>())
}

/// A value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(lua).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("[{}]={}", quoted(name), lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

/// What Argo CD shows of an object: its health, and why.
fn health(object: &impl Serialize) -> (String, String) {
    let object = serde_json::to_value(object).unwrap();
    let (script, object) = (script(), lua(&object));
    let program = format!(
        "local function look(obj)\n{script}\nend\nlocal health = look({object})\n\
         io.write(health.status, \"\\t\", health.message)"
    );
    let mut glua = Command::new(parts::existing(&parts::GLUA).unwrap());
    let output = glua.args(["-e", &program]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let (status, message) = said.split_once('\t').unwrap();
    (status.to_owned(), message.to_owned())
}

/// Waits until Argo CD shows an object so. Returns the object and why.
async fn shown<K>(story: &Story, name: &str, status: &str) -> (K, String)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let what = format!("Argo CD shows {name} as {status}");
    let look = |found: &K| match health(found) {
        (shown, message) if shown == status => Ok((found.clone(), message)),
        other => Err(format!("{other:?}")),
    };
    story.eventually_in(&what, name, look).await
}

#[tokio::test]
async fn argo_cd_shows_repositories_and_builders_as_the_operator_found_them() {
    let access = shared_control_plane();
    let begun = Story::begin(&access, "argo", Setting::default()).await;
    let mut story = begun.unwrap();
    let builder = story.builder("debian", |_| {}).await;
    let waits = ("Progressing", "the operator has not looked at it yet");
    let (status, message) = health(&builder);
    assert_eq!((&*status, &*message), waits, "nobody has looked at it");

    story.start_operator().await.unwrap();
    let (mut good, message) = shown::<Builder>(&story, "debian", "Healthy").await;
    assert_eq!(message, "runs can be started");
    shown::<Repository>(&story, "app", "Healthy").await;
    good.metadata.generation = good.metadata.generation.map(|number| number + 1);
    let (status, message) = health(&good);
    assert_eq!((&*status, &*message), waits, "it was changed since");

    let image = "Not \"an\" image";
    story
        .builder("debian", |spec| {
            let machine = spec.kubernetes.as_mut().unwrap();
            machine.image = image.to_owned();
        })
        .await;
    let (_, message) = shown::<Builder>(&story, "debian", "Degraded").await;
    assert!(message.contains("is not the name of an image"), "{message}");
    story
        .repository(|spec| spec.connection = "nowhere".to_owned())
        .await;
    let (_, message) = shown::<Repository>(&story, "app", "Degraded").await;
    assert!(message.contains("nowhere"), "{message}");

    story.builder("debian", |_| {}).await;
    story.repository(|_| {}).await;
    shown::<Builder>(&story, "debian", "Healthy").await;
    shown::<Repository>(&story, "app", "Healthy").await;
    story.end().await;
}
