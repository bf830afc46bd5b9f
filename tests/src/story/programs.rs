//! Webhook and operator of a story: started, killed, measured.

use crds::Repository;
use k8s_openapi::api::coordination::v1::Lease;

use super::*;

impl Story {
    /// Starts the operator, and waits until it has looked at the Repository.
    pub async fn start_operator(&mut self) -> Result<(), ClusterError> {
        self.start_operator_with(&[]).await
    }

    /// Starts the operator with more arguments.
    pub async fn start_operator_with(&mut self, more: &[&str]) -> Result<(), ClusterError> {
        self.operator = Some(self.run_operator(more).await?);
        self.eventually_in(
            "the Repository is known",
            "app",
            |repository: &Repository| {
                let status = repository.status.clone().unwrap_or_default();
                status.id.map(drop).ok_or_else(|| format!("{status:?}"))
            },
        )
        .await;
        Ok(())
    }

    /// Starts the operator, and waits for nothing.
    pub async fn start_operator_at_once(&mut self) -> Result<(), ClusterError> {
        self.operator = Some(self.start_another_operator().await?);
        Ok(())
    }

    /// Starts one more operator, which follows as long as another leads. Returns its index in the
    /// install.
    pub async fn start_another_operator(&mut self) -> Result<usize, ClusterError> {
        self.run_operator(&[]).await
    }

    async fn run_operator(&mut self, more: &[&str]) -> Result<usize, ClusterError> {
        let connections = self.connections()?;
        let connections = connections.display().to_string();
        let image = self.setting.checkout_image.clone();
        let mut args = vec!["--connections", &connections, "--checkout-image", &image];
        args.extend(["--metrics", "127.0.0.1:0"]);
        let gateway = self.gateway.as_ref().map(Gateway::operator_args);
        args.extend(gateway.iter().flatten().map(String::as_str));
        args.extend(more);
        self.install.start(Binary::Operator, &args).await
    }

    /// Index of the operator in the install.
    pub fn operator(&self) -> Option<usize> {
        self.operator
    }

    /// Index of the webhook in the install.
    pub fn webhook(&self) -> Option<usize> {
        self.webhook
    }

    /// Lets the time of a lease pass whose holder was killed.
    pub async fn lease_runs_out(&self) {
        let long_ago = json!({ "spec": { "renewTime": "2020-01-01T00:00:00.000000Z" } });
        let leases = self.api::<Lease>();
        let patched = leases
            .patch(
                "prbuild-operator",
                &PatchParams::default(),
                &Patch::Merge(long_ago),
            )
            .await;
        if let Err(error) = patched {
            panic!("the lease cannot be changed: {error}");
        }
    }

    /// Kills the operator, as a crash would. Its lease has to run out before another one leads.
    pub async fn kill_operator(&mut self) {
        if let Some(program) = self
            .operator
            .take()
            .and_then(|index| self.install.program(index))
        {
            program.kill();
        }
    }

    /// Asks the webhook to stop, as an upgrade does, and waits until it has.
    pub async fn stop_webhook(&mut self) {
        let webhook = self.webhook.take();
        let Some(program) = webhook.and_then(|index| self.install.program(index)) else {
            return;
        };
        program.terminate();
        eventually("the webhook has stopped", PATIENCE, async || {
            program.ended().map(drop).ok_or("it runs".to_owned())
        })
        .await;
    }

    /// Kills the webhook, as a crash would. Its lease on the sweep has to run out before another one
    /// sweeps.
    pub fn kill_webhook(&mut self) {
        if let Some(program) = self
            .webhook
            .take()
            .and_then(|index| self.install.program(index))
        {
            program.kill();
        }
    }

    /// Lets the time of the sweep's lease pass whose holder was killed.
    pub async fn sweep_lease_runs_out(&self) {
        let nobody = json!({ "spec": { "holderIdentity": "" } });
        let patched = self
            .api::<Lease>()
            .patch(
                "prbuild-sweep",
                &PatchParams::default(),
                &Patch::Merge(nobody),
            )
            .await;
        if let Err(error) = patched {
            panic!("the lease cannot be changed: {error}");
        }
    }

    /// Starts the webhook and hooks it to the forge.
    pub async fn start_webhook(&mut self) -> Result<(), ClusterError> {
        self.start_webhook_with(&[]).await
    }

    /// Starts the webhook with more arguments and hooks it to the forge.
    pub async fn start_webhook_with(&mut self, more: &[&str]) -> Result<(), ClusterError> {
        let connections = self.connections()?.display().to_string();
        let mut args = vec!["--connections", &connections, "--listen", "127.0.0.1:0"];
        args.extend(["--metrics", "127.0.0.1:0"]);
        args.extend(more);
        let index = self.install.start(Binary::Webhook, &args).await?;
        self.webhook = Some(index);
        let address = self.install.listening(index).await?;
        let url = format!("http://{address}/webhook");
        match self.forge.app_on(REPO) {
            // An App is told by its own webhook, and of buttons by no other.
            Some(app) => self.forge.set_app_hook(app, &url, SECRET),
            None => self.forge.add_hook(REPO, &url, SECRET),
        };
        Ok(())
    }

    /// Process ids of webhook and operator.
    pub fn pids(&mut self) -> Vec<u32> {
        let indexes = [self.webhook, self.operator];
        let running = indexes.into_iter().flatten();
        running
            .filter_map(|index| self.install.program(index).map(|program| program.pid()))
            .collect()
    }

    /// Writes that PrBuild made since the API server started, by the API server's own count: to its
    /// kinds, to Jobs, and Events.
    pub async fn api_writes(&self) -> Result<f64, ClusterError> {
        let asked = http::Request::get("/metrics").body(Vec::new());
        let asked = asked.map_err(|error| ClusterError::Command {
            what: "the API server's metrics cannot be asked for".to_owned(),
            because: error.to_string(),
        })?;
        let text = self.install.client().request_text(asked).await;
        let text = text.map_err(|source| ClusterError::Api {
            what: "the API server's metrics cannot be read".to_owned(),
            source: Box::new(source),
        })?;
        Ok(text
            .lines()
            .filter(|line| is_our_write(line))
            .filter_map(value_of)
            .sum())
    }

    /// What webhook and operator printed, by name.
    pub fn logs(&mut self) -> Vec<(&'static str, String)> {
        let programs = [("webhook", self.webhook), ("operator", self.operator)];
        let mut log = |index: usize| Some(self.install.program(index)?.log());
        let logs = programs.map(|(name, index)| Some((name, log(index?)?)));
        logs.into_iter().flatten().collect()
    }

    /// What the operator printed.
    pub fn operator_log(&mut self) -> String {
        let program = self.operator.and_then(|index| self.install.program(index));
        program.map(|program| program.log()).unwrap_or_default()
    }
}

fn is_our_write(line: &str) -> bool {
    let has = |label: &str| line.contains(label);
    let writes = ["POST", "PUT", "PATCH", "DELETE"]
        .iter()
        .any(|verb| has(&format!("verb=\"{verb}\"")));
    let jobs = has("resource=\"jobs\"")
        && has("subresource=\"\"")
        && (has("verb=\"POST\"") || has("verb=\"DELETE\""));
    let ours = has("group=\"prbuild.dev\"") || has("group=\"events.k8s.io\"") || jobs;
    line.starts_with("apiserver_request_total{") && writes && ours
}

fn value_of(line: &str) -> Option<f64> {
    line.rsplit(' ').next()?.parse().ok()
}
