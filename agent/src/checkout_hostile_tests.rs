//! What a server, or the tree of a pull request, can try during the checkout.

use std::fs;

use super::tests::Bench;
use crate::testing_git::Manner;

#[test]
fn s27_a_server_that_returns_another_commit_is_refused() {
    let other = "d".repeat(40);
    let mut commit = String::new();
    let mut bench = Bench::with(|origin| {
        let tree = origin.tree(&[("100644", &origin.blob("evil\n"), "file")]);
        commit = origin.commit(&tree, &[]);
        Manner::Swap(other.clone(), commit.clone())
    });
    let error = bench.error(&bench.source(&other));
    assert!(
        error.starts_with("git refused what the server sent"),
        "{error}"
    );
    // The same server, asked honestly, has what it would have given.
    assert_eq!(bench.run(&bench.source(&commit)).error, None);
}

#[test]
fn s27_a_submodule_is_left_alone_whatever_its_url_is() {
    let mut bench = Bench::new();
    let canary = bench.executor.scratch().path("canary");
    let touch = format!("touch {}", canary.display());
    let modules = format!(
        "[submodule \"m\"]\n\tpath = m\n\turl = ext::sh -c \"{touch}\"\n\tupdate = !{touch}\n"
    );
    let origin = &bench.origin;
    let script = origin.blob(&format!("#!/bin/sh\n{touch}\n"));
    let hooks = origin.tree(&[
        ("100755", &script, "post-checkout"),
        ("100755", &script, "pre-commit"),
    ]);
    let config = format!("[core]\n\thooksPath = hooks\n\tfsmonitor = \"{touch}\"\n");
    for update_is_allowed in [false, true] {
        let modules = match update_is_allowed {
            true => modules
                .lines()
                .take(3)
                .map(|line| format!("{line}\n"))
                .collect(),
            false => modules.clone(),
        };
        let origin = &bench.origin;
        let tree = origin.tree(&[
            (
                "100644",
                &origin.blob("* filter=evil diff=evil\n"),
                ".gitattributes",
            ),
            ("100644", &origin.blob(&config), ".gitconfig"),
            ("100644", &origin.blob(&modules), ".gitmodules"),
            ("100644", &origin.blob(&config), ".lfsconfig"),
            ("40000", &hooks, "hooks"),
            ("160000", &"e".repeat(40), "m"),
        ]);
        let commit = origin.commit(&tree, &[]);
        let report = bench.run(&bench.source(&commit));
        // git's own check knows `update = !command` as an attack; an ext URL just is not used.
        assert_eq!(report.error.is_none(), update_is_allowed, "{report:?}");
        assert!(
            !canary.exists(),
            "code of the pull request ran during the checkout"
        );
    }
    assert!(fs::read_dir(bench.src("m")).unwrap().next().is_none());
}

#[test]
fn s27_a_tree_that_reaches_for_git_or_out_of_the_checkout_is_refused() {
    let mut bench = Bench::new();
    let outside = bench.executor.scratch().path("outside");
    fs::create_dir(&outside).unwrap();
    let origin = &bench.origin;
    let text = origin.blob("evil\n");
    let link = origin.blob(outside.to_str().unwrap());
    let directory = origin.tree(&[("100644", &text, "evil")]);
    let trees = [
        origin.tree(&[("120000", &link, ".git")]),
        origin.tree(&[("40000", &directory, ".git")]),
        origin.tree(&[("40000", &directory, ".GIT")]),
        origin.tree(&[("40000", &directory, "git~1")]),
        origin.tree(&[("40000", &directory, "..")]),
        origin.tree(&[("100644", &text, "../outside/evil")]),
        origin.tree(&[("120000", &link, "a"), ("40000", &directory, "a")]),
        origin.tree(&[("120000", &link, ".gitmodules")]),
    ];
    for (number, tree) in trees.iter().enumerate() {
        let commit = bench.origin.commit(tree, &[]);
        let error = bench.error(&bench.source(&commit));
        assert!(
            error.starts_with("git refused what the server sent"),
            "{number}: {error}"
        );
        assert!(fs::read_dir(&outside).unwrap().next().is_none(), "{number}");
    }
}

#[test]
fn names_of_any_shape_and_a_message_without_end_are_a_checkout_like_any_other() {
    let mut bench = Bench::new();
    let long = "x".repeat(255);
    let names = [
        " ",
        "\"quoted\"",
        "$(touch x)",
        "--upload-pack=x",
        "a\tb",
        "a\nb",
        "back\\slash",
        "con",
        &long,
        "\u{e4}\u{202e}\u{1f528}",
    ];
    let origin = &bench.origin;
    let text = origin.blob("text\n");
    let tree = origin.tree(&names.map(|name| ("100755", text.as_str(), name)));
    // More than is read of it, and no text; and lines as the head of a commit has them.
    let mut message = format!("parent {}\n", "a".repeat(40))
        .repeat(10_000)
        .into_bytes();
    message.push(0xff);
    let commit = origin.git_with(&["commit-tree", &tree], &message);
    let report = bench.run(&bench.source(&commit));
    assert_eq!(report.error, None, "{}", bench.executor.log());
    assert_eq!((report.tree, report.parents), (tree, Vec::new()));
    for name in names {
        let found = fs::read_to_string(bench.src(name));
        assert_eq!(found.ok().as_deref(), Some("text\n"), "{name:?}");
    }
    assert!(!bench.src("x").exists());
}

#[test]
fn a_redirect_to_another_kind_of_address_is_not_followed() {
    let mut bench =
        Bench::with(|origin| Manner::Redirect(format!("file://{}", origin.path.display())));
    let (commit, ..) = bench.merge();
    bench.limits.tries = 1;
    bench.error(&bench.source(&commit));
}
