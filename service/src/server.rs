//! A listener: connections that are bounded in number, all together and those of one address, and in
//! the time that their headers and their reading take.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
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
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Time for the headers of a request from anywhere, and for a connection between two of them.
pub const HEADER_TIME: Duration = Duration::from_secs(20);
/// Time in which anybody takes some of what is written.
pub const WRITE_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's headers, and of what is read or written at once.
pub const HEADER_BYTES: usize = 64 << 10;

/// What a listener may hold.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Connections at a time; the next ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections of one address at a time; the next ones are closed. A proxy is one address, too.
    pub of_one_address: usize,
    /// Bytes of a request's headers, and of what is read or written at once.
    pub header_bytes: usize,
    /// Time for the headers of a request, and how long a connection may be idle between two.
    pub header_time: Duration,
    /// Time in which the other side takes some of what is written.
    pub write_time: Duration,
    /// Time for requests under way when the program stops.
    pub grace: Duration,
}

/// A listener at an address.
///
/// # Errors
/// The address is taken, or not of this machine.
pub async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {address} for {what}: {error}"))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("{what} on {address}");
    }
    Ok(listener)
}

/// Who has connections, and how many.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Held {
    /// One more connection of an address, unless it has its share already.
    fn one_more(&self, address: IpAddr, share: usize) -> Option<Connection> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= share {
            return None;
        }
        *count += 1;
        Some(Connection {
            held: self.clone(),
            address,
        })
    }
}

/// Gives its address back what it held.
#[derive(Debug)]
struct Connection {
    held: Held,
    address: IpAddr,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
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
        .header_read_timeout(places.header_time)
        .max_buf_size(places.header_bytes)
        .keep_alive(true);
    let free = Arc::new(Semaphore::new(places.connections));
    let held = Held::default();
    let graceful = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = free.clone().acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let Some(connection) = held.one_more(address.ip(), places.of_one_address) else {
            tracing::debug!(address = %address.ip(), "it has its share of connections");
            continue;
        };
        // Answers are small, or text that somebody waits for: filling a packet only delays them.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(places.write_time));
        let io = TokioIo::new(Box::pin(stream));
        let respond = respond.clone();
        let service = service_fn(move |request| {
            let answer = respond(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let served = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            // An error is the other side's doing: it went away, was slow, or spoke no HTTP.
            let _ = served.await;
            drop((connection, place));
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(places.grace, graceful.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const PLACES: Places = Places {
        connections: 1,
        of_one_address: 1,
        header_bytes: HEADER_BYTES,
        header_time: HEADER_TIME,
        write_time: WRITE_TIME,
        grace: Duration::from_secs(5),
    };

    async fn ask(stream: &mut TcpStream) -> String {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn one_more_than_there_are_places_for_waits_and_a_stop_lets_everybody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let respond = |_| async { Response::new(Full::from("hello")) };
        let server = tokio::spawn(serve(listener, PLACES, respond, stop.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first).await.ends_with("hello"));
        let mut second = TcpStream::connect(address).await.unwrap();
        let (answer, ()) = tokio::join!(ask(&mut second), async {
            // It is answered only when the first has gone.
            drop(first);
        });
        assert!(answer.ends_with("hello"));
        stop.cancel();
        server.await.unwrap();
        assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn who_does_not_finish_its_headers_loses_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let respond = |_| async { Response::new(Full::from("hello")) };
        let places = Places {
            header_time: Duration::from_millis(20),
            ..PLACES
        };
        tokio::spawn(serve(listener, places, respond, CancellationToken::new()));
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        assert_eq!(slow.read(&mut [0; 1]).await.unwrap(), 0);
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut next).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn who_reads_nothing_of_a_long_answer_loses_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let long = Bytes::from(vec![b'x'; 64 << 20]);
        let respond = move |request: Request<Incoming>| {
            let body = match request.uri().path() {
                "/long" => long.clone(),
                _ => Bytes::from_static(b"hello"),
            };
            async { Response::new(Full::from(body)) }
        };
        let places = Places {
            write_time: Duration::from_millis(20),
            ..PLACES
        };
        tokio::spawn(serve(listener, places, respond, CancellationToken::new()));
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut next).await.ends_with("hello"));
        drop(deaf);
    }
    #[tokio::test]
    async fn one_address_cannot_take_the_places_of_all_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let respond = |_| async { Response::new(Full::from("hello")) };
        let places = Places {
            connections: 3,
            of_one_address: 2,
            ..PLACES
        };
        tokio::spawn(serve(listener, places, respond, CancellationToken::new()));
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut greedy = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut greedy).await.ends_with("hello"));
            held.push(greedy);
        }
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert!(matches!(refused.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
        elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut elsewhere = elsewhere.connect(address).await.unwrap();
        assert!(ask(&mut elsewhere).await.ends_with("hello"));
        drop(elsewhere);
        // What it gives back it may have again.
        held.pop();
        let again = async {
            loop {
                let mut again = TcpStream::connect(address).await.unwrap();
                let asked = again.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
                if asked.is_ok()
                    && again
                        .read(&mut [0; 64])
                        .await
                        .is_ok_and(|length| length > 0)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), again)
            .await
            .unwrap();
    }
}
