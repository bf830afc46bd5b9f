//! The task that writes commit statuses and check runs, and gives everybody who speaks on a pull
//! request their turn: one writer a connection. What is sent when is decided in [`plan`](super::plan);
//! here are the clock, the requests, and those who wait.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use github::{Budget, Connections, GithubError, Repo};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    census::Census,
    check_writer::write_check,
    entry::{RESULTS_ONLY_AFTER, Waiter},
    metrics::ReportMetrics,
    pace::Cost,
    plan::{Next, Plan, Reply, Resolved},
    refusals::{Refusal, Refusals},
    talk::{self, Sort},
    target::{CommitStatus, Order, Sent, Standing, Target},
    turns::Turns,
};
use crate::queue::sleep_until;

/// Writes commit statuses and check runs: the newest of each context, in order, as fast as GitHub allows. Clones
/// share one queue.
#[derive(Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Mutex<Plan<Told>>,
    /// Those who wait for their turn to speak.
    turns: Turns,
    news: Notify,
    refusals: Refusals,
    census: Census,
    connections: Arc<Connections>,
    metrics: ReportMetrics,
}

/// Whoever told a state, and when.
struct Told {
    answer: oneshot::Sender<Sent>,
    since: Instant,
}

impl Waiter for Told {
    fn gave_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// Resolves when GitHub took the state or never will. May be dropped: the state is sent all the
/// same. Does not resolve any more once the reporter was stopped.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Sent>);

impl Future for Ticket {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(sent)) => Poll::Ready(sent),
            // The process ends; who restarts tells again.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Reporter {
    /// Starts the task; it ends with `stop`.
    pub fn spawn(connections: Arc<Connections>, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            plan: Mutex::new(Plan::default()),
            turns: Turns::default(),
            news: Notify::new(),
            refusals: Refusals::default(),
            census: Census::default(),
            connections,
            metrics: ReportMetrics::default(),
        });
        tokio::spawn(work(Arc::clone(&shared), stop));
        Self { shared }
    }

    /// Wants a state to stand. Telling the same again costs no request.
    pub fn tell(&self, target: Target, order: Order, status: CommitStatus) -> Ticket {
        self.tell_beside(target, order, status, Standing::default())
    }

    /// The same, where something is known of what stands there: by objects, from a process before
    /// this one.
    pub fn tell_beside(
        &self,
        target: Target,
        order: Order,
        status: CommitStatus,
        standing: Standing,
    ) -> Ticket {
        let (answer, ticket) = oneshot::channel();
        let since = Instant::now();
        let told = Told { answer, since };
        let resolved = {
            let mut plan = self.shared.plan();
            plan.stands(&target, &order, standing);
            plan.tell(since, target, order, status, told)
        };
        self.shared.resolve(resolved);
        self.shared.news.notify_one();
        Ticket(ticket)
    }

    /// Why GitHub has not taken a state yet, as long as it is being tried.
    pub fn trouble(&self, target: &Target) -> Option<String> {
        self.shared.plan().trouble(target).map(str::to_owned)
    }

    /// The id of the check run that stands for a target.
    pub fn check_id(&self, target: &Target) -> Option<i64> {
        self.shared.plan().check_id(target)
    }

    /// Waits until it is one's turn to speak on a pull request: after all statuses, and within what
    /// GitHub allows.
    pub async fn turn(&self, connection: &str, cost: Cost) -> Turn {
        let ask = || self.shared.plan().ask(connection, cost);
        let mine = self.shared.turns.wait(ask);
        self.shared.news.notify_one();
        // An error means that the process ends.
        if mine.await.is_err() {
            std::future::pending::<()>().await;
        }
        Turn {
            shared: Arc::clone(&self.shared),
            connection: connection.to_owned(),
            reply: Some(Reply::Taken),
        }
    }

    /// Waits until GitHub refuses to take something, or takes it again.
    pub async fn refusal(&self) -> Refusal {
        self.shared.refusals.next().await
    }

    /// Whether a connection lacks a permission to write statuses to a repository, under one of its
    /// names, as GitHub's answers tell.
    pub fn lacks_statuses<'a>(
        &self,
        connection: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let refusals = &self.shared.refusals;
        refusals.lacks_statuses(connection, names, Instant::now())
    }

    /// Tries at once what a connection was refused: what it lacked was granted.
    pub fn try_again(&self, connection: &str) {
        self.shared.plan().try_again(connection);
        self.shared.news.notify_one();
    }

    /// What is counted of what it tells.
    pub fn metrics(&self) -> &ReportMetrics {
        &self.shared.metrics
    }
}

/// The right to speak now. It ends when it is dropped.
pub struct Turn {
    shared: Arc<Shared>,
    connection: String,
    reply: Option<Reply>,
}

impl Turn {
    /// Tells the others of what GitHub said: they wait for the same limit and the same outage. GraphQL
    /// has limits and outages of its own, which say nothing of theirs.
    pub fn heard(&mut self, error: &GithubError) {
        self.reply = (!error.is_of_graphql()).then(|| reply(Err(error.clone())));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        self.shared
            .plan()
            .talked(now, &self.connection, self.reply.as_ref());
        self.shared.news.notify_one();
    }
}

impl Shared {
    /// Lets somebody speak. Who went away meanwhile is passed over.
    fn give_turn(&self, number: u64, connection: &str) {
        if !self.turns.give(number) {
            self.plan().talked(Instant::now(), connection, None);
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan<Told>> {
        // Whoever panicked left a plan that is at worst one state behind.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resolve(&self, resolved: Resolved<Told>) {
        for (told, sent) in resolved {
            if matches!(sent, Sent::Taken(_)) {
                self.metrics
                    .told_to_taken
                    .observe(told.since.elapsed().as_secs_f64());
            }
            // Nobody has to wait for it.
            let _ = told.answer.send(sent);
        }
    }

    fn measure(&self, under_way: usize) {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let plan = self.plan();
        self.metrics.under_way.set(gauge(under_way));
        self.metrics.known.set(gauge(plan.len()));
        for (connection, waiting) in plan.waiting() {
            let labels = [("connection", connection.to_owned())];
            self.metrics
                .waiting
                .get_or_create(&labels)
                .set(gauge(waiting));
        }
    }

    /// Makes one request.
    async fn send(self: Arc<Self>, target: Arc<Target>, status: CommitStatus, standing: Standing) {
        let reply = match self.connections.get(&target.connection) {
            None => Reply::Denied(format!(
                "the connection `{}` is not mounted",
                target.connection
            )),
            Some(connection) => {
                let repo = connection.repo(&target.owner, &target.name);
                let reply = match &status.check {
                    Some(check) => write_check(&repo, &target.sha, check, standing)
                        .await
                        .map_or_else(|error| reply(Err(error)), Reply::Stands),
                    None => self.write_status(&repo, &target, &status, standing).await,
                };
                let budget = connection.budget();
                let limited = budget.limit.is_some();
                self.plan()
                    .pace(&target.connection, spacing(budget), limited);
                reply
            }
        };
        let (word, problem) = sorted(&reply);
        self.metrics.called(&target.connection, word);
        if let Some(problem) = problem {
            let (context, sha) = (target.context.as_str(), target.sha.as_str());
            tracing::warn!(word, context, sha, problem, "GitHub did not take a status");
        }
        self.refusals.note(&target, &reply);
        let resolved = self.plan().done(Instant::now(), &target, reply);
        self.resolve(resolved);
    }

    /// Writes a commit status, if there is room for it.
    async fn write_status(
        &self,
        repo: &Repo,
        target: &Target,
        status: &CommitStatus,
        standing: Standing,
    ) -> Reply {
        if standing.uncounted
            && !status.is_final()
            && let Some(count) = self.census.of(repo, target).await
        {
            self.plan().counted(target, count);
            if count >= RESULTS_ONLY_AFTER {
                return Reply::Spared;
            }
        }
        let (sha, context) = (&target.sha, &target.context);
        let (description, url) = (&status.description, status.url.as_deref());
        let taken = repo
            .create_status(sha, context, status.state, description, url)
            .await;
        let answer = taken.as_ref().copied();
        self.refusals.note_status(target, answer, Instant::now());
        reply(taken)
    }
}

async fn work(shared: Arc<Shared>, stop: CancellationToken) {
    let mut flights = JoinSet::new();
    loop {
        let next = shared.plan().next(Instant::now());
        let wake = match next {
            Next::Send(target, status, standing) => {
                flights.spawn(Arc::clone(&shared).send(target, status, standing));
                continue;
            }
            Next::Talk(number, connection) => {
                shared.give_turn(number, &connection);
                continue;
            }
            Next::Wait(at) => Some(at),
            Next::Idle => None,
        };
        shared.measure(flights.len());
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.news.notified() => {}
            Some(_) = flights.join_next() => {}
            () = sleep_until(wake) => {}
        }
    }
}

/// What an answer of GitHub means for the plan.
fn reply(taken: Result<(), GithubError>) -> Reply {
    let Err(error) = taken else {
        return Reply::Taken;
    };
    let why = error.to_string();
    match talk::sort(&error) {
        Sort::Limited(wait) => Reply::Limited(wait, why),
        Sort::NoAnswer => Reply::Unavailable(why),
        Sort::NotAllowed => Reply::Denied(why),
        Sort::NotThere => Reply::Missing(why),
        Sort::Refused => Reply::Never(why),
    }
}

/// A word for metrics, and what is worth a line in the log.
fn sorted(reply: &Reply) -> (&'static str, Option<&str>) {
    match reply {
        Reply::Taken | Reply::Stands(_) => ("taken", None),
        Reply::Spared => ("spared", None),
        Reply::Never(why) => ("settled", Some(why)),
        Reply::Missing(why) => ("missing", Some(why)),
        Reply::Denied(why) => ("denied", Some(why)),
        Reply::Limited(_, why) => ("limited", Some(why)),
        Reply::Unavailable(why) => ("unavailable", Some(why)),
    }
}

/// Least time between two requests by what is left of the budget. The last tenth is spent no faster
/// than it comes back, so that the gate can still read.
fn spacing(budget: Budget) -> Duration {
    match (budget.limit, budget.remaining) {
        (Some(limit), Some(remaining)) if limit > 0 && remaining < limit / 10 => {
            Duration::from_secs(3600).div_f64(f64::from(u32::try_from(limit).unwrap_or(u32::MAX)))
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tenth_of_the_budget_is_spent_slowly() {
        let budget = |remaining| Budget {
            limit: Some(5000),
            remaining,
            reset: None,
        };
        assert_eq!(spacing(budget(Some(4000))), Duration::ZERO);
        assert_eq!(spacing(budget(Some(499))), Duration::from_millis(720));
        assert_eq!(spacing(Budget::default()), Duration::ZERO);
    }
}
