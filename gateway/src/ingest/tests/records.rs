//! Records: who stores them, who reads them, and what is kept of them.

use http::Method;
use protocol::record::BuilderHistory;

use super::*;

#[tokio::test]
async fn records_are_stored_and_read_with_the_operators_token_only() {
    let gateway = Gateway::on(&Faulty::default());
    let path = "/v1/builders/debian/history";
    let request = |method: Method, path: &str, scope: Scope, body: Vec<u8>| {
        let bearer = format!("Bearer {}", token(scope));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", bearer);
        request.body(Full::from(body)).unwrap()
    };
    let history = BuilderHistory {
        builder: "debian".to_owned(),
        ..BuilderHistory::default()
    };
    let body = serde_json::to_vec(&history).unwrap();
    let records = || Scope::Records;
    let status = async |request| gateway.answer(request).await.0;
    assert_eq!(
        status(request(Method::GET, path, records(), Vec::new())).await,
        404
    );
    assert_eq!(
        status(request(Method::PUT, path, log_scope(), body.clone())).await,
        401
    );
    assert_eq!(
        status(request(Method::GET, path, log_scope(), Vec::new())).await,
        401
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), b"{".to_vec())).await,
        400
    );
    assert_eq!(
        status(request(
            Method::PUT,
            path,
            records(),
            vec![b' '; RECORD_LIMIT + 1]
        ))
        .await,
        400
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), body.clone())).await,
        204
    );
    assert_eq!(
        status(request(Method::PUT, path, records(), body.clone())).await,
        204
    );
    let (found, text) = gateway
        .answer(request(Method::GET, path, records(), Vec::new()))
        .await;
    assert_eq!((found, text.as_ref()), (StatusCode::OK, body.as_slice()));
    assert_eq!(
        gateway.app.records.builder("debian").await.unwrap(),
        Some(history)
    );
    for bad in [
        "/v1/builders/../history",
        "/v1/builders/A/history",
        "/v1/repositories/app/pulls/01/history",
    ] {
        let status = status(request(Method::PUT, bad, records(), body.clone())).await;
        assert_eq!(status, 400, "{bad}");
    }
    let other = format!("/v1/repositories/app/runs/{RUN}/record");
    assert_eq!(
        status(request(Method::PUT, &other, records(), body)).await,
        400
    );
}

#[tokio::test]
async fn a_token_in_the_name_of_a_test_or_step_is_as_illegible_as_in_the_log() {
    let gateway = Gateway::on(&Faulty::default());
    let put = async |path: String, record: serde_json::Value| {
        let request = Request::put(path)
            .header("authorization", format!("Bearer {}", token(Scope::Records)))
            .body(Full::from(record.to_string().into_bytes()));
        gateway.answer(request.unwrap()).await.0
    };
    let secret = format!("ghp_{}", "a1".repeat(18));
    let hidden = format!("ghp_{}", "*".repeat(36));
    // A key that never ends hides nothing but itself.
    let key = "test_key[-----BEGIN PRIVATE KEY-----\nMIIE]";
    let failures = [format!("test_push[{secret}] é"), key.to_owned()];
    let seen = [
        format!("test_push[{hidden}] é"),
        key.replace("MIIE", "****"),
    ];
    let record = serde_json::json!({
        "name": "app-7-l1-debian-1", "uid": RUN, "build": "app-7-l1", "builder": "debian",
        "displayName": "Debian", "attempt": 1, "requester": "ada", "commit": "", "headSha": "",
        "baseRef": "main", "result": "Failed", "queuedMs": 1, "finishedMs": 3,
        "pull": { "repository": REPOSITORY, "number": 7 },
        "steps": [{ "name": format!("Test {secret}"), "result": "Failed", "seconds": 1.5 }],
        "failures": failures, "reason": format!("1 test (`{secret}`) failed"),
    });
    let path = format!("/v1/repositories/{REPOSITORY}/runs/{RUN}/record");
    assert_eq!(put(path, record).await, 204);
    let kept = gateway.app.records.run(REPOSITORY, RUN).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!(kept.failures, seen);
    assert_eq!(kept.steps[0].name, format!("Test {hidden}"));
    assert_eq!(kept.reason, format!("1 test (`{hidden}`) failed"));
    assert_eq!(kept.name, "app-7-l1-debian-1");
    let history = serde_json::json!({ "builder": "debian", "displayName": "Debian", "runs": [{
        "run": RUN, "repository": REPOSITORY, "number": 7, "headSha": "", "baseRef": "main",
        "result": "Failed", "finishedMs": 3, "failures": failures,
    }] });
    let path = "/v1/builders/debian/history".to_owned();
    assert_eq!(put(path, history).await, 204);
    let kept = gateway.app.records.builder("debian").await.unwrap();
    assert_eq!(kept.unwrap().runs[0].failures, seen);
}
