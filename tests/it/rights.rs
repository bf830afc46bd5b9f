//! Rights that are taken from a part of PrBuild, so that it stops exactly before one write.

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tests::{
    cluster::eventually,
    story::{PATIENCE, Story},
};

/// A right that was taken away.
pub struct Revoked {
    account: String,
    verb: String,
    resource: String,
    rules: Vec<PolicyRule>,
}

/// Takes the right to `verb` a `resource` (`builderruns/status`) of prbuild.dev away from the account
/// and role of this name, and waits until the API server knows.
pub async fn revoke(story: &Story, account: &str, verb: &str, resource: &str) -> Revoked {
    let roles = story.api::<Role>();
    let mut role = roles.get(account).await.unwrap();
    let before = role.rules.take().unwrap_or_default();
    let mut rules = Vec::new();
    for mut rule in before.clone() {
        let resources = rule.resources.clone().unwrap_or_default();
        if resources.iter().any(|one| one == resource) && rule.verbs.iter().any(|one| one == verb) {
            let mut rest = rule.clone();
            rest.resources = Some(vec![resource.to_owned()]);
            rest.verbs.retain(|one| one != verb);
            rule.resources = Some(
                resources
                    .into_iter()
                    .filter(|one| one != resource)
                    .collect(),
            );
            if !rest.verbs.is_empty() {
                rules.push(rest);
            }
        }
        if rule
            .resources
            .as_ref()
            .is_some_and(|resources| !resources.is_empty())
        {
            rules.push(rule);
        }
    }
    role.rules = Some(rules);
    roles
        .replace(account, &PostParams::default(), &role)
        .await
        .unwrap();
    let revoked = Revoked {
        account: account.to_owned(),
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        rules: before,
    };
    revoked.is_had(story, false).await;
    revoked
}

impl Revoked {
    /// Gives it back.
    pub async fn restore(self, story: &Story) {
        let rules = Patch::Merge(json!({ "rules": self.rules }));
        let roles = story.api::<Role>();
        roles
            .patch(&self.account, &PatchParams::default(), &rules)
            .await
            .unwrap();
        self.is_had(story, true).await;
    }

    /// Waits until the API server says that the account has the right, or has not.
    async fn is_had(&self, story: &Story, expected: bool) {
        let Self {
            account,
            verb,
            resource,
            ..
        } = self;
        let reviews: Api<SubjectAccessReview> = Api::all(story.install.client());
        let (kind, subresource) = match resource.split_once('/') {
            Some((kind, sub)) => (kind, Some(sub.to_owned())),
            None => (resource.as_str(), None),
        };
        let namespace = story.install.namespace();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{namespace}:{account}")),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(crds::GROUP.to_owned()),
                    namespace: Some(namespace.to_owned()),
                    resource: Some(kind.to_owned()),
                    subresource,
                    verb: Some(verb.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let what = format!("{account} may {verb} {resource}: {expected}");
        eventually(what, PATIENCE, async || {
            let answer = reviews
                .create(&PostParams::default(), &review)
                .await
                .map_err(|error| error.to_string())?;
            let allowed = answer.status.is_some_and(|status| status.allowed);
            if allowed == expected {
                Ok(())
            } else {
                Err(format!("allowed: {allowed}"))
            }
        })
        .await;
    }
}
