//! `helm test`, as people run it.

/// Runs containers.
mod node {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use crds::{Builder, BuilderRun, PrBuild, Repository};
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
    use k8s_openapi::api::networking::v1::NetworkPolicy;
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    use kube::api::{ListParams, Patch, PatchParams};
    use kube::{Api, Resource, ResourceExt};
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use tests::cluster::{Release, eventually, shared_node};
    use tests::story::{Setting, Story};

    /// Everything of the test bears it.
    const NAME: &str = "prbuild-self-test";
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Names of objects of a kind that are the test's.
    async fn named<K>(api: Api<K>) -> Vec<String>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let names = all.iter().map(ResourceExt::name_any);
        let ours = names.filter(|name| name.starts_with(NAME));
        ours.map(|name| format!("{} {name}", K::kind(&())))
            .collect()
    }

    async fn is_left(story: &Story) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        left.extend(named(story.api::<Pod>()).await);
        left.extend(named(story.api::<Secret>()).await);
        left.extend(named(story.api::<ServiceAccount>()).await);
        left.extend(named(story.api::<Role>()).await);
        left.extend(named(story.api::<RoleBinding>()).await);
        left.extend(named(story.api::<NetworkPolicy>()).await);
        left.extend(named(story.in_builds::<NetworkPolicy>()).await);
        left.extend(named(story.api::<Repository>()).await);
        left.extend(named(story.api::<Builder>()).await);
        left.extend(named(story.api::<PrBuild>()).await);
        left.extend(named(story.api::<BuilderRun>()).await);
        let jobs = story.in_builds::<Job>().list(&ListParams::default()).await;
        left.extend(jobs.unwrap().items.iter().map(ResourceExt::name_any));
        left
    }

    async fn nothing_is_left(story: &Story) {
        eventually("nothing of the test is left", PATIENCE, async || {
            let left = is_left(story).await;
            match left.is_empty() {
                true => Ok(()),
                false => Err(format!("{left:?}")),
            }
        })
        .await;
    }

    /// How many operators there are to be.
    async fn operators(story: &Story, count: i32) {
        let scale = Patch::Merge(json!({ "spec": { "replicas": count } }));
        let deployments = story.api::<Deployment>();
        let how = PatchParams::default();
        deployments
            .patch("prbuild-operator", &how, &scale)
            .await
            .unwrap();
        eventually("so many operators run", PATIENCE, async || {
            let chosen = ListParams::default().labels("app.kubernetes.io/component=operator");
            let pods = story.api::<Pod>().list(&chosen).await;
            let there = pods.map_err(|error| error.to_string())?.items.len();
            match usize::try_from(count) == Ok(there) {
                true => Ok(()),
                false => Err(there.to_string()),
            }
        })
        .await;
    }

    #[tokio::test]
    async fn helm_test_sees_a_label_become_a_status_says_what_is_wrong_and_leaves_nothing() {
        let (access, facts) = shared_node();
        let release = Release::new(&access, &facts, "self-test");
        let values = json!({
            "crds": { "install": false }, "operator": { "replicas": 1 },
            // The node is full at times: with the chart's classes the builds of other stories take
            // this one's place.
            "priorityClasses": { "create": false },
            // Whether webhook, operator and builds get through to the echo, the policies say, too.
            "selfTest": { "patienceSeconds": 15 },
        });
        let begun = Story::begin_with_chart(&access, &facts, release, Setting::default(), &values);
        let story = begun.await.unwrap();

        operators(&story, 0).await;
        let said = story.release().test().await.unwrap_err().to_string();
        for words in [
            "the operator knows the repository: not within 15 s",
            "because no operator has looked at it",
            "try: kubectl logs deployment/prbuild-operator",
            "nothing of it is left",
        ] {
            assert!(said.contains(words), "{words}:\n{said}");
        }
        nothing_is_left(&story).await;

        operators(&story, 1).await;
        let mut patient = values.clone();
        patient["selfTest"]["patienceSeconds"] = json!(300);
        let upgraded = story.release().upgrade(&story.values(&patient)).await;
        upgraded.unwrap();
        // Twice: what the first one left in the memory of webhook and operator does not matter.
        for _ in 0..2 {
            let said = story.release().test().await.unwrap();
            assert!(said.contains("Succeeded"), "{said}");
            // The network of these clusters ignores policies.
            let warning =
                "warning: NetworkPolicies are not enforced here: a build reached an address";
            assert!(said.contains(warning), "{said}");
            nothing_is_left(&story).await;
        }
        story.end().await;
    }
}
