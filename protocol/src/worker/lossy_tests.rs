//! Whatever happens, no run begins twice and none gets two results; and when the network heals, every run ends.

use proptest::prelude::*;

use super::{
    assignment::{Audience, RunId},
    lossy_world::{LEASE, SLACK, WORKERS, World},
};

#[derive(Clone, Debug)]
enum Doing {
    HandOut(bool),
    Withdraw(usize),
    Expire(usize),
    Cancel(usize),
    Repeat(usize),
    Finish(usize),
    Open(usize),
    Crash(usize),
    RestartGateway,
    Tick(u64),
    Deliver(usize),
    Duplicate(usize),
    Lose(usize),
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        1 => any::<bool>().prop_map(Doing::HandOut),
        1 => (0usize..4).prop_map(Doing::Withdraw),
        2 => (0usize..4).prop_map(Doing::Expire),
        1 => (0usize..4).prop_map(Doing::Cancel),
        4 => (0usize..3).prop_map(Doing::Repeat),
        2 => (0usize..3).prop_map(Doing::Finish),
        1 => (0usize..3).prop_map(Doing::Open),
        1 => (0usize..3).prop_map(Doing::Crash),
        1 => Just(Doing::RestartGateway),
        2 => (1u64..1200).prop_map(Doing::Tick),
        8 => (0usize..64).prop_map(Doing::Deliver),
        3 => (0usize..64).prop_map(Doing::Duplicate),
        2 => (0usize..64).prop_map(Doing::Lose),
    ]
}

fn one(world: &mut World, doing: Doing) {
    match doing {
        Doing::HandOut(pool) => {
            let uid = format!("run{}", world.next);
            let run = RunId {
                name: uid.clone(),
                uid,
                attempt: 1,
            };
            let to = match pool {
                true => Audience::Pool(WORKERS.map(str::to_owned).to_vec()),
                false => Audience::Worker(WORKERS[0].to_owned()),
            };
            world.hand_out(run, to);
        }
        Doing::Withdraw(n) => world.withdraw(n),
        Doing::Expire(n) => world.expire(n),
        Doing::Cancel(n) => {
            if let Some(stored) = world.stored.values_mut().nth(n) {
                stored.cancelled = true;
            }
        }
        Doing::Repeat(agent) => world.repeat(agent),
        Doing::Finish(agent) => world.finish(agent),
        Doing::Open(agent) => world.open(agent),
        Doing::Crash(agent) => world.crash(agent),
        Doing::RestartGateway => world.restart_gateway(),
        Doing::Tick(seconds) => world.tick(seconds),
        Doing::Deliver(n) | Doing::Duplicate(n) | Doing::Lose(n) if n >= world.network.len() => {}
        Doing::Deliver(n) => {
            let message = world.network.remove(n);
            world.arrive(message);
        }
        Doing::Duplicate(n) => world.arrive(world.network[n].clone()),
        Doing::Lose(n) => {
            world.network.remove(n);
        }
    }
    world.check();
}

/// The network delivers everything, in order, machines stay up, and leases of what nobody runs run out.
fn heal(world: &mut World) {
    for _ in 0..16 {
        // Who has no session gets one first, and then says the rest.
        for agent in (0..WORKERS.len()).chain(0..WORKERS.len()) {
            world.repeat(agent);
            settle(world);
        }
        for agent in 0..WORKERS.len() {
            while !world.running[agent].is_empty() {
                world.finish(agent);
            }
        }
        settle(world);
        world.tick(LEASE + SLACK);
        for n in 0..world.stored.len() {
            world.expire(n);
        }
    }
}

/// Everything that is under way arrives.
fn settle(world: &mut World) {
    while !world.network.is_empty() {
        let message = world.network.remove(0);
        world.arrive(message);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_run_begins_twice_or_has_two_results_and_every_one_ends_when_the_network_heals(
        doings in prop::collection::vec(doing(), 1..120)
    ) {
        let mut world = World::new();
        for doing in doings {
            one(&mut world, doing);
        }
        heal(&mut world);
        for (id, stored) in &world.stored {
            let over = stored.completion.is_some() || (stored.cancelled && stored.holder.is_none());
            prop_assert!(over, "{id} has not ended: {stored:?}");
        }
        for journal in &world.agents {
            prop_assert!(journal.held.is_empty(), "{journal:?}");
        }
    }
}
