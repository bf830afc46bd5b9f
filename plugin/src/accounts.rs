//! Whether the accounts of an install may do what their programs have to.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use crate::Desk;
use crate::doctor::Finding;

/// Something that an account has to be allowed.
struct Needed {
    account: &'static str,
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    /// Of one object.
    name: &'static str,
    in_builds: bool,
}

const fn ours(account: &'static str, verb: &'static str, resource: &'static str) -> Needed {
    Needed {
        account,
        verb,
        group: crds::GROUP,
        resource,
        subresource: "",
        name: "",
        in_builds: false,
    }
}

const fn status(account: &'static str, resource: &'static str) -> Needed {
    Needed {
        subresource: "status",
        ..ours(account, "patch", resource)
    }
}

const fn lease(account: &'static str, verb: &'static str, name: &'static str) -> Needed {
    Needed {
        group: "coordination.k8s.io",
        name,
        ..ours(account, verb, "leases")
    }
}

const WEBHOOK: &str = "prbuild-webhook";
const OPERATOR: &str = "prbuild-operator";
const GATEWAY: &str = "prbuild-gateway";

/// Without one of these something does not work, and it is not plain why.
const NEEDED: [Needed; 13] = [
    ours(WEBHOOK, "create", "prbuilds"),
    ours(WEBHOOK, "authorize", "prbuilds"),
    ours(WEBHOOK, "watch", "repositories"),
    lease(WEBHOOK, "update", "prbuild-sweep"),
    ours(OPERATOR, "watch", "prbuilds"),
    ours(OPERATOR, "create", "builderruns"),
    status(OPERATOR, "prbuilds"),
    lease(OPERATOR, "update", OPERATOR),
    lease(OPERATOR, "watch", OPERATOR),
    Needed {
        group: "batch",
        in_builds: true,
        ..ours(OPERATOR, "create", "jobs")
    },
    Needed {
        group: "",
        in_builds: true,
        ..ours(OPERATOR, "watch", "pods")
    },
    ours(GATEWAY, "watch", "workers"),
    status(GATEWAY, "workers"),
];

/// Looks.
pub(crate) async fn look(desk: &Desk) -> Finding {
    let what = "the accounts of webhook, operator and gateway may do what they have to";
    let builds = desk.builds().await;
    let mut lacking = Vec::new();
    for needed in &NEEDED {
        match may(desk, needed, &builds).await {
            Ok(true) => {}
            Ok(false) => lacking.push(sentence(needed)),
            // Who may not ask learns nothing, and nothing is wrong.
            Err(()) => {
                return Finding::unknown(
                    "what the accounts of webhook, operator and gateway may do",
                    "it was not looked at: you may not ask",
                );
            }
        }
    }
    let wrong = format!(
        "{}; upgrade the release, which makes the roles",
        lacking.join(", ")
    );
    Finding::new(what, (!lacking.is_empty()).then_some(wrong))
}

fn sentence(needed: &Needed) -> String {
    let resource = match needed.subresource {
        "" => needed.resource.to_owned(),
        subresource => format!("{}/{subresource}", needed.resource),
    };
    format!("{} may not {} {resource}", needed.account, needed.verb)
}

async fn may(desk: &Desk, needed: &Needed, builds: &str) -> Result<bool, ()> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let namespace = match needed.in_builds {
        true => builds.to_owned(),
        false => desk.namespace.clone(),
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!(
                "system:serviceaccount:{}:{}",
                desk.namespace, needed.account
            )),
            resource_attributes: Some(ResourceAttributes {
                verb: text(needed.verb),
                group: text(needed.group),
                resource: text(needed.resource),
                subresource: text(needed.subresource),
                name: text(needed.name),
                namespace: Some(namespace),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(desk.client.clone());
    let made = reviews.create(&PostParams::default(), &review).await;
    let made = made.map_err(|_| ())?;
    Ok(made.status.is_some_and(|status| status.allowed))
}
