//! Pure: the pod that executes a run, hardened as the Pod Security standard `restricted` asks, and
//! more.

use std::collections::BTreeMap;

use crds::{BuilderRun, Kubernetes, PullPolicy};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, PodDNSConfig, PodSecurityContext,
        PodSpec, ResourceRequirements, SeccompProfile, SecurityContext, Toleration, Volume,
        VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use protocol::{Recipe, Work};

use super::{
    job::{BUILD, CHECKOUT, JobError, Setup},
    ship::Ship,
};

/// uid and gid of all containers. A number that nobody has an account for.
pub(super) const USER: i64 = 65532;
/// Seconds that a build gets to end after SIGTERM.
const GRACE_SECONDS: i64 = 10;
/// Seconds after which a lost node's pods are given up, instead of Kubernetes' 300.
const NODE_LOST_SECONDS: i64 = 60;

/// The pod of a run.
pub(super) fn pod(
    run: &BuilderRun,
    recipe: &Recipe,
    machine: &Kubernetes,
    setup: &Setup,
    ship: Option<&Ship<'_>>,
) -> Result<PodSpec, JobError> {
    let task = &run.spec.task;
    let unwritable = |source| JobError::Unwritable {
        run: run.name_any(),
        source,
    };
    let work = Work {
        source: task.source.clone(),
        recipe: recipe.clone(),
    };
    let source = serde_json::to_string(&task.source).map_err(unwritable)?;
    let work = serde_json::to_string(&work).map_err(unwritable)?;
    Ok(PodSpec {
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(setup.service_account.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        host_users: setup.user_namespaces.then_some(false),
        priority_class_name: setup.priority_class.clone(),
        dns_policy: dns(setup).map(|_| "None".to_owned()),
        dns_config: dns(setup),
        termination_grace_period_seconds: Some(ship.map_or(GRACE_SECONDS, Ship::grace_seconds)),
        runtime_class_name: machine.runtime_class.clone(),
        node_selector: Some(machine.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: Some(vec![
            gives_up_on("node.kubernetes.io/not-ready"),
            gives_up_on("node.kubernetes.io/unreachable"),
        ]),
        security_context: Some(unprivileged(setup)),
        init_containers: Some(
            ship.map(|ship| ship.container(setup))
                .into_iter()
                .chain([checkout(source, recipe, machine, setup, ship)])
                .collect(),
        ),
        containers: vec![build(work, machine, ship)],
        volumes: Some(
            [
                scratch("build", &machine.resources.disk),
                scratch("tmp", &machine.resources.disk),
                scratch("agent", "64Mi"),
            ]
            .into_iter()
            .chain(ship.into_iter().flat_map(Ship::volumes))
            .collect(),
        ),
        ..PodSpec::default()
    })
}

/// An account of its own, which is never root, and no system calls beyond the runtime's usual ones.
fn unprivileged(setup: &Setup) -> PodSecurityContext {
    let user = (!setup.no_fixed_user).then_some(USER);
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: user,
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// Fetches the commit and puts the agent where the build finds it. Runs no code of the pull request.
fn checkout(
    source: String,
    recipe: &Recipe,
    machine: &Kubernetes,
    setup: &Setup,
    ship: Option<&Ship<'_>>,
) -> Container {
    Container {
        name: CHECKOUT.to_owned(),
        image: Some(setup.checkout_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["prbuild-agent".to_owned()]),
        args: Some(
            ["checkout", "--dir", "/build", "--install", "/prbuild/agent"]
                .into_iter()
                .chain(["--message", "/dev/termination-log"])
                .map(str::to_owned)
                .chain(ship.into_iter().flat_map(Ship::checkout_args))
                .collect(),
        ),
        env: Some(vec![
            env("PRBUILD_SOURCE", source),
            env(
                "PRBUILD_CHECKOUT_SECONDS",
                recipe.timeouts.checkout_seconds.to_string(),
            ),
        ]),
        resources: Some(resources(machine)),
        security_context: Some(confined()),
        volume_mounts: Some(
            [
                mount("build", "/build", false),
                mount("tmp", "/tmp", false),
                mount("agent", "/prbuild", false),
            ]
            .into_iter()
            .chain(ship.map(Ship::checkout_mount))
            .collect(),
        ),
        ..Container::default()
    }
}

/// Runs the steps in the user's image, with the agent mounted read-only.
fn build(work: String, machine: &Kubernetes, ship: Option<&Ship<'_>>) -> Container {
    let policy = match machine.image_pull_policy {
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Always | PullPolicy::Unknown => "Always",
        PullPolicy::Never => "Never",
    };
    Container {
        name: BUILD.to_owned(),
        image: Some(machine.image.clone()),
        image_pull_policy: Some(policy.to_owned()),
        command: Some(vec!["/prbuild/agent".to_owned()]),
        args: Some(
            [
                "exec",
                "--dir",
                "/build",
                "--message",
                "/dev/termination-log",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain(ship.into_iter().flat_map(Ship::build_args))
            .collect(),
        ),
        working_dir: Some("/build".to_owned()),
        env: Some(vec![env("PRBUILD_WORK", work)]),
        resources: Some(resources(machine)),
        security_context: Some(confined()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(
            [
                mount("build", "/build", false),
                mount("tmp", "/tmp", false),
                mount("agent", "/prbuild", true),
            ]
            .into_iter()
            .chain(ship.map(Ship::build_mount))
            .collect(),
        ),
        ..Container::default()
    }
}

pub(super) fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        privileged: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// The name servers of this install, if it names any; else the cluster's.
fn dns(setup: &Setup) -> Option<PodDNSConfig> {
    let servers = setup.name_servers.iter().map(ToString::to_string);
    let servers: Vec<String> = servers.collect();
    (!servers.is_empty()).then(|| PodDNSConfig {
        nameservers: Some(servers),
        ..PodDNSConfig::default()
    })
}

/// Request and limit are the same: a run takes nothing from its neighbours. Disk is limited and not
/// reserved: a kubelet without isolation of local storage offers none, and no pod would fit there.
fn resources(machine: &Kubernetes) -> ResourceRequirements {
    let amounts = |disk: &str| {
        let amount = |name: &str, quantity: &str| (name.to_owned(), Quantity(quantity.to_owned()));
        BTreeMap::from([
            amount("cpu", &machine.resources.cpu),
            amount("memory", &machine.resources.memory),
            amount("ephemeral-storage", disk),
        ])
    };
    ResourceRequirements {
        limits: Some(amounts(&machine.resources.disk)),
        requests: Some(amounts("0")),
        ..ResourceRequirements::default()
    }
}

pub(super) fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(super) fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    }
}

pub(super) fn env(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        // Kubernetes would expand `$(NAME)`; `$$` stands for one dollar sign.
        value: Some(value.replace('$', "$$")),
        ..EnvVar::default()
    }
}

fn gives_up_on(taint: &str) -> Toleration {
    Toleration {
        key: Some(taint.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(NODE_LOST_SECONDS),
        ..Toleration::default()
    }
}
