//! Whose secret signed a body.

use super::entrance::{lost_label, ready};
use super::*;

#[tokio::test]
async fn s10_secrets_rotate_while_it_runs_and_bad_ones_are_not_used() {
    let (mut town, body) = ready("wh-rotate").await;
    let dir = town.story.connections().unwrap().join("github");
    let next = "another secret, which is also long enough";
    std::fs::write(dir.join("webhook-secret-next"), next).unwrap();
    let by = |secret: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    };
    let (old, new) = (by(SECRET), by(next));
    let becomes = async |signature: &str, code: u16| {
        eventually(format!("{code}"), PATIENCE, async || {
            match town.post(&headers("ping", signature), &body).await.status {
                found if found == code => Ok(()),
                found => Err(found.to_string()),
            }
        })
        .await;
    };
    becomes(&new, 200).await;
    becomes(&old, 200).await;
    std::fs::write(dir.join("webhook-secret"), next).unwrap();
    std::fs::remove_file(dir.join("webhook-secret-next")).unwrap();
    becomes(&old, 401).await;
    becomes(&new, 200).await;

    let first = town.address;
    for secret in ["", "short"] {
        std::fs::write(dir.join("webhook-secret"), secret).unwrap();
        let connections = town.story.connections().unwrap().display().to_string();
        let args = [
            "--connections",
            &connections,
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ];
        let index = town
            .story
            .install
            .start(Binary::Webhook, &args)
            .await
            .unwrap();
        let program = town.story.install.program(index).unwrap();
        eventually("it says what it lacks", PATIENCE, async || {
            let log = program.log();
            match log.contains("webhook-secret") {
                true => Ok(()),
                false => Err(log),
            }
        })
        .await;
        assert!(
            program.ended().is_none(),
            "it can be mended without a start"
        );
        let second = town.story.install.listening(index).await.unwrap();
        let signature = by(secret);
        for address in [first, second] {
            town.address = address;
            let reply = town.post(&headers("ping", &signature), &body).await;
            assert_eq!(reply.status, 401, "{secret:?} {address}");
        }
    }
    town.end().await;
}

#[tokio::test]
async fn a_body_signed_by_another_connection_than_the_repositorys_is_foreign() {
    let story = Town::before("wh-foreign", |_| {}).await;
    let dir = story.connections().unwrap().join("other");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("token"), "ghp_other").unwrap();
    let secret = "the secret of another connection altogether";
    std::fs::write(dir.join("webhook-secret"), secret).unwrap();
    let town = Town::open(story, &["--no-sweep"]).await;
    let body = lost_label(&town).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(
        town.post(&headers("pull_request", &signature), &body)
            .await
            .status,
        401
    );
    town.nothing_stored().await;
    town.end().await;
}
