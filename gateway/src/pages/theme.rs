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

    /// An address of ours, such that the choice is kept where there is no script.
    pub fn href(self, path: &str) -> String {
        match self {
            Self::System => path.to_owned(),
            chosen => format!("{path}?theme={}", chosen.word()),
        }
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
        assert_eq!(Theme::Dark.href("/builders"), "/builders?theme=dark");
    }
}
