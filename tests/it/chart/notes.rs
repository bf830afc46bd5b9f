//! What helm tells whoever has installed the chart.

use std::process::Command;

use tests::cluster::Release;
use tests::parts;

use super::NEEDED;

/// The notes of a release `lab` in the namespace `ours`, in no cluster: there is no Secret yet.
fn notes(values: &[&str]) -> String {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["install", "lab"]).arg(Release::chart());
    helm.args(["--namespace", "ours", "--dry-run=client"]);
    for values in [&[NEEDED], values].concat() {
        helm.args(["--set", values]);
    }
    helm.env("KUBECONFIG", "/nonexistent");
    let output = helm.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

#[test]
fn the_notes_say_the_next_steps_with_the_names_of_the_release() {
    let said = notes(&["connections.github=null,connections.main=our-app"]);
    for line in [
        "PrBuild VERSION is installed in ours; builds run in ours-builds.",
        "  https://prbuild.example.org/webhook, and put its keys there",
        "    kubectl -n ours create secret generic our-app \\\n",
        "      --from-literal=webhook-secret=WEBHOOK_SECRET\n",
        "    helm test lab --namespace ours --timeout 5m\n",
        "      connection: main\n",
        "    kubectl -n ours get events --field-selector reason=NotReady\n",
        "Pages: https://prbuild.example.org/",
    ] {
        let line = line.replace(
            "PrBuild VERSION",
            &format!("PrBuild {}", env!("CARGO_PKG_VERSION")),
        );
        assert!(said.contains(&line), "{line}:\n{said}");
    }
    assert!(!said.contains("bucket"), "{said}");
}

#[test]
fn the_notes_name_every_secret_that_the_release_waits_for() {
    let said = notes(&[
        "image.pullSecrets={pull},builds.pullSecrets={pull}",
        "gateway.replicas=2,gateway.store.bucket=s3://logs,gateway.store.bucketSecret=access",
    ]);
    for line in [
        "    kubectl -n ours create secret generic prbuild-github \\\n",
        "    kubectl -n ours create secret tls prbuild-tls --cert=CERTIFICATE.pem --key=KEY.pem\n",
        "    kubectl -n ours create secret generic access \\\n",
        "    kubectl -n ours-builds create secret docker-registry pull \\\n",
        "      --docker-server=registry.example.org \\\n",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
}

#[test]
fn the_notes_ask_for_no_certificate_that_somebody_else_makes_or_nobody_needs() {
    for values in [
        "ingress.tls.issuer.name=letsencrypt",
        "ingress.tls.enabled=false",
        "ingress.enabled=false",
    ] {
        let said = notes(&[values]);
        assert!(!said.contains("secret tls"), "{values}: {said}");
    }
}
