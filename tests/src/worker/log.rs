//! The log of a run, as an agent sends it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use protocol::log::{LogDigest, LogEnd, Stream, WRITER_HEADER};
use protocol::worker::assignment::Assignment;
use protocol::worker::wire::Accepted;
use sha2::{Digest as _, Sha256};

use super::Driver;

/// The id of every sender.
const WRITER: &str = "00112233445566778899aabbccddeeff";

/// What an agent signs of a stream with this text.
pub fn digest_of(stream: Stream, text: &[u8]) -> LogDigest {
    LogDigest {
        stream,
        bytes: text.len() as u64,
        sha256: hex::encode(Sha256::digest(text)),
    }
}

impl Driver {
    /// Sends this text as the whole log of a run that it has accepted, without marks, and its end.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn print(
        &self,
        accepted: &Accepted,
        ordered: &Assignment,
        text: &[u8],
    ) -> Result<(), String> {
        let logs = format!(
            "{}/v1/repositories/{}/runs/{}/logs",
            self.base, ordered.repository, ordered.run.uid
        );
        let put = (Method::PUT, format!("{logs}/log?offset=0"));
        self.send(accepted, put, text.to_vec()).await?;
        let end = LogEnd {
            log: text.len() as u64,
            ..LogEnd::default()
        };
        let end = serde_json::to_vec(&end).map_err(|error| error.to_string())?;
        self.send(accepted, (Method::POST, format!("{logs}/end")), end)
            .await
    }

    async fn send(
        &self,
        accepted: &Accepted,
        (method, address): (Method, String),
        body: Vec<u8>,
    ) -> Result<(), String> {
        let token = accepted.log_token.as_deref().unwrap_or_default();
        let digest = STANDARD.encode(Sha256::digest(&body));
        let request = Request::builder()
            .method(method)
            .uri(&address)
            .header("authorization", format!("Bearer {token}"))
            .header(WRITER_HEADER, WRITER)
            .header("content-digest", format!("sha-256=:{digest}:"))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| format!("{address}: {error:?}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        match status.is_success() {
            true => Ok(()),
            false => Err(format!(
                "{address}: {status} {}",
                String::from_utf8_lossy(&body)
            )),
        }
    }
}
