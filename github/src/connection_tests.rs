//! Directories with connections, as they come, change and go.

use super::*;

const TOKEN: &str = "ghp_averysecrettoken";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("prbuild-github-{}-{name}", std::process::id()));
    std::fs::create_dir_all(dir.join("main")).expect("a directory");
    std::fs::write(dir.join("main/token"), format!("{TOKEN}\n")).expect("a file");
    std::fs::write(dir.join("main/webhook-secret"), SECRET).expect("a file");
    dir
}

#[tokio::test]
async fn a_connection_never_prints_its_token() {
    let dir = directory("print");
    let connections = Connections::load(&dir, Access::Read).expect("connections");
    let connection = connections.get("main").expect("the connection");
    let repo = connection.repo("o", "r");
    for text in [
        format!("{connection:?}"),
        format!("{repo:?}"),
        format!("{:?}", connection.webhook_secrets()),
    ] {
        assert!(!text.contains(TOKEN) && !text.contains(SECRET), "{text}");
    }
    std::fs::remove_dir_all(dir).expect("cleaned up");
}

#[tokio::test]
async fn what_is_missing_is_said_until_it_is_there() {
    let dir = directory("follow");
    std::fs::remove_file(dir.join("main/token")).expect("a file");
    std::fs::remove_file(dir.join("main/webhook-secret")).expect("a file");
    let connections = Connections::follow(&dir, Access::Read).expect("connections");
    let problem = connections.problem().expect("a problem");
    assert!(
        problem.starts_with("connection `main`: it is empty"),
        "{problem}"
    );
    assert_eq!(connections.greet().await, Err(problem));
    std::fs::write(dir.join("main/token"), TOKEN).expect("a file");
    connections.reload().expect("a reload");
    assert_eq!(connections.problem(), None);
    std::fs::remove_dir_all(dir).expect("cleaned up");
}

#[tokio::test]
async fn the_connection_of_the_charts_test_comes_and_goes_and_makes_nothing_ready() {
    let dir = directory("self-test");
    let test = dir.join(SELF_TEST);
    std::fs::create_dir_all(&test).expect("a directory");
    let connections = Connections::follow(&dir, Access::Read).expect("connections");
    connections
        .reload()
        .expect("an empty directory is no mistake");
    assert!(connections.get(SELF_TEST).is_none());
    std::fs::write(test.join("token"), TOKEN).expect("a file");
    connections.reload().expect("a reload");
    assert!(connections.get(SELF_TEST).is_some());
    std::fs::remove_dir_all(dir.join("main")).expect("a directory");
    connections.reload().expect("a reload");
    assert!(connections.problem().is_some(), "it stands for no GitHub");
    std::fs::remove_file(test.join("token")).expect("a file");
    connections.reload().expect("a reload");
    assert!(connections.get(SELF_TEST).is_none());
    std::fs::remove_dir_all(dir).expect("cleaned up");
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_a_broken_one_is_not() {
    let dir = directory("reload");
    let connections = Connections::load(&dir, Access::Read).expect("connections");
    let before = connections.get("main").expect("the connection");
    connections.reload().expect("a reload");
    assert!(Arc::ptr_eq(
        &before,
        &connections.get("main").expect("kept")
    ));

    std::fs::write(dir.join("main/webhook-secret"), "short").expect("a file");
    assert!(connections.reload().is_err());
    assert!(Arc::ptr_eq(
        &before,
        &connections.get("main").expect("kept")
    ));

    std::fs::write(dir.join("main/webhook-secret-next"), SECRET).expect("a file");
    std::fs::write(dir.join("main/webhook-secret"), "x".repeat(32)).expect("a file");
    connections.reload().expect("a reload");
    let after = connections.get("main").expect("the connection");
    assert_eq!(after.webhook_secrets().len(), 2);
    std::fs::remove_dir_all(dir).expect("cleaned up");
}
