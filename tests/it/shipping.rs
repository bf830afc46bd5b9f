//! A log on its way, with the executor, the sidecar and the gateway as programs and without a
//! cluster: whoever is killed, what was printed arrives.

mod gateway;
mod pod;
mod store;

use std::time::Duration;

use sha2::{Digest, Sha256};
use tests::cluster::eventually;

use super::agent::Run;
use gateway::Gateway;
use pod::Pod;
use store::Store;

const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody is killed.
const KILLS: usize = 24;
/// Builds that print at the same time, and how often somebody is killed meanwhile.
const TOGETHER: usize = 8;
const KILLS_TOGETHER: usize = 9;

/// Prints thousands of lines, and as many that nothing makes small.
const MUCH: &str = "seq -f \"turn $turn line %g\" 4000; head -c 300000 /dev/urandom | od -An -tx1";
const MUCH_BYTES: usize = 300_000;
/// Less of the same, where there are many.
const LESS: &str = "seq -f \"turn $turn line %g\" 2000; head -c 60000 /dev/urandom | od -An -tx1";
const LESS_BYTES: usize = 60_000;

#[tokio::test]
async fn a_sidecar_and_a_gateway_that_are_killed_in_a_loop_lose_no_byte_of_a_log() {
    let home = Run::new("shipping");
    let mut gateway = Gateway::start(&home.root, Store::directory(&home.root));
    let mut pod = Pod::new("shipping", 0, gateway.ingest);
    pod.build(KILLS, MUCH);
    kill_in_a_loop(&mut gateway, std::slice::from_mut(&mut pod), KILLS).await;
    pod.stop();
    let printed = pod.printed();
    assert!(printed.len() > KILLS * MUCH_BYTES);
    assert_same(&gateway.text(&pod.uid), &printed, &pod.uid);
}

#[tokio::test]
async fn the_same_holds_for_a_bucket_which_any_number_of_gateways_share() {
    let home = Run::new("bucket");
    let store = Store::bucket(&home.root).await;
    lose_no_byte("bucket", &home, store).await;
}

#[tokio::test]
async fn the_same_holds_for_a_bucket_of_google() {
    lose_no_byte("google", &Run::new("google"), Store::google()).await;
}

#[tokio::test]
async fn the_same_holds_for_a_container_of_azure() {
    let store = Store::azure().await;
    lose_no_byte("azure", &Run::new("azure"), store).await;
}

/// Kills sidecar and gateway in a loop, and looks at the log with the gateway and with another one. It is so
/// long that what is made of it at its end is stored in parts.
async fn lose_no_byte(name: &str, home: &Run, store: Store) {
    const KILLED: usize = KILLS / 3;
    const RAW_BYTES: usize = 1_200_000;
    let mut gateway = Gateway::start(&home.root, store);
    let mut pod = Pod::new(name, 0, gateway.ingest);
    let turn = format!("{MUCH}; head -c {RAW_BYTES} /dev/urandom");
    pod.build(KILLED, &turn);
    kill_in_a_loop(&mut gateway, std::slice::from_mut(&mut pod), KILLED).await;
    pod.stop();
    let printed = pod.printed();
    assert!(printed.len() > KILLED * (MUCH_BYTES + RAW_BYTES));
    assert_same(&gateway.text(&pod.uid), &printed, "its gateway");
    let shown = gateway.beside(|other| other.text(&pod.uid));
    assert_same(&shown, &printed, "another gateway");
}

#[tokio::test]
async fn every_log_of_many_that_are_written_at_once_is_whole_whoever_is_killed_meanwhile() {
    let home = Run::new("together");
    let mut gateway = Gateway::start(&home.root, Store::directory(&home.root));
    let pod = |n| Pod::new("together", n, gateway.ingest);
    let mut pods: Vec<Pod> = (0..TOGETHER).map(pod).collect();
    pods.iter_mut()
        .for_each(|pod| pod.build(KILLS_TOGETHER, LESS));
    kill_in_a_loop(&mut gateway, &mut pods, KILLS_TOGETHER).await;
    pods.iter_mut().for_each(Pod::stop);
    for pod in &mut pods {
        let printed = pod.printed();
        assert!(printed.len() > KILLS_TOGETHER * LESS_BYTES);
        assert_same(&gateway.text(&pod.uid), &printed, &pod.uid);
    }
}

/// Lets builds go on, and kills sidecars and their gateway meanwhile, again and again: sidecars alone, the
/// gateway alone, both; while they have much to send, and while they have little. Of several sidecars every
/// second one is killed, each time others.
async fn kill_in_a_loop(gateway: &mut Gateway, pods: &mut [Pod], kills: usize) {
    let apart = pods.len().min(2);
    for kill in 0..kills {
        let watched = pods[kill / 2 % pods.len()].uid.clone();
        let before = gateway.size(&watched);
        pods.iter_mut().for_each(Pod::go_on);
        if kill % 2 == 0 {
            let what = "the log grows";
            eventually(what, PATIENCE, async || match gateway.size(&watched) {
                now if now > before => Ok(()),
                now => Err(format!("{now} bytes")),
            })
            .await;
        }
        if kill % 3 != 1 {
            let hit = pods.iter_mut().skip(kill % apart).step_by(apart);
            hit.for_each(Pod::kill_ship);
        }
        if kill % 3 != 0 {
            gateway.kill_and_start();
        }
        pods.iter_mut().for_each(Pod::keep_ship);
    }
}

fn assert_same(shown: &[u8], printed: &[u8], whose: &str) {
    assert_eq!(shown.len(), printed.len(), "{whose}");
    assert_eq!(Sha256::digest(shown), Sha256::digest(printed), "{whose}");
}
