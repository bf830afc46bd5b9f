//! Apps: JWTs, installation tokens, and what they may do.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tests::forge::{App, AppOptions, ConnectionKind, Forge};

use super::client::Client;
use super::{APP, forge, mallory_opens};

fn install(forge: &Forge) -> App {
    forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    })
}

/// A JWT of an App, issued and ending so many seconds from now.
pub fn jwt(app: &App, issued: i64, ends: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": app.id.to_string(), "iat": now + issued, "exp": now + ends});
    let signed = format!(
        "{}.{}",
        encode(json!({"alg": "RS256", "typ": "JWT"})),
        encode(claims)
    );
    let body: String = app
        .private_key_pem
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let key = KeyPair::from_der(&BASE64_STANDARD.decode(body).unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// A client with an installation token that was narrowed as `body` says.
async fn minted(forge: &Forge, app: &App, body: Value) -> (Client, Value) {
    let client = Client::with_token(forge, &jwt(app, -60, 540));
    let told = client
        .post(
            &format!("/app/installations/{}/access_tokens", app.installation_id),
            body,
        )
        .await;
    assert_eq!(told.status, 201, "{told:?}");
    (
        Client::with_token(forge, told.json()["token"].as_str().unwrap()),
        told.json(),
    )
}

/// A client with an installation token that may do all that was granted.
pub async fn token_of(forge: &Forge, app: &App) -> Client {
    minted(forge, app, json!({})).await.0
}

#[tokio::test]
async fn an_app_finds_its_installation_and_mints_a_token() {
    let forge = forge().await;
    let app = install(&forge);
    let client = Client::with_token(&forge, &jwt(&app, -60, 540));
    assert_eq!(client.get("/app").await.json()["id"], json!(app.id));
    assert_eq!(
        client.get("/repos/octo/app/installation").await.json()["id"],
        json!(app.installation_id)
    );
    assert_eq!(
        client.get("/app/installations").await.json()[0]["app_id"],
        json!(app.id)
    );
    let (token, told) = minted(&forge, &app, json!({})).await;
    assert_eq!(told["permissions"]["statuses"], "write");
    assert_eq!(
        token.get("/installation/repositories").await.json()["repositories"][0]["full_name"],
        APP
    );
    assert_eq!(
        token
            .get("/repos/octo/app/collaborators/ada/permission")
            .await
            .json()["permission"],
        "write"
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_jwt_that_is_forged_too_old_or_too_long_is_refused() {
    let forge = forge().await;
    let app = install(&forge);
    let asked = async |token: &str| Client::with_token(&forge, token).get("/app").await.status;
    assert_eq!(asked(&jwt(&app, -60, 540)).await, 200);
    assert_eq!(asked(&jwt(&app, -700, -100)).await, 401, "it ended");
    assert_eq!(asked(&jwt(&app, -60, 3600)).await, 401, "it ends too late");
    assert_eq!(
        asked(&jwt(&app, 300, 540)).await,
        401,
        "it begins in the future"
    );
    let mut forged = jwt(&app, -60, 540);
    forged.truncate(forged.len() - 8);
    assert_eq!(asked(&(forged + "AAAAAAAA")).await, 401);
    assert_eq!(
        asked(&jwt(
            &App {
                id: 1,
                ..app.clone()
            },
            -60,
            540
        ))
        .await,
        404,
        "nobody knows that App"
    );
    let (token, _) = minted(&forge, &app, json!({})).await;
    assert_eq!(token.get("/app").await.status, 401, "a token is no JWT");
    forge.finish().await;
}

#[tokio::test]
async fn an_installation_token_that_expired_is_refused() {
    let forge = forge().await;
    let app = install(&forge);
    let (token, told) = minted(&forge, &app, json!({})).await;
    assert!(told["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(token.get("/repos/octo/app/pulls").await.status, 200);
    forge.clock().advance(Duration::from_secs(3601));
    let refused = token.get("/repos/octo/app/pulls").await;
    assert_eq!(
        (refused.status, refused.json()["message"].clone()),
        (401, json!("Bad credentials"))
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_token_for_reading_writes_nothing() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let app = install(&forge);
    let permissions = json!({"metadata": "read", "pull_requests": "read", "contents": "read"});
    let (token, told) = minted(
        &forge,
        &app,
        json!({"permissions": permissions, "repository_ids": [forge.repository_id(APP)]}),
    )
    .await;
    assert_eq!(told["permissions"], permissions);
    assert_eq!(
        token
            .get(&format!("/repos/octo/app/pulls/{number}"))
            .await
            .status,
        200
    );
    let comment = token
        .post(
            &format!("/repos/octo/app/issues/{number}/comments"),
            json!({"body": "x"}),
        )
        .await;
    assert_eq!(
        (comment.status, comment.json()["message"].clone()),
        (403, json!("Resource not accessible by integration"))
    );
    assert_eq!(
        token
            .post(
                &format!("/repos/octo/app/statuses/{head}"),
                json!({"state": "success"})
            )
            .await
            .status,
        403
    );
    assert_eq!(
        token
            .get("/orgs/octo/teams/core/memberships/ada")
            .await
            .status,
        403,
        "members were left out"
    );
    assert!(forge.comments(APP, number).is_empty() && forge.statuses(APP, &head).is_empty());
    forge.finish().await;
}

#[tokio::test]
async fn nobody_narrows_a_token_to_more_than_was_granted() {
    let forge = forge().await;
    forge.add_repository("octo/other", &[("a", "1\n")]).await;
    let app = install(&forge);
    let client = Client::with_token(&forge, &jwt(&app, -60, 540));
    let path = format!("/app/installations/{}/access_tokens", app.installation_id);
    assert_eq!(
        client
            .post(&path, json!({"permissions": {"contents": "write"}}))
            .await
            .status,
        422
    );
    assert_eq!(
        client
            .post(
                &path,
                json!({"repository_ids": [forge.repository_id("octo/other")]})
            )
            .await
            .status,
        422
    );
    let (token, _) = minted(&forge, &app, json!({})).await;
    let elsewhere = token
        .post("/repos/octo/other/statuses/x", json!({"state": "success"}))
        .await;
    assert_eq!(elsewhere.status, 403, "the App is not installed there");
    assert_eq!(
        token.get("/repos/octo/other").await.status,
        200,
        "what is public may be read"
    );
    forge.finish().await;
}

#[tokio::test]
async fn an_app_writes_as_its_bot() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let app = install(&forge);
    let (token, _) = minted(&forge, &app, json!({})).await;
    let comment = token
        .post(
            &format!("/repos/octo/app/issues/{number}/comments"),
            json!({"body": "hello"}),
        )
        .await
        .json();
    assert_eq!(
        (&comment["user"]["login"], &comment["user"]["type"]),
        (&json!("prbuild[bot]"), &json!("Bot"))
    );
    assert_eq!(comment["performed_via_github_app"]["id"], json!(app.id));
    let status = token
        .post(
            &format!("/repos/octo/app/statuses/{head}"),
            json!({"state": "pending", "context": "c"}),
        )
        .await
        .json();
    assert_eq!(status["creator"]["login"], "prbuild[bot]");
    forge.finish().await;
}

#[tokio::test]
async fn a_connection_is_a_directory_with_urls_credentials_and_secrets() {
    let forge = forge().await;
    let app = install(&forge);
    let dir = std::env::temp_dir().join(format!("prbuild-forge-connection-{}", std::process::id()));
    let host = "127.0.0.1".parse().unwrap();
    let secrets = [
        "first secret, thirty-two bytes long",
        "second secret, thirty-two bytes long",
    ];
    let kind = ConnectionKind::App(app.clone());
    let written = forge
        .write_connection(&dir, "as-app", &kind, &secrets, host)
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(written.join(name)).unwrap();
    assert_eq!(read("api-url").trim(), forge.api_url());
    assert_eq!(read("git-url").trim(), forge.git_url(host));
    assert_eq!(read("app-id").trim(), app.id.to_string());
    assert_eq!(
        read("installation-id").trim(),
        app.installation_id.to_string()
    );
    assert!(read("private-key.pem").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(
        (
            read("webhook-secret").trim(),
            read("webhook-secret-next").trim()
        ),
        (secrets[0], secrets[1])
    );
    let kind = ConnectionKind::Token("ghp_x".to_owned());
    let written = forge
        .write_connection(&dir, "as-person", &kind, &secrets[..1], host)
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(written.join("token")).unwrap(),
        "ghp_x\n"
    );
    assert!(!written.join("webhook-secret-next").exists() && !written.join("app-id").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_suspended_installation_gets_nothing() {
    let forge = forge().await;
    let app = install(&forge);
    let (token, _) = minted(&forge, &app, json!({})).await;
    forge.suspend_installation(app.installation_id, true);
    assert_eq!(token.get("/repos/octo/app").await.status, 403);
    let client = Client::with_token(&forge, &jwt(&app, -60, 540));
    let path = format!("/app/installations/{}/access_tokens", app.installation_id);
    assert_eq!(client.post(&path, json!({})).await.status, 403);
    forge.finish().await;
}
