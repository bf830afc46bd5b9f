//! The way of every request: faults, credentials, budget, the route's own work, conditional answers,
//! GitHub's headers, validation, and the log.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use axum::serve::IncomingStream;
use http::{HeaderValue, Uri, request::Parts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::auth::{Caller, identify};
use super::faults::Fault;
use super::limits::{Budget, Charge, Cost};
use super::log::{Logged, TokenKind};
use super::respond::{exhausted, finish, instead, spoil, too_fast};
use super::rest::{Answer, Call, ROUTES, Route};
use super::{Inner, smart_http};

/// GitHub takes bodies up to this size.
const LARGEST_BODY: usize = 25 << 20;

/// The number of a connection.
#[derive(Clone, Copy, Debug)]
struct Connection(u64);

impl Connected<IncomingStream<'_, TcpListener>> for Connection {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves until the token is cancelled.
pub fn serve(listener: TcpListener, forge: Arc<Inner>, stop: CancellationToken) {
    let service = router(forge).into_make_service_with_connect_info::<Connection>();
    tokio::spawn(async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the forge's server ended");
        }
    });
}

fn router(forge: Arc<Inner>) -> Router {
    let api = api();
    let router = match forge.enterprise {
        // The whole API below its path, and only git beside it.
        Some(_) => {
            let graphql = MethodRouter::new().on(MethodFilter::POST, enterprise_graphql);
            Router::new()
                .nest("/api/v3", api)
                .route("/api/graphql", graphql)
        }
        None => api,
    };
    router.fallback(elsewhere).with_state(forge)
}

/// All routes: `/repos/{owner}/{repo}/…` by the numeric id of the repository too.
fn api() -> Router<Arc<Inner>> {
    let mut methods: HashMap<String, MethodRouter<Arc<Inner>>> = HashMap::new();
    for route in ROUTES {
        let filter = match route.method {
            "POST" => MethodFilter::POST,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let handler = move |State(forge): State<Arc<Inner>>,
                            ConnectInfo(from): ConnectInfo<Connection>,
                            params: RawPathParams,
                            request: Request| async move {
            let params = params
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            answer(forge, from, Some(route), params, request).await
        };
        let by_id = route.template.strip_prefix("/repos/{owner}/{repo}");
        let by_id = by_id.map(|rest| format!("/repositories/{{repository_id}}{rest}"));
        for template in [Some(route.template.to_owned()), by_id]
            .into_iter()
            .flatten()
        {
            let routes = methods.remove(&template).unwrap_or_default();
            methods.insert(template, routes.on(filter, handler));
        }
    }
    let mut router = Router::new();
    for (template, routes) in methods {
        router = router.route(&template, routes.fallback(elsewhere));
    }
    router.fallback(elsewhere)
}

/// GraphQL as an Enterprise Server has it, beside the REST API and not below it.
async fn enterprise_graphql(
    State(forge): State<Arc<Inner>>,
    ConnectInfo(from): ConnectInfo<Connection>,
    mut request: Request,
) -> Result<Response, Infallible> {
    *request.uri_mut() = Uri::from_static("/graphql");
    let route = ROUTES.iter().find(|route| route.template == "/graphql");
    answer(forge, from, route, HashMap::new(), request).await
}

/// A path that is no route of the API: git, or something that GitHub does not have.
async fn elsewhere(
    State(forge): State<Arc<Inner>>,
    ConnectInfo(from): ConnectInfo<Connection>,
    request: Request,
) -> Result<Response, Infallible> {
    answer(forge, from, None, HashMap::new(), request).await
}

/// A repository that is asked for by its id, by its name.
fn name_repository(forge: &Inner, params: &mut HashMap<String, String>) {
    let Some(id) = params.remove("repository_id") else {
        return;
    };
    let world = forge.lock();
    let found = id.parse().ok().and_then(|id| world.repositories.get(&id));
    let name = found.map(|one| world.full_name(one)).unwrap_or_default();
    let (owner, name) = name.split_once('/').unwrap_or_default();
    params.insert("owner".to_owned(), owner.to_owned());
    params.insert("repo".to_owned(), name.to_owned());
}

/// One request that is being answered.
struct Visit {
    forge: Arc<Inner>,
    route: Option<&'static Route>,
    parts: Parts,
    body: Bytes,
    caller: Caller,
    cost: Cost,
}

async fn answer(
    forge: Arc<Inner>,
    Connection(connection): Connection,
    route: Option<&'static Route>,
    mut params: HashMap<String, String>,
    request: Request,
) -> Result<Response, Infallible> {
    let (started, at) = (Instant::now(), forge.started.elapsed());
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .unwrap_or_default();
    let (method, path) = (
        parts.method.as_str().to_owned(),
        parts.uri.path().to_owned(),
    );
    let cost = Cost::of(route.map(|route| route.template), &parts.method, &body);
    let (delay, fault) = forge.faults.take(&method, &path, &cost.mutations);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    name_repository(&forge, &mut params);
    let identified = identify(&forge.lock(), &parts.headers, forge.clock.now());
    let token = identified.as_ref().map_or(TokenKind::Refused, Caller::kind);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (log, version) = (forge.log.clone(), forge.enterprise.clone());
    let visited = (cost.clone(), fault, identified);
    let mut response = respond(forge, route, params, parts, body, visited).await;
    if let Some(version) = version.and_then(|version| HeaderValue::try_from(version).ok()) {
        let headers = response.headers_mut();
        headers.insert("x-github-enterprise-version", version);
    }
    let status = response.status().as_u16();
    log.push(Logged {
        method,
        path,
        query,
        route: route.map(|route| route.template),
        points: cost.points,
        mutations: cost.mutations,
        status,
        took: started.elapsed(),
        at,
        token,
        connection,
    });
    Ok(response)
}

async fn respond(
    forge: Arc<Inner>,
    route: Option<&'static Route>,
    params: HashMap<String, String>,
    parts: Parts,
    body: Bytes,
    (cost, fault, identified): (Cost, Option<Fault>, Result<Caller, Answer>),
) -> Response {
    let now = forge.clock.now();
    // Who is not known has the budget of anybody.
    let budget = |caller: &Caller| forge.limits.look(&caller.budget(), cost.resource, now);
    if let (Some(contract), false) = (&forge.contract, smart_http::is_git(parts.uri.path())) {
        contract.request(route.map(|route| route.template), &parts, &body);
    }
    if let Some(answer) = fault.as_ref().and_then(instead) {
        // Load balancers, who answer when GitHub cannot, know no budgets.
        let budget = match (&identified, answer.status) {
            (_, 500..) => None,
            (Ok(caller), _) => Some(budget(caller)),
            (Err(_), _) => Some(budget(&Caller::Anonymous)),
        };
        return finish(answer.into_response(), budget, now);
    }
    let caller = match identified {
        Ok(caller) => caller,
        Err(answer) => {
            let budget = Some(budget(&Caller::Anonymous));
            return finish(answer.into_response(), budget, now);
        }
    };
    let visit = Visit {
        forge,
        route,
        parts,
        body,
        caller,
        cost,
    };
    if smart_http::is_git(visit.parts.uri.path()) {
        return smart_http::serve(
            &visit.forge,
            &visit.caller,
            &visit.parts,
            visit.body.clone(),
        )
        .await;
    }
    let (answer, budget) = visit.work(params);
    let response = finish(answer.into_response(), budget, now);
    spoil(response, fault, now).await
}

impl Visit {
    /// The answer within the budget, and validated.
    fn work(&self, params: HashMap<String, String>) -> (Answer, Option<Budget>) {
        let (cost, resource) = (&self.cost, self.cost.resource);
        let (key, now) = (self.caller.budget(), self.forge.clock.now());
        // Asking for the budget is free.
        let charge = match self.route.map(|route| route.template) {
            Some("/rate_limit") => Charge::Paid(self.forge.limits.look(&key, resource, now)),
            _ => self.forge.limits.charge(&key, cost, now),
        };
        let budget = match charge {
            Charge::Paid(budget) => budget,
            Charge::Exhausted(budget) => return (exhausted(resource), Some(budget)),
            Charge::TooFast(budget, wait) => return (too_fast(403, Some(wait)), Some(budget)),
        };
        let answer = match self.route {
            Some(route) => self.call(route, params),
            None => Answer::error(404, "Not Found"),
        };
        if let Some(contract) = &self.forge.contract {
            let asked = (&self.parts, &self.body);
            contract.answer(self.route.map(|route| route.template), asked, &answer);
        }
        let (answer, unchanged) = self.condition(answer);
        if unchanged {
            self.forge.limits.refund(&key, resource);
            return (
                answer,
                Some(Budget {
                    used: budget.used.saturating_sub(1),
                    ..budget
                }),
            );
        }
        (answer, Some(budget))
    }

    fn call(&self, route: &Route, params: HashMap<String, String>) -> Answer {
        let version = self
            .parts
            .headers
            .get("x-github-api-version")
            .and_then(|value| value.to_str().ok());
        if version.is_some_and(|version| !["2022-11-28", "2026-03-10"].contains(&version)) {
            return Answer::error(400, "The API version that you specified is not supported.");
        }
        if self.parts.headers.get("user-agent").is_none() {
            return Answer::error(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
            );
        }
        let body = match self.body.is_empty() {
            true => serde_json::Value::Null,
            false => match serde_json::from_slice(&self.body) {
                Ok(value) => value,
                Err(_) => return Answer::error(400, "Problems parsing JSON"),
            },
        };
        let query: HashMap<String, String> = axum::extract::Query::try_from_uri(&self.parts.uri)
            .map(|query| query.0)
            .unwrap_or_default();
        let call = Call {
            forge: &self.forge,
            caller: &self.caller,
            params,
            query,
            body,
            method: &self.parts.method,
            uri: &self.parts.uri,
            host: self.host(),
            version,
        };
        call.handle(route).unwrap_or_else(|refused| refused)
    }

    /// The base of links in headers: the name by which the caller knows the forge.
    fn host(&self) -> String {
        match self
            .parts
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok())
        {
            Some(host) => format!("http://{host}{}", self.forge.lock().api_path),
            None => format!("{}{}", self.forge.base, self.forge.lock().api_path),
        }
    }

    /// The ETag of an answer, or 304 if the caller has it already. It differs for every token.
    fn condition(&self, mut answer: Answer) -> (Answer, bool) {
        if self.parts.method != http::Method::GET || answer.status != 200 {
            return (answer, false);
        }
        let mut hasher = DefaultHasher::new();
        self.parts
            .headers
            .get("authorization")
            .map(HeaderValue::as_bytes)
            .hash(&mut hasher);
        answer.bytes().hash(&mut hasher);
        let etag = format!("W/\"{:016x}\"", hasher.finish());
        let asked = self
            .parts
            .headers
            .get("if-none-match")
            .and_then(|value| value.to_str().ok());
        let same = asked.is_some_and(|list| {
            list.split(',')
                .any(|one| one.trim().trim_start_matches("W/") == etag.trim_start_matches("W/"))
        });
        if same {
            answer = Answer::empty(304);
        }
        answer.headers.push(("etag", etag));
        (answer, same)
    }
}
