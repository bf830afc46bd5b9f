//! A bucket of Google Cloud Storage. No program that can be had speaks its XML API, so this stands in for it:
//! what Google's reference says of the requests that a gateway makes, and nothing else.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::{Bound, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use tests::forge::{http_date, iso};
use tokio::sync::oneshot;
use url::form_urlencoded;

use super::Store;

const BUCKET: &str = "logs";
/// Objects in one answer to a list. Google gives a thousand; with few it shows that the next are asked for.
const PAGE: usize = 5;

impl Store {
    /// A bucket of Google's, on loopback.
    pub fn google() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key of an account");
        let private: Pkcs8V1Der<'_> = pair.as_der().expect("the form that keys are kept in");
        let (address, server) = serve(Bucket {
            key: pair.public_key().as_ref().to_vec(),
            content: Mutex::default(),
        });
        let account = json!({
            "type": "service_account",
            "client_email": "logs@example.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": pem(private.as_ref()),
            "gcs_base_url": format!("http://{address}"),
        });
        Self {
            place: format!("gs://{BUCKET}/some/prefix"),
            environment: vec![("GOOGLE_SERVICE_ACCOUNT_KEY", account.to_string())],
            _server: Some(Box::new(server)),
        }
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

/// Serves a bucket on a thread of its own, for a test may hold up the one that it is on. It ends when what
/// this gives is dropped.
fn serve(bucket: Bucket) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("its address");
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let router = Router::new().fallback(answer).with_state(Arc::new(bucket));
            tokio::select! {
                _ = axum::serve(listener, router).into_future() => {}
                _ = stopped => {}
            }
        });
    });
    (address, stop)
}

struct Bucket {
    /// The public key of the account that may use it.
    key: Vec<u8>,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, Object>,
    /// Parts of objects that are not whole yet, by the id of their upload.
    uploads: BTreeMap<String, BTreeMap<usize, Bytes>>,
    /// Counts all that was ever written.
    generation: usize,
}

struct Object {
    bytes: Bytes,
    generation: usize,
    modified: Timestamp,
}

async fn answer(State(bucket): State<Arc<Bucket>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !bucket.admits(&head.headers) {
        return refused(StatusCode::UNAUTHORIZED, "AuthenticationRequired");
    }
    // A gateway that was killed sends the half.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return refused(StatusCode::BAD_REQUEST, "IncompleteBody");
    };
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let of_query = |name: &str| query.get(name).map(String::as_str);
    let of_header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(key) = key(head.uri.path()) else {
        return refused(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    let mut content = bucket.content();
    match (head.method, of_query("uploadId")) {
        (Method::GET, _) if key.is_empty() => content.list(
            of_query("prefix").unwrap_or_default(),
            of_query("delimiter"),
            of_query("continuation-token").unwrap_or_default(),
        ),
        (Method::POST, None) if query.contains_key("uploads") => content.begin(),
        (Method::PUT, Some(upload)) => {
            let number = of_query("partNumber").and_then(|number| number.parse().ok());
            content.part(upload, number, body)
        }
        (Method::POST, Some(upload)) => content.complete(upload, &key),
        (Method::DELETE, Some(upload)) => {
            content.uploads.remove(upload);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::PUT, None) => {
            let is_new = of_header("x-goog-if-generation-match") == Some("0");
            match is_new && content.objects.contains_key(&key) {
                true => refused(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
                false => content.put(&key, body),
            }
        }
        (Method::GET | Method::HEAD, None) => match content.objects.get(&key) {
            Some(object) => object.give(of_header("range")),
            None => refused(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        (Method::DELETE, None) => match content.objects.remove(&key) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => refused(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

/// The key of the object that a path names; empty where it names the bucket.
fn key(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?.strip_prefix(BUCKET)?;
    // Nothing in a path is left as it is that means something in a form.
    let mut names = form_urlencoded::parse(path.trim_start_matches('/').as_bytes());
    Some(
        names
            .next()
            .map(|(name, _)| name.into_owned())
            .unwrap_or_default(),
    )
}

fn refused(status: StatusCode, code: &str) -> Response {
    xml(status, &format!("<Error><Code>{code}</Code></Error>"))
}

fn xml(status: StatusCode, text: &str) -> Response {
    let kind = [("content-type", "application/xml")];
    (
        status,
        kind,
        format!("<?xml version='1.0' encoding='UTF-8'?>{text}"),
    )
        .into_response()
}

impl Bucket {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request has a token that the account has signed itself (RFC 7519, AIP-4111).
    fn admits(&self, headers: &HeaderMap) -> bool {
        let header = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let Some((signed, signature)) = token.and_then(|token| token.rsplit_once('.')) else {
            return false;
        };
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
        key.verify(signed.as_bytes(), &signature).is_ok()
    }
}

impl Content {
    fn put(&mut self, key: &str, bytes: Bytes) -> Response {
        self.generation += 1;
        let object = Object {
            bytes,
            generation: self.generation,
            modified: Timestamp::now(),
        };
        let told = object.told();
        self.objects.insert(key.to_owned(), object);
        told.into_response()
    }

    fn begin(&mut self) -> Response {
        self.generation += 1;
        let upload = format!("upload-{}", self.generation);
        let text = format!(
            "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        );
        self.uploads.insert(upload, BTreeMap::new());
        xml(StatusCode::OK, &text)
    }

    fn part(&mut self, upload: &str, number: Option<usize>, bytes: Bytes) -> Response {
        let parts = self.uploads.get_mut(upload);
        let Some((parts, number)) = parts.zip(number) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let tag = [("etag", format!("\"part-{number}-{}\"", bytes.len()))];
        parts.insert(number, bytes);
        tag.into_response()
    }

    /// Makes an object of all parts that came, in their order.
    fn complete(&mut self, upload: &str, key: &str) -> Response {
        let Some(parts) = self.uploads.remove(upload) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let mut whole = BytesMut::new();
        for part in parts.values() {
            whole.extend_from_slice(part);
        }
        self.put(key, whole.freeze());
        let tag = self.generation;
        let text = format!(
            "<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag></CompleteMultipartUploadResult>"
        );
        xml(StatusCode::OK, &text)
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>, after: &str) -> Response {
        let mut found = BTreeMap::new();
        for (key, object) in &self.objects {
            let Some(rest) = key.strip_prefix(prefix) else {
                continue;
            };
            match delimiter.and_then(|delimiter| rest.split_once(delimiter)) {
                Some((folder, _)) => found.insert(format!("{prefix}{folder}/"), None),
                None => found.insert(key.clone(), Some(object)),
            };
        }
        let beyond: (Bound<&str>, Bound<&str>) = (Bound::Excluded(after), Bound::Unbounded);
        let mut rest = found.range::<str, _>(beyond);
        let (mut text, mut last) = (String::from("<ListBucketResult>"), None);
        for (name, object) in rest.by_ref().take(PAGE) {
            let _ = match object {
                None => write!(
                    text,
                    "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                ),
                Some(object) => write!(
                    text,
                    "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>{}</LastModified></Contents>",
                    object.bytes.len(),
                    iso(object.modified)
                ),
            };
            last = Some(name);
        }
        if let (Some(last), Some(_)) = (last, rest.next()) {
            let _ = write!(
                text,
                "<NextContinuationToken>{last}</NextContinuationToken>"
            );
        }
        text.push_str("</ListBucketResult>");
        xml(StatusCode::OK, &text)
    }
}

impl Object {
    /// What is told of it in headers.
    fn told(&self) -> [(&'static str, String); 3] {
        [
            ("etag", format!("\"{}\"", self.generation)),
            ("x-goog-generation", self.generation.to_string()),
            ("last-modified", http_date(self.modified)),
        ]
    }

    /// It, or the part of it that is asked for.
    fn give(&self, asked: Option<&str>) -> Response {
        let size = self.bytes.len();
        let Some(asked) = asked else {
            return (self.told(), self.bytes.clone()).into_response();
        };
        let Some(range) = range(asked, size) else {
            return refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        };
        let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        let place = [("content-range", place)];
        let part = self.bytes.slice(range);
        (StatusCode::PARTIAL_CONTENT, place, self.told(), part).into_response()
    }
}

/// A range of which both ends are named: no other is asked for here.
fn range(asked: &str, size: usize) -> Option<Range<usize>> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first < size && first <= last).then(|| first..size.min(last + 1))
}
