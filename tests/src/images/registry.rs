//! A registry without images. A node that asks it learns at once that there is no such image, as
//! from a real one: the API of the OCI distribution specification, with nothing behind it.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The answer to a manifest that is not there, in the words of the specification.
const UNKNOWN: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

/// A running registry on loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct EmptyRegistry {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl EmptyRegistry {
    /// Starts it on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answer = || async {
            (
                StatusCode::NOT_FOUND,
                [(CONTENT_TYPE, "application/json")],
                UNKNOWN,
            )
        };
        let root = axum::routing::get(|| async { StatusCode::OK });
        let router = Router::new().route("/v2/", root).fallback(answer);
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, server })
    }

    /// The name of an image that it does not have. containerd asks loopback by plain HTTP.
    pub fn image(&self) -> String {
        format!("{}/there-is-no-such-image:1", self.address)
    }
}

impl Drop for EmptyRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}
