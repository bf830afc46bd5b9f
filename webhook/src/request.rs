//! Request: something that a configured repository may build, and that the gate has to look at.

use std::sync::Arc;

use crds::{LabelRule, Repository};
use jiff::Timestamp;

use crate::command::{self, Command};
use crate::event::{Event, What};
use crate::signature::Verified;

/// What the gate is asked. Everything that came with a delivery is a hint; the API decides.
#[derive(Clone, Debug)]
pub struct Request {
    /// The Repository.
    pub repository: Arc<Repository>,
    /// GitHub's id of the repository.
    pub repository_id: i64,
    /// Number of the pull request.
    pub number: i64,
    /// What is asked for.
    pub ask: Ask,
    /// What the delivery said. The sweep has none.
    pub told: Option<Told>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A label, as it is spelled on GitHub, and the rule that it stands for.
    Label {
        /// Spelling on GitHub.
        label: String,
        /// What it selects.
        rule: LabelRule,
    },
    /// A command in a comment.
    Command {
        /// Id of the comment.
        comment: i64,
        /// The command.
        command: Command,
    },
}

/// What a delivery said.
#[derive(Clone, Debug)]
pub struct Told {
    /// Who did it.
    pub sender: github::User,
    /// The head of the pull request at that time.
    pub head_sha: Option<String>,
    /// When the pull request had last changed at that time.
    pub updated_at: Option<Timestamp>,
    /// Repository and branch of the head.
    pub head: Option<(String, String)>,
}

impl Request {
    /// What a verified delivery asks of this repository. None: nothing.
    pub fn of_delivery(
        verified: &Verified,
        event: &Event,
        repository: &Arc<Repository>,
    ) -> Option<Self> {
        if !verified.is_by(&repository.spec.connection) {
            return None;
        }
        let mut told = Told {
            sender: event.sender.clone(),
            head_sha: None,
            updated_at: None,
            head: None,
        };
        let ask = match &event.what {
            What::Labeled(labeled) => {
                told.head_sha = Some(labeled.head_sha.clone());
                told.updated_at = Some(labeled.updated_at);
                told.head = labeled.head.clone();
                Ask::label(repository, &labeled.label)?
            }
            What::Commented { id, body } => Ask::Command {
                comment: *id,
                command: command::find(body, &repository.spec.commands.prefix)?,
            },
        };
        Some(Self {
            repository: repository.clone(),
            repository_id: event.repository,
            number: event.number,
            ask,
            told: Some(told),
        })
    }

    /// The labels of a listed pull request that ask for something. No delivery told of them.
    pub fn of_listed(repository: &Arc<Repository>, pull: &github::PullRequest) -> Vec<Self> {
        let Some(repository_id) = repository.status.as_ref().and_then(|status| status.id) else {
            return Vec::new();
        };
        let asks = pull
            .labels
            .iter()
            .filter_map(|label| Ask::label(repository, &label.name));
        asks.map(|ask| Self {
            repository: repository.clone(),
            repository_id,
            number: pull.number,
            ask,
            told: None,
        })
        .collect()
    }

    /// `owner/name` of the repository, as GitHub spells it where that is known.
    pub fn full_name(&self) -> String {
        let status = self.repository.status.as_ref();
        status
            .and_then(|status| status.full_name.clone())
            .unwrap_or_else(|| {
                format!(
                    "{}/{}",
                    self.repository.spec.owner, self.repository.spec.name
                )
            })
    }

    /// Name of the Repository object.
    pub fn repository_name(&self) -> &str {
        self.repository.metadata.name.as_deref().unwrap_or_default()
    }
}

impl Ask {
    fn label(repository: &Repository, label: &str) -> Option<Self> {
        let rule = repository
            .spec
            .labels
            .iter()
            .find(|rule| github::same_label(&rule.name, label))?;
        Some(Self::Label {
            label: label.to_owned(),
            rule: rule.clone(),
        })
    }
}
