//! A leaderboard on a server whose clock is not the caller's: one that is played here, since a real one's cannot be set.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use bartizan::{
    Redis,
    clock::{Clock, SystemClock, Timestamp},
    redis::leaderboard::{Leaderboard, Period},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const DAY: u64 = 24 * 3600 * 1000;

/// It knows one script, by what it returns: the change, if the key is of its own day, and else the time.
struct Player {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

// === impl Player ===

impl Player {
    /// Its clock shows so many days more than ours, and one more each time that it is asked, if it jumps.
    async fn start(ahead: u64, jumps: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut serving = JoinSet::new();
        let log = asked.clone();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &log, ahead, jumps).await;
            }
        });
        Self { port, asked, _serving: serving }
    }

    async fn board(&self) -> Leaderboard {
        let redis = Redis::builder(&format!("redis://127.0.0.1:{}", self.port)).unwrap().build().unwrap();
        Leaderboard::builder(&redis, "race").unwrap().periods([Period::DAY]).build()
    }

    fn days(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|key| key.rsplit(':').nth(1).unwrap().to_owned()).collect()
    }
}

async fn serve(stream: TcpStream, log: &Mutex<Vec<String>>, ahead: u64, jumps: bool) {
    let mut stream = BufReader::new(stream);
    while let Some(words) = command(&mut stream).await {
        let answer = match words[0].to_ascii_uppercase().as_str() {
            "HELLO" => "-ERR unknown command\r\n".to_owned(),
            "EVALSHA" => {
                let mut log = log.lock().unwrap();
                let ahead = if jumps { log.len() as u64 + 1 } else { ahead };
                let now = Timestamp::from_millis(SystemClock.now().as_millis() + ahead * DAY);
                let key = words[3].clone();
                log.push(key.clone());
                if key.ends_with(&format!("{}:scores", label(now))) {
                    "*3\r\n$4\r\ndone\r\n:1\r\n$1\r\n5\r\n".to_owned()
                } else {
                    format!("*2\r\n$5\r\nclock\r\n:{}\r\n", now.as_millis())
                }
            }
            _ => "+OK\r\n".to_owned(),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The words of the next command; `None` at the end.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Some(words)
}

async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

/// The day, as keys have it.
fn label(now: Timestamp) -> String {
    let text = httpdate::fmt_http_date(now.into());
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == &text[8..11]).unwrap() + 1;
    format!("day-{}-{month:02}-{}", &text[12..16], &text[5..7])
}

#[tokio::test]
async fn the_day_is_the_servers_and_not_the_callers() {
    let server = Player::start(2, false).await;
    let change = server.board().await.add("ada", 5).await.unwrap();
    assert_eq!(change.score, Some(5));
    let days = server.days();
    assert_eq!(days.len(), 2, "asked for our day, told the time, and asked for its own: {days:?}");
    assert_ne!(days[0], days[1]);
}

#[tokio::test]
async fn a_clock_that_jumps_from_day_to_day_is_given_up() {
    let server = Player::start(0, true).await;
    let error = server.board().await.add("ada", 5).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let days = server.days();
    assert_eq!(days.iter().collect::<HashSet<_>>().len(), 3, "{days:?}");
}
