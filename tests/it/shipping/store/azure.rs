//! A container of Azure, kept by Azurite: Microsoft's own emulator, a package of npm.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use sha2::Sha256;
use tests::{forge::http_date, parts};

use super::{Server, Store};

const ACCOUNT: &str = "someone";
const KEY: &[u8] = b"no-ones-secret";
const CONTAINER: &str = "logs";
/// Which version of the protocol the container is made by.
const VERSION: &str = "2023-11-03";

impl Store {
    /// A container of Azure, on loopback.
    pub async fn azure() -> Self {
        let azurite = parts::AZURITE.obtain().expect("Azurite");
        let key = BASE64_STANDARD.encode(KEY);
        let mut server = Command::new("node")
            .arg(azurite.join("dist/src/blob/main.js"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
            .args(["--inMemoryPersistence", "--disableTelemetry", "--silent"])
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{key}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Azurite that starts");
        let printed = server.stdout.take().expect("what it prints");
        let server = Server(server);
        let mut lines = BufReader::new(printed).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, url) = line.split_once("listens on ")?;
            Some(format!("{}/{ACCOUNT}", url.trim()))
        });
        let url = url.expect("the address of Azurite");
        std::thread::spawn(move || lines.for_each(drop));
        make_container(&url).await;
        Self {
            place: format!("az://{CONTAINER}/some/prefix"),
            environment: vec![
                ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
                ("AZURE_STORAGE_ACCOUNT_KEY", key),
                ("AZURE_STORAGE_ENDPOINT", url),
                ("AZURE_ALLOW_HTTP", "true".to_owned()),
            ],
            _server: Some(Box::new(server)),
        }
    }
}

/// Makes the container, as the owner of the account does: with a request that its key signs.
async fn make_container(url: &str) {
    let date = http_date(Timestamp::now());
    let none = "\n".repeat(12);
    let signed = format!(
        "PUT{none}x-ms-date:{date}\nx-ms-version:{VERSION}\n/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    mac.update(signed.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let request = http::Request::put(format!("{url}/{CONTAINER}?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", VERSION)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .header("content-length", "0")
        .body(Empty::<bytes::Bytes>::new())
        .expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let made = client.request(request).await.expect("an answer of Azurite");
    assert_eq!(made.status().as_u16(), 201, "the container is made");
}
