//! Pure: how the log leaves the pod of a run.
//!
//! Checkout and build leave what they print in a spool each, and the sidecar `ship` sends both to the
//! gateway. It starts first, so that the checkout is logged too, and Kubernetes ends it last. The spool of
//! the build is written by the user that the pull request's code runs as: `ship` only reads it, and
//! shares nothing else with the build.

use std::collections::BTreeMap;

use crds::BuilderRun;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, ResourceRequirements, Volume, VolumeMount},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use protocol::{
    log::{LogLimits, MARKS_LIMIT},
    token::{Claims, LogScope, Scope},
};

use super::{
    job::{SHIP, Setup, deadline_seconds},
    template::{confined, env, mount, scratch},
};

/// Seconds that a pod gets to end: so long may the sidecar go on to send when the build has ended.
const GRACE_SECONDS: i64 = 120;
/// Seconds that a token is valid beyond its Job's own deadline.
const TOKEN_SLACK_SECONDS: i64 = 3600;
/// Bytes of a spool beside the log and its marks: files that are being replaced.
const SPOOL_SLACK: u64 = 16 << 20;
/// Bytes of the checkout's log that are kept: git says little, and a server may say much.
const CHECKOUT_LOG: u64 = 8 << 20;
/// The spool of the checkout.
const CHECKOUT_SPOOL: &str = "64Mi";
/// What the sidecar remembers: the id of a writer.
const STATE: &str = "1Mi";

/// How logs leave the pods of this install.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shipping {
    /// Where the gateway takes logs.
    pub gateway: String,
    /// Bytes of a log that are kept.
    pub log_limit: u64,
}

/// The log of one run.
#[derive(Clone, Copy, Debug)]
pub struct Ship<'a> {
    /// The run.
    pub run: &'a BuilderRun,
    /// How logs leave pods.
    pub shipping: &'a Shipping,
    /// Lets its bearer write the log of this run, and nothing else.
    pub token: &'a str,
}

/// What the token of a run's sidecar says: valid for as long as its Job can last.
pub fn claims(run: &BuilderRun, now: Timestamp) -> Claims {
    Claims {
        scope: Scope::Log(LogScope {
            repository: run.spec.task.repository.clone(),
            run: run.uid().unwrap_or_default(),
            attempt: run.spec.attempt,
        }),
        expires: now.as_second() + deadline_seconds(run) + TOKEN_SLACK_SECONDS,
    }
}

impl Ship<'_> {
    /// Seconds that the pod gets to end. A build that is told to stop ends within a few of them: the
    /// agent sees to that.
    pub(super) fn grace_seconds(&self) -> i64 {
        GRACE_SECONDS
    }

    /// The sidecar. Its token is its only secret, and the only one of the pod.
    pub(super) fn container(&self, setup: &Setup) -> Container {
        let task = &self.run.spec.task;
        let (uid, limit) = (self.run.uid().unwrap_or_default(), self.limit());
        let args = [
            ["--checkout", "/spool/checkout"],
            ["--build", "/spool/build"],
            ["--state", "/ship"],
            ["--to", &self.shipping.gateway],
            ["--repository", &task.repository],
            ["--run", &uid],
            ["--log-limit", &limit],
        ];
        let args = ["ship"].into_iter().chain(args.into_iter().flatten());
        Container {
            name: SHIP.to_owned(),
            image: Some(setup.checkout_image.clone()),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            // Makes an init container a sidecar: the next one starts beside it.
            restart_policy: Some("Always".to_owned()),
            command: Some(vec!["prbuild-agent".to_owned()]),
            args: Some(args.map(literal).collect()),
            env: Some(vec![env("PRBUILD_LOG_TOKEN", self.token.to_owned())]),
            resources: Some(self.resources()),
            security_context: Some(confined()),
            volume_mounts: Some(vec![
                mount("checkout-spool", "/spool/checkout", true),
                mount("spool", "/spool/build", true),
                mount("ship", "/ship", false),
            ]),
            ..Container::default()
        }
    }

    pub(super) fn volumes(&self) -> [Volume; 3] {
        [
            scratch("checkout-spool", CHECKOUT_SPOOL),
            scratch("spool", &self.spool_bytes().to_string()),
            scratch("ship", STATE),
        ]
    }

    pub(super) fn checkout_args(&self) -> [String; 4] {
        let limit = self.shipping.log_limit.min(CHECKOUT_LOG).to_string();
        ["--spool", "/spool", "--log-limit", &limit].map(str::to_owned)
    }

    pub(super) fn checkout_mount(&self) -> VolumeMount {
        mount("checkout-spool", "/spool", false)
    }

    pub(super) fn build_args(&self) -> [String; 4] {
        ["--spool", "/spool", "--log-limit", &self.limit()].map(str::to_owned)
    }

    pub(super) fn build_mount(&self) -> VolumeMount {
        mount("spool", "/spool", false)
    }

    fn limit(&self) -> String {
        self.shipping.log_limit.to_string()
    }

    /// What the spool of a build may take. Whatever writes more did not keep to the limits of the agent.
    fn spool_bytes(&self) -> u64 {
        LogLimits::of(self.shipping.log_limit).most() + MARKS_LIMIT + SPOOL_SLACK
    }

    /// Little, and as much reserved as allowed, so that the pod keeps its class of service. The limit of
    /// disk makes room for the spools: what the Builder names is left to the build.
    fn resources(&self) -> ResourceRequirements {
        let disk = self.spool_bytes() + (96 << 20);
        let amounts = |disk: &str| {
            [
                ("cpu", "100m"),
                ("memory", "64Mi"),
                ("ephemeral-storage", disk),
            ]
            .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
        };
        ResourceRequirements {
            limits: Some(BTreeMap::from(amounts(&disk.to_string()))),
            requests: Some(BTreeMap::from(amounts("0"))),
            ..ResourceRequirements::default()
        }
    }
}

/// An argument as it is: Kubernetes would expand `$(NAME)`.
fn literal(argument: &str) -> String {
    argument.replace('$', "$$")
}

#[cfg(test)]
#[path = "ship_tests.rs"]
mod tests;
