//! The stories: PrBuild, and what its tests stand on, told as tests on real parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod agent;
mod backup;
mod browser;
mod chart;
mod cluster;
mod crds;
mod docs;
mod forge;
mod gateway;
mod install;
mod node;
mod operator;
mod plugin;
mod release;
mod report;
mod rights;
mod rotation;
mod secrets;
mod series;
mod shipping;
mod starting;
mod terminal;
mod webhook;
mod worker;

/// Asks for a page: its status, and what it says.
async fn http_get(url: &str) -> Result<(u16, String), String> {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let answer = client.get(url.parse().unwrap()).await;
    let answer = answer.map_err(|error| format!("{url}: {error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| format!("{url}: {error}"))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A program that was built with this test.
fn beside(name: &str) -> std::path::PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().unwrap().parent().unwrap().join(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo xtask test`",
        program.display()
    );
    program
}
