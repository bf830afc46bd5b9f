//! Whether the network does what NetworkPolicies say: the test's build knocks at two doors of this pod. To
//! one its policies let it, the other they deny. A network that does not enforce them accepts them without
//! a word, so nothing else would show it. Pure.

use std::net::SocketAddr;

/// Two addresses of this pod.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    /// The echo's, which the policies of `helm test` open to the build.
    pub allowed: SocketAddr,
    /// One that no policy of the build namespace opens.
    pub denied: SocketAddr,
    /// What only the build knows, so that nobody else who comes by is taken for it.
    pub word: String,
}

/// At which doors the build was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// At the one that it may go to.
    pub allowed: bool,
    /// At the one that it may not.
    pub denied: bool,
}

impl Doors {
    /// What the build runs. The door that is denied comes first: when it was at the other one, it has tried.
    /// `timeout` bounds it, because `wget -T` ends some busyboxes by a fault.
    pub(super) fn script(&self) -> String {
        let (word, denied, allowed) = (&self.word, self.denied, self.allowed);
        format!(
            "# NetworkPolicies deny the first of these to this build, and let it reach the second.\n\
             unset http_proxy HTTP_PROXY\n\
             knock() {{\n\
             \x20 if command -v wget >/dev/null; then timeout 8 wget -q -O /dev/null \"$1\"\n\
             \x20 elif command -v curl >/dev/null; then timeout 8 curl -s -o /dev/null \"$1\"\n\
             \x20 else echo \"this image has neither wget nor curl\"\n\
             \x20 fi\n\
             }}\n\
             knock http://{denied}/reach/{word}\n\
             knock http://{allowed}/reach/{word}\n\
             exit 0\n"
        )
    }

    /// Whether somebody who asks for this path is the build.
    pub(super) fn is_knock(&self, path: &str) -> bool {
        let word = path.strip_prefix("/reach/");
        word.is_some_and(|word| word == self.word)
    }
}

impl Reached {
    /// What it shows, in a sentence. What is not shown is a warning.
    pub(super) fn says(self) -> &'static str {
        match (self.denied, self.allowed) {
            (true, _) => {
                "warning: NetworkPolicies are not enforced here: a build reached an address that they deny\n  \
                 because networkPolicy.enabled is false, or the network of this cluster ignores policies\n  \
                 try: a network that enforces them (docs/security.md); until then builds reach all that it lets them"
            }
            (false, true) => {
                "NetworkPolicies are enforced: a build did not reach what they deny to it"
            }
            (false, false) => {
                "warning: it was not shown that NetworkPolicies are enforced\n  \
                 because the build did not come through where it may go, either: its image has neither wget nor curl\n  \
                 try: --set selfTest.image=IMAGE with one that has"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn doors() -> Doors {
        Doors {
            allowed: "10.0.0.5:8080".parse().unwrap(),
            denied: "10.0.0.5:8081".parse().unwrap(),
            word: "word".to_owned(),
        }
    }

    /// What the script prints where there is a program of this name, and `timeout` prints what it starts.
    fn printed(program: &str) -> String {
        let there = format!("{program}() {{ :; }}\ntimeout() {{ shift; echo \"$*\"; }}\n");
        let script = there + &doors().script();
        let mut sh = Command::new("/bin/sh");
        // Without a path there are no programs but these.
        sh.env("PATH", "/nothing").args(["-c", &script]);
        let output = sh.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_build_knocks_at_the_denied_door_first_with_what_its_image_has() {
        let (denied, allowed) = (
            "http://10.0.0.5:8081/reach/word",
            "http://10.0.0.5:8080/reach/word",
        );
        let wget = printed("wget");
        assert_eq!(wget.lines().count(), 2, "{wget}");
        let mut knocks = wget.lines();
        assert!(knocks.next().unwrap().ends_with(denied), "{wget}");
        assert!(knocks.next().unwrap().ends_with(allowed), "{wget}");
        let curl = printed("curl");
        assert!(curl.contains(denied) && curl.contains(allowed), "{curl}");
        let neither = printed("something_else");
        assert!(neither.contains("neither wget nor curl"), "{neither}");
    }

    #[test]
    fn only_the_build_knows_how_to_knock() {
        assert!(doors().is_knock("/reach/word"));
        for path in ["/reach/", "/reach/other", "/word", "/", "/reach/word/more"] {
            assert!(!doors().is_knock(path), "{path}");
        }
    }

    #[test]
    fn what_was_not_shown_is_a_warning() {
        let says = |denied, allowed| Reached { allowed, denied }.says();
        assert!(says(false, true).starts_with("NetworkPolicies are enforced"));
        for (denied, allowed) in [(true, true), (true, false), (false, false)] {
            let said = says(denied, allowed);
            assert!(
                said.starts_with("warning: ") && said.contains("try: "),
                "{said}"
            );
        }
    }
}
