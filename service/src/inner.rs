//! The inner port of a service: is it alive, is it ready, and its metrics. Never where strangers reach it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Standing;
use crate::server::{HEADER_BYTES, Places, WRITE_TIME, serve};

/// What Prometheus must be told to read the metrics: version 3 refuses an answer without it, and reads
/// the older text format, which has no `info`, where that is named.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

const PLACES: Places = Places {
    connections: 64,
    of_one_address: 64,
    header_bytes: HEADER_BYTES,
    header_time: Duration::from_secs(5),
    write_time: WRITE_TIME,
    grace: Duration::from_secs(1),
};

/// What the inner port answers from.
pub struct Inner {
    standing: Arc<Standing>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl Inner {
    /// An inner port. `metrics` are all of the service, in the OpenMetrics text format.
    pub fn new(
        standing: Arc<Standing>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            standing,
            metrics: Box::new(metrics),
        })
    }

    /// Answers until the token is cancelled.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let respond = move |request| std::future::ready(self.respond(&request));
        serve(listener, PLACES, respond, stop).await;
    }

    /// Answers `/healthz`, `/readyz` and `/metrics`.
    fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return said(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "");
        }
        match request.uri().path() {
            "/healthz" => said(StatusCode::OK, PLAIN, "ok"),
            "/readyz" => match self.standing.problem() {
                None => said(StatusCode::OK, PLAIN, "ok"),
                Some(problem) => said(StatusCode::SERVICE_UNAVAILABLE, PLAIN, problem),
            },
            "/metrics" => said(StatusCode::OK, OPEN_METRICS, (self.metrics)()),
            _ => said(StatusCode::NOT_FOUND, PLAIN, "not found"),
        }
    }
}

fn said(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn asked(inner: &Inner, method: Method, path: &str) -> (u16, String, String) {
        let request = Request::builder().method(method).uri(path).body(());
        let response = inner.respond(&request.expect("a request"));
        let kind = response.headers()[CONTENT_TYPE].to_str().expect("a kind");
        let (status, kind) = (response.status().as_u16(), kind.to_owned());
        let body = response.into_body().collect().await.expect("a body");
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        (status, kind, text)
    }

    #[tokio::test]
    async fn it_says_what_is_missing_and_what_its_metrics_are_written_in() {
        let standing = Standing::awaiting(&["GitHub"]);
        let inner = Inner::new(standing.clone(), || "# EOF\n".to_owned());
        let (status, kind, text) = asked(&inner, Method::GET, "/readyz").await;
        assert_eq!((status, kind.as_str()), (503, PLAIN));
        assert_eq!(text, "GitHub: not looked at yet");
        standing.has("GitHub");
        assert_eq!(asked(&inner, Method::GET, "/readyz").await.0, 200);
        assert_eq!(asked(&inner, Method::GET, "/healthz").await.2, "ok");
        let (status, kind, text) = asked(&inner, Method::GET, "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, OPEN_METRICS));
        assert_eq!(text, "# EOF\n");
        assert_eq!(asked(&inner, Method::GET, "/other").await.0, 404);
        assert_eq!(asked(&inner, Method::POST, "/metrics").await.0, 405);
    }
}
