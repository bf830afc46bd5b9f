//! The log as plain text, byte for byte, whole or in part.

use std::ops::Range;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Method, StatusCode, header};

use crate::{
    logs::{LogReader, READ_LIMIT},
    store::StoreError,
};

/// The answer to a request for the text: what there is of it now.
pub fn answer(reader: LogReader, uid: &str, method: &Method, headers: &HeaderMap) -> Response {
    // What it is once nothing more comes; before that it is something else with every line, and has no tag.
    let tag = reader.kept().map(|kept| format!("\"{}\"", kept.sha256));
    let size = reader.view().size;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(tag) = &tag
        && text(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, tag))
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag.as_str())]).into_response();
    }
    let asked = asked_part(method, headers, tag.as_deref());
    let common = (
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("inline; filename=\"{uid}.txt\""),
            ),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
        ],
        tag.map(|tag| [(header::ETAG, tag)]),
    );
    match part(asked, size) {
        Part::All => {
            let length = [(header::CONTENT_LENGTH, size.to_string())];
            (common.0, common.1, length, body(reader, 0..size)).into_response()
        }
        Part::Some(range) => {
            let place = [
                (
                    header::CONTENT_LENGTH,
                    (range.end - range.start).to_string(),
                ),
                (
                    header::CONTENT_RANGE,
                    format!("bytes {}-{}/{size}", range.start, range.end - 1),
                ),
            ];
            (
                StatusCode::PARTIAL_CONTENT,
                common.0,
                common.1,
                place,
                body(reader, range),
            )
                .into_response()
        }
        Part::Outside => {
            let place = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, common.0, place).into_response()
        }
    }
}

/// The part that is asked for: with GET alone (RFC 9110), and of no other text than the one that somebody has
/// the rest of.
fn asked_part<'a>(method: &Method, headers: &'a HeaderMap, tag: Option<&str>) -> Option<&'a str> {
    let has = headers.get(header::IF_RANGE);
    let is_other = has.is_some_and(|has| tag.is_none_or(|tag| has != tag));
    if method != Method::GET || is_other {
        return None;
    }
    headers.get(header::RANGE)?.to_str().ok()
}

/// Whether a list of tags has this one, or stands for any.
fn names(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Bytes of a log, read as fast as they are taken.
fn body(reader: LogReader, range: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold(
        (reader, range),
        |(reader, range)| async move {
            if range.is_empty() {
                return Ok::<_, StoreError>(None);
            }
            let end = range.end.min(range.start + READ_LIMIT / 4);
            let bytes: Bytes = reader.read(range.start..end).await?;
            if bytes.is_empty() {
                let cause = "it is shorter than it was".to_owned();
                return Err(StoreError::Damaged {
                    key: "a log".to_owned(),
                    cause,
                });
            }
            let rest = range.start + bytes.len() as u64..range.end;
            Ok(Some((bytes, (reader, rest))))
        },
    ))
}

/// Which part of a text is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    All,
    Some(Range<u64>),
    Outside,
}

/// Reads a `Range` header. Several ranges, other units and nonsense are answered with all of it.
fn part(asked: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = asked
        .and_then(|asked| asked.trim().strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Part::All;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..size.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Part::All,
    };
    if range.is_empty() {
        Part::Outside
    } else {
        Part::Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let table = [
            (None, Part::All),
            (Some("bytes=0-0"), Part::Some(0..1)),
            (Some("bytes=5-"), Part::Some(5..10)),
            (Some("bytes=-3"), Part::Some(7..10)),
            (Some("bytes=-99"), Part::Some(0..10)),
            (Some("bytes=2-99999999999999999999"), Part::All),
            (Some("bytes=2-18446744073709551615"), Part::Some(2..10)),
            (Some("bytes=10-"), Part::Outside),
            (Some("bytes=-0"), Part::Outside),
            (Some("bytes=5-2"), Part::All),
            (Some("bytes=0-1,3-4"), Part::All),
            (Some("lines=1-2"), Part::All),
            (Some("bytes=--1"), Part::All),
        ];
        for (asked, expected) in table {
            assert_eq!(part(asked, 10), expected, "{asked:?}");
        }
        assert_eq!(part(Some("bytes=0-"), 0), Part::Outside);
    }
}
