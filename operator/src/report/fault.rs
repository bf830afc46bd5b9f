//! Pure: "is it my fault?", in words: which failing tests failed in earlier runs of the same builder on
//! other pull requests, too.

use protocol::record::AlsoFailed;

use super::text::code;

/// Tests that a sentence names.
const NAMED: usize = 3;

/// A failing test, and in how many earlier runs of its builder it failed, too.
pub type Also = (String, AlsoFailed);

/// At most `most` sentences; those about the tests that failed most often come first. Names of tests are
/// foreign text and stand in code spans.
pub fn sentences(also: &[Also], most: usize) -> Vec<String> {
    let mut groups: Vec<(AlsoFailed, Vec<&str>)> = Vec::new();
    for (test, how_often) in also {
        match groups.iter_mut().find(|(known, _)| known == how_often) {
            Some((_, tests)) => tests.push(test),
            None => groups.push((*how_often, vec![test])),
        }
    }
    groups.sort_by_key(|(how_often, tests)| std::cmp::Reverse((how_often.failed, tests.len())));
    let told = groups.iter().take(most);
    told.map(|(how_often, tests)| sentence(*how_often, tests))
        .collect()
}

fn sentence(how_often: AlsoFailed, tests: &[&str]) -> String {
    let named: Vec<String> = tests
        .iter()
        .take(NAMED)
        .map(|name| code(name, 80))
        .collect();
    let named = match tests.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    };
    let AlsoFailed { failed, of } = how_often;
    match of {
        1 => format!("{named} also failed in this builder's last build, on another PR"),
        of => format!(
            "{named} also failed in {failed} of this builder's last {of} builds, on other PRs"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn also(test: &str, failed: usize, of: usize) -> Also {
        (test.to_owned(), AlsoFailed { failed, of })
    }

    #[test]
    fn tests_that_failed_as_often_share_a_sentence_and_the_worst_come_first() {
        let all = [
            also("test_a", 1, 5),
            also("test_ssl", 4, 5),
            also("test_socket", 4, 5),
            also("test_b", 2, 5),
        ];
        let said = sentences(&all, 2);
        assert_eq!(
            said,
            [
                "`test_ssl`, `test_socket` also failed in 4 of this builder's last 5 builds, on other PRs",
                "`test_b` also failed in 2 of this builder's last 5 builds, on other PRs",
            ]
        );
        let last = sentences(&[also("test_a", 1, 1)], 2);
        assert_eq!(
            last,
            ["`test_a` also failed in this builder's last build, on another PR"]
        );
        assert!(sentences(&[], 2).is_empty());
    }

    #[test]
    fn names_of_tests_are_few_and_inert() {
        let many: Vec<Also> = (0..20)
            .map(|at| also(&format!("@ada `x` {at}\n#1"), 3, 5))
            .collect();
        let [said] = &sentences(&many, 2)[..] else {
            panic!("one sentence")
        };
        assert!(said.starts_with("`@ada 'x' 0 #1`, "), "{said}");
        assert!(said.contains(" and 17 more also failed in 3 of"), "{said}");
    }
}
