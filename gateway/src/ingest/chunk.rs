//! One `PUT` of a log: what its headers say, and whether its body is that.

use std::cell::RefCell;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use protocol::log::CHUNK_LIMIT;

use crate::logs::frames::{self, Arrived};

/// What the address and the headers say.
#[derive(Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// Where its bytes belong.
    pub offset: u64,
    /// How they are packed.
    pub encoding: Encoding,
    /// The digest of the body as it is sent (RFC 9530).
    pub digest: Option<[u8; 32]>,
}

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// Zstandard.
    Zstd,
}

thread_local! {
    // Bytes are unpacked here and leave as text of a log: a thread needs the room once.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ChunkHead {
    /// Reads query and headers. What is wrong, in words.
    pub fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, &'static str> {
        Ok(Self {
            offset: offset(query).ok_or("the address needs ?offset= and a number")?,
            encoding: match once(headers, "content-encoding")? {
                None | Some("identity") => Encoding::Identity,
                Some("zstd") => Encoding::Zstd,
                Some(_) => return Err("the content-encoding is neither zstd nor identity"),
            },
            digest: match once(headers, "content-digest")? {
                None => None,
                Some(text) => Some(sha256(text).ok_or("the content-digest has no sha-256")?),
            },
        })
    }

    /// Gives the unpacked bytes of a body to somebody, if the body is what the headers say. What is wrong,
    /// in words.
    pub fn open<T>(
        &self,
        body: &[u8],
        with: impl FnOnce(Arrived<'_>) -> T,
    ) -> Result<T, &'static str> {
        match &self.digest {
            None if !body.is_empty() => return Err("the content-digest is missing"),
            Some(expected) if digest(&SHA256, body).as_ref() != expected => {
                return Err("the body is not that of the content-digest");
            }
            _ => {}
        }
        ROOM.with_borrow_mut(|room| {
            room.resize(CHUNK_LIMIT, 0);
            let length = match self.encoding {
                Encoding::Zstd if body.is_empty() => 0,
                Encoding::Zstd => frames::decode_into(body, room)
                    .map_err(|_| "the body is no zstd of at most 1 MiB of text")?,
                Encoding::Identity => {
                    let room = room.get_mut(..body.len()).ok_or("the body is over 1 MiB")?;
                    room.copy_from_slice(body);
                    body.len()
                }
            };
            let packed = match self.encoding {
                Encoding::Zstd => frames::ready(body, length),
                Encoding::Identity => Vec::new(),
            };
            let text = &mut room[..length];
            Ok(with(Arrived { text, packed }))
        })
    }
}

fn offset(query: Option<&str>) -> Option<u64> {
    let digits = query?.strip_prefix("offset=")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// The SHA-256 in a `Content-Digest`, which may have others (RFC 9530).
fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut parts = text.split(',').map(str::trim);
    let encoded = parts.find_map(|part| part.strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// A header that may be there once.
pub fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err("a header is there twice or is not ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    fn digest_of(bytes: &[u8]) -> String {
        format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, bytes)))
    }

    fn head(encoding: Encoding, body: &[u8]) -> ChunkHead {
        let digest = Some(digest(&SHA256, body).as_ref().try_into().unwrap());
        ChunkHead {
            offset: 0,
            encoding,
            digest,
        }
    }

    #[test]
    fn a_chunk_says_where_it_belongs_how_it_is_packed_and_what_it_is() {
        let digest = format!("sha-512=:AAAA:, {}", digest_of(b"a"));
        let pairs = [
            ("content-encoding", "zstd".to_owned()),
            ("content-digest", digest),
        ];
        let found = ChunkHead::of(Some("offset=17"), &headers(&pairs)).unwrap();
        assert_eq!((found.offset, found.encoding), (17, Encoding::Zstd));
        assert_eq!(found.digest, head(Encoding::Zstd, b"a").digest);
    }

    #[test]
    fn what_is_not_clear_is_not_guessed() {
        let none = HeaderMap::new();
        let bad = [
            "",
            "offset=",
            "offset=-1",
            "offset=1&offset=2",
            "offset=99999999999999999999",
            "x=1",
        ];
        for query in bad {
            assert!(ChunkHead::of(Some(query), &none).is_err(), "{query}");
        }
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("content-encoding", "zstd, zstd"),
            ("content-digest", "sha-256=AAAA"),
            ("content-digest", "sha-256=:AAAA:"),
            ("content-digest", "md5=:AAAA:"),
        ] {
            let pairs = headers(&[(name, value.to_owned())]);
            assert!(
                ChunkHead::of(Some("offset=0"), &pairs).is_err(),
                "{name}: {value}"
            );
        }
        let mut twice = headers(&[("content-encoding", "zstd".to_owned())]);
        twice.append("content-encoding", "zstd".parse().unwrap());
        assert!(ChunkHead::of(Some("offset=0"), &twice).is_err());
    }

    #[test]
    fn bytes_are_given_only_if_they_are_what_was_said() {
        let text = b"hello".as_slice();
        let packed = frames::encode(text).unwrap();
        let open = |head: ChunkHead, body: &[u8]| head.open(body, |arrived| arrived.text.to_vec());
        assert_eq!(open(head(Encoding::Identity, text), text).unwrap(), text);
        assert_eq!(open(head(Encoding::Zstd, &packed), &packed).unwrap(), text);
        assert!(open(head(Encoding::Zstd, b"other"), &packed).is_err());
        assert!(open(head(Encoding::Zstd, text), text).is_err());
        let cut = &packed[..packed.len() - 1];
        assert!(open(head(Encoding::Zstd, &packed), cut).is_err());
        assert!(open(head(Encoding::Zstd, cut), cut).is_err());
        let unsaid = ChunkHead {
            digest: None,
            ..head(Encoding::Identity, text)
        };
        assert!(open(unsaid, text).is_err());
    }

    #[test]
    fn a_bomb_takes_no_more_room_than_a_chunk() {
        let bomb = vec![0; 64 << 20];
        let packed = zstd::bulk::compress(&bomb, 1).unwrap();
        assert!(packed.len() < 64 << 10);
        let result = head(Encoding::Zstd, &packed).open(&packed, |arrived| arrived.text.len());
        assert!(result.is_err());
        ROOM.with_borrow(|room| assert_eq!(room.len(), CHUNK_LIMIT));
        let many: Vec<u8> =
            std::iter::repeat_n(zstd::bulk::compress(&bomb[..CHUNK_LIMIT], 1).unwrap(), 9)
                .flatten()
                .collect();
        assert!(
            head(Encoding::Zstd, &many)
                .open(&many, |arrived| arrived.text.len())
                .is_err()
        );
    }
}
