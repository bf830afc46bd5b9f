//! Pure: where the pages of runs and builds are.

use crds::{BuilderRun, PrBuild};
use kube::ResourceExt;

/// Addresses of pages that the gateway serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages(String);

/// Not an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of pages; write it as https://prbuild.example.org")]
pub struct PagesError(String);

impl Pages {
    /// Pages beneath this address, as people open it.
    pub fn at(address: &str) -> Result<Self, PagesError> {
        let uri: Option<http::Uri> = address.parse().ok();
        let fits = |uri: &http::Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
        };
        // It stands in Markdown, between brackets that nothing must close.
        let plain = !address.contains(['(', ')', '<', '>', '[', ']', '|', '#']);
        match uri.as_ref().is_some_and(fits) && plain {
            true => Ok(Self(address.trim_end_matches('/').to_owned())),
            false => Err(PagesError(address.to_owned())),
        }
    }

    /// The page of the run with this uid, with its log.
    pub fn run(&self, repository: &str, uid: &str) -> String {
        format!("{}/r/{repository}/runs/{uid}", self.0)
    }

    /// The page of a build.
    pub fn build(&self, repository: &str, name: &str) -> String {
        format!("{}/r/{repository}/builds/{name}", self.0)
    }

    /// The page of a run: the page of its build, where it is no object of the cluster.
    pub fn of_run(&self, run: &BuilderRun) -> String {
        let repository = &run.spec.task.repository;
        match run.uid() {
            Some(uid) => self.run(repository, &uid),
            None => self.build(repository, &run.spec.pr_build.name),
        }
    }

    /// The page of a build.
    pub fn of_build(&self, build: &PrBuild) -> String {
        let repository = &build.spec.request.repository.name;
        self.build(repository, &build.name_any())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lies_beneath_the_address_that_people_open() {
        for address in [
            "https://ci.example.org/prbuild/",
            "https://ci.example.org/prbuild",
        ] {
            let pages = Pages::at(address).unwrap();
            let run = "https://ci.example.org/prbuild/r/app/runs/0b5c";
            assert_eq!(pages.run("app", "0b5c"), run);
            let build = "https://ci.example.org/prbuild/r/app/builds/app-7-l1";
            assert_eq!(pages.build("app", "app-7-l1"), build);
        }
    }

    #[test]
    fn what_would_break_a_link_is_no_address() {
        for wrong in [
            "",
            "ci.example.org",
            "javascript:alert(1)",
            "https://",
            "https://a/?x=1",
            "https://a/)(",
            "https://a/#x",
        ] {
            assert!(Pages::at(wrong).is_err(), "{wrong}");
        }
    }
}
