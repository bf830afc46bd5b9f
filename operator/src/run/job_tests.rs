//! The Job of a run, and what its pod has and lacks.

use k8s_openapi::api::core::v1::PodSpec;

use super::*;
use crate::run::{outcome::tests::task, template::USER};

fn setup() -> Setup {
    Setup {
        namespace: "builds".into(),
        checkout_image: "prbuild/checkout:1".into(),
        service_account: "prbuild-build".into(),
        ..Setup::default()
    }
}

fn run(task: crds::Task) -> BuilderRun {
    let pr_build = crds::BuildRef {
        name: "app-7-l1".into(),
        uid: "build".into(),
    };
    let spec = crds::BuilderRunSpec {
        pr_build,
        attempt: 1,
        task,
        cancel: None,
    };
    let mut run = BuilderRun::new("app-7-l1-debian-1", spec);
    run.metadata.uid = Some("0b5c".into());
    run
}

fn pod(task: crds::Task, setup: &Setup) -> PodSpec {
    let job = job(&run(task), setup, None).unwrap();
    job.spec.unwrap().template.spec.unwrap()
}

#[test]
fn the_job_of_a_run_is_named_by_it_and_is_never_repeated_by_kubernetes() {
    let job = job(&run(task()), &setup(), None).unwrap();
    assert_eq!(job.metadata.name.as_deref(), Some("run-0b5c"));
    let spec = job.spec.unwrap();
    assert_eq!(spec.backoff_limit, Some(0));
    assert_eq!(
        spec.template.spec.unwrap().restart_policy.as_deref(),
        Some("Never")
    );
}

#[test]
fn s24_a_pod_has_no_token_no_rights_and_nothing_that_the_pull_request_chose() {
    let pod = pod(task(), &setup());
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    let identity = pod.security_context.unwrap();
    assert_eq!(
        (identity.run_as_non_root, identity.run_as_user),
        (Some(true), Some(USER))
    );
    for container in pod.init_containers.unwrap().iter().chain(&pod.containers) {
        let context = container.security_context.as_ref().unwrap();
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert_eq!(context.read_only_root_filesystem, Some(true));
        let dropped = context
            .capabilities
            .as_ref()
            .unwrap()
            .drop
            .as_ref()
            .unwrap();
        assert_eq!(dropped, &["ALL"]);
        assert!(container.env_from.is_none());
        let resources = container.resources.clone().unwrap();
        let (limits, requests) = (resources.limits.unwrap(), resources.requests.unwrap());
        for reserved in ["cpu", "memory"] {
            assert_eq!(limits[reserved], requests[reserved]);
        }
        assert!(limits.contains_key("ephemeral-storage"));
    }
    let volumes = pod.volumes.unwrap();
    assert!(
        volumes.iter().all(|volume| volume.empty_dir.is_some()),
        "{volumes:?}"
    );
    let build = &pod.containers[0];
    let agent = build
        .volume_mounts
        .as_ref()
        .unwrap()
        .iter()
        .find(|mount| mount.name == "agent");
    assert_eq!(agent.unwrap().read_only, Some(true));
}

#[test]
fn a_cluster_that_numbers_users_itself_is_left_to_and_still_runs_nothing_as_root() {
    let left = Setup {
        no_fixed_user: true,
        ..setup()
    };
    let identity = pod(task(), &left).security_context.unwrap();
    assert_eq!(identity.run_as_non_root, Some(true));
    assert!(identity.seccomp_profile.is_some());
    let numbers = [
        identity.run_as_user,
        identity.run_as_group,
        identity.fs_group,
    ];
    assert_eq!(numbers, [None; 3]);
    // All else is as ever.
    let (mut other, mut usual) = (pod(task(), &left), pod(task(), &setup()));
    (other.security_context, usual.security_context) = (None, None);
    assert_eq!(other, usual);
}

#[test]
fn kubernetes_expands_nothing_in_a_script() {
    let mut task = task();
    let step = protocol::Step {
        run: "echo $(HOME) $HOME $$".into(),
        ..protocol::Step::default()
    };
    task.recipe.as_mut().unwrap().steps = vec![step];
    let pod = pod(task, &setup());
    let value = pod.containers[0].env.as_ref().unwrap()[0]
        .value
        .clone()
        .unwrap();
    assert!(value.contains("echo $$(HOME) $$HOME $$$$"), "{value}");
}

#[test]
fn the_checkout_is_told_how_long_it_may_take() {
    let mut task = task();
    task.recipe.as_mut().unwrap().timeouts.checkout_seconds = 1800;
    let pod = pod(task, &setup());
    let containers = pod.init_containers.unwrap();
    let checkout = containers.iter().find(|one| one.name == CHECKOUT).unwrap();
    let told = checkout.env.as_ref().unwrap().iter();
    let mut told = told.filter(|one| one.name == "PRBUILD_CHECKOUT_SECONDS");
    assert_eq!(told.next().unwrap().value.as_deref(), Some("1800"));
}

#[test]
fn a_run_that_cannot_run_has_no_job_and_says_why() {
    let mut invalid = task();
    invalid.invalid = Some("the builder `debian` does not exist any more".into());
    let error = job(&run(invalid), &setup(), None).unwrap_err().to_string();
    assert_eq!(error, "the builder `debian` does not exist any more");
}

#[test]
fn an_install_chooses_user_namespaces_name_servers_and_a_priority() {
    let plain = pod(task(), &setup());
    assert_eq!((plain.host_users, plain.dns_policy), (None, None));
    let chosen = Setup {
        user_namespaces: true,
        name_servers: vec!["192.0.2.53".parse().unwrap()],
        priority_class: Some("untrusted".into()),
        ..setup()
    };
    let chosen = pod(task(), &chosen);
    assert_eq!(chosen.host_users, Some(false));
    assert_eq!(chosen.dns_policy.as_deref(), Some("None"));
    let servers = chosen.dns_config.unwrap().nameservers.unwrap();
    assert_eq!(servers, ["192.0.2.53"]);
    assert_eq!(chosen.priority_class_name.as_deref(), Some("untrusted"));
}
