//! Light or dark: as the system says, unless the address or the reader's own switch says otherwise.

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its word, in addresses and in the style sheet.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What the address asks for: `?theme=dark`.
    pub fn of_query(query: &str) -> Self {
        let asked = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("theme="));
        let mut known = Self::ALL.into_iter();
        known
            .find(|theme| Some(theme.word()) == asked)
            .unwrap_or_default()
    }

    /// A page of ours in which all links of ours, and forms, keep what was chosen: without a script nothing
    /// else does. What a page says has no `<` in it and no `"` within a tag, so that tags are easily told.
    pub fn kept(self, page: String) -> String {
        if self == Self::System {
            return page;
        }
        let mut out = String::with_capacity(page.len() + page.len() / 8);
        let mut rest = page.as_str();
        while let Some(begin) = rest.find('<') {
            let end = rest[begin..]
                .find('>')
                .map_or(rest.len(), |end| begin + end + 1);
            out.push_str(&rest[..begin]);
            self.push_tag(&mut out, &rest[begin..end]);
            rest = &rest[end..];
        }
        out.push_str(rest);
        out
    }

    fn push_tag(self, out: &mut String, tag: &str) {
        const HREF: &str = " href=\"";
        let is_link = tag.starts_with("<a ") && !tag.contains(" data-choose=");
        let address = tag.find(HREF).map(|at| at + HREF.len());
        let address = address.filter(|_| is_link).and_then(|begin| {
            let length = tag[begin..].find('"')?;
            Some(begin..begin + length)
        });
        match address {
            Some(address) => {
                out.push_str(&tag[..address.start]);
                self.push_address(out, &tag[address.clone()]);
                out.push_str(&tag[address.end..]);
            }
            None => out.push_str(tag),
        }
        if tag.starts_with("<form ") && tag.contains(" method=\"get\"") {
            let word = self.word();
            out.push_str(&format!(
                "<input type=\"hidden\" name=\"theme\" value=\"{word}\">"
            ));
        }
    }

    /// An address as it stands in a tag. Of ours are those that say no host; JSON has no theme.
    fn push_address(self, out: &mut String, address: &str) {
        let (page, place) = match address.find('#') {
            Some(at) => address.split_at(at),
            None => (address, ""),
        };
        out.push_str(page);
        let is_ours = page.starts_with('?') || (page.starts_with('/') && !page.starts_with("//"));
        if is_ours && !page.ends_with(".json") {
            out.push_str(match page.contains('?') {
                true if page.ends_with('?') => "",
                true => "&amp;",
                false => "?",
            });
            out.push_str("theme=");
            out.push_str(self.word());
        }
        out.push_str(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_decides_and_nonsense_decides_nothing() {
        assert_eq!(Theme::of_query("q=x&theme=dark"), Theme::Dark);
        assert_eq!(Theme::of_query("theme=\"><script>"), Theme::System);
        assert_eq!(Theme::of_query(""), Theme::System);
    }

    #[test]
    fn links_of_ours_keep_the_theme_and_nothing_else_changes() {
        let same = |tag: &str| (tag.to_owned(), tag.to_owned());
        let link = |from: &str, to: &str| {
            let tag =
                |address: &str| format!("<a class=\"x\" href=\"{address}\" title=\"y\">z</a>");
            (tag(from), tag(to))
        };
        for (page, expected) in [
            link("/", "/?theme=dark"),
            link("/r/app/runs/x", "/r/app/runs/x?theme=dark"),
            link("?", "?theme=dark"),
            link("?q=a&amp;b=c", "?q=a&amp;b=c&amp;theme=dark"),
            link("?line=5#L5", "?line=5&amp;theme=dark#L5"),
            same("<a href=\"#end\">"),
            same("<a href=\"uid.txt\">"),
            same("<a href=\"/builders.json\">"),
            same("<a href=\"//evil.example/\">"),
            same("<a class=\"ugc\" href=\"https://a.example/?b\">"),
            same("<a href=\"?theme=light\" data-choose=\"light\">"),
            same("<link rel=\"stylesheet\" href=\"/assets/x/style.css\">"),
            same("a href=\"/x\" &lt;a href=\"/x\"&gt;"),
            same("<form method=\"dialog\">"),
            same("<a href=\"/x"),
        ] {
            assert_eq!(Theme::Dark.kept(page.clone()), expected);
            assert_eq!(Theme::System.kept(page.clone()), page);
        }
        assert_eq!(
            Theme::Light.kept("<form role=\"search\" method=\"get\">x</form>".to_owned()),
            "<form role=\"search\" method=\"get\"><input type=\"hidden\" name=\"theme\" value=\"light\">x</form>"
        );
    }
}
