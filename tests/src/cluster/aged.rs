//! The API server as programs would meet an older one: a relay in front of it that gives some answers itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use kube::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::ClusterError;
use super::access::Access;
use super::keys::write_private;

/// Bytes of a request or of a description of kinds.
const LIMIT: usize = 16 << 20;

/// What of a cluster is older than PrBuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Kubernetes itself: it says that it is 1.32.
    Kubernetes,
    /// PrBuild's kinds: a PrBuild has no `spec.cancelBuilders`.
    Kinds,
    /// Nothing: it is as it is.
    Current,
}

/// A relay. Dropped, it ends.
pub struct Aged {
    kubeconfig: PathBuf,
    age: Arc<Mutex<Age>>,
    relay: AbortHandle,
}

impl Aged {
    /// A relay to the API server of a kubeconfig, for the account of that.
    ///
    /// # Errors
    /// No port can be had, or the kubeconfig cannot be read.
    pub async fn before(kubeconfig: &Path, age: Age) -> Result<Self, ClusterError> {
        let client = Access::by(kubeconfig).client().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(ClusterError::start("a relay to the API server"))?;
        let address = listener.local_addr();
        let address = address.map_err(ClusterError::start("a relay to the API server"))?;
        let text = std::fs::read(kubeconfig).map_err(ClusterError::io(kubeconfig))?;
        let mut config: Value =
            serde_json::from_slice(&text).map_err(|error| ClusterError::Kubeconfig {
                path: kubeconfig.to_owned(),
                because: error.to_string(),
            })?;
        config["clusters"][0]["cluster"]["server"] = format!("http://{address}").into();
        let own = kubeconfig.with_extension("aged.kubeconfig");
        write_private(&own, config.to_string().as_bytes())?;
        let age = Arc::new(Mutex::new(age));
        let state = Relay {
            client,
            age: age.clone(),
        };
        let router = Router::new().fallback(answer).with_state(state);
        let relay = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            kubeconfig: own,
            age,
            relay: relay.abort_handle(),
        })
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on it is of this age.
    pub fn becomes(&self, age: Age) {
        *self.age.lock().unwrap_or_else(PoisonError::into_inner) = age;
    }
}

impl Drop for Aged {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

#[derive(Clone)]
struct Relay {
    client: Client,
    age: Arc<Mutex<Age>>,
}

/// Answers one request, or has the API server answer it.
async fn answer(State(relay): State<Relay>, request: Request) -> Response {
    let age = *relay.age.lock().unwrap_or_else(PoisonError::into_inner);
    let path = request.uri().path().to_owned();
    if age == Age::Kubernetes && path == "/version" {
        return axum::Json(old_version()).into_response();
    }
    let answered = match passed_on(&relay.client, request).await {
        Ok(answered) => answered,
        Err(error) => return (StatusCode::BAD_GATEWAY, error).into_response(),
    };
    if age != Age::Kinds || !path.starts_with("/openapi/v3/apis/prbuild.dev/") {
        return answered;
    }
    match with_older_kinds(answered).await {
        Ok(older) => older,
        Err(error) => (StatusCode::BAD_GATEWAY, error).into_response(),
    }
}

/// What the API server answers; a watch goes on as long as somebody reads it.
async fn passed_on(client: &Client, request: Request) -> Result<Response, String> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LIMIT).await;
    let body = body.map_err(|error| error.to_string())?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked = http::Request::builder().method(parts.method).uri(path);
    for (name, value) in kept(&parts.headers) {
        asked = asked.header(name, value);
    }
    let asked = asked.body(kube::client::Body::from(body));
    let asked = asked.map_err(|error| error.to_string())?;
    let answered = client.send(asked).await;
    let (parts, body) = answered.map_err(|error| error.to_string())?.into_parts();
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    for (name, value) in kept(&parts.headers) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The headers that say what a body is. All others are of one connection.
fn kept(headers: &HeaderMap) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let names = [ACCEPT, CONTENT_TYPE].into_iter();
    names
        .filter_map(|name| Some((name.clone(), headers.get(&name)?.clone())))
        .collect()
}

fn old_version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": "v1.32.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2024-12-11T00:00:00Z", "goVersion": "go1.23", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// A description of kinds without the newest field.
async fn with_older_kinds(answered: Response) -> Result<Response, String> {
    let text = axum::body::to_bytes(answered.into_body(), LIMIT).await;
    let text = text.map_err(|error| error.to_string())?;
    let mut described: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let schemas = described["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        if name.ends_with(".v1alpha1.PrBuild") {
            let fields = schema.pointer_mut("/properties/spec/properties");
            if let Some(fields) = fields.and_then(Value::as_object_mut) {
                fields.remove("cancelBuilders");
            }
        }
    }
    Ok(axum::Json(described).into_response())
}
