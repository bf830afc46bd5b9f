//! A listener: connections that are bounded in number, and in the time that their headers take.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Time for the headers of a request, and how long a connection may be idle between two.
const HEADER_TIME: Duration = Duration::from_secs(20);
/// Bytes of a request's headers, and of what is read or written at once.
const HEADER_BYTES: usize = 64 << 10;

/// What a listener may hold.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Connections at a time; the next ones wait in the kernel's queue.
    pub connections: usize,
    /// Time for requests under way when the program stops.
    pub grace: Duration,
}

/// Serves until the token is cancelled, and then lets requests under way end.
pub async fn serve<F, Fut, B>(
    listener: TcpListener,
    places: Places,
    respond: F,
    stop: CancellationToken,
) where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(true);
    let free = Arc::new(Semaphore::new(places.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = free.clone().acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        // Answers are small, or text that somebody waits for: filling a packet only delays them.
        let _ = stream.set_nodelay(true);
        let respond = respond.clone();
        let service = service_fn(move |request| {
            let answer = respond(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // An error is the other side's doing: it went away, was slow, or spoke no HTTP.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(places.grace, graceful.shutdown()).await;
}
