//! docs/install.md, followed word by word on a node: its commands are run as they stand there, by a shell, with
//! real kubectl and helm. What a person chooses is chosen here: names, the registry, where GitHub is.

use crate::terminal::{self, Terminal};

fn commands(heading: &str) -> Vec<String> {
    terminal::commands("install.md", heading)
}

/// Runs containers.
mod node {
    use std::time::Duration;

    use crds::{BuildResult, PrBuild, Repository, condition};
    use serde_json::json;
    use tests::cluster::{Release, merge, shared_node};
    use tests::images::{GCC, REGISTRY};
    use tests::story::{LABEL, REPO, SECRET, Setting, Story};

    use super::*;

    /// Images start, Secrets are mounted, probes look: all of it on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(180);

    /// What the guide calls the webhook secret.
    const WEBHOOK_SECRET: &str = "--from-literal=webhook-secret=the-secret-of-step-2";
    /// The first value that the guide sets. Before it stands what differs in a cluster of tests.
    const HOST: &str = "--set host=prbuild.example.org";
    /// What the guide adds where nodes need credentials for the registry.
    const PULL_SECRETS: &str =
        "--set 'image.pullSecrets={registry}' --set 'builds.pullSecrets={registry}'";
    /// What the guide's Builder takes of a machine.
    const ROOM: &str = "{cpu: \"2\", memory: 2Gi, disk: 5Gi}";

    /// What a person would have of GitHub: the App's number, its key, the secret, and of an Enterprise Server
    /// its address.
    fn app(terminal: &mut Terminal, story: &Story, api_url: &str) {
        let dir = story.connections().unwrap().join("github");
        let mut more = format!("--from-literal=api-url={api_url}");
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            match name.as_str() {
                "app-id" => terminal.says("123456", text.trim()),
                "private-key.pem" => terminal.write("the-key-from-github.pem", &text),
                "api-url" => {}
                _ => {
                    terminal.write(&name, &text);
                    more.push_str(&format!(" --from-file={name}={name}"));
                }
            }
        }
        terminal.says(WEBHOOK_SECRET, &more);
    }

    #[tokio::test]
    async fn a_cluster_becomes_one_that_builds_by_the_documented_commands_and_is_rid_of_it_again() {
        let (access, facts) = shared_node();
        let release = Release::new(&access, &facts, "guide");
        let begun = Story::before_chart(&access, &facts, release, Setting::default());
        let story = begun.await.unwrap();
        let mut terminal = Terminal::open(&story);
        let api_url = story.forge.api_url_at(facts.host_address.into());
        app(&mut terminal, &story, &api_url);
        // The node has the images, nothing makes volumes, and other tests have brought the kinds.
        let page = include_str!("../../docs/install.md");
        assert!(page.contains(PULL_SECRETS));
        let mut values = story.release().values();
        let few = json!({ "webhook": { "replicas": 1 }, "operator": { "replicas": 1 } });
        merge(&mut values, &story.values(&few));
        values["crds"] = json!({ "install": false });
        terminal.write("here.json", &values.to_string());
        let here = format!("--values here.json {PULL_SECRETS} {HOST}");
        terminal.says(HOST, &here);
        terminal.says("registry.example.org/prbuild", REGISTRY);

        let [secret, registry, install, for_builds, look, _test] =
            commands("3. Install").try_into().unwrap();
        // The story has made the namespace, to clean it up afterwards.
        let (namespace, secret) = secret.split_once('\n').unwrap();
        assert_eq!(namespace, "kubectl create namespace prbuild");
        terminal.run(secret).await;
        terminal.run(&registry).await;
        let said = terminal.run(&install).await;
        assert!(said.contains("is installed in"), "{said}");
        // The quota of the namespace has room for this Secret.
        terminal.run(&for_builds).await;
        let said = terminal.run(&look).await;
        assert!(said.contains("prbuild-webhook-"), "{said}");

        terminal.says("docker.io/library/gcc:15", GCC);
        terminal.says("test-on-fleet", LABEL);
        terminal.says(ROOM, "{cpu: 100m, memory: 128Mi, disk: 1Gi}");
        terminal.says("run: make test", "run: echo it is tested");
        let [repository] = commands("4. A Repository and a Builder")
            .try_into()
            .unwrap();
        let said = terminal.run(&repository).await;
        assert!(said.contains("amd64-debian"), "{said}");
        let ready = |repository: &Repository| {
            let conditions = repository.status.clone().unwrap_or_default().conditions;
            let ready = condition::builds(&conditions) && !conditions.is_empty();
            ready.then_some(()).ok_or_else(|| format!("{conditions:?}"))
        };
        story
            .eventually_in("the Repository builds", "app", ready)
            .await;
        // As step 2 has it: the App's webhook leads here.
        let url = story.release().webhook_url();
        let app = story.forge.app_on(REPO).unwrap();
        story.forge.set_app_hook(app, &url, SECRET);
        let number = story.open_pull_request("guide", &[("new", "1")]).await;
        let name = story.name_of(number, story.label(number));
        let build: PrBuild = story.complete_within(&name, PATIENCE).await;
        let status = build.status.unwrap();
        assert_eq!(status.result, Some(BuildResult::Passed), "{status:?}");
        assert_eq!(build.spec.request.builders, ["amd64-debian"]);

        let [end] = commands("Upgrade, go back, remove").try_into().unwrap();
        terminal.run(&end).await;
        let kept: PrBuild = story.api().get(&name).await.unwrap();
        assert_eq!(kept.metadata.uid, build.metadata.uid, "objects outlive it");
        story.end_without_release().await;
    }
}
