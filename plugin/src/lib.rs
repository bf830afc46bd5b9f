//! `kubectl prbuild`: one static program that kubectl finds on PATH by its name.
//!
//! It talks to the API server with the rights of who runs it, and to nobody else. [`cli`] is what can
//! be asked for, [`completion`] helps to ask, [`words`] (pure) what is said about objects, [`doctor`] what is
//! looked at when something is wrong.

mod accounts;
pub mod cli;
pub mod completion;
pub mod doctor;
mod logs;
mod out;
mod pause;
mod rerun;
mod status;
mod stop;
mod way;
pub mod words;
mod workers;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use cli::{Cli, Command, Way, WorkerCommand};
use way::no_way;

/// Why something could not be done. Exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No way into the cluster.
    #[error("there is no way to the cluster\n  because {0}\n  try: kubectl cluster-info")]
    Config(String),
    /// The API server refused, or is gone.
    #[error("{what}\n  because {because}")]
    Api {
        /// What was tried.
        what: String,
        /// The answer.
        because: String,
    },
    /// Standard output is closed, or full.
    #[error("what was read cannot be printed\n  because {0}")]
    Output(std::io::Error),
    /// There is nothing of that name.
    #[error("there is no {what}\n  try: {remedy}")]
    Nothing {
        /// What was looked for.
        what: String,
        /// Where to look.
        remedy: String,
    },
    /// A build that is to be stopped has ended.
    #[error("{build} cannot be stopped\n  because it has ended: {summary}")]
    Ended {
        /// Its name.
        build: String,
        /// How it ended.
        summary: String,
    },
    /// Something is wrong with an install.
    #[error("{0} of these want mending")]
    Unwell(usize),
}

impl PluginError {
    /// Whoever read what is printed has read enough, as `head` does: that is no news to anybody.
    pub fn is_read_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// A way into one install.
pub(crate) struct Desk {
    client: Client,
    namespace: String,
}

impl Desk {
    async fn open(way: &Way) -> Result<Self, PluginError> {
        let config = way::config(way).await?;
        let namespace = way.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(no_way)?;
        Ok(Self { client, namespace })
    }

    /// Objects of a kind.
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Namespace of the build pods: what the operator is told, else what the chart calls it.
    async fn builds(&self) -> String {
        let operator = self
            .api::<Deployment>()
            .get_opt("prbuild-operator")
            .await
            .ok();
        let told = operator.flatten().as_ref().and_then(told_namespace);
        told.unwrap_or_else(|| format!("{}-builds", self.namespace))
    }

    /// Who we are, as the API server knows us.
    async fn user(&self) -> Result<String, PluginError> {
        use k8s_openapi::api::authentication::v1::SelfSubjectReview;
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (how, who) = (
            kube::api::PostParams::default(),
            SelfSubjectReview::default(),
        );
        let review = reviews.create(&how, &who).await;
        let review = review.map_err(failed("who we are cannot be asked"))?;
        let user = review.status.and_then(|status| status.user_info);
        Ok(user.and_then(|user| user.username).unwrap_or_default())
    }
}

fn told_namespace(operator: &Deployment) -> Option<String> {
    let pod = operator.spec.as_ref()?.template.spec.as_ref()?;
    let args = pod.containers.iter().filter_map(|one| one.args.as_ref());
    let mut args = args.flatten();
    args.find_map(|arg| arg.strip_prefix("--build-namespace="))
        .map(str::to_owned)
}

pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(kube::Error) -> PluginError {
    let what = what.into();
    move |error| PluginError::Api {
        what,
        because: match error {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        },
    }
}

/// Does what was asked for.
///
/// # Errors
/// What could not be done, as a sentence.
pub async fn run(cli: Cli) -> Result<(), PluginError> {
    let desk = Desk::open(&cli.way()).await?;
    match cli.command {
        Command::Status { what } => status::show(&desk, what.as_deref()).await,
        Command::Logs { run, follow } => logs::show(&desk, &run, follow).await,
        Command::Cancel {
            build,
            builder,
            reason,
            waiting_only,
        } => stop::cancel(&desk, &build, builder.as_deref(), &reason, waiting_only).await,
        Command::Rerun { build, builders } => rerun::rerun(&desk, &build, &builders).await,
        Command::Explain { what } => status::explain(&desk, &what).await,
        Command::Pause { what } => pause::set(&desk, &what, true).await,
        Command::Resume { what } => pause::set(&desk, &what, false).await,
        Command::Worker { command } => match command {
            WorkerCommand::List => workers::list(&desk).await,
            WorkerCommand::Drain { worker, undo } => workers::drain(&desk, &worker, !undo).await,
        },
        Command::Doctor => doctor::run(&desk).await,
        // Needs no cluster and is answered before.
        Command::Completion { .. } => Ok(()),
    }
}
