//! What the whole suite may print nowhere. Each story notes the secrets that it used; when all tests are
//! over, everything that PrBuild's programs, pods and the tests themselves printed is looked through for
//! all of them. Pods are gone by then, so their logs are kept while they run.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Secrets of stories in the berth of their cluster.
const NOTES: &str = "secrets";
/// Ending of the note of a story that has a secret printed on purpose.
const PLANTED: &str = "planted";
/// Logs of pods, kept beyond them.
const KEPT: &str = "kept-pod-logs";
/// Where the kubelet has them.
const POD_LOGS: &str = "pod-logs";
/// Programs of the cluster, which are not ours.
const AROUND: [&str; 5] = ["kube", "etcd", "containerd", "coredns", "minio"];
/// Bytes that every secret has at least: shorter texts may stand somewhere by chance.
pub const LEAST: usize = 16;

/// One secret as it may be printed.
#[derive(Debug)]
struct Form {
    what: String,
    text: Vec<u8>,
}

/// Secrets to look for. Thousands are looked for at once, by how they begin.
#[derive(Debug, Default)]
pub struct Secrets {
    begins: Begins,
    forms: HashMap<[u8; LEAST], Vec<Form>>,
}

/// The first three bytes of every secret: most places of a text are ruled out by them.
#[derive(Debug)]
struct Begins(Vec<u64>);

impl Default for Begins {
    fn default() -> Self {
        Self(vec![0; 1 << 18])
    }
}

impl Begins {
    fn place(text: &[u8]) -> (usize, u64) {
        let byte = |at: usize| text.get(at).copied().map_or(0, usize::from);
        let number = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        (number / 64, 1 << (number % 64))
    }

    fn note(&mut self, text: &[u8]) {
        let (word, bit) = Self::place(text);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn may(&self, text: &[u8]) -> bool {
        let (word, bit) = Self::place(text);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

impl Secrets {
    /// All that stories noted in these berths.
    ///
    /// # Errors
    /// A note cannot be read.
    pub fn noted(berths: &[&Path]) -> io::Result<Self> {
        let mut secrets = Self::default();
        for note in files(berths, NOTES) {
            for line in fs::read_to_string(&note)?.lines() {
                if let Some((what, form)) = line.split_once('\t') {
                    secrets.add(what, form);
                }
            }
        }
        Ok(secrets)
    }

    /// Looks for this one, too.
    pub fn add(&mut self, what: &str, form: &str) {
        let Some(head) = form.as_bytes().first_chunk::<LEAST>() else {
            return;
        };
        let forms = self.forms.entry(*head).or_default();
        if forms.iter().all(|known| known.text != form.as_bytes()) {
            self.begins.note(head);
            forms.push(Form {
                what: what.to_owned(),
                text: form.as_bytes().to_owned(),
            });
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.forms.values().map(Vec::len).sum()
    }

    /// What of them stands in a text.
    pub fn found_in(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for at in 0..text.len().saturating_sub(LEAST - 1) {
            let rest = text.get(at..).unwrap_or_default();
            if !self.begins.may(rest) {
                continue;
            }
            let head = rest.first_chunk::<LEAST>();
            let forms = head.and_then(|head| self.forms.get(head));
            let here = forms.into_iter().flatten();
            let here = here.filter(|form| rest.starts_with(&form.text));
            found.extend(here.map(|form| form.what.as_str()));
        }
        found
    }
}

/// Notes the secrets of a story: each with what it is, and how it may be printed.
///
/// # Errors
/// The note cannot be written.
pub fn note<'a>(
    berth: &Path,
    story: &str,
    secrets: impl Iterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    let whole = secrets.filter(|(_, form)| !form.contains('\n'));
    let lines = whole.map(|(what, form)| format!("{what} of {story}\t{form}\n"));
    let text: String = lines.collect();
    write(berth, story, &text)
}

/// Notes that a story has its programs print a secret on purpose: they are not looked at.
///
/// # Errors
/// The note cannot be written.
pub fn note_planted(berth: &Path, story: &str) -> io::Result<()> {
    write(berth, &format!("{story}.{PLANTED}"), "")
}

fn write(berth: &Path, name: &str, text: &str) -> io::Result<()> {
    let notes = berth.join(NOTES);
    fs::create_dir_all(&notes)?;
    fs::write(notes.join(name), text)
}

/// Keeps the logs of all containers that are there now. A second name for the same file keeps growing
/// with it, and stays when the pod goes.
pub fn keep_pod_logs(berth: &Path) {
    let kept = berth.join(KEPT);
    // A pod may go at any moment, and with it what is looked at here.
    let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    for pod in below(berth.join(POD_LOGS)) {
        for container in below(pod.path()) {
            for log in below(container.path()) {
                let names = [pod.file_name(), container.file_name(), log.file_name()];
                let names = names.map(|name| name.to_string_lossy().into_owned());
                let _ = fs::create_dir_all(&kept);
                let _ = fs::hard_link(log.path(), kept.join(names.join("_")));
            }
        }
    }
}

/// Logs of the pods in a namespace, those that are gone, too: where each is said, and the text.
pub fn kept_of(berth: &Path, namespace: &str) -> Vec<(String, String)> {
    let prefix = format!("{namespace}_");
    let all = files(&[berth], KEPT).into_iter();
    all.filter(|log| name(log).starts_with(&prefix))
        .map(|log| {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            (format!("the log of {}", name(&log)), text)
        })
        .collect()
}

/// The logs of PrBuild's programs and pods in these berths, but for those where a secret was planted.
pub fn printed(berths: &[&Path]) -> Vec<PathBuf> {
    let planted: Vec<String> = files(berths, NOTES)
        .iter()
        .filter_map(|note| {
            name(note)
                .strip_suffix(&format!(".{PLANTED}"))
                .map(str::to_owned)
        })
        .collect();
    let logs = files(berths, "logs").into_iter().chain(files(berths, KEPT));
    let is_ours = |log: &PathBuf| {
        let name = name(log);
        let is_planted = planted.iter().any(|story| name.starts_with(story.as_str()));
        !is_planted && !AROUND.iter().any(|around| name.starts_with(around))
    };
    logs.filter(is_ours).collect()
}

fn files(berths: &[&Path], folder: &str) -> Vec<PathBuf> {
    let folders = berths.iter().map(|berth| berth.join(folder));
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok());
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A berth of its own, which goes with the test.
    struct Berth(PathBuf);

    impl Berth {
        fn new(name: &str) -> Self {
            let unique = format!("prbuild-secrets-{name}-{}", std::process::id());
            let dir = std::env::temp_dir().join(unique);
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(dir.join("logs")).unwrap();
            Self(dir)
        }

        fn log(&self, name: &str, text: &str) {
            fs::write(self.0.join("logs").join(name), text).unwrap();
        }
    }

    impl Drop for Berth {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_secret_that_a_story_noted_is_found_wherever_it_stands() {
        let berth = Berth::new("found");
        let first = ("the key", "0123456789abcdef-first");
        let second = ("the token", "0123456789abcdef-second");
        note(&berth.0, "one-1", [first].into_iter()).unwrap();
        note(&berth.0, "two-2", [second, ("short", "abc")].into_iter()).unwrap();
        let secrets = Secrets::noted(&[&berth.0]).unwrap();
        assert_eq!(secrets.count(), 2);
        let found = |text: &str| {
            let found = secrets.found_in(text.as_bytes()).into_iter();
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(found("0123456789abcdef-first"), ["the key of one-1"]);
        let both = "x0123456789abcdef-second 0123456789abcdef-first\n";
        assert_eq!(found(both), ["the key of one-1", "the token of two-2"]);
        assert_eq!(found("0123456789abcdef-firs"), [""; 0]);
        assert_eq!(found("abc"), [""; 0]);
    }

    #[test]
    fn logs_of_the_cluster_and_of_a_story_that_plants_a_secret_are_left_out() {
        let berth = Berth::new("printed");
        let logs = [
            "app-1-0-prbuild-operator.log",
            "leaks-2-0-prbuild-webhook.log",
            "etcd.log",
        ];
        for log in logs {
            berth.log(log, "");
        }
        note_planted(&berth.0, "leaks-2").unwrap();
        let printed = printed(&[&berth.0]);
        let names: Vec<String> = printed.iter().map(|log| name(log)).collect();
        assert_eq!(names, ["app-1-0-prbuild-operator.log"]);
    }

    #[test]
    fn what_a_pod_printed_is_kept_when_it_goes_with_what_it_printed_after_the_look() {
        let berth = Berth::new("kept");
        let pod = berth.0.join(POD_LOGS).join("app-1_prbuild-operator-x_uid");
        let log = pod.join("operator/0.log");
        fs::create_dir_all(pod.join("operator")).unwrap();
        fs::write(&log, "first\n").unwrap();
        keep_pod_logs(&berth.0);
        keep_pod_logs(&berth.0);
        let mut open = fs::File::options().append(true).open(&log).unwrap();
        io::Write::write_all(&mut open, b"second\n").unwrap();
        fs::remove_dir_all(&pod).unwrap();
        let kept = kept_of(&berth.0, "app-1");
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0].1, "first\nsecond\n");
        assert!(kept_of(&berth.0, "app").is_empty());
        assert_eq!(printed(&[&berth.0]).len(), 1);
    }
}
