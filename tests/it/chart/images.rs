//! Images in a registry: the one that crane brings, which speaks the distribution specification.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::cluster::eventually;
use tests::images::small_images;
use tests::parts;

/// A registry on loopback; it ends with the test.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    async fn start() -> Self {
        // Free now, and taken again at once.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut serve = crane();
        serve.args(["registry", "serve", "--address", &address]);
        let process = serve
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { process, address };
        let url = format!("http://{}/v2/", registry.address);
        eventually(
            "the registry answers",
            Duration::from_secs(60),
            async || match crate::http_get(&url).await?.0 {
                200 => Ok(()),
                other => Err(other.to_string()),
            },
        )
        .await;
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn crane() -> Command {
    Command::new(parts::existing(&parts::CRANE).unwrap())
}

fn says(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Needs the static busybox, which only a machine for nodes has.
mod node {
    use std::path::Path;

    use serde_json::Value;
    use tests::images::{Architecture, Component, Image, Profile, differs, story_components};

    use super::*;

    /// Texts of an array's objects under this name.
    fn all<'a>(array: &'a Value, name: &str) -> Vec<&'a str> {
        let objects = array.as_array().into_iter().flatten();
        objects.filter_map(|one| one[name].as_str()).collect()
    }

    #[test]
    fn an_image_has_its_program_and_what_that_needs_lists_it_and_runs_as_nobody() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (component, image) in story_components(&workspace.canonicalize().unwrap()) {
            let name = component.name();
            let config = image.config().unwrap();
            assert_eq!(config["config"]["User"], "65532:65532", "{name}");
            let program = all_texts(&config["config"]["Entrypoint"]);
            let [program] = program.try_into().unwrap();
            assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);

            let files = image.files().unwrap();
            assert!(files.contains(&program), "{name}: {files:?}");
            let others = files.iter().filter(|file| {
                let known = [
                    program.as_str(),
                    "/etc/passwd",
                    "/etc/ssl/certs/ca-certificates.crt",
                    "/usr/share/doc/prbuild/sbom.cdx.json",
                ];
                !known.contains(&file.as_str())
            });
            let others: Vec<&String> = others.collect();
            match component {
                Component::Checkout => assert!(others.iter().any(|file| file.ends_with("/git"))),
                _ => assert!(others.is_empty(), "{name}: {others:?}"),
            }
            let has_shell = files.iter().any(|file| file.ends_with("/sh"));
            assert!(!has_shell, "{name} has a shell");

            let bill = image.file("/usr/share/doc/prbuild/sbom.cdx.json").unwrap();
            let bill: Value = serde_json::from_slice(&bill).unwrap();
            assert_eq!(bill["bomFormat"], "CycloneDX", "{name}");
            let of = &bill["metadata"]["component"];
            assert_eq!(of["version"], env!("CARGO_PKG_VERSION"), "{name}");
            let made_of = all(&bill["components"], "name");
            assert!(made_of.contains(&"serde"), "{name}: {made_of:?}");
            assert!(
                !made_of.contains(&"jsonschema"),
                "{name} lists what tests use"
            );
            assert!(!made_of.contains(&"syn"), "{name} lists what only builds");
            let from = all(&bill["components"], "purl");
            let of_debian = from.iter().any(|from| from.starts_with("pkg:deb/"));
            if component != Component::Checkout {
                assert!(!of_debian, "{name} has nothing of a distribution");
            }
        }
    }

    /// Bytes of an image's file as a registry has them.
    fn travels_in(image: &Image) -> u64 {
        let mut gzip = Command::new("gzip");
        let output = gzip.arg("--stdout").arg(image.tar()).output().unwrap();
        assert!(output.status.success(), "{:?}", output.status);
        output.stdout.len() as u64
    }

    #[test]
    fn no_image_travels_in_more_bytes_than_it_may() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // Programs that were compiled in haste are larger than those that are released.
        for (component, image) in story_components(&workspace.canonicalize().unwrap()) {
            let (takes, may) = (travels_in(&image), component.limit());
            assert!(takes <= may, "{}: {takes} of {may}", component.name());
        }
    }

    fn all_texts(array: &Value) -> Vec<String> {
        let texts = array.as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    }

    /// A program that has a path of the machine in it: where cargo put what its build script made.
    const TINY: [(&str, &str); 3] = [
        (
            "Cargo.toml",
            "[workspace]\n[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
             [profile.image]\ninherits = \"release\"\nstrip = \"symbols\"\n",
        ),
        (
            "build.rs",
            r#"fn main() {
                let made = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("made.rs");
                std::fs::write(made, "fn made() -> &'static str { file!() }").unwrap();
            }"#,
        ),
        (
            "src/main.rs",
            r#"include!(concat!(env!("OUT_DIR"), "/made.rs"));
            fn main() {
                println!("{}", made());
            }"#,
        ),
    ];

    #[test]
    fn a_program_for_images_is_the_same_bytes_wherever_its_checkout_lies() {
        let name = format!("prbuild-two-places-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let make = |checkout: &Path| {
            std::fs::create_dir_all(checkout.join("src")).unwrap();
            for (file, text) in TINY {
                std::fs::write(checkout.join(file), text).unwrap();
            }
            Ok(())
        };
        let (profile, machine) = (Profile::Image, Architecture::of_machine());
        let differing = differs(&dir, make, ("tiny", "tiny"), profile, machine).unwrap();
        assert_eq!(differing, None);
    }

    #[tokio::test]
    async fn an_image_has_the_same_digest_in_a_registry_as_in_its_file() {
        let registry = Registry::start().await;
        let busybox = small_images().unwrap().pop().unwrap();
        let name = format!("{}/prbuild/busybox:1", registry.address);
        busybox.push(&name).unwrap();
        let digest = busybox.digest().unwrap();
        assert_eq!(says(crane().args(["digest", &name])), digest);
        let pinned = format!("{}/prbuild/busybox@{digest}", registry.address);
        let manifest = says(crane().args(["manifest", &pinned]));
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    }
}
