//! A Redis of the experiment's own.

use std::{
    env, fs, io,
    net::TcpListener,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    time::Duration,
};

use bartizan::Redis;
use tokio::time;

/// It is ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
}

// === impl Server ===

impl Server {
    /// On a free port.
    pub(crate) async fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = env::temp_dir().join(format!("bartizan-ablation-{}", process::id()));
        fs::create_dir_all(&dir)?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]).arg(port.to_string());
        command.arg("--dir").arg(&dir).stdout(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err("there is no redis-server to start: apt install redis-server".into());
            }
            Err(error) => return Err(error.into()),
        };
        let server = Self { child, port, dir };
        let mut ticks = time::interval(Duration::from_millis(20));
        for _ in 0..250 {
            ticks.tick().await;
            if Redis::connect(&server.url()).await.is_ok() {
                return Ok(server);
            }
        }
        Err("redis-server does not answer within 5 s".into())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}
