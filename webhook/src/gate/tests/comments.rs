//! Whose comments are heard, until when, and what the commands of one comment share.

use super::commands::asked;
use super::*;

#[test]
fn each_command_of_a_comment_has_an_object_of_its_own() {
    let text = "/prbuild run arm\n/prbuild run ios";
    let second = asked(text).with(|s| {
        let found = command::find(text, (&s.request.repository.spec.commands).into());
        s.request.ask = Ask::Command {
            comment: 55,
            command: found[1].clone(),
        };
    });
    assert_eq!(second.said(), "ask Answered(\"app-7-c1000000000000055\")");
    let name = ("app-7-c1000000000000055".to_owned(), false);
    let second = second.with(|s| s.facts.answered = Some(name));
    assert_eq!(second.built().builders, ["ios"]);
    assert_eq!(asked(text).built().builders, ["arm"]);
}

#[test]
fn a_command_that_is_a_day_old_or_a_bots_is_not_carried_out() {
    for text in [
        "/prbuild run",
        "/prbuild cancel",
        "/prbuild rerun failed",
        "/prbuild help",
        "!buildbot x",
    ] {
        let old = asked(text).with(|s| s.facts.now = Some(at(LABEL + 86_401)));
        assert_eq!(old.said(), "TooOld", "{text}");
        assert_eq!(old.refused().into_object().spec.manner, Manner::Silent);
        let answered =
            asked(text).with(|s| s.facts.answered = Some(("app-7-c55".to_owned(), true)));
        assert_eq!(answered.said(), "nothing: answered", "{text}");
        let bot = asked(text).with(|s| {
            let heard = s.facts.comment.as_mut().expect("a comment");
            heard.comment.user.as_mut().expect("a user").kind = "Bot".to_owned();
        });
        assert_eq!(bot.said(), "Bot", "{text}");
        assert_eq!(bot.refused().into_object().spec.manner, Manner::Silent);
        let stranger =
            asked(text).with(|s| drop(s.facts.rights.insert(CORE, right("read", "read"))));
        assert_eq!(stranger.said(), "Permission", "{text}");
        assert_eq!(
            stranger.refused().into_object().spec.manner,
            Manner::Reaction
        );
    }
}

#[test]
fn of_a_strangers_command_only_the_comment_and_the_permission_are_asked() {
    let nothing_known = |s: &mut Scene| {
        let rights = [(CORE, right("read", "read"))].into();
        s.facts = Facts {
            rights,
            comment: s.facts.comment.take(),
            answered: s.facts.answered.take(),
            ..Facts::default()
        };
    };
    for text in [
        "/prbuild run",
        "/prbuild rerun failed",
        "/prbuild cancel",
        "/prbuild status",
        "!buildbot x",
    ] {
        let stranger = asked(text).with(nothing_known);
        assert_eq!(stranger.said(), "Permission", "{text}");
        let unread = stranger.with(|s| s.facts.comment = None);
        assert_eq!(unread.said(), "ask Comment", "{text}");
    }
}

#[test]
fn a_comment_gets_one_reaction_however_many_commands_are_refused() {
    let stranger =
        || asked("/prbuild run").with(|s| drop(s.facts.rights.insert(CORE, right("read", "read"))));
    let mut comment = Comment::default();
    let manners = [(); 3].map(|()| {
        let mut refused = stranger().refused();
        comment.hush(&mut refused);
        refused.into_object().spec.manner
    });
    assert_eq!(manners, [Manner::Reaction, Manner::Silent, Manner::Silent]);
    let mut said = asked("/prbuild dance").refused();
    comment.hush(&mut said);
    assert_eq!(said.into_object().spec.manner, Manner::Comment);
}

#[test]
fn what_one_command_found_out_is_known_to_the_next_but_for_what_it_did() {
    let facts = asked("/prbuild run").facts.handed_on();
    for question in [
        Question::Pull,
        Question::Comment,
        Question::Right(vec![user(CORE)]),
        Question::Merge,
        Question::Reviews,
    ] {
        assert!(facts.answers(&question), "{question:?}");
    }
    for question in [Question::Builds, Question::Refusals] {
        assert!(!facts.answers(&question), "{question:?}");
    }
    assert_eq!(facts.answered, None);
}

#[test]
fn a_command_where_there_is_no_pull_request_is_nothing() {
    let gone = asked("/prbuild run").with(|s| (s.facts.pull, s.facts.pull_gone) = (None, true));
    assert_eq!(gone.said(), "nothing: pull_request_gone");
}

#[test]
fn nobody_commands_anything_from_the_repository_that_took_the_name_of_this_one() {
    for text in [
        "/prbuild run",
        "/prbuild rerun failed",
        "/prbuild cancel",
        "/prbuild help",
        "!buildbot x",
    ] {
        let unread = asked(text).with(|s| {
            (s.request.told, s.facts.pull) = (None, None);
            s.facts.now = Some(at(LABEL + 60));
        });
        assert_eq!(unread.said(), "ask Pull", "{text}");
        let told = asked(text).pull(|pull| pull.base.repo.id = 2);
        let swept = told.clone().with(|s| s.request.told = None);
        for scene in [told, swept] {
            let said = "retry: GitHub shows another repository under this name";
            assert_eq!(scene.said(), said, "{text}");
        }
    }
}
