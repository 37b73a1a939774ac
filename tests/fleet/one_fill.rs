//! Eight processes want one cold page, each many times: the origin is called once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    history::Outcome,
    node::{Answer, Node},
    process::Process,
    site::{PATIENCE, Site, What},
    store::Made,
    support::{Server, eventually},
};

const NODES: usize = 8;
const REQUESTS: usize = 2000;

/// Of each node, side by side.
const CLIENTS: usize = 40;

const PAGE: usize = 0;

/// The time after which a lease is another's, and what it may take until that is noticed.
const LEASE: Duration = Duration::from_secs(1);
const NOTICED: Duration = Duration::from_secs(1);

struct Crowd {
    nodes: Arc<[Node]>,
    sent: Arc<AtomicUsize>,
    clients: JoinSet<(usize, Vec<Option<Answer>>)>,
}

// === impl Crowd ===

impl Crowd {
    /// Eight processes, and everyone's first request sent to them.
    async fn begin(server: &Server, site: u16) -> Self {
        let made = Made { deadline: Duration::from_secs(5), lease: LEASE, ..Made::tiered(&server.url()) };
        let nodes: Arc<[Node]> =
            (0..NODES).map(|at| Node::Apart(Box::new(Process::start(&at.to_string(), site, &made)))).collect();
        for node in &*nodes {
            // What is new to Redis is not what is tried here.
            assert_eq!(node.purge(What::Tag(usize::MAX)).await, Outcome::Acknowledged);
        }
        let (sent, mut clients) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for at in (0..NODES).flat_map(|at| [at; CLIENTS]) {
            let (nodes, sent) = (Arc::clone(&nodes), Arc::clone(&sent));
            clients.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..REQUESTS / CLIENTS {
                    sent.fetch_add(1, Ordering::SeqCst);
                    answers.push(nodes[at].read(PAGE, 0).await);
                }
                (at, answers)
            });
        }
        eventually("everyone has asked", PATIENCE, async || {
            (sent.load(Ordering::SeqCst) == NODES * CLIENTS).then_some(())
        })
        .await;
        Self { nodes, sent, clients }
    }

    /// The answers of all nodes but `dead`, none of which may be missing.
    async fn end(mut self, dead: Option<usize>) {
        let mut answers = 0;
        while let Some(client) = self.clients.join_next().await {
            let (at, came) = client.unwrap();
            if Some(at) == dead {
                continue;
            }
            for answer in came {
                let answer = answer.expect("a node that lives answers");
                assert_eq!((answer.status, answer.value), (200, 1), "{answer:?}");
                answers += 1;
            }
        }
        assert_eq!(self.sent.load(Ordering::SeqCst), NODES * REQUESTS);
        assert_eq!(answers, (NODES - usize::from(dead.is_some())) * REQUESTS);
        for node in &*self.nodes {
            if let Node::Apart(process) = node
                && let Some(counters) = process.counters().await
            {
                println!("{counters}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_is_called_once_for_eight_processes() {
    let server = Server::start().await;
    let site = Site::prompt();
    let (port, _listening) = site.listen().await;
    site.hold_one(PAGE);
    let crowd = Crowd::begin(&server, port).await;
    eventually("someone fills", PATIENCE, async || (!site.calls().is_empty()).then_some(())).await;
    site.release();
    crowd.end(None).await;
    assert_eq!(site.calls().len(), 1, "{:?}", site.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_is_called_once_more_when_the_process_that_fills_is_killed() {
    let server = Server::start().await;
    let site = Site::prompt();
    let (port, _listening) = site.listen().await;
    site.hold_one(PAGE);
    let crowd = Crowd::begin(&server, port).await;
    eventually("someone fills", PATIENCE, async || (!site.calls().is_empty()).then_some(())).await;
    let holder: usize = site.calls()[0].by.parse().unwrap();
    let Node::Apart(process) = &crowd.nodes[holder] else { unreachable!("all are processes") };
    let killed = Instant::now();
    process.kill();
    eventually("another fills", LEASE + NOTICED, async || (site.calls().len() > 1).then_some(())).await;
    println!("another process calls the origin {:?} after the first was killed", site.calls()[1].at - killed);
    crowd.end(Some(holder)).await;
    let calls = site.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_ne!(calls[0].by, calls[1].by, "the dead call nobody");
}
