//! A repository of git with one pull request, made of nothing, and how its test merge is fetched over
//! HTTP: the first version of git's protocol, as far as `git fetch --depth=1` speaks it. Pure.
//!
//! <https://git-scm.com/docs/gitprotocol-http>, <https://git-scm.com/docs/gitformat-pack>

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// One of the two files, and what is in it.
const README: (&str, &str) = (
    "README",
    "PrBuild tests itself with this. Nobody wrote it.\n",
);
/// Name of the other one: what the build runs. Git sorts names by their bytes, so it is the second.
const SCRIPT: &str = "reach";
/// Who made the commits, and when.
const BY: &str = "PrBuild <self-test@prbuild.invalid> 1700000000 +0000";
/// Where the test merge is, as on GitHub.
const MERGE_REF: &str = "refs/pull/1/merge";

/// Three commits: a base, a head, and the merge of both, which is what can be fetched.
#[derive(Clone, Debug)]
pub(super) struct Commits {
    /// Tip of the base branch.
    pub base: String,
    /// Head of the pull request.
    pub head: String,
    /// Test merge of the two.
    pub merge: String,
    /// What the merge holds.
    pub tree: String,
    pack: Vec<u8>,
}

impl Commits {
    /// Makes them; the build runs this script. They are the same whenever that is the same.
    pub(super) fn make(script: &str) -> Self {
        let file = |text: &str| Object::new(Kind::File, text.as_bytes().to_vec());
        let (readme, script) = (file(README.1), file(script));
        let mut entries = Vec::new();
        for (name, file) in [(README.0, &readme), (SCRIPT, &script)] {
            entries.extend(format!("100644 {name}\0").into_bytes());
            entries.extend_from_slice(&file.id);
        }
        let tree = Object::new(Kind::Tree, entries);
        let base = commit(&tree, &[], "Begin");
        let head = commit(&tree, &[&base], "Change nothing");
        let merge = commit(&tree, &[&base, &head], "Merge the change");
        Self {
            base: base.name(),
            head: head.name(),
            merge: merge.name(),
            tree: tree.name(),
            pack: pack(&[merge, tree, readme, script]),
        }
    }

    /// The answer to `GET info/refs?service=git-upload-pack`.
    pub(super) fn advertisement(&self) -> Vec<u8> {
        let mut answer = packet("# service=git-upload-pack\n");
        answer.extend_from_slice(FLUSH);
        let can = "shallow agent=prbuild-self-test";
        answer.extend(packet(&format!("{} {MERGE_REF}\0{can}\n", self.merge)));
        answer.extend_from_slice(FLUSH);
        answer
    }

    /// The answer to `POST git-upload-pack`. A client asks twice: for how deep the history is, and with
    /// `done` for the pack.
    pub(super) fn upload(&self, request: &[u8]) -> Vec<u8> {
        let lines = lines(request);
        let wants = |line: &&String| line.starts_with("want ") && !line.contains(&self.merge);
        if let Some(other) = lines.iter().find(wants) {
            return packet(&format!("ERR not here: {other}\n"));
        }
        let mut answer = Vec::new();
        if lines.iter().any(|line| line.starts_with("deepen ")) {
            answer.extend(packet(&format!("shallow {}\n", self.merge)));
            answer.extend_from_slice(FLUSH);
        }
        if lines.iter().any(|line| line == "done") {
            answer.extend(packet("NAK\n"));
            answer.extend_from_slice(&self.pack);
        }
        answer
    }
}

/// Ends a section.
const FLUSH: &[u8] = b"0000";

/// A line with its length before it.
fn packet(line: &str) -> Vec<u8> {
    format!("{:04x}{line}", line.len() + 4).into_bytes()
}

/// The lines of a request, without what is no text.
fn lines(mut request: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((length, rest)) = request.split_at_checked(4) {
        let length = std::str::from_utf8(length).ok();
        let length = length.and_then(|length| usize::from_str_radix(length, 16).ok());
        let Some(length) = length else { break };
        let Some((line, rest)) = rest.split_at_checked(length.saturating_sub(4)) else {
            break;
        };
        found.push(String::from_utf8_lossy(line).trim_end().to_owned());
        request = rest;
    }
    found
}

#[derive(Clone, Copy)]
enum Kind {
    Commit = 1,
    Tree = 2,
    File = 3,
}

struct Object {
    kind: Kind,
    content: Vec<u8>,
    id: Vec<u8>,
}

impl Object {
    fn new(kind: Kind, content: Vec<u8>) -> Self {
        let word = match kind {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::File => "blob",
        };
        let mut whole = format!("{word} {}\0", content.len()).into_bytes();
        whole.extend_from_slice(&content);
        let id = sha1(&whole);
        Self { kind, content, id }
    }

    fn name(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn commit(tree: &Object, parents: &[&Object], message: &str) -> Object {
    let mut text = format!("tree {}\n", tree.name());
    for parent in parents {
        text.push_str(&format!("parent {}\n", parent.name()));
    }
    text.push_str(&format!("author {BY}\ncommitter {BY}\n\n{message}\n"));
    Object::new(Kind::Commit, text.into_bytes())
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// A pack of whole objects, none compressed: they are tiny.
fn pack(objects: &[Object]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap_or_default();
    let mut pack = b"PACK".to_vec();
    pack.extend_from_slice(&2_u32.to_be_bytes());
    pack.extend_from_slice(&count.to_be_bytes());
    for object in objects {
        pack.extend(header(object.kind, object.content.len()));
        pack.extend(stored(&object.content));
    }
    pack.extend(sha1(&pack));
    pack
}

/// Kind and length: four bits of the length beside the kind, then seven a byte.
fn header(kind: Kind, length: usize) -> Vec<u8> {
    let low = |value: usize, bits: u32| u8::try_from(value & ((1 << bits) - 1)).unwrap_or_default();
    let mut bytes = vec![((kind as u8) << 4) | low(length, 4)];
    let mut rest = length >> 4;
    while rest > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.push(low(rest, 7));
        rest >>= 7;
    }
    bytes
}

/// What zlib reads as these bytes: one block that is stored as it is (RFC 1950, RFC 1951 section 3.2.4).
fn stored(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or_default();
    let mut bytes = vec![0x78, 0x01, 0x01];
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&adler32(content).to_be_bytes());
    bytes
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_git_gives_and_long_objects_have_long_headers() {
        // `printf 'hello\n' | git hash-object --stdin`
        let hello = Object::new(Kind::File, b"hello\n".to_vec());
        assert_eq!(hello.name(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(header(Kind::File, 6), [0x36]);
        assert_eq!(header(Kind::Commit, 200), [0x98, 0x0c]);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn only_the_merge_is_handed_out() {
        let commits = Commits::make("true\n");
        let ask = |sha: &str| packet(&format!("want {sha} shallow\n"));
        let answer = commits.upload(&ask(&commits.head));
        assert!(String::from_utf8_lossy(&answer).contains("ERR not here"));
        let answer = commits.upload(&[ask(&commits.merge), packet("done\n")].concat());
        assert!(answer.starts_with(b"0008NAK\nPACK"));
    }
}
