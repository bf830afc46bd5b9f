//! Who may: by GitHub's word about the numeric id, and by nothing that a delivery says.

use crds::{AnswerReason, Manner};
use tests::forge::{AppOptions, Fault, Role, UserType};

use super::*;
use tests::story::{GRACE, MALLORY, TRISTAN};

#[tokio::test]
async fn s11_write_maintain_and_admin_build_and_nobody_else() {
    let town = Town::new("wh-roles").await;
    for (login, role, builds) in [
        ("w", Role::Write, true),
        ("m", Role::Maintain, true),
        ("a", Role::Admin, true),
        ("t", Role::Triage, false),
        ("r", Role::Read, false),
    ] {
        town.story.forge.add_user(login, UserType::User);
        town.story.forge.set_permission(REPO, login, role);
        let number = town
            .story
            .open_pull_request(&format!("by-{login}"), &[("a.txt", "a\n")])
            .await;
        let (name, code) = town.labelled_by(number, login).await;
        assert_eq!(code, 202);
        if builds {
            town.build(&name).await;
            continue;
        }
        let answer = town.refused(&name).await;
        assert_eq!(reason(&answer), AnswerReason::Permission, "{login}");
        assert_eq!(answer.spec.facts.needed.as_deref(), Some("write"));
        assert_eq!(answer.spec.manner, Manner::Comment);
    }
    town.end().await;
}

#[tokio::test]
async fn s11_a_custom_role_is_no_role_that_we_know() {
    let town = Town::new("wh-custom").await;
    town.story.forge.add_user("c", UserType::User);
    town.story
        .forge
        .set_custom_role(REPO, "c", Role::Write, "release-captain");
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, "c").await;
    let answer = town.refused(&name).await;
    assert_eq!(reason(&answer), AnswerReason::Permission);
    assert_eq!(answer.spec.trigger.permission, "release-captain");
    town.end().await;
}

#[tokio::test]
async fn s11_a_permission_that_is_not_to_be_had_builds_nothing_and_keeps_the_label() {
    let town = Town::new("wh-nopermission").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    let call = "GET /repos/*/*/collaborators/*/permission";
    for fault in [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(500),
        Fault::Html(200),
        Fault::Latency(Duration::from_secs(30)),
    ] {
        let what = format!("{fault:?}");
        let fault = faults.on(call, fault);
        let code = match town.story.forge.labels(REPO, number).is_empty() {
            true => town.label(number).await.1,
            false => town.again().await,
        };
        assert_eq!(code, 503, "{what}");
        faults.off(fault);
    }
    for permission in [
        json!({ "permission": "owner", "role_name": "owner" }),
        json!({}),
    ] {
        let fault = faults.on(call, Fault::Answer(200, permission));
        // Another pull request each: a refusal is an answer, and stands.
        let number = town
            .story
            .open_pull_request(
                &format!("{}", town.answers().await.len()),
                &[("a.txt", "a\n")],
            )
            .await;
        let (name, _) = town.label(number).await;
        assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
        faults.off(fault);
    }
    // Nothing is asked any more for a minute after a limit, so these come last.
    let other = town
        .story
        .open_pull_request("limited", &[("b.txt", "b\n")])
        .await;
    for status in [429, 403] {
        let limited = Fault::RateLimited {
            status,
            retry_after: None,
        };
        let fault = faults.on(call, limited);
        let code = match town.story.forge.labels(REPO, other).is_empty() {
            true => town.label(other).await.1,
            false => town.again().await,
        };
        assert_eq!(code, 503, "{status}");
        faults.off(fault);
    }
    assert!(town.builds().await.is_empty());
    assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
    assert_eq!(town.story.forge.violations().len(), 0);
    town.end().await;
}

#[tokio::test]
async fn s12_a_login_that_belongs_to_somebody_else_now_gives_no_right() {
    let town = Town::new("wh-renamed").await;
    let number = town.pull_request().await;
    let ada = town.story.forge.user_id(ADA);
    let other = json!({
        "permission": "write", "role_name": "write",
        "user": { "id": ada + 1, "login": ADA, "type": "User" },
    });
    town.story.forge.faults().on(
        "GET /repos/*/*/collaborators/*/permission",
        Fault::Answer(200, other),
    );
    let (name, _) = town.label(number).await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
    town.end().await;
}

#[tokio::test]
async fn s13_bots_and_apps_start_nothing() {
    let town = Town::new("wh-bots").await;
    town.story.forge.add_user("labeler[bot]", UserType::Bot);
    town.story
        .forge
        .set_permission(REPO, "labeler[bot]", Role::Admin);
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, "labeler[bot]").await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Bot);

    let options = AppOptions {
        slug: "helper".to_owned(),
        repositories: vec![REPO.to_owned()],
        ..AppOptions::default()
    };
    let app = town.story.forge.add_app(options);
    let number = town
        .story
        .open_pull_request("app", &[("a.txt", "a\n")])
        .await;
    let event = town
        .story
        .forge
        .add_label_via_app(REPO, number, LABEL, ADA, app.id);
    town.last_code().await;
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::ThroughApp);
    assert!(answer.spec.facts.subject.is_some());
    town.end().await;
}

#[tokio::test]
async fn s14_a_team_is_asked_for_on_top() {
    let rule = |spec: &mut RepositorySpec| spec.authorization.team = Some("octo/core".to_owned());
    let town = Town::ruled("wh-team", rule).await;
    town.story.forge.add_to_team("octo", "core", ADA, true);
    town.story.forge.add_to_team("octo", "core", GRACE, false);
    town.story.forge.add_to_team("octo", "core", TRISTAN, true);
    for (by, expected) in [
        (ADA, None),
        (GRACE, Some(AnswerReason::Team)),
        ("maintainer", Some(AnswerReason::Team)),
        (TRISTAN, Some(AnswerReason::Permission)),
    ] {
        let number = town
            .story
            .open_pull_request(&format!("by-{by}"), &[("a.txt", "a\n")])
            .await;
        let (name, code) = town.labelled_by(number, by).await;
        assert_eq!(code, 202, "{by}");
        match expected {
            None => drop(town.build(&name).await),
            Some(expected) => assert_eq!(reason(&town.refused(&name).await), expected, "{by}"),
        }
    }
    town.end().await;
}

#[tokio::test]
async fn s14_a_team_that_is_not_to_be_had_builds_nothing_and_keeps_the_label() {
    let rule = |spec: &mut RepositorySpec| spec.authorization.team = Some("octo/core".to_owned());
    let town = Town::ruled("wh-noteam", rule).await;
    town.story.forge.add_to_team("octo", "core", ADA, true);
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    let mut named = None;
    for status in [403, 502] {
        let fault = faults.on("GET /orgs/*/teams/*/memberships/*", Fault::Status(status));
        let code = match &named {
            None => {
                let (name, code) = town.label(number).await;
                named = Some(name);
                code
            }
            Some(_) => town.again().await,
        };
        assert_eq!(code, 503, "{status}");
        town.nothing_stored().await;
        assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
        faults.off(fault);
    }
    assert_eq!(town.again().await, 202);
    town.build(&named.unwrap()).await;
    town.end().await;
}

#[tokio::test]
async fn a_denied_person_builds_nothing_whatever_else_they_may_do() {
    let story = Town::before("wh-denied", |_| {}).await;
    let ada = number_of(story.forge.user_id(ADA));
    story
        .repository(|spec| spec.authorization.denied_user_ids = vec![ada])
        .await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let (name, _) = town.label(number).await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Denied);
    town.end().await;
}

#[tokio::test]
async fn a_label_for_triagers_is_for_triagers() {
    let rule = |spec: &mut RepositorySpec| spec.labels[0].minimum = Some(crds::Permission::Triage);
    let town = Town::ruled("wh-triage", rule).await;
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, TRISTAN).await;
    assert_eq!(
        town.build(&name).await.spec.request.trigger.permission,
        "triage"
    );
    let number = town
        .story
        .open_pull_request("read", &[("a.txt", "a\n")])
        .await;
    let (name, _) = town.labelled_by(number, MALLORY).await;
    assert_eq!(
        town.refused(&name).await.spec.facts.needed.as_deref(),
        Some("triage")
    );
    town.end().await;
}

#[tokio::test]
async fn s22_a_signed_delivery_that_names_another_person_is_refused_and_alerts() {
    let mut town = Town::new("wh-forged").await;
    let number = town.pull_request().await;
    town.story.forge.faults().deliveries(
        1,
        Some("pull_request"),
        tests::forge::DeliveryFault::Lost,
    );
    let event = town.story.forge.add_label(REPO, number, LABEL, TRISTAN);
    let body = town.labeled_payload(number, ADA);
    let reply = town
        .post(&headers("pull_request", &signed(&body)), &body)
        .await;
    assert_eq!(reply.status, 202);
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::ActorMismatch);
    assert_eq!(answer.spec.manner, Manner::Silent);
    assert!(
        town.metric(r#"prbuild_webhook_alerts_total{kind="actor_mismatch"}"#)
            .await
            >= 1.0
    );
    town.end().await;
}

#[tokio::test]
async fn s22_a_signed_delivery_about_a_label_that_nobody_set_builds_nothing() {
    let town = Town::new("wh-invented").await;
    let number = town.pull_request().await;
    let body = town.labeled_payload(number, ADA);
    let reply = town
        .post(&headers("pull_request", &signed(&body)), &body)
        .await;
    assert_eq!(reply.status, 200);
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_new_core_developer_does_not_wait_and_the_right_of_an_old_one_ends() {
    let town = Town::new("wh-rights").await;
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, TRISTAN).await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
    town.story.forge.set_permission(REPO, TRISTAN, Role::Write);
    town.story.forge.remove_label(REPO, number, LABEL, TRISTAN);
    let (name, _) = town.labelled_by(number, TRISTAN).await;
    town.build(&name).await;
    town.end().await;
}
