//! Programs that meet something wrong at their start: they run, are not ready, say why in one sentence in
//! their log, at `/readyz` and in an Event about their pod, and go on when it is mended, without a restart. What
//! keeps the operator from working is a condition of each Repository, too.

use crds::{Repository, condition};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use protocol::token::Signer;
use serde_json::json;
use tests::cluster::{Age, Aged, Binary, Install, eventually, shared_control_plane, signing_key};
use tests::story::{PATIENCE, Setting, Story, apply};

/// What a program needs to start, beside a cluster.
fn args(install: &Install, binary: Binary) -> Vec<String> {
    let dir = install.dir().unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.into()).collect() };
    let mut args = words(&["--metrics", "127.0.0.1:0"]);
    if binary == Binary::Gateway {
        let signer = Signer::from_pem(&signing_key()).unwrap();
        std::fs::write(path("public.pem"), signer.public_pem().unwrap()).unwrap();
        let (store, key) = (path("store"), path("public.pem"));
        args.extend(words(&["--store", &store, "--operator-key", &key]));
        args.extend(words(&[
            "--listen",
            "127.0.0.1:0",
            "--ingest",
            "127.0.0.1:0",
        ]));
        return args;
    }
    let connections = path("connections");
    std::fs::create_dir_all(dir.join("connections/github")).unwrap();
    args.extend(words(&["--connections", &connections]));
    args.extend(match binary {
        Binary::Webhook => words(&["--listen", "127.0.0.1:0"]),
        _ => words(&["--checkout-image", "local/checkout:1"]),
    });
    args
}

/// What a program says of itself at its inner port: whether it is ready, and in which words.
async fn readiness(install: &mut Install, index: usize) -> Result<(u16, String), String> {
    let inner = install.address(index, "metrics on ").await;
    let inner = inner.map_err(|error| error.to_string())?;
    crate::http_get(&format!("http://{inner}/readyz")).await
}

/// Whether an Event about a pod says this.
async fn event_says(install: &Install, pod: &str, words: &str) -> Result<(), String> {
    let events: Api<Event> = Api::namespaced(install.client(), install.namespace());
    let all = events.list(&ListParams::default()).await;
    let all = all.map_err(|error| error.to_string())?.items;
    let says = |event: &&Event| {
        let about = event
            .regarding
            .as_ref()
            .and_then(|about| about.name.as_deref());
        about == Some(pod)
            && event.reason.as_deref() == Some("NotReady")
            && event
                .note
                .as_deref()
                .is_some_and(|note| note.contains(words))
    };
    match all.iter().any(|event| says(&event)) {
        true => Ok(()),
        false => Err(format!("{} Events, and not this one", all.len())),
    }
}

/// Waits until a program has logged this.
async fn logs(install: &mut Install, index: usize, words: &str) {
    eventually(format!("it logs: {words}"), PATIENCE, async || {
        let log = install.program(index).unwrap().log();
        log.contains(words).then_some(()).ok_or(log)
    })
    .await;
}

/// Waits until the condition of the Repository `app` that is about the operator is this, with these words.
async fn repository_says(install: &Install, status: &str, words: &str) {
    let repositories: Api<Repository> = Api::namespaced(install.client(), install.namespace());
    let what = format!("the Repository says of the operator: {words}");
    eventually(what, PATIENCE, async || {
        let app = repositories.get("app").await;
        let app = app.map_err(|error| error.to_string())?;
        let conditions = app.status.unwrap_or_default().conditions;
        match condition::find(&conditions, condition::kind::OPERATOR_READY) {
            Some(found) if found.status == status && found.message.contains(words) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Starts the three services where something is older than they are, and mends it.
async fn heal(name: &str, age: Age, what: &str, because: &str) {
    let access = shared_control_plane();
    let mut install = Install::new(&access, name).await.unwrap();
    let sentence = format!("{what}: {because}");
    let repositories: Api<Repository> = Api::namespaced(install.client(), install.namespace());
    let spec = json!({
        "owner": "octo", "name": "app", "connection": "github", "labels": [{ "name": "test" }],
    });
    let _: Repository = apply(&repositories, "app", json!({ "spec": spec })).await;
    let mut started = Vec::new();
    for binary in [Binary::Webhook, Binary::Operator, Binary::Gateway] {
        let kubeconfig = install.kubeconfig_for(binary.name()).await.unwrap();
        let aged = Aged::before(&kubeconfig, age).await.unwrap();
        let args = args(&install, binary);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let pod = format!("{}-0", binary.name());
        let index = install.start_in_pod(binary, &args, aged.kubeconfig(), &pod);
        started.push((pod, index.unwrap(), aged));
    }
    repository_says(&install, "False", &sentence).await;
    for (pod, index, aged) in &started {
        let what_is_said = format!("{pod} is not ready, and says why");
        eventually(what_is_said, PATIENCE, async || {
            match readiness(&mut install, *index).await? {
                (503, said) if said.contains(&sentence) => Ok(()),
                (status, said) => Err(format!("{status} {said}")),
            }
        })
        .await;
        logs(&mut install, *index, &format!("not ready: {because}")).await;
        eventually(
            format!("an Event of {pod} says why"),
            PATIENCE,
            async || event_says(&install, pod, &sentence).await,
        )
        .await;
        aged.becomes(Age::Current);
    }
    for (pod, index, _) in &started {
        logs(&mut install, *index, &format!("{what}: there")).await;
        let (_, said) = readiness(&mut install, *index).await.unwrap();
        assert!(!said.contains(&format!("{what}: ")), "{pod}: {said}");
    }
    repository_says(&install, "True", "the operator works").await;
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_kubernetes_that_is_too_old_is_said_in_a_sentence_until_it_is_upgraded() {
    let because = "it is 1.32, and PrBuild needs 1.33 or newer; upgrade the cluster";
    heal("old-cluster", Age::Kubernetes, "Kubernetes", because).await;
}

#[tokio::test]
async fn kinds_of_another_version_are_said_in_a_sentence_until_they_are_upgraded() {
    let because = "the kinds of prbuild.dev are of another version: PrBuild.spec.cancelBuilders is missing; \
                   upgrade the chart with `crds.install=true`";
    heal("old-kinds", Age::Kinds, "kinds in the cluster", because).await;
}

/// Waits until a program says this where people look: at its inner port, in its log and in an Event.
async fn says_everywhere(install: &mut Install, (pod, index): &(String, usize), words: &str) {
    eventually(
        format!("{pod} is not ready: {words}"),
        PATIENCE,
        async || match readiness(install, *index).await? {
            (503, said) if said.contains(words) => Ok(()),
            (status, said) => Err(format!("{status} {said}")),
        },
    )
    .await;
    logs(install, *index, words).await;
    eventually(
        format!("an Event of {pod}: {words}"),
        PATIENCE,
        async || event_says(install, pod, words).await,
    )
    .await;
}

#[tokio::test]
async fn what_keeps_github_out_of_reach_is_said_in_a_sentence_until_it_is_mended() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "no-github", Setting::default()).await;
    let mut story = story.unwrap();
    let connection = story.connections().unwrap().join("github");
    let file = |name: &str| connection.join(name);
    let kept = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let (key, url) = (kept("private-key.pem"), kept("api-url"));
    // As a Secret that is not made yet: the directory is there and empty.
    let aside = story.install.dir().unwrap().join("aside");
    std::fs::rename(&connection, &aside).unwrap();
    std::fs::create_dir(&connection).unwrap();
    let mut started = Vec::new();
    for binary in [Binary::Webhook, Binary::Operator] {
        let install = &mut story.install;
        let kubeconfig = install.kubeconfig_for(binary.name()).await.unwrap();
        let args = args(install, binary);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let pod = format!("{}-0", binary.name());
        let index = install.start_in_pod(binary, &args, &kubeconfig, &pod);
        started.push((pod, index.unwrap()));
    }
    for program in &started {
        says_everywhere(&mut story.install, program, "it is empty; make its Secret").await;
    }

    std::fs::remove_dir(&connection).unwrap();
    std::fs::write(aside.join("private-key.pem"), "no key").unwrap();
    std::fs::rename(&aside, &connection).unwrap();
    for program in &started {
        let words = "`private-key.pem` is not an RSA private key";
        says_everywhere(&mut story.install, program, words).await;
    }

    // Nobody listens there.
    std::fs::write(file("api-url"), "http://127.0.0.1:1").unwrap();
    std::fs::write(file("private-key.pem"), key).unwrap();
    for program in &started {
        says_everywhere(&mut story.install, program, "no answer").await;
    }

    std::fs::write(file("api-url"), url).unwrap();
    for (pod, index) in &started {
        eventually(
            format!("{pod} is ready"),
            PATIENCE,
            async || match readiness(&mut story.install, *index).await? {
                (200, _) => Ok(()),
                (status, said) => Err(format!("{status} {said}")),
            },
        )
        .await;
    }
    story.end().await;
}

#[tokio::test]
async fn a_bucket_whose_secret_is_missing_is_said_in_a_sentence_until_it_is_made() {
    let access = shared_control_plane();
    let mut install = Install::new(&access, "no-bucket").await.unwrap();
    let binary = Binary::Gateway;
    let kubeconfig = install.kubeconfig_for(binary.name()).await.unwrap();
    let secret = install.dir().unwrap().join("bucket");
    std::fs::create_dir(&secret).unwrap();
    let mut args = args(&install, binary);
    let store = args.iter().position(|arg| arg == "--store").unwrap();
    args[store + 1] = "s3://logs".to_owned();
    args.extend(["--store-access".to_owned(), secret.display().to_string()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let pod = format!("{}-0", binary.name());
    let index = install.start_in_pod(binary, &args, &kubeconfig, &pod);
    let program = (pod, index.unwrap());
    let words = "is empty; make the Secret that `gateway.store.bucketSecret` names";
    says_everywhere(&mut install, &program, words).await;
    // Nobody listens there: whether a bucket answers is another matter.
    for (option, value) in [
        ("AWS_ENDPOINT", "http://127.0.0.1:1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "nobody"),
        ("AWS_SECRET_ACCESS_KEY", "nothing"),
        ("AWS_REGION", "us-east-1"),
    ] {
        std::fs::write(secret.join(option), value).unwrap();
    }
    logs(&mut install, program.1, "the store: there").await;
    install.cleanup().await.unwrap();
}
