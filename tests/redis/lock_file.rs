//! Processes that count in one file, under a lock on a server that is stopped, killed and emptied meanwhile.

use std::{
    env, fs,
    future::pending,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use bartizan::{
    Redis,
    redis::lock::{FencingToken, Lock},
};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::support::{Server, within};

const MILLI: Duration = Duration::from_millis(1);
const PROCESSES: u64 = 8;

/// How often all of them count. `BARTIZAN_INCREMENTS=10000` for the long run.
const INCREMENTS: u64 = 1600;

/// Beyond what the long run takes.
const LIMIT: Duration = Duration::from_secs(600);

/// What a process is told by its environment: the URL of the server, the port of the file, how often to count.
const TOLD: &str = "BARTIZAN_LOCK_PROCESS";

/// A file that compares tokens: it takes each request in one piece, and nothing of a holder older than one it has heard of.
struct File {
    path: PathBuf,
    newest: Option<FencingToken>,
    accepted: u64,
    refused: u64,
}

// === impl File ===

impl File {
    fn serve(file: &Arc<Mutex<Self>>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = Arc::clone(file);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, file) = (socket.unwrap(), Arc::clone(&file));
                thread::spawn(move || Self::answer(&socket, &file));
            }
        });
        port
    }

    /// `read <token>` or `write <token> <number>`: the number, or `no <token>`.
    fn answer(socket: &TcpStream, file: &Mutex<Self>) {
        for line in BufReader::new(socket).lines() {
            let Ok(line) = line else { return };
            let words: Vec<_> = line.split(' ').collect();
            let token: FencingToken = words[1].parse().unwrap();
            let answer = file.lock().ask(token, words.get(2).copied()) + "\n";
            if (&mut &*socket).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn ask(&mut self, token: FencingToken, number: Option<&str>) -> String {
        if let Some(newest) = self.newest.filter(|newest| *newest > token) {
            self.refused += 1;
            return format!("no {newest}");
        }
        self.newest = Some(token);
        if let Some(number) = number {
            self.accepted += 1;
            fs::write(&self.path, number).unwrap();
        }
        fs::read_to_string(&self.path).unwrap()
    }
}

// === a process ===

#[test]
#[ignore = "a process, not a test: the test starts it"]
fn process() {
    let Ok(told) = env::var(TOLD) else { return };
    thread::spawn(|| {
        // The test that started this one is gone.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let words: Vec<_> = told.split(' ').collect();
        let redis = Redis::builder(words[0]).unwrap().deadline(200 * MILLI).backoff(20 * MILLI, 100 * MILLI);
        let lock = Lock::new(&redis.build().unwrap(), "file").unwrap().ttl(400 * MILLI);
        let mut file = Remote(BufReader::new(TcpStream::connect(("127.0.0.1", words[1].parse().unwrap())).unwrap()));
        let mut left: u64 = words[2].parse().unwrap();
        while left > 0 {
            let counted = lock.with_lock(async |guard| {
                let number = file.ask(&format!("read {}", guard.token()))?;
                // Where the work is dropped when the lock is lost, and others come in between when nobody has noticed.
                tokio::task::yield_now().await;
                if rand::random_range(0..100) == 0 {
                    be_blocked(Duration::from_millis(rand::random_range(0..1000)));
                }
                file.ask(&format!("write {} {}", guard.token(), number + 1))
            });
            match counted.await {
                Ok(Ok(_)) => left -= 1,
                Ok(Err(newest)) => lock.observe(newest),
                Err(error) => assert!(error.is_held() || error.is_lost() || error.is_unavailable(), "{error}"),
            }
        }
    });
}

/// For longer than the lock lives without its holder, who then writes what was read before.
#[expect(clippy::disallowed_methods, reason = "a runtime that is blocked is what is tested")]
fn be_blocked(time: Duration) {
    thread::sleep(time);
}

/// The file, as a process reaches it. It does not await: a request is made and answered, or not made.
struct Remote(BufReader<TcpStream>);

impl Remote {
    fn ask(&mut self, request: &str) -> Result<u64, FencingToken> {
        // In one piece: else the second waits for the first to be acknowledged.
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        match answer.trim_end().strip_prefix("no ") {
            Some(newest) => Err(newest.parse().unwrap()),
            None => Ok(answer.trim_end().parse().unwrap()),
        }
    }
}

/// Killed when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

// === the test ===

#[tokio::test]
async fn what_eight_processes_count_is_exact_though_the_server_is_stopped_and_killed() {
    let increments = env::var("BARTIZAN_INCREMENTS").map_or(INCREMENTS, |number| number.parse().unwrap());
    let mut server = Server::start().await;
    let path = env::temp_dir().join(format!("bartizan-count-{}", std::process::id()));
    fs::write(&path, "0").unwrap();
    let file = Arc::new(Mutex::new(File { path, newest: None, accepted: 0, refused: 0 }));
    let told = format!("{} {} {}", server.url(), File::serve(&file), increments / PROCESSES);
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| start(&told)).collect();
    let (mut pauses, mut kills, mut flushes) = (0, 0, 0);
    let counting = async {
        while processes.iter_mut().any(|process| !ended(process)) {
            pass(100 + rand::random_range(0..300)).await;
            match rand::random_range(0..6) {
                0 | 1 => {
                    server.pause();
                    // For shorter and for longer than a holder may be out of reach.
                    pass(rand::random_range(0..800)).await;
                    server.resume();
                    pauses += 1;
                }
                2 => {
                    server.kill();
                    server.restart().await;
                    kills += 1;
                }
                3 => flushes += u32::from(server.ask::<redis::Value>(&["FLUSHALL"]).await.is_ok()),
                _ => {}
            }
        }
    };
    let ((), took) = within(LIMIT, counting).await;
    let file = file.lock();
    let number: u64 = fs::read_to_string(&file.path).unwrap().parse().unwrap();
    println!("{number} counted within {took:?}: {} writes accepted, {} requests refused", file.accepted, file.refused);
    println!("the server was stopped {pauses} times, killed {kills} times, emptied {flushes} times");
    fs::remove_file(&file.path).unwrap();
    assert_eq!((number, file.accepted), (increments, increments));
    assert!(file.refused > 0, "some came too late");
}

fn start(told: &str) -> Process {
    let child = Command::new(env::current_exe().unwrap())
        .args(["lock_file::process", "--exact", "--ignored", "--nocapture"])
        .env(TOLD, told)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

fn ended(process: &mut Process) -> bool {
    let status = process.0.try_wait().unwrap();
    assert!(status.is_none_or(|status| status.success()), "a process failed");
    status.is_some()
}

/// How long a fault lasts is what this test is about.
async fn pass(millis: u64) {
    drop(timeout(Duration::from_millis(millis), pending::<()>()).await);
}
