//! What helm tells whoever has installed the chart.

use std::process::Command;

use serde_json::Value;
use tests::cluster::Release;
use tests::parts;

use super::{NEEDED, objects};

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
        "\n  connection: main\n",
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
fn what_the_notes_have_people_paste_is_typed_to_its_end() {
    let said = notes(&[]);
    // As a shell takes it from the clipboard, with a kubectl that shows what it is given.
    let (_, rest) = said.split_once("\nkubectl -n ours apply").unwrap();
    let (paste, _) = rest.split_once("\n\n").unwrap();
    let script = format!("kubectl() {{ cat; }}\nkubectl -n ours apply{paste}\necho '# over'");
    let mut shell = Command::new("bash");
    let output = shell.args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.ends_with("\n# over\n"), "{shown}");
    let manifests = objects(&shown);
    let kinds: Vec<&Value> = manifests.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["Repository", "Builder"]);
    // It is the guide's Builder, which a node has built with.
    let guide = include_str!("../../../docs/install.md");
    let (_, builder) = paste.split_once("\n---\n").unwrap();
    assert!(guide.contains(builder), "{builder}");
}

#[test]
fn the_notes_lead_to_services_where_there_is_no_ingress() {
    let leads = "`/webhook` to port 80 of\n  prbuild-webhook";
    let off = "ingress.enabled=false";
    assert!(notes(&[off]).contains(leads));
    for values in [
        "ingress.enabled=true",
        "ingress.enabled=false,pagesUrl=http://localhost:8080",
    ] {
        assert!(!notes(&[values]).contains(leads), "{values}");
    }
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
