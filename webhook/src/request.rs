//! Request: something that a configured repository may build, and that the gate has to look at.

use std::sync::Arc;

use crds::{LabelRule, Repository, names};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::command::{self, Command, Says};
use crate::event::{Button, Event, Pressed, What};
use crate::signature::Verified;

/// How our own comments begin.
const OURS: &str = "<!-- prbuild";

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
    /// A button was pressed.
    Button(Press),
}

/// A button of a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Press {
    /// Id of the press.
    pub id: i64,
    /// Which button.
    pub button: Button,
    /// Name of the PrBuild.
    pub build: String,
    /// Object name of the builder. Empty where the button is that of all.
    pub builder: String,
    /// The commit that the button was shown on.
    pub head_sha: String,
    /// When what was pressed had last changed.
    pub changed_at: Timestamp,
}

impl Press {
    /// The command that does the same.
    pub fn as_command(&self) -> String {
        match self.button {
            Button::Rerun => format!("rerun {}", self.builder),
            Button::RerunAll => "rerun all".to_owned(),
            Button::RerunFailed => "rerun failed".to_owned(),
            Button::Cancel => format!("cancel {}", self.builder),
        }
    }
}

/// What a delivery said.
#[derive(Clone, Debug)]
pub struct Told {
    /// Id of the delivery, by which people find it on GitHub; for the log.
    pub delivery: String,
    /// Who did it.
    pub sender: github::User,
    /// The head of the pull request at that time.
    pub head_sha: Option<String>,
    /// When the pull request had last changed at that time.
    pub updated_at: Option<Timestamp>,
    /// Numeric id of the head's repository, and its branch.
    pub head: Option<(i64, String)>,
    /// When it was delivered, where that was not just now.
    pub at: Option<Timestamp>,
}

impl Told {
    /// What a delivery says whatever happened.
    fn of(verified: &Verified, event: &Event) -> Self {
        Self {
            delivery: verified.id().to_owned(),
            sender: event.sender.clone(),
            head_sha: None,
            updated_at: None,
            head: None,
            at: verified.told_at(),
        }
    }
}

impl Request {
    /// What a verified delivery asks of this repository, in the order in which it is asked. The
    /// button of all check runs is for [`Request::of_all`].
    pub fn of_delivery(
        verified: &Verified,
        event: &Event,
        repository: &Arc<Repository>,
    ) -> Vec<Self> {
        if !verified.is_by(&repository.spec.connection) {
            return Vec::new();
        }
        let mut told = Told::of(verified, event);
        let (number, asks) = match &event.what {
            What::Labeled(labeled) => {
                told.head_sha = Some(labeled.head_sha.clone());
                told.updated_at = Some(labeled.updated_at);
                told.head = labeled.head.clone();
                let ask = Ask::label(repository, &labeled.label);
                (event.number, ask.into_iter().collect())
            }
            What::Commented { id, body } => (event.number, Ask::commands(repository, *id, body)),
            What::Changed(_) => (None, Vec::new()),
            What::Pressed(pressed) => match Ask::button(repository, pressed) {
                Some((number, ask)) => (Some(number), vec![ask]),
                None => (None, Vec::new()),
            },
        };
        let Some(number) = number else {
            return Vec::new();
        };
        let request = |ask| Self {
            repository: repository.clone(),
            repository_id: event.repository,
            number,
            ask,
            told: Some(told.clone()),
        };
        asks.into_iter().map(request).collect()
    }

    /// What the button of all check runs of a commit asks: it is about this build.
    pub fn of_all(
        verified: &Verified,
        event: &Event,
        pressed: &Pressed,
        repository: &Arc<Repository>,
        build: &crds::PrBuild,
    ) -> Self {
        Self {
            repository: repository.clone(),
            repository_id: event.repository,
            number: build.spec.request.number,
            ask: Ask::Button(Press {
                id: pressed.id_for(&build.name_any()),
                button: pressed.button,
                build: build.name_any(),
                builder: String::new(),
                head_sha: pressed.head_sha.clone(),
                changed_at: pressed.changed_at,
            }),
            told: Some(Told::of(verified, event)),
        }
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

    /// The commands of a listed comment. No delivery told of them.
    pub fn of_comment(repository: &Arc<Repository>, comment: &github::Comment) -> Vec<Self> {
        let repository_id = repository.status.as_ref().and_then(|status| status.id);
        let (Some(repository_id), Some(number)) = (repository_id, comment.number) else {
            return Vec::new();
        };
        let asks = Ask::commands(repository, comment.id, &comment.body);
        let request = |ask| Self {
            repository: repository.clone(),
            repository_id,
            number,
            ask,
            told: None,
        };
        asks.into_iter().map(request).collect()
    }

    /// Id of the delivery that told of it, if one did.
    pub fn delivery(&self) -> Option<&str> {
        Some(self.told.as_ref()?.delivery.as_str())
    }

    /// The commit that is asked about, where whoever told of it says one: GitHub's delivery of a label, and
    /// the check run of a button.
    pub fn head_sha(&self) -> Option<&str> {
        match &self.ask {
            Ask::Button(press) => Some(&press.head_sha),
            Ask::Label { .. } | Ask::Command { .. } => self.told.as_ref()?.head_sha.as_deref(),
        }
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

/// The rule of a label, by its name or an alias.
pub fn rule_of<'a>(repository: &'a Repository, label: &str) -> Option<&'a LabelRule> {
    repository.spec.labels.iter().find(|rule| {
        let mut names = std::iter::once(&rule.name).chain(&rule.aliases);
        names.any(|name| github::same_label(name, label))
    })
}

impl Ask {
    /// Whether it only stops something.
    pub fn stops(&self) -> bool {
        match self {
            Self::Label { .. } => false,
            Self::Command { command, .. } => matches!(command.says, Says::Cancel(_)),
            Self::Button(press) => press.button == Button::Cancel,
        }
    }

    fn label(repository: &Repository, label: &str) -> Option<Self> {
        let rule = rule_of(repository, label)?;
        Some(Self::Label {
            label: label.to_owned(),
            rule: rule.clone(),
        })
    }

    /// The commands of a comment, unless it is one of ours: with a personal token these are a person's,
    /// who may have the right to command. Whoever writes our marker gives up that comment's commands.
    fn commands(repository: &Repository, comment: i64, body: &str) -> Vec<Self> {
        if body.trim_start().starts_with(OURS) {
            return Vec::new();
        }
        let commands = command::find(body, (&repository.spec.commands).into());
        let asks = commands.into_iter();
        asks.map(|command| Self::Command { comment, command })
            .collect()
    }

    /// The button of a check run, whose name says which pull request it is about.
    fn button(repository: &Repository, pressed: &Pressed) -> Option<(i64, Self)> {
        let object = repository.metadata.name.as_deref().unwrap_or_default();
        let run = names::read_run_name(object, &pressed.run)?;
        let press = Press {
            id: pressed.id,
            button: pressed.button,
            build: run.build.to_owned(),
            builder: run.builder.to_owned(),
            head_sha: pressed.head_sha.clone(),
            changed_at: pressed.changed_at,
        };
        Some((run.number, Self::Button(press)))
    }
}
