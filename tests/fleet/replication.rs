//! Replication that can be held up, so that what a primary acknowledged is lost when it is killed.
//!
//! To stop the replica is not enough: what it was sent waits in its socket. The link must be led through a proxy, and the
//! topology must name the proxy as the primary, or sentinels and nodes would lead the replica around it.

use std::{io, time::Duration};

use redis::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use crate::support::{Cluster, Sentinels, Server, eventually};

/// A way to a primary, on which replication can be held up, and nothing else.
pub(crate) struct Replication {
    port: u16,
    state: watch::Sender<State>,
    _accepting: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flows,
    /// Bytes wait.
    Held,
    /// What waited is lost.
    Lost,
}

/// Sentinels ask each other and their servers every few seconds.
const AGREED: Duration = Duration::from_secs(30);

// === impl Replication ===

impl Replication {
    async fn of(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State::Flows);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, target, seen.clone()));
            }
        });
        Self { port, state, _accepting: accepting }
    }

    /// From now on the replica hears nothing.
    pub(crate) fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// It hears again, also what it was not told meanwhile.
    pub(crate) fn release(&self) {
        self.state.send_if_modified(|state| {
            let is_held = *state == State::Held;
            if is_held {
                *state = State::Flows;
            }
            is_held
        });
    }

    /// What it has not heard by now it will never hear.
    pub(crate) fn lose(&self) {
        self.state.send_replace(State::Lost);
    }

    /// The way from the replica of these sentinels to its primary, which is the way of everyone.
    pub(crate) async fn of_sentinels(group: &Sentinels) -> Self {
        let [primary, replica] = &group.servers[..] else { panic!("there are two servers") };
        let way = Self::of(primary.port).await;
        let port = way.port.to_string();
        replica.tell(&["REPLICAOF", "127.0.0.1", &port]).await;
        follows(replica, way.port).await;
        for sentinel in &group.sentinels {
            sentinel.tell(&["SENTINEL", "REMOVE", "main"]).await;
            sentinel.tell(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "2"]).await;
            sentinel.tell(&["SENTINEL", "SET", "main", "down-after-milliseconds", "500"]).await;
            sentinel.tell(&["SENTINEL", "SET", "main", "failover-timeout", "3000"]).await;
        }
        for sentinel in &group.sentinels {
            eventually("the sentinels know each other", AGREED, async || {
                let fields: Vec<String> = sentinel.ask(&["SENTINEL", "MASTER", "main"]).await.ok()?;
                let field = |name: &str| Some(fields[fields.iter().position(|field| field == name)? + 1].as_str());
                (field("num-other-sentinels") == Some("2") && field("num-slaves") == Some("1")).then_some(())
            })
            .await;
        }
        way
    }

    /// The ways to the three primaries, in their order.
    pub(crate) async fn of_cluster(cluster: &Cluster) -> Vec<Self> {
        let mut ways = Vec::new();
        for primary in &cluster.nodes[..3] {
            let way = Self::of(primary.port).await;
            primary.tell(&["CONFIG", "SET", "cluster-announce-port", &way.port.to_string()]).await;
            ways.push(way);
        }
        for (replica, way) in cluster.nodes[3..].iter().zip(&ways) {
            follows(replica, way.port).await;
        }
        for node in &cluster.nodes {
            eventually("every node names the ways", AGREED, async || {
                let nodes: String = node.ask(&["CLUSTER", "NODES"]).await.ok()?;
                ways.iter().all(|way| nodes.contains(&format!(":{}@", way.port))).then_some(())
            })
            .await;
        }
        ways
    }
}

async fn follows(replica: &Server, port: u16) {
    eventually("the replica follows by the way", AGREED, async || {
        let info: String = replica.ask(&["INFO", "replication"]).await.ok()?;
        let says = |line: &str| info.lines().any(|found| found == line);
        (says(&format!("master_port:{port}")) && says("master_link_status:up")).then_some(())
    })
    .await;
}

/// How far a server's stream of writes has come.
pub(crate) async fn offset(server: &Server) -> u64 {
    let info: String = server.ask(&["INFO", "replication"]).await.unwrap();
    let line = |name| info.lines().find_map(|line| line.strip_prefix(name));
    line("slave_repl_offset:").or(line("master_repl_offset:")).unwrap().parse().unwrap()
}

pub(crate) async fn is_primary(server: &Server) -> bool {
    matches!(server.ask::<Vec<Value>>(&["ROLE"]).await.as_deref(), Ok([Value::BulkString(role), ..]) if role == b"master")
}

/// Carries a connection; held and lost is only what comes after `PSYNC`.
async fn carry(client: TcpStream, target: u16, state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (replicates, is_replication) = watch::channel(false);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (mut lost, mut is_lossy) = (state.clone(), is_replication.clone());
    tokio::select! {
        _ = pass(from_client, to_server, state.clone(), Some(replicates), is_replication.clone()) => {}
        _ = pass(from_server, to_client, state, None, is_replication) => {}
        _ = async {
            let _ = is_lossy.wait_for(|is| *is).await;
            let _ = lost.wait_for(|state| *state == State::Lost).await;
        } => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    replicates: Option<watch::Sender<bool>>,
    is_replication: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if let Some(replicates) = &replicates
            && buffer[..read].windows(5).any(|window| window == b"PSYNC")
        {
            replicates.send_replace(true);
        }
        if *is_replication.borrow() {
            state.wait_for(|state| *state == State::Flows).await.map_err(io::Error::other)?;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
