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
use http::{HeaderValue, request::Parts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::auth::{Caller, identify};
use super::faults::Fault;
use super::limits::{Budget, Charge};
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
    let mut methods: HashMap<&'static str, MethodRouter<Arc<Inner>>> = HashMap::new();
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
        let routes = methods.remove(route.template).unwrap_or_default();
        methods.insert(route.template, routes.on(filter, handler));
    }
    let mut router = Router::new();
    for (template, routes) in methods {
        router = router.route(template, routes.fallback(elsewhere));
    }
    router.fallback(elsewhere).with_state(forge)
}

/// A path that is no route of the API: git, or something that GitHub does not have.
async fn elsewhere(
    State(forge): State<Arc<Inner>>,
    ConnectInfo(from): ConnectInfo<Connection>,
    request: Request,
) -> Result<Response, Infallible> {
    answer(forge, from, None, HashMap::new(), request).await
}

/// One request that is being answered.
struct Visit {
    forge: Arc<Inner>,
    route: Option<&'static Route>,
    parts: Parts,
    body: Bytes,
    caller: Caller,
}

async fn answer(
    forge: Arc<Inner>,
    Connection(connection): Connection,
    route: Option<&'static Route>,
    params: HashMap<String, String>,
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
    let (delay, fault) = forge.faults.take(&method, &path);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let identified = identify(&forge.lock(), &parts.headers, forge.clock.now());
    let token = identified.as_ref().map_or(TokenKind::Refused, Caller::kind);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (log, response) = (
        forge.log.clone(),
        respond(forge, route, params, parts, body, identified, fault).await,
    );
    let status = response.status().as_u16();
    log.push(Logged {
        method,
        path,
        query,
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
    identified: Result<Caller, Answer>,
    fault: Option<Fault>,
) -> Response {
    let now = forge.clock.now();
    if let (Some(contract), false) = (&forge.contract, smart_http::is_git(parts.uri.path())) {
        contract.request(route.map(|route| route.template), &parts, &body);
    }
    if let Some(answer) = fault.as_ref().and_then(instead) {
        return finish(answer.into_response(), None, now);
    }
    let caller = match identified {
        Ok(caller) => caller,
        Err(answer) => return finish(answer.into_response(), None, now),
    };
    let visit = Visit {
        forge,
        route,
        parts,
        body,
        caller,
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
        let resource = match self.parts.uri.path() {
            "/graphql" => "graphql",
            _ => "core",
        };
        let write = !matches!(self.parts.method.as_str(), "GET" | "HEAD") && resource == "core";
        let (key, now) = (self.caller.budget(), self.forge.clock.now());
        // Asking for the budget is free.
        let charge = match self.parts.uri.path() {
            "/rate_limit" => Charge::Paid(self.forge.limits.look(&key, resource, now)),
            _ => self.forge.limits.charge(&key, resource, write, now),
        };
        let budget = match charge {
            Charge::Paid(budget) => budget,
            Charge::Exhausted(budget) => return (exhausted(), Some(budget)),
            Charge::TooFast(budget) => return (too_fast(403, Some(60)), Some(budget)),
        };
        let answer = match self.route {
            Some(route) => self.call(route, params),
            None => Answer::error(404, "Not Found"),
        };
        if let Some(contract) = &self.forge.contract {
            contract.answer(self.route.map(|route| route.template), &self.parts, &answer);
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
            Some(host) => format!("http://{host}"),
            None => self.forge.base.clone(),
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
