//! GraphQL: what the reporter reads and writes in one request.

use serde_json::{Value, json};
use tests::forge::{AppOptions, Forge, TokenOptions};

use super::apps::token_of;
use super::client::Client;
use super::{APP, forge, mallory_opens};

const READ: &str = "query($owner: String!, $name: String!, $number: Int!) { \
repository(owner: $owner, name: $name) { pullRequest(number: $number) { id \
labels(first: 100) { nodes { id name } } \
timelineItems(itemTypes: [LABELED_EVENT], last: 2) { totalCount nodes { ... on LabeledEvent { \
id createdAt actor { login ... on User { databaseId } } label { name } } } } } } }";

const WRITE: &str = "mutation($subject: ID!, $body: String!, $labels: [ID!]!) { \
comment: addComment(input: {subjectId: $subject, body: $body}) { commentEdge { node { id databaseId url } } } \
label: removeLabelsFromLabelable(input: {labelableId: $subject, labelIds: $labels}) { \
labelable { ... on PullRequest { labels(first: 5) { nodes { name } } } } } }";

async fn app(forge: &Forge) -> Client {
    let options = AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    };
    token_of(forge, &forge.add_app(options)).await
}

async fn read(client: &Client, number: u64) -> Value {
    let variables = json!({"owner": "octo", "name": "app", "number": number});
    let body = json!({"query": READ, "variables": variables});
    let told = client.post("/graphql", body).await.json();
    assert_eq!(told["errors"], Value::Null, "{told}");
    told["data"]["repository"]["pullRequest"].clone()
}

async fn write(client: &Client, subject: &Value, labels: &[Value]) -> Value {
    let variables = json!({"subject": subject, "body": "scheduled", "labels": labels});
    let body = json!({"query": WRITE, "variables": variables});
    client.post("/graphql", body).await.json()
}

#[tokio::test]
async fn labels_and_who_set_them_last_are_read_in_one_request() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    for label in ["one", "two", "three"] {
        forge.add_label(APP, number, label, "ada");
    }
    forge.remove_label(APP, number, "one", "ada");
    let pull = read(&app(&forge).await, number).await;
    assert_eq!(pull["labels"]["nodes"][1]["name"], "three");
    let timeline = &pull["timelineItems"];
    assert_eq!(
        (
            &timeline["totalCount"],
            &timeline["nodes"][0]["label"]["name"]
        ),
        (&json!(3), &json!("two"))
    );
    let last = &timeline["nodes"][1];
    assert_eq!(
        (&last["actor"]["login"], &last["actor"]["databaseId"]),
        (&json!("ada"), &json!(forge.user_id("ada")))
    );
    let events = Client::anonymous(&forge)
        .get(&format!("/repos/octo/app/issues/{number}/events"))
        .await;
    assert_eq!(events.json()[2]["node_id"], last["id"], "one event, one id");
    forge.finish().await;
}

#[tokio::test]
async fn the_timeline_lags_in_graphql_too() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "x", "ada");
    forge.set_timeline_lag(APP, number, 1);
    let client = app(&forge).await;
    assert_eq!(
        read(&client, number).await["timelineItems"]["totalCount"],
        0
    );
    assert_eq!(
        read(&client, number).await["timelineItems"]["totalCount"],
        1
    );
    forge.finish().await;
}

#[tokio::test]
async fn one_request_writes_a_comment_and_takes_a_label_away() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "test", "ada");
    let client = app(&forge).await;
    let pull = read(&client, number).await;
    let told = write(
        &client,
        &pull["id"],
        &[pull["labels"]["nodes"][0]["id"].clone()],
    )
    .await;
    assert_eq!(told["errors"], Value::Null, "{told}");
    assert_eq!(
        told["data"]["label"]["labelable"]["labels"]["nodes"],
        json!([])
    );
    let comment = &forge.comments(APP, number)[0];
    assert_eq!(
        (comment.body.as_str(), comment.by.as_str()),
        ("scheduled", "prbuild[bot]")
    );
    let node = &told["data"]["comment"]["commentEdge"]["node"];
    assert_eq!(node["databaseId"], json!(comment.id));
    assert!(forge.labels(APP, number).is_empty());
    let edit = "mutation($id: ID!, $body: String!) { updateIssueComment(input: {id: $id, body: $body}) { issueComment { body } } }";
    let body = json!({"query": edit, "variables": {"id": node["id"], "body": "done"}});
    let edited = client.post("/graphql", body).await.json();
    assert_eq!(
        edited["data"]["updateIssueComment"]["issueComment"]["body"],
        "done"
    );
    assert_eq!(forge.comments(APP, number)[0].body, "done");
    forge.finish().await;
}

#[tokio::test]
async fn one_mutation_fails_and_the_other_is_done_all_the_same() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "test", "ada");
    let client = app(&forge).await;
    let pull = read(&client, number).await;
    let told = write(&client, &pull["id"], &[json!("LA_kwDO1")]).await;
    assert_eq!(told["data"]["label"], Value::Null);
    assert_eq!(
        (&told["errors"][0]["type"], &told["errors"][0]["path"]),
        (&json!("NOT_FOUND"), &json!(["label"]))
    );
    assert_eq!(forge.comments(APP, number).len(), 1);
    assert_eq!(forge.labels(APP, number), ["test"]);
    forge.faults().mutations(1, "addComment", "FORBIDDEN");
    let label = pull["labels"]["nodes"][0]["id"].clone();
    let told = write(&client, &pull["id"], &[label]).await;
    assert_eq!(told["errors"][0]["path"], json!(["comment"]));
    assert_eq!(forge.comments(APP, number).len(), 1);
    assert!(forge.labels(APP, number).is_empty());
    forge.finish().await;
}

#[tokio::test]
async fn nobody_writes_by_graphql_what_they_may_not_write_by_rest() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "test", "ada");
    let reader = app(&forge).await;
    let pull = read(&reader, number).await;
    let label = pull["labels"]["nodes"][0]["id"].clone();
    let mallory = forge.add_token("mallory", TokenOptions::default());
    let mallory = Client::with_token(&forge, &mallory);
    let told = write(&mallory, &pull["id"], std::slice::from_ref(&label)).await;
    assert_eq!(told["errors"][0]["type"], "FORBIDDEN");
    assert_eq!(forge.comments(APP, number).len(), 1, "anybody may comment");
    assert_eq!(forge.labels(APP, number), ["test"]);
    let narrow = forge.add_app(
        AppOptions {
            slug: "narrow".to_owned(),
            repositories: vec![APP.to_owned()],
            ..AppOptions::default()
        }
        .with("pull_requests", "read"),
    );
    let told = write(&token_of(&forge, &narrow).await, &pull["id"], &[label]).await;
    assert_eq!(told["errors"].as_array().unwrap().len(), 2);
    assert_eq!(
        told["errors"][1]["message"],
        "Resource not accessible by integration"
    );
    forge.finish().await;
}
