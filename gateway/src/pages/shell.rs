//! What is around every page: head, header, footer.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::{assets, state::State, text, theme::Theme};

/// Characters of a page's title.
const TITLE: usize = 100;

/// What every page has, around what it is about.
#[derive(Debug)]
pub struct Page {
    /// What it is about: `#1234 s390x Debian`. Foreign text is made harmless here.
    pub title: String,
    /// Where that stands; the title and the icon say so.
    pub state: Option<State>,
    /// Where this page is; its JSON is at the same address with `.json` behind it.
    pub path: String,
    /// Which script it has: a name among the assets.
    pub script: &'static str,
    /// Seconds after which a page without script loads itself again, and one with a script follows.
    pub again: Option<u32>,
    /// What is in it.
    pub body: Markup,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            title: String::new(),
            state: None,
            path: "/".to_owned(),
            script: assets::PAGE_SCRIPT,
            again: None,
            body: Markup::default(),
        }
    }
}

impl Page {
    /// The whole document.
    pub fn render(&self, theme: Theme) -> Html<String> {
        let chosen = (theme != Theme::System).then(|| theme.word());
        let page = html! {
            (DOCTYPE)
            html lang="en" data-theme=[chosen] {
                (self.head())
                body {
                    a class="skip" href="#main" { "Skip to the content" }
                    header {
                        nav aria-label="PrBuild" {
                            a class="name" href="/" { "PrBuild" }
                            (self.tab("/", "Overview"))
                            (self.tab("/builders", "Builders"))
                        }
                    }
                    main id="main" data-again=[self.again] { (self.body) }
                    (self.footer(theme))
                }
            }
        };
        Html(theme.kept(page.into_string()))
    }

    fn head(&self) -> Markup {
        let sign = self
            .state
            .map(|state| format!("{} ", state.sign()))
            .unwrap_or_default();
        let title = format!("{sign}{} – PrBuild", text::plain(&self.title, TITLE));
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(self.state.unwrap_or(State::Passed).icon());
                link rel="stylesheet" href=(assets::address(assets::STYLE));
                link rel="alternate" type="application/json" href=(self.json());
                // In the head and not deferred: the theme is there before the first paint.
                script src=(assets::address(self.script)) {}
                @if let Some(seconds) = self.again {
                    noscript { meta http-equiv="refresh" content=(seconds * 3); }
                }
            }
        }
    }

    fn tab(&self, path: &str, name: &str) -> Markup {
        let here = (self.path == path).then_some("page");
        html! { a href=(path) aria-current=[here] { (name) } }
    }

    fn footer(&self, theme: Theme) -> Markup {
        html! {
            footer {
                a href=(self.json()) { "This page as JSON" }
                span class="themes" {
                    "Theme: "
                    @for choice in Theme::ALL {
                        a href={ "?theme=" (choice.word()) } data-choose=(choice.word())
                            aria-current=[(choice == theme).then_some("true")] { (choice.word()) }
                        " "
                    }
                }
            }
        }
    }

    /// The address of the same as JSON.
    fn json(&self) -> String {
        match self.path.as_str() {
            "/" => "/overview.json".to_owned(),
            path => format!("{path}.json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str, theme: Theme) -> String {
        let page = Page {
            title: title.to_owned(),
            state: Some(State::Failed),
            path: "/builders".to_owned(),
            again: Some(5),
            ..Page::default()
        };
        page.render(theme).0
    }

    #[test]
    fn title_and_icon_say_the_state_and_a_hostile_title_stays_text() {
        let page = page("</title><script>\u{202E}", Theme::Dark);
        assert!(page.contains("<title>✕ &lt;/title&gt;&lt;script&gt;‹U+202E› – PrBuild</title>"));
        assert!(page.contains("<html lang=\"en\" data-theme=\"dark\">"));
        assert!(page.contains("cf222e"));
        assert!(page.contains("href=\"/builders.json\""));
    }

    #[test]
    fn nothing_is_inline_that_the_policy_forbids_and_nothing_comes_from_elsewhere() {
        let page = page("x", Theme::System);
        assert!(
            !page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick")
        );
        assert!(
            page.contains("></script>"),
            "a script of its own text: {page}"
        );
        assert!(
            !page
                .replace("http://www.w3.org/2000/svg", "")
                .contains("://")
        );
    }
}
