//! What a cache believes: the watch, our own writes, and which of them is newer.

use super::*;

fn cache() -> Cache<&'static str> {
    Cache::new(|value| vec![value.chars().take(1).collect()])
}

#[test]
fn an_answer_that_the_watch_overtook_changes_nothing() {
    let cache = cache();
    cache.watched("a", 5, "new");
    cache.learn("a", 4, "old");
    assert_eq!(cache.get("a").as_deref(), Some(&"new"));
    cache.gone("a", 6);
    cache.learn("a", 5, "ghost");
    assert_eq!(cache.get("a"), None, "a deleted object came back");
}

#[test]
fn the_watch_does_not_undo_what_we_wrote_ourselves() {
    let cache = cache();
    cache.learn("a", 7, "mine");
    cache.watched("a", 6, "theirs");
    assert_eq!(cache.get("a").as_deref(), Some(&"mine"));
}

#[test]
fn what_our_own_write_told_is_an_echo_and_a_list_is_none() {
    let cache = cache();
    cache.learn("a", 7, "mine");
    assert!(cache.watched("a", 6, "older").echo);
    assert!(cache.watched("a", 7, "mine").echo);
    assert!(!cache.listed("a", 7, "mine").echo);
    assert!(!cache.watched("a", 8, "theirs").echo);
    assert!(!cache.watched("b", 9, "new").echo);
}

#[test]
fn an_echo_is_known_before_it_is_read_and_news_are_not() {
    let cache = cache();
    assert!(cache.echoed("a", 7).is_none(), "it is not known");
    cache.learn("a", 8, "mine");
    for version in [7, 8] {
        let echo = cache.echoed("a", version).unwrap();
        assert!(echo.echo);
        assert_eq!(echo.new.as_deref(), Some(&"mine"));
    }
    assert!(cache.echoed("a", 9).is_none(), "somebody else wrote");
    // The watch has told of it, whoever reads it.
    cache.learn("b", 9, "ghost");
    assert_eq!(cache.get("b"), None);
}

#[test]
fn groups_follow_their_objects() {
    let cache = cache();
    cache.watched("a", 1, "xa");
    cache.watched("b", 2, "xb");
    assert_eq!(cache.group("x").len(), 2);
    cache.watched("b", 3, "yb");
    cache.gone("a", 4);
    assert!(cache.group("x").is_empty());
    assert_eq!(cache.group("y").len(), 1);
}

#[test]
fn a_list_drops_what_is_gone_and_keeps_what_was_written_meanwhile() {
    let cache = cache();
    cache.watched("old", 1, "o");
    let before = cache.newest();
    cache.learn("written", 9, "w");
    let gone = cache.retain_listed(&HashSet::new(), before);
    assert_eq!(gone.len(), 1);
    assert!(cache.get("written").is_some());
}

#[test]
fn an_object_that_we_have_made_anew_outlives_the_end_of_the_one_before_it() {
    let cache = cache();
    cache.watched("a", 5, "old");
    // It was deleted in version 6, which the watch has not brought yet.
    cache.learn("a", 7, "new");
    assert!(matches!(cache.gone("a", 6), Gone::Replaced));
    assert_eq!(cache.get("a").as_deref(), Some(&"new"));
    assert!(cache.watched("a", 7, "new").echo);
    let Gone::Known(Some(old)) = cache.gone("a", 8) else {
        panic!("it was known")
    };
    assert_eq!(*old, "new");
    cache.learn("b", 9, "mine");
    assert!(matches!(cache.gone("b", 0), Gone::Known(Some(_))));
}
