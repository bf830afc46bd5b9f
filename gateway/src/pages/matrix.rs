//! Builders of a build as small cells: grouped by tier or tag, what failed first.

use std::collections::{BTreeMap, HashMap};

use crds::Builder;
use kube::ResourceExt;
use maud::{Markup, html};
use serde::Serialize;

use super::{address, state::State, text::Foreign};

/// Cells below which there are no groups: they are seen at once.
const FEW: usize = 12;
/// Groups beyond which there are none: a heading for every cell helps nobody.
const MOST_GROUPS: usize = 8;
/// What builders of no group are called where others have one.
const OTHERS: &str = "others";

/// One builder of a build, as small as it goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The name that people read.
    pub name: Foreign,
    /// Where its last attempt stands.
    pub state: State,
    /// Uid of that attempt's run; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Builders that belong together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Their tier or tag; absent where there is one group only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Foreign>,
    /// They, what needs a look first.
    pub cells: Vec<Cell>,
}

/// Tier, or else first tag, of each Builder that there is, by object name and by the name that people read.
#[derive(Debug, Default)]
pub struct Shelves {
    tiers: HashMap<String, String>,
    tags: HashMap<String, String>,
}

impl Shelves {
    /// What these Builders say.
    pub fn of<'a>(builders: impl IntoIterator<Item = &'a Builder>) -> Self {
        let mut shelves = Self::default();
        for builder in builders {
            let spec = &builder.spec;
            for name in [builder.name_any(), spec.display_name.clone()] {
                if let Some(tier) = &spec.tier {
                    shelves.tiers.insert(name.clone(), tier.clone());
                }
                if let Some(tag) = spec.tags.first() {
                    shelves.tags.insert(name, tag.clone());
                }
            }
        }
        shelves
    }

    /// Puts cells into groups, by tier where one of them has a tier, else by tag.
    pub fn group(&self, cells: Vec<Cell>) -> Vec<Group> {
        if cells.len() < FEW {
            return one_group(cells);
        }
        let by_tier = self.sorted(&cells, &self.tiers);
        let groups = match by_tier.len() {
            0 | 1 => self.sorted(&cells, &self.tags),
            _ => by_tier,
        };
        if !(2..=MOST_GROUPS).contains(&groups.len()) {
            return one_group(cells);
        }
        let named = groups.into_iter().map(|((is_rest, name), cells)| Group {
            name: Some(if is_rest { OTHERS } else { name }.into()),
            cells: ordered(cells),
        });
        named.collect()
    }

    fn sorted<'a>(
        &self,
        cells: &[Cell],
        shelf: &'a HashMap<String, String>,
    ) -> BTreeMap<(bool, &'a str), Vec<Cell>> {
        let mut groups: BTreeMap<(bool, &str), Vec<Cell>> = BTreeMap::new();
        for cell in cells {
            let name = shelf.get(&cell.name.0).map(String::as_str);
            let key = (name.is_none(), name.unwrap_or_default());
            groups.entry(key).or_default().push(cell.clone());
        }
        groups
    }
}

fn one_group(cells: Vec<Cell>) -> Vec<Group> {
    match cells.is_empty() {
        true => Vec::new(),
        false => vec![Group {
            name: None,
            cells: ordered(cells),
        }],
    }
}

fn ordered(mut cells: Vec<Cell>) -> Vec<Cell> {
    cells.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    cells
}

/// The matrix. Hovering over a cell, or reaching it with the keyboard, says name and result.
pub fn html(repository: &str, groups: &[Group]) -> Markup {
    html! {
        @match groups {
            [] => {}
            [Group { name: None, cells: all }] => (cells(repository, all)),
            _ => dl class="matrix" {
                @for group in groups {
                    dt { @if let Some(name) = &group.name { (name) } }
                    dd { (cells(repository, &group.cells)) }
                }
            }
        }
    }
}

fn cells(repository: &str, cells: &[Cell]) -> Markup {
    html! {
        ul class="cells" {
            @for cell in cells {
                li { (one(repository, cell)) }
            }
        }
    }
}

fn one(repository: &str, cell: &Cell) -> Markup {
    let class = format!("cell {}", cell.state.class());
    let label = format!("{}: {}", cell.name.shown(), cell.state.word());
    html! {
        @match &cell.run {
            Some(run) => a class=(class) href=(address::run(repository, run)) aria-label=(label) { (cell.state.sign()) },
            None => span class=(class) role="img" aria-label=(label) { (cell.state.sign()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn builder(name: &str, tier: Option<&str>, tags: &[&str]) -> Builder {
        let spec = json!({ "displayName": name, "tier": tier, "tags": tags, "steps": [{ "run": "true" }] });
        Builder::new(name, serde_json::from_value(spec).unwrap())
    }

    /// Cells of builders that nobody knows, so that there are enough to be grouped.
    fn unknown() -> impl Iterator<Item = Cell> {
        (0..FEW).map(|n| cell(&format!("gone-{n:02}"), State::Passed))
    }

    fn cell(name: &str, state: State) -> Cell {
        let run = Some(format!("run-of-{name}"));
        Cell {
            name: name.into(),
            state,
            run,
        }
    }

    fn told(groups: &[Group]) -> Vec<(Option<String>, Vec<String>)> {
        let names = |group: &Group| group.cells.iter().map(|cell| cell.name.0.clone()).collect();
        let told = |group: &Group| (group.name.clone().map(|name| name.0), names(group));
        groups.iter().map(told).collect()
    }

    #[test]
    fn cells_stand_by_tier_with_failed_first_and_those_of_no_tier_last() {
        let builders = [
            builder("b", Some("tier-1"), &[]),
            builder("a", Some("tier-1"), &[]),
            builder("c", Some("tier-2"), &[]),
        ];
        let shelves = Shelves::of(&builders);
        let mut cells = vec![
            cell("a", State::Passed),
            cell("b", State::Failed),
            cell("c", State::Running),
        ];
        cells.extend(unknown());
        let told = told(&shelves.group(cells));
        let names: Vec<Option<&str>> = told.iter().map(|(name, _)| name.as_deref()).collect();
        assert_eq!(names, [Some("tier-1"), Some("tier-2"), Some("others")]);
        assert_eq!(told[0].1, ["b", "a"]);
        assert_eq!(told[2].1.len(), FEW);
    }

    #[test]
    fn without_tiers_tags_group_and_without_both_or_with_too_many_nothing_does() {
        let tagged = [
            builder("a", None, &["linux"]),
            builder("b", None, &["macos"]),
        ];
        let known = || vec![cell("a", State::Passed), cell("b", State::Passed)];
        let cells = || known().into_iter().chain(unknown()).collect::<Vec<_>>();
        assert_eq!(Shelves::of(&tagged).group(cells()).len(), 3);
        assert_eq!(
            Shelves::of(&tagged).group(known()).len(),
            1,
            "few are seen at once"
        );
        assert_eq!(told(&Shelves::default().group(cells()))[0].0, None);
        let names: Vec<String> = (0..20).map(|n| format!("b{n:02}")).collect();
        let many: Vec<Builder> = names
            .iter()
            .map(|name| builder(name, None, &[name]))
            .collect();
        let cells = names.iter().map(|name| cell(name, State::Passed)).collect();
        assert_eq!(Shelves::of(&many).group(cells).len(), 1);
        assert!(Shelves::default().group(Vec::new()).is_empty());
    }

    #[test]
    fn a_cell_says_its_name_and_result_and_a_hostile_name_is_text() {
        let groups = one_group(vec![cell("\"><script>\u{202E}", State::Failed)]);
        let html = html("app", &groups).into_string();
        assert!(
            html.contains("aria-label=\"&quot;&gt;&lt;script&gt;‹U+202E›: failed\""),
            "{html}"
        );
    }

    #[test]
    fn a_hundred_cells_are_a_small_page() {
        let cells =
            (0..100).map(|n| cell(&format!("AMD64 Windows Server 2025 {n}"), State::Passed));
        let html = html("cpython", &one_group(cells.collect())).into_string();
        assert!(html.len() < 25_000, "{}", html.len());
    }
}
