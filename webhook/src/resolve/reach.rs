//! What a person can reach by a command: nobody gets more by writing than by labelling.

use crds::{Builder, LabelRule, Permission};

use super::{Name, Rule, Vocabulary};

/// The flavours of the labels that the person may set, and the rules of those that they may not.
#[derive(Debug, Default)]
pub struct Reach<'a> {
    mine: Vec<Rule<'a>>,
    others: Vec<Rule<'a>>,
}

impl<'a> Reach<'a> {
    /// What somebody with this right reaches. A label whose pattern is broken selects nothing.
    pub fn of(labels: &'a [LabelRule], right: Option<Permission>) -> Self {
        let mut reach = Self::default();
        for label in labels {
            let Ok(rule) = Rule::new(label) else {
                continue;
            };
            match label.minimum.is_none_or(|minimum| right >= Some(minimum)) {
                true => reach.mine.push(rule),
                false => reach.others.push(rule),
            }
        }
        reach
    }

    /// The first label that the person may set: what a command without words builds.
    pub fn first(&self) -> Option<&Rule<'a>> {
        self.mine.first()
    }

    /// Whether a builder is in reach: it takes part in a flavour of this repository, and is not one
    /// that only labels select which the person may not set.
    ///
    /// # Errors
    /// Why it is not, as a sentence.
    pub fn holds(&self, builder: &Builder) -> Result<(), String> {
        let takes_part = |rules: &[Rule<'_>]| {
            let mut flavours = rules.iter().map(Rule::flavour);
            flavours.any(|flavour| builder.spec.flavours.iter().any(|of| of == flavour))
        };
        let reserved = self
            .others
            .iter()
            .find(|rule| rule.selects_were_it_stable(builder));
        let selected = || {
            self.mine
                .iter()
                .any(|rule| rule.selects_were_it_stable(builder))
        };
        match reserved {
            Some(rule) if !selected() => Err(format!(
                "Only the label `{}` starts it, and that needs more access than you have.",
                rule.name()
            )),
            _ if takes_part(&self.mine) => Ok(()),
            _ => Err("It takes no part in the flavours of this repository.".to_owned()),
        }
    }

    /// The words that a command can name: of all labels, so that what is out of reach can be told.
    pub fn vocabulary<'b>(&'b self, builders: &'b [std::sync::Arc<Builder>]) -> Vocabulary<'b> {
        let all = || self.mine.iter().chain(&self.others);
        let known: Vec<&Builder> = builders
            .iter()
            .map(AsRef::as_ref)
            .filter(|builder| {
                let mut flavours = all().map(Rule::flavour);
                flavours.any(|flavour| builder.spec.flavours.iter().any(|of| of == flavour))
            })
            .collect();
        let tags = known.iter().flat_map(|builder| &builder.spec.tags);
        Vocabulary {
            tags: tags.map(String::as_str).collect(),
            flavours: self.mine.iter().map(Rule::flavour).collect(),
            builders: known
                .iter()
                .map(|builder| Name {
                    object: builder.metadata.name.as_deref().unwrap_or_default(),
                    display: &builder.spec.display_name,
                })
                .collect(),
        }
    }
}
