//! Mistakes that people make in values, and the sentence that each is answered with.

use std::process::Command;

use tests::cluster::Release;
use tests::parts;

use super::values::sentences;
use super::{NEEDED, render};

#[test]
fn what_is_needed_is_asked_for_with_an_example() {
    let said = render(&[]).unwrap_err();
    assert_eq!(
        sentences(&said),
        [
            "host: where do people and GitHub reach PrBuild? For example: --set host=prbuild.example.org",
            "image.registry: where are the images? Put them into a registry of yours with `cargo xtask images --push registry.example.org/prbuild`. For example: --set image.registry=registry.example.org/prbuild",
        ]
    );
}

#[test]
fn a_mistake_is_answered_with_the_name_of_the_value_and_an_example() {
    for (values, says) in [
        (
            "operator.replicas=two",
            "operator.replicas: `two` is no whole number from 1 to 5. For example: --set operator.replicas=2",
        ),
        (
            "host=https://a.example.org",
            "host: `https://a.example.org` is no name of a host: small letters, digits, `-` and `.`, without https://, port and path. For example: --set host=prbuild.example.org",
        ),
        (
            "host=a.example.org:8443",
            "host: `a.example.org:8443` is no name of a host: small letters, digits, `-` and `.`, without https://, port and path. For example: --set host=prbuild.example.org",
        ),
        (
            "image.registry=https://reg/x",
            "image.registry: `https://reg/x` is no beginning of names of images: small letters, digits and `-._:/`, without https://. For example: --set image.registry=registry.example.org/prbuild",
        ),
        (
            "image.registry=reg.example.org/X",
            "image.registry: `reg.example.org/X` is no beginning of names of images: small letters, digits and `-._:/`, without https://. For example: --set image.registry=registry.example.org/prbuild",
        ),
        (
            "image.tag=7",
            "image.tag: `7` is no text without quotes. For example: --set-string image.tag=0.1.0",
        ),
        (
            "image.pullPolicy=ifnotpresent",
            "image.pullPolicy: `ifnotpresent` is none of `Always`, `IfNotPresent`, `Never`. For example: --set image.pullPolicy=IfNotPresent",
        ),
        (
            "image.pullSecrets={pull}",
            "builds.pullSecrets: the image `checkout` of every build comes from image.registry, and is fetched in the namespace prbuild-builds, which has no Secret for it. Make one there, and name it. For example: --set 'builds.pullSecrets={pull}'",
        ),
        (
            "image.digests.webhook=latest",
            "image.digests.webhook: `latest` is no digest of an image: `sha256:` and 64 of 0-9 and a-f. For example: --set image.digests.webhook=sha256:5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c",
        ),
        (
            "gateway.replicas=2",
            "gateway.replicas: one gateway writes a directory; 2 need a bucket. For example: --set gateway.replicas=2,gateway.store.bucket=s3://logs-of-prbuild",
        ),
        (
            "gateway.store.bucket=s3://logs",
            "gateway.replicas: a bucket is for 2 gateways or more, so that one can go while pages stay. For example: --set gateway.replicas=2,gateway.store.bucket=s3://logs",
        ),
        (
            "gateway.store.bucket=https://logs",
            "gateway.store.bucket: `https://logs` is no bucket, which begins with s3://, gs:// or az://. For example: --set gateway.replicas=2,gateway.store.bucket=s3://logs-of-prbuild",
        ),
        (
            "gateway.store.size=20G",
            "gateway.store.size: `20G` is no size: a whole number, and Mi, Gi or Ti behind it. For example: --set gateway.store.size=20Gi",
        ),
        (
            "gateway.retentionDays=90d",
            "gateway.retentionDays: `90d` is no whole number from 1 to 36500. For example: --set gateway.retentionDays=90",
        ),
        (
            "gateway.retentionDays=0",
            "gateway.retentionDays: `0` is no whole number from 1 to 36500. For example: --set gateway.retentionDays=90",
        ),
        (
            "webhook.service.nodePort=99999",
            "webhook.service.nodePort: `99999` is no whole number from 1 to 65535. For example: --set webhook.service.nodePort=30080",
        ),
        (
            "webhook.resources.requests.cpu=lots",
            "webhook.resources.requests.cpu: `lots` is no quantity of Kubernetes: a number, and `m`, `Mi` or `Gi` behind it where need be. For example: --set-json 'webhook.resources.requests={\"cpu\":\"100m\",\"memory\":\"96Mi\"}'",
        ),
        (
            "logLevel=loud",
            "logLevel: `loud` is no filter of logs: error, warn, info, debug or trace, and with commas between more for parts, as `operator=debug`. For example: --set logLevel=debug",
        ),
        (
            "ingress.enabled=yes",
            "ingress.enabled: `yes` is neither true nor false. For example: --set ingress.enabled=true",
        ),
        (
            "ingress.className=Nginx_1",
            "ingress.className: `Nginx_1` is no name of an IngressClass: small letters and digits, and `-` or one `.` between them. For example: --set ingress.className=nginx",
        ),
        (
            "networkPolicy.ports={443,99999}",
            "networkPolicy.ports[1]: `99999` is no whole number from 1 to 65535. For example: --set-json 'networkPolicy.ports=[443,6443]'",
        ),
        (
            "builds.nameServers={1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4}",
            "builds.nameServers: 4 are too many: at most 3. For example: --set-json 'builds.nameServers=[\"9.9.9.9\"]'",
        ),
        (
            "networkPolicy.ingressFrom={ingress-nginx}",
            "networkPolicy.ingressFrom[0]: `ingress-nginx` is no mapping of names to values. For example: --set-json 'networkPolicy.ingressFrom=[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"ingress-nginx\"}}}]'",
        ),
        (
            "tolerations[0].operator=exists",
            "tolerations[0].operator: `exists` is none of `Exists`, `Equal`. For example: --set-json 'tolerations=[{\"key\":\"prbuild\",\"operator\":\"Exists\"}]'",
        ),
        (
            "host=1.2.3.4",
            "host: `1.2.3.4` is an address, and an Ingress is for a name. For example: --set host=prbuild.example.org",
        ),
        (
            "clusterDomain=cluster..local",
            "clusterDomain: `cluster..local` is no domain: small letters, digits, `-` and `.`. For example: --set clusterDomain=cluster.local",
        ),
        (
            "gateway.service.nodePort=30100",
            "gateway.service.nodePort: a Service of the type ClusterIP has no port on nodes. For example: --set gateway.service.type=NodePort,gateway.service.nodePort=30100",
        ),
        (
            "webhook.service.type=NodePort,gateway.service.type=NodePort,webhook.service.nodePort=30080,gateway.service.nodePort=30080",
            "gateway.service.nodePort: `30080` is that of the webhook, too, and a port of nodes leads to one Service. For example: --set gateway.service.type=NodePort,gateway.service.nodePort=30081",
        ),
        (
            "builds.nameServers={::::}",
            "builds.nameServers[0]: `::::` is no address of a name server. For example: --set-json 'builds.nameServers=[\"9.9.9.9\"]'",
        ),
        (
            "gateway.store.size=0Gi",
            "gateway.store.size: `0Gi` is no size: a whole number, and Mi, Gi or Ti behind it. For example: --set gateway.store.size=20Gi",
        ),
        (
            "builds.nameServers={999.1.1.1}",
            "builds.nameServers[0]: `999.1.1.1` is no address of a name server. For example: --set-json 'builds.nameServers=[\"9.9.9.9\"]'",
        ),
        (
            "networkPolicy.builds.except={300.0.0.0/8}",
            "networkPolicy.builds.except[0]: `300.0.0.0/8` is no range of addresses from /1 to /32. For example: --set-json 'networkPolicy.builds.except=[\"10.0.0.0/8\",\"192.168.0.0/16\"]'",
        ),
        (
            "networkPolicy.metricsFrom[0].ipBlock.cidr=10.0.0.0",
            "networkPolicy.metricsFrom[0].ipBlock.cidr: `10.0.0.0` is no range of addresses. For example: --set-json 'networkPolicy.metricsFrom=[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"monitoring\"}}}]'",
        ),
        (
            "builds.namespace=prbuild",
            "builds.namespace: strangers' code runs there, so it is another one than PrBuild's own. For example: --set builds.namespace=prbuild-builds",
        ),
        (
            "github=github.com",
            "github: `github.com` is no address: https:// with the name of a host, and where need be a port and a path. For example: --set github=https://github.com",
        ),
        // The operator would not start with these.
        (
            "operator.notifyUrl=https://hooks.example.org:99999/a",
            "operator.notifyUrl: `https://hooks.example.org:99999/a` is no address: https:// with the name of a host, and where need be a port and a path. For example: --set operator.notifyUrl=https://hooks.example.org/prbuild",
        ),
        (
            "pagesUrl=https://[fd00::1]",
            "pagesUrl: `https://[fd00::1]` is no address without a path: https:// with the name of a host, and where need be a port. For example: --set pagesUrl=https://prbuild.example.org",
        ),
    ] {
        let said = render(&[NEEDED, values]).unwrap_err();
        assert_eq!(sentences(&said), [says], "{values}");
    }
}

#[test]
fn nothing_may_ask_for_more_than_its_limit() {
    let above = |path: &str, asked: &str, most: &str, of: &str, example: &str| {
        format!(
            "{path}: `{asked}` is more than `{most}`, the limit by {of}. For example: --set-json '{example}'"
        )
    };
    for (values, says) in [
        (
            "builds.limitRange.defaultRequest.cpu=2",
            above(
                "builds.limitRange.defaultRequest.cpu",
                "2",
                "1",
                "builds.limitRange.default",
                r#"builds.limitRange.defaultRequest={"cpu":"1"}"#,
            ),
        ),
        (
            "builds.limitRange.default.memory=100e6",
            above(
                "builds.limitRange.defaultRequest.memory",
                "128Mi",
                "100e6",
                "builds.limitRange.default",
                r#"builds.limitRange.defaultRequest={"memory":"100e6"}"#,
            ),
        ),
        (
            "webhook.resources.requests.memory=300000000",
            above(
                "webhook.resources.requests.memory",
                "300000000",
                "256Mi",
                "webhook.resources.limits",
                r#"webhook.resources.requests={"memory":"256Mi"}"#,
            ),
        ),
    ] {
        let said = render(&[NEEDED, values]).unwrap_err();
        assert_eq!(sentences(&said), [says], "{values}");
    }
    for values in [
        "webhook.resources.limits.memory=129e6,gateway.resources.limits.cpu=0.1",
        "builds.limitRange.default.memory=0.125Gi",
        "builds.limitRange.enabled=false,builds.limitRange.defaultRequest.cpu=2",
    ] {
        render(&[NEEDED, values]).unwrap();
    }
}

#[test]
fn names_that_kubernetes_does_not_take_are_refused_before_it_is_asked() {
    const KEY: &str = "at most 63 letters, digits, `-`, `_` and `.`, and where need be a domain and one `/` before them";
    for (values, says) in [
        (
            "nodeSelector.a/b/c=x",
            format!("nodeSelector.a/b/c: `a/b/c` is no key of a label: {KEY}."),
        ),
        (
            "nodeSelector.pool=x/y",
            "nodeSelector.pool: `x/y` is no value of a label: at most 63 letters, digits, `-`, `_` and `.`.".to_owned(),
        ),
        (
            "monitoring.labels.-a=x",
            format!("monitoring.labels.-a: `-a` is no key of a label: {KEY}."),
        ),
        (
            "ingress.annotations.a/b/c=x",
            format!("ingress.annotations.a/b/c: `a/b/c` is no key of an annotation: {KEY}."),
        ),
        (
            "networkPolicy.ingressFrom[0].podSelector.matchLabels.a/b/c=x",
            format!("networkPolicy.ingressFrom[0].podSelector.matchLabels.a/b/c: `a/b/c` is no key of a label: {KEY}."),
        ),
        (
            "networkPolicy.builds.alsoTo[0].podSelector.matchExpressions[0].key=a,networkPolicy.builds.alsoTo[0].podSelector.matchExpressions[0].operator=Is",
            "networkPolicy.builds.alsoTo[0].podSelector.matchExpressions[0].operator: `Is` is none of `In`, `NotIn`, `Exists`, `DoesNotExist`.".to_owned(),
        ),
        (
            "networkPolicy.ingressFrom[0].ipBlock.cidr=10.0.0.0/8,networkPolicy.ingressFrom[0].ipBlock.except={10.0.0.1}",
            "networkPolicy.ingressFrom[0].ipBlock.except[0]: `10.0.0.1` is no range of addresses.".to_owned(),
        ),
        (
            "builds.quota.more.a/b/c=1",
            "builds.quota.more.a/b/c: `a/b/c` is nothing that a ResourceQuota limits: `requests.cpu`, `limits.memory`, `pods` and so on, or a name with one `/`, as `count/jobs.batch` and `requests.example.org/device`.".to_owned(),
        ),
        (
            "tolerations[0].key=a/b/c",
            format!("tolerations[0].key: `a/b/c` is no key of a taint: {KEY}."),
        ),
        (
            "gateway.resources.requests.cpuu=1",
            "gateway.resources.requests.cpuu: `cpuu` is no resource of a container: `cpu`, `memory`, `ephemeral-storage`, or what a device plugin offers, as `example.org/device`.".to_owned(),
        ),
        (
            "ingress.tls.secretName=a.-b",
            "ingress.tls.secretName: `a.-b` is no name of a Secret: small letters and digits, and `-` or one `.` between them.".to_owned(),
        ),
    ] {
        let said = render(&[NEEDED, values]).unwrap_err();
        let sentences = sentences(&said);
        assert_eq!(sentences.len(), 1, "{said}");
        assert!(sentences[0].starts_with(&format!("{says} For example: ")), "{said}");
    }
    let long = "a".repeat(254);
    let said = render(&[NEEDED, &format!("gateway.store.existingClaim={long}")]).unwrap_err();
    assert!(sentences(&said)[0].contains("is too long: at most 253 characters."));
    for values in [
        "nodeSelector.node-role\\.kubernetes\\.io/infra=",
        "gateway.resources.requests.example\\.org/device=1",
        "connections.github=a.b--c.d",
    ] {
        render(&[NEEDED, values]).unwrap();
    }
}

#[test]
fn a_namespace_whose_builds_would_have_too_long_a_name_is_told_how_to_name_theirs() {
    let namespace = "a".repeat(60);
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    helm.args(["--namespace", &namespace, "--set", NEEDED]);
    let said = helm.output().unwrap().stderr;
    let says = format!(
        "builds.namespace: `{namespace}-builds` has more than 63 characters, which no namespace may have. For example: --set builds.namespace=prbuild-builds"
    );
    assert_eq!(sentences(&String::from_utf8_lossy(&said)), [says]);
}

#[test]
fn a_connection_needs_a_name_and_a_secret() {
    const EXAMPLE: &str = "For example: --set connections.github=prbuild-github";
    for (values, says) in [
        (
            "connections.github=null",
            "connections: how is GitHub reached? Name at least one Secret.",
        ),
        (
            "connections.github=",
            "connections.github: `` is no name of a Secret: small letters and digits, and `-` or one `.` between them.",
        ),
        (
            "connections.github=a..b",
            "connections.github: `a..b` is no name of a Secret: small letters and digits, and `-` or one `.` between them.",
        ),
        (
            "connections.Git_Hub=app",
            "connections.Git_Hub: `Git_Hub` is no name of a connection: small letters, digits and `-`, at most 40.",
        ),
        (
            "connections.prbuild-self-test=mine",
            "connections.prbuild-self-test: the name `prbuild-self-test` is PrBuild's own.",
        ),
    ] {
        let said = render(&[NEEDED, values]).unwrap_err();
        assert_eq!(sentences(&said), [format!("{says} {EXAMPLE}")]);
    }
}

#[test]
fn a_name_that_there_is_not_is_answered_with_those_that_may_be_meant() {
    for (values, says) in [
        (
            "webhok.replicas=1",
            "webhok: there is no such value. Is it `webhook`? For example: --set webhook.",
        ),
        (
            "webhook.replica=1",
            "webhook.replica: there is no such value. Is it `webhook.replicas`? For example: --set webhook.replicas=2",
        ),
        (
            "replicas=1",
            "replicas: there is no such value. Is it `gateway.replicas`, `operator.replicas`, `webhook.replicas`? For example: --set gateway.replicas=1",
        ),
        (
            "gateway.bucket=s3://logs",
            "gateway.bucket: there is no such value. Is it `gateway.store.bucket`? For example: --set gateway.replicas=2,gateway.store.bucket=s3://logs-of-prbuild",
        ),
        (
            "networkPolicy.ingressFrom[0].podSelectr.a=b",
            "networkPolicy.ingressFrom[0].podSelectr: there is no such value. Is it `networkPolicy.ingressFrom[0].podSelector`? For example: --set-json 'networkPolicy.ingressFrom=[{\"namespaceSelector\":",
        ),
        (
            "xyz=1",
            "xyz: there is no such value. There are `affinity`, `builds`, ",
        ),
        (
            "crds.wanted=true",
            "crds.wanted: there is no such value. There are `crds.install`. For example: --set crds.install=true",
        ),
    ] {
        let said = render(&[NEEDED, values]).unwrap_err();
        assert!(sentences(&said)[0].starts_with(says), "{values}: {said}");
    }
}
