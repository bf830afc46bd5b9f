//! The delivery: signed as GitHub signs, and sent to the webhook's Service.

use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::hex;

/// GitHub gives up after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are shown.
const SHOWN: usize = 500;

/// Sends deliveries.
pub(super) struct Sender {
    webhook: String,
    secret: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Sender {
    /// To this address, signed with this secret.
    pub(super) fn new(webhook: &str, secret: String) -> Self {
        Self {
            webhook: webhook.to_owned(),
            secret,
            client: Client::builder(TokioExecutor::new())
                // Each delivery may meet another replica.
                .pool_max_idle_per_host(0)
                .build_http(),
        }
    }

    /// The secret.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Sends one; an error says why it was not taken.
    pub(super) async fn deliver(&self, body: &str) -> Result<(), String> {
        let request = Request::post(&self.webhook)
            .header(CONTENT_TYPE, "application/json")
            .header("x-github-event", "pull_request")
            .header("x-github-delivery", super::NAME)
            .header("x-hub-signature-256", signature(&self.secret, body))
            .body(Full::from(body.to_owned()))
            .map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("{} does not answer", self.webhook))?;
        let answer = answer.map_err(|error| format!("{}: {}", self.webhook, causes(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), SHOWN).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let words = String::from_utf8_lossy(&body).trim().to_owned();
        Err(format!("it answers {status}: {words}"))
    }
}

fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body.as_bytes()).as_ref()))
}

/// An error with what is behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(behind) = cause {
        words.push_str(&format!(": {behind}"));
        cause = behind.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_github_documents_it() {
        // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
        assert_eq!(
            signature("It's a Secret to Everybody", "Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
