//! A Cluster whose slots move, and whose primary dies, under load.

use std::{collections::BTreeSet, time::Duration};

use redis::Value;

use crate::{
    history::Promise,
    member::Member,
    node::Node,
    replication::is_primary,
    schedule::Scene,
    site::Site,
    staleness::{FAR, NEAR, judge},
    store::Made,
    support::{Cluster, Server, eventually},
    wait::pass,
};

/// For a node of a Cluster on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Three nodes, and one without a near tier.
async fn scene(cluster: &Cluster, far: Promise, seed: u64) -> Scene {
    let hosts: Vec<_> = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    let made = Made { deadline: Duration::from_millis(300), ..Made::tiered(&url) };
    let site = Site::moody(15, 20, seed);
    let mut nodes = Vec::new();
    for name in ["one", "two", "three"] {
        nodes.push(Node::Here(Member::new(made.store().await, &site, name)));
    }
    let alone = Made { is_tiered: false, ..made };
    nodes.push(Node::Here(Member::new(alone.store().await, &site, "far")));
    Scene::new(site, nodes, vec![NEAR, NEAR, NEAR, far]).recovering(PATIENCE)
}

/// What `redis-cli --cluster reshard` does to one slot.
async fn migrate(slot: u16, from: &Server, to: &Server, others: &[&Server]) {
    let slot = slot.to_string();
    let [from_id, to_id]: [String; 2] =
        [from.ask(&["CLUSTER", "MYID"]).await.unwrap(), to.ask(&["CLUSTER", "MYID"]).await.unwrap()];
    to.tell(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).await;
    from.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).await;
    loop {
        let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"]).await.unwrap();
        if keys.is_empty() {
            break;
        }
        let port = to.port.to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        // A key that expired meanwhile is no mistake.
        from.tell(&command).await;
        // What comes now finds a part of the slot here and a part there.
        pass(Duration::from_millis(5)).await;
    }
    for node in [&[to, from][..], others].concat() {
        node.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).await;
    }
}

/// The slots of a server that have keys.
async fn slots(server: &Server) -> BTreeSet<u16> {
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    let mut slots = BTreeSet::new();
    for key in keys {
        slots.insert(server.ask(&["CLUSTER", "KEYSLOT", &key]).await.unwrap());
    }
    slots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_bring_nothing_back() {
    let cluster = Cluster::start().await;
    let mut scene = scene(&cluster, FAR, 1).await;
    let [first, second, third, ..] = &cluster.nodes[..] else { unreachable!("there are six nodes") };
    let (tally, took) = scene
        .play_during(1, async {
            let mut moved = 0;
            for (from, to, other) in [(first, second, third), (second, third, first), (third, first, second)] {
                let has_keys = async || {
                    let slots = slots(from).await;
                    (!slots.is_empty()).then_some(slots)
                };
                let (slots, _) = eventually("there is something to move", PATIENCE, has_keys).await;
                for slot in slots {
                    migrate(slot, from, to, &[other]).await;
                    moved += 1;
                }
            }
            println!("{moved} slots with keys were moved");
        })
        .await;
    judge(&scene, 1, tally, took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_brings_nothing_back() {
    let mut cluster = Cluster::start().await;
    // What has no near tier has no channel by which it hears of a purge that is made again.
    let mut scene = scene(&cluster, NEAR, 2).await;
    let (primary, others) = cluster.nodes.split_first_mut().unwrap();
    let (tally, took) = scene
        .play_during(2, async {
            pass(Duration::from_millis(500)).await;
            primary.kill();
            let new = &others[2];
            eventually("there is a new primary", PATIENCE, async || is_primary(new).await.then_some(())).await;
            let taken = async || new.ask::<Value>(&["CLUSTER", "INFO"]).await.ok().map(drop);
            eventually("it serves", PATIENCE, taken).await;
            pass(Duration::from_secs(1)).await;
        })
        .await;
    judge(&scene, 2, tally, took);
}
