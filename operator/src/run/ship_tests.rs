//! The sidecar that sends the log, and what the others have of it.

use k8s_openapi::api::core::v1::PodSpec;

use super::*;
use crate::{
    record::run::tests::run,
    run::job::{BUILD, CHECKOUT, job},
};

const TOKEN: &str = "claims.signature";

fn setup() -> Setup {
    Setup {
        namespace: "builds".into(),
        checkout_image: "prbuild/checkout:1".into(),
        shipping: Some(Shipping {
            gateway: "http://gateway:8081".into(),
            log_limit: 128 << 20,
        }),
        ..Setup::default()
    }
}

fn ended() -> BuilderRun {
    run(crds::RunPhase::Succeeded, &[])
}

fn pod(setup: &Setup, token: Option<&str>) -> PodSpec {
    let job = job(&ended(), setup, token).unwrap();
    job.spec.unwrap().template.spec.unwrap()
}

fn container(pod: &PodSpec, name: &str) -> Container {
    let init = pod.init_containers.iter().flatten();
    let mut all = init.chain(&pod.containers);
    all.find(|one| one.name == name).unwrap().clone()
}

fn mounts(container: &Container) -> Vec<(String, String, bool)> {
    let mounts = container.volume_mounts.iter().flatten();
    let seen = mounts.map(|one| {
        let read_only = one.read_only == Some(true);
        (one.name.clone(), one.mount_path.clone(), read_only)
    });
    seen.collect()
}

fn seen(name: &str, path: &str, read_only: bool) -> (String, String, bool) {
    (name.to_owned(), path.to_owned(), read_only)
}

#[test]
fn the_sidecar_starts_first_and_restarts_while_the_others_do_not() {
    let pod = pod(&setup(), Some(TOKEN));
    let init = pod.init_containers.unwrap();
    let order: Vec<_> = init
        .iter()
        .map(|one| (&*one.name, one.restart_policy.as_deref()))
        .collect();
    assert_eq!(order, [(SHIP, Some("Always")), (CHECKOUT, None)]);
    assert_eq!(pod.termination_grace_period_seconds, Some(120));
}

#[test]
fn without_a_gateway_or_a_token_a_pod_is_as_it_was() {
    let plain = Setup {
        shipping: None,
        ..setup()
    };
    for pod in [pod(&plain, Some(TOKEN)), pod(&setup(), None)] {
        assert_eq!(pod.init_containers.as_ref().unwrap().len(), 1);
        assert_eq!(pod.volumes.as_ref().unwrap().len(), 3);
        assert_eq!(pod.termination_grace_period_seconds, Some(10));
        for name in [CHECKOUT, BUILD] {
            let args = container(&pod, name).args.unwrap();
            assert!(!args.contains(&"--spool".to_owned()), "{args:?}");
        }
    }
}

#[test]
fn the_sidecar_knows_which_log_goes_where_and_reads_the_spools_without_writing() {
    let ship = container(&pod(&setup(), Some(TOKEN)), SHIP);
    assert_eq!(ship.command.as_ref().unwrap(), &["prbuild-agent"]);
    let args = ship.args.as_ref().unwrap().join(" ");
    assert_eq!(
        args,
        "ship --checkout /spool/checkout --build /spool/build --state /ship --to http://gateway:8081 \
         --repository app --run 0b5c --log-limit 134217728"
    );
    assert_eq!(
        mounts(&ship),
        [
            seen("checkout-spool", "/spool/checkout", true),
            seen("spool", "/spool/build", true),
            seen("ship", "/ship", false),
        ]
    );
    let env = ship.env.unwrap();
    let env: Vec<_> = env
        .iter()
        .map(|one| (&*one.name, one.value.as_deref()))
        .collect();
    assert_eq!(env, [("PRBUILD_LOG_TOKEN", Some(TOKEN))]);
}

#[test]
fn s24_no_other_container_has_the_token_or_shares_anything_with_the_sidecar_but_its_own_spool() {
    let pod = pod(&setup(), Some(TOKEN));
    for name in [CHECKOUT, BUILD] {
        let other = container(&pod, name);
        assert!(!format!("{other:?}").contains(TOKEN), "{name}");
        let spools: Vec<_> = mounts(&other)
            .into_iter()
            .filter(|(_, path, _)| path.starts_with("/spool") || path.starts_with("/ship"))
            .collect();
        let own = if name == BUILD {
            "spool"
        } else {
            "checkout-spool"
        };
        assert_eq!(spools, [seen(own, "/spool", false)]);
        let args = other.args.unwrap().join(" ");
        let limit = if name == BUILD { 128 << 20 } else { 8 << 20 };
        let spool = format!("--spool /spool --log-limit {limit}");
        assert!(args.ends_with(&spool), "{args}");
    }
    let ship = container(&pod, SHIP);
    assert_eq!(ship.security_context, Some(confined()));
    assert!(ship.env_from.is_none());
    assert_eq!(pod.automount_service_account_token, Some(false));
}

#[test]
fn the_sidecar_takes_little_and_makes_room_for_the_spools() {
    let pod = pod(&setup(), Some(TOKEN));
    let resources = container(&pod, SHIP).resources.unwrap();
    let (limits, requests) = (resources.limits.unwrap(), resources.requests.unwrap());
    for reserved in ["cpu", "memory"] {
        assert_eq!(
            limits[reserved], requests[reserved],
            "the pod stays Guaranteed"
        );
    }
    let bytes = |quantity: &Quantity| quantity.0.parse::<u64>().unwrap();
    let spool = pod.volumes.iter().flatten().find(|one| one.name == "spool");
    let spool = spool
        .unwrap()
        .empty_dir
        .clone()
        .unwrap()
        .size_limit
        .unwrap();
    let kept = LogLimits::of(128 << 20).most() + MARKS_LIMIT;
    assert!(bytes(&spool) > kept, "the agent's own files fit");
    assert!(bytes(&limits["ephemeral-storage"]) > bytes(&spool));
}

#[test]
fn nothing_in_an_argument_is_expanded() {
    let mut setup = setup();
    setup.shipping.as_mut().unwrap().gateway = "http://gateway/$(PRBUILD_LOG_TOKEN)".into();
    let args = container(&pod(&setup, Some(TOKEN)), SHIP).args.unwrap();
    assert!(args.contains(&"http://gateway/$$(PRBUILD_LOG_TOKEN)".to_owned()));
}

#[test]
fn a_token_is_for_one_run_and_lasts_as_long_as_its_job_can() {
    let run = ended();
    let now = Timestamp::from_second(1000).unwrap();
    let claims = claims(&run, now);
    let Scope::Log(scope) = &claims.scope else {
        panic!("{claims:?}")
    };
    assert_eq!(
        (&*scope.repository, &*scope.run, scope.attempt),
        ("app", "0b5c", 1)
    );
    let deadline = job(&run, &setup(), None).unwrap().spec.unwrap();
    let deadline = deadline.active_deadline_seconds.unwrap();
    assert_eq!(claims.expires, 1000 + deadline + TOKEN_SLACK_SECONDS);
}
