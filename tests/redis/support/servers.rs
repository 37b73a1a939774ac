//! `redis-server` processes on free ports, in folders that go when the test ends, however it ends.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bartizan::{Redis, redis::RedisBuilder};
use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, Value};

use super::{Certificates, eventually};

/// One process. It is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    dir: Folder,
    args: Vec<String>,
    child: Child,
}

/// A primary, a replica, and three sentinels that call them `main`.
pub(crate) struct Sentinels {
    pub(crate) servers: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
}

/// Three primaries, and a replica of each after them.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

struct Folder(PathBuf);

const READY: Duration = Duration::from_secs(20);

// === impl Server ===

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments for `redis-server`.
    pub(crate) async fn start_with(args: &[&str]) -> Self {
        Self::launch(|port, _| ["--port", &port.to_string()].iter().chain(args).map(|arg| (*arg).to_owned()).collect())
            .await
    }

    pub(crate) async fn start_with_tls(certificates: &Certificates) -> Self {
        // Asking it goes without TLS, by the socket.
        Self::launch(|port, dir| {
            let mut args = certificates.install(dir, port);
            args.extend(["--unixsocket".to_owned(), dir.join("redis.sock").display().to_string()]);
            args
        })
        .await
    }

    /// Tries ports until one is free for as long as it takes the server to bind it.
    async fn launch(args: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        for _ in 0..20 {
            let dir = Folder::new();
            let port = free_port();
            let mut all: Vec<String> = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]
                .into_iter()
                .map(str::to_owned)
                .collect();
            all.push(dir.0.display().to_string());
            all.extend(args(port, &dir.0));
            let child = spawn(&dir.0, &all);
            let mut server = Self { port, dir, args: all, child };
            if server.is_up().await {
                return server;
            }
            let log = fs::read_to_string(server.dir.0.join("log")).unwrap_or_default();
            assert!(log.contains("Address already in use"), "{:?}: {log}", server.args);
        }
        panic!("redis-server found no free port in twenty attempts");
    }

    /// Whether it answers; `false` when it has ended.
    async fn is_up(&mut self) -> bool {
        let limit = READY;
        eventually("redis-server is up", limit, async || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            match self.ask::<Value>(&["PING"]).await {
                Ok(_) => Some(true),
                // It wants a password: it is up.
                Err(error) if matches!(error.code(), Some("NOAUTH" | "NOPERM")) => Some(true),
                Err(_) => None,
            }
        })
        .await
        .0
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.0.join("redis.sock")
    }

    /// What the server says to an administrator, on a connection of their own.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let by_socket = self.args.iter().any(|arg| arg == "--unixsocket");
        let url = if by_socket { format!("redis+unix://{}", self.socket().display()) } else { self.url() };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(5)));
        let mut connection = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]).query_async(&mut connection).await
    }

    /// As [`ask`](Self::ask), where a refusal is the test's own mistake.
    pub(crate) async fn tell(&self, command: &[&str]) {
        self.ask::<Value>(command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    /// Connections other than the one that asks.
    pub(crate) async fn clients(&self) -> usize {
        self.ask::<String>(&["CLIENT", "LIST", "TYPE", "normal"]).await.unwrap().lines().count() - 1
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: the kernel still accepts connections and bytes, and nobody answers.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Starts it again after a kill, on the same port and with nothing in it.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.dir.0, &self.args);
        assert!(self.is_up().await, "it comes up again on its own port");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success(), "kill {signal}");
    }

    async fn info(&self, section: &str, line: &str) -> bool {
        self.ask::<String>(&["INFO", section]).await.is_ok_and(|info| info.lines().any(|found| found == line))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === impl Sentinels ===

impl Sentinels {
    pub(crate) async fn start() -> Self {
        let primary = Server::start_with(&["--repl-diskless-sync-delay", "0"]).await;
        let replica = replica_of(&primary).await;
        let monitor = primary.port;
        let sentinels: Vec<Server> = join_all((0..3).map(|_| sentinel(monitor))).await;
        for sentinel in &sentinels {
            eventually("the sentinels know each other", READY, async || {
                let fields: Vec<String> = sentinel.ask(&["SENTINEL", "MASTER", "main"]).await.ok()?;
                let field = |name: &str| Some(fields[fields.iter().position(|field| field == name)? + 1].as_str());
                (field("num-other-sentinels") == Some("2") && field("num-slaves") == Some("1")).then_some(())
            })
            .await;
        }
        Self { servers: vec![primary, replica], sentinels }
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

pub(crate) async fn replica_of(primary: &Server) -> Server {
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]).await;
    eventually("the replica follows", READY, async || {
        replica.info("replication", "master_link_status:up").await.then_some(())
    })
    .await;
    replica
}

async fn sentinel(monitor: u16) -> Server {
    Server::launch(|port, dir| {
        let conf = dir.join("sentinel.conf");
        let lines = [
            format!("port {port}"),
            format!("sentinel monitor main 127.0.0.1 {monitor} 2"),
            "sentinel down-after-milliseconds main 500".to_owned(),
            "sentinel failover-timeout main 3000".to_owned(),
        ];
        fs::write(&conf, lines.join("\n")).unwrap();
        vec![SENTINEL.to_owned(), conf.display().to_string()]
    })
    .await
}

/// Not an argument of the server: what follows is the file of a sentinel.
const SENTINEL: &str = "sentinel:";

// === impl Cluster ===

impl Cluster {
    pub(crate) async fn start() -> Self {
        let nodes = join_all((0..6).map(|_| {
            Server::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                "--cluster-replica-validity-factor",
                "0",
                "--cluster-require-full-coverage",
                "no",
                "--repl-diskless-sync-delay",
                "0",
            ])
        }))
        .await;
        let cluster = Self { nodes };
        cluster.join().await;
        cluster
    }

    /// What `redis-cli --cluster create` does, without its pauses.
    async fn join(&self) {
        let nodes = &self.nodes;
        for (at, node) in nodes.iter().enumerate() {
            node.tell(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).await;
        }
        for (node, (first, last)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            // `ADDSLOTSRANGE` is not in 6.2.
            let slots: Vec<String> = (first..=last).map(|slot: u16| slot.to_string()).collect();
            let words = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str));
            node.tell(&words.collect::<Vec<_>>()).await;
        }
        for node in &nodes[1..] {
            nodes[0].tell(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]).await;
        }
        self.all("cluster_known_nodes:6").await;
        for (primary, replica) in nodes[..3].iter().zip(&nodes[3..]) {
            let id: String = primary.ask(&["CLUSTER", "MYID"]).await.unwrap();
            eventually("the replica is told whom to follow", READY, async || {
                replica.ask::<Value>(&["CLUSTER", "REPLICATE", &id]).await.ok()
            })
            .await;
        }
        self.all("cluster_state:ok").await;
        for node in nodes {
            eventually("every node knows every replica", READY, async || {
                let ranges: Vec<Vec<Value>> = node.ask(&["CLUSTER", "SLOTS"]).await.ok()?;
                (ranges.len() == 3 && ranges.iter().all(|range| range.len() == 4)).then_some(())
            })
            .await;
        }
        for replica in &nodes[3..] {
            eventually("the replica follows", READY, async || {
                replica.info("replication", "master_link_status:up").await.then_some(())
            })
            .await;
        }
    }

    async fn all(&self, line: &str) {
        for node in &self.nodes {
            eventually(line, READY, async || {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await.ok()?;
                info.lines().any(|found| found == line).then_some(())
            })
            .await;
        }
    }

    /// A handle on it, with more patience than the default where connecting is not what is tested: a node of a Cluster
    /// waits for its disk.
    pub(crate) fn handle(&self, connect_deadline: Duration) -> RedisBuilder {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let url = format!("redis+cluster://{}", hosts.join(","));
        Redis::builder(&url).unwrap().connect_deadline(connect_deadline)
    }
}

// === processes and folders ===

fn spawn(dir: &Path, args: &[String]) -> Child {
    let log = fs::File::create(dir.join("log")).unwrap();
    let mut command = Command::new("redis-server");
    match args.iter().position(|arg| arg == SENTINEL) {
        Some(at) => command.arg(&args[at + 1]).arg("--sentinel").args(["--dir", &dir.display().to_string()]),
        None => command.args(args),
    };
    command
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .expect("redis-server is installed: scripts/test does it")
}

/// A port that nobody listens on, nor on the one at which the nodes of a Cluster would meet. Below those that outgoing
/// connections take.
fn free_port() -> u16 {
    loop {
        let port: u16 = rand::random_range(12_000..22_000);
        if [port, port + 10_000].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bartizan-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
