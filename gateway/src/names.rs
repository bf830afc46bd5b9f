//! Names that may stand in an address and in a key of the store. What is not one of these shapes never
//! becomes part of a key, so no key can leave its prefix.

use protocol::log::Stream;

/// Bytes of an object's name in Kubernetes.
const NAME_LIMIT: usize = 253;
/// Bytes of a uid. Kubernetes' own have 36.
const UID_LIMIT: usize = 64;

/// Whether this is the name of a Kubernetes object: DNS labels, joined by dots.
pub fn is_object_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= NAME_LIMIT && text.split('.').all(is_label)
}

/// Whether this has the shape of a uid: lowercase letters, digits and dashes between them.
pub fn is_uid(text: &str) -> bool {
    text.len() <= UID_LIMIT && !text.contains('.') && is_object_name(text)
}

/// Whether this is a number of a pull request, written as GitHub writes it.
pub fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    digits && !text.starts_with('0')
}

/// Whether this is the id of a sender: 32 hexadecimal digits.
pub fn is_writer(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A run, by names that were looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    repository: String,
    run: String,
}

impl RunKey {
    /// The run with this uid in this Repository; none where a name has the wrong shape.
    pub fn new(repository: &str, run: &str) -> Option<Self> {
        (is_object_name(repository) && is_uid(run)).then(|| Self {
            repository: repository.to_owned(),
            run: run.to_owned(),
        })
    }

    /// Name of the Repository object.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Uid of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What all keys of this run begin with, without the last slash.
    pub fn prefix(&self) -> String {
        format!("repositories/{}/runs/{}", self.repository, self.run)
    }

    /// Key of the sender's id.
    pub fn writer(&self) -> String {
        format!("{}/writer", self.prefix())
    }

    /// Key of what the sender said at the end of the log.
    pub fn end(&self) -> String {
        format!("{}/end.json", self.prefix())
    }

    /// Key of the record.
    pub fn record(&self) -> String {
        format!("{}/record.json", self.prefix())
    }

    /// What the keys of a stream's segments begin with, without the last slash.
    pub fn segments(&self, stream: Stream) -> String {
        format!("{}/{}", self.prefix(), stream.name())
    }

    /// Key of the segment that begins at this offset, after so many line ends. Both follow from what the
    /// sender sent, so two gateways that store the same bytes want the same key, and the next key is
    /// known without a listing.
    pub fn segment(&self, stream: Stream, offset: u64, line: u64) -> String {
        format!("{}/{offset:016x}.{line:x}.zst", self.segments(stream))
    }

    /// Key of the places at which the first segments of a stream begin.
    pub fn places(&self, stream: Stream) -> String {
        format!("{}/places.json", self.segments(stream))
    }

    /// Key of a whole stream.
    pub fn archive(&self, stream: Stream) -> String {
        format!("{}.zst", self.segments(stream))
    }

    /// Key of its index.
    pub fn index(&self, stream: Stream) -> String {
        format!("{}.json", self.segments(stream))
    }
}

impl std::fmt::Display for RunKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {} of {}", self.run, self.repository)
    }
}

/// Offset and line ends before it, of a segment's file name.
pub fn segment_place(name: &str) -> Option<(u64, u64)> {
    let (offset, line) = name.strip_suffix(".zst")?.split_once('.')?;
    let offset = (offset.len() == 16).then(|| u64::from_str_radix(offset, 16).ok())??;
    Some((offset, u64::from_str_radix(line, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_prefix() {
        for bad in [
            "", ".", "..", "a/b", "a..b", "-a", "a-", "A", "a%2fb", "a\\b", "a b", "a\0", "ä",
            ".a", "a#1",
        ] {
            assert!(!is_object_name(bad), "{bad:?}");
            assert!(!is_uid(bad), "{bad:?}");
            assert_eq!(RunKey::new(bad, "0b1c"), None);
            assert_eq!(RunKey::new("app", bad), None);
        }
        assert!(is_object_name("app.example-1"));
        assert!(is_uid("0b1c5d0e-7a55-4bb2-9d11-ab12cd34ef56"));
        assert!(!is_uid(&"a".repeat(65)));
        assert!(!is_object_name(&"a".repeat(254)));
    }

    #[test]
    fn numbers_and_writers_have_one_spelling() {
        for (text, good) in [
            ("1", true),
            ("01", false),
            ("0", false),
            ("-1", false),
            ("", false),
        ] {
            assert_eq!(is_number(text), good, "{text}");
        }
        assert!(!is_number(&"9".repeat(19)));
        assert!(is_writer(&"0a".repeat(16)) && !is_writer("0a") && !is_writer(&"g".repeat(32)));
    }

    #[test]
    fn the_place_of_a_segment_is_in_its_name() {
        let run = RunKey::new("app", "0b1c").unwrap();
        let key = run.segment(Stream::Log, 0x1234, 10);
        assert_eq!(key, "repositories/app/runs/0b1c/log/0000000000001234.a.zst");
        let name = key.rsplit('/').next().unwrap();
        assert_eq!(segment_place(name), Some((0x1234, 10)));
        for bad in [
            "1.2.zst",
            "0000000000001234.zst",
            "0000000000001234.a",
            "x.y.zst",
        ] {
            assert_eq!(segment_place(bad), None, "{bad}");
        }
    }
}
