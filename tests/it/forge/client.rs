//! A plain HTTP client: it follows nothing, retries nothing and hides nothing.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tests::forge::Forge;

/// Somebody who asks the forge.
#[derive(Clone)]
pub struct Client {
    http: Legacy<HttpConnector, Full<Bytes>>,
    base: String,
    headers: Vec<(&'static str, String)>,
}

/// What the forge answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Somebody without credentials.
    pub fn anonymous(forge: &Forge) -> Self {
        Self::at(&forge.api_url())
    }

    /// The same, of a forge at this URL.
    pub fn at(base: &str) -> Self {
        let headers = vec![
            ("user-agent", "story".to_owned()),
            ("x-github-api-version", "2022-11-28".to_owned()),
        ];
        Self {
            http: Legacy::builder(TokioExecutor::new()).build_http(),
            base: base.to_owned(),
            headers,
        }
    }

    /// Somebody with a token.
    pub fn with_token(forge: &Forge, token: &str) -> Self {
        Self::anonymous(forge).header("authorization", &format!("Bearer {token}"))
    }

    /// Sends a header with every request, in place of one of that name.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, Some(body)).await.unwrap()
    }

    /// A POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Reply {
        self.ask(Method::POST, path, None).await.unwrap()
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path, Some(body)).await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, None).await.unwrap()
    }

    /// One request, to a path or to an absolute URL.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Reply, String> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let bytes = body
            .map(|value| Bytes::from(value.to_string()))
            .unwrap_or_default();
        let request = request.body(Full::new(bytes)).unwrap();
        let answer = self
            .http
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.body))
    }

    /// A header as text, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The URL of a relation in the `Link` header.
    pub fn link(&self, relation: &str) -> Option<String> {
        let wanted = format!("rel=\"{relation}\"");
        let part = self
            .header("link")
            .split(", ")
            .find(|part| part.ends_with(&wanted))?;
        Some(part.split('>').next()?.trim_start_matches('<').to_owned())
    }
}
