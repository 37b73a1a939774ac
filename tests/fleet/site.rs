//! What is cached: a few pages, each a number that rises. In this process, or on a socket for nodes that are not.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bartizan::Caching;
use bytes::Bytes;
use http::{Response, Uri};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use crate::{random::Random, wait::pass};

pub(crate) const PAGES: usize = 8;

/// Pages from this one on vary by [`LANGUAGE`].
const VARYING: usize = 6;
pub(crate) const LANGUAGE: &str = "x-language";
pub(crate) const LANGUAGES: [&str; 2] = ["a", "b"];

const TAGS: usize = 3;

/// What is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Tag(usize),
    Page(usize),
    All,
}

/// What the site says of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) value: u64,
}

/// A call that came for a page.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) by: String,
    pub(crate) page: usize,
    pub(crate) at: Instant,
}

pub(crate) struct Site {
    values: [AtomicU64; PAGES],
    calls: Mutex<Vec<Call>>,
    /// The longest an answer takes after its value was read, and the answers of which one fails.
    mood: Option<(u32, u32)>,
    random: Mutex<Random>,
    /// The page of which the next answer waits.
    held: Mutex<Option<usize>>,
    released: watch::Sender<u64>,
}

// === impl What ===

impl What {
    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(30) {
            0 => Self::All,
            1..=14 => Self::Tag(random.below(TAGS as u32) as usize),
            _ => Self::Page(random.below(PAGES as u32) as usize),
        }
    }

    pub(crate) fn covers(self, page: usize) -> bool {
        match self {
            Self::Tag(tag) => page % TAGS == tag,
            Self::Page(one) => one == page,
            Self::All => true,
        }
    }

    pub(crate) fn tag(tag: usize) -> String {
        format!("tag:{tag}")
    }
}

pub(crate) fn uri(page: usize) -> Uri {
    format!("http://fleet.test/pages/{page}").parse().unwrap()
}

// === impl Said ===

impl Said {
    pub(crate) fn into_response(self, page: usize) -> Response<Full<Bytes>> {
        let body = Full::new(Bytes::from(self.value.to_string()));
        let mut response = Response::builder().status(self.status);
        if self.status == 200 {
            response = response
                .header("cache-control", "max-age=1000")
                .extension(Caching::new().tag(What::tag(page % TAGS)).tag("of the fleet"));
        }
        if page >= VARYING {
            response = response.header("vary", LANGUAGE);
        }
        response.body(body).unwrap()
    }
}

// === impl Site ===

impl Site {
    /// Answers at once, and never fails.
    pub(crate) fn prompt() -> Arc<Self> {
        Self::new(None, 0)
    }

    /// Takes up to `slow` milliseconds after it read what it answers, ten times that now and then; one answer in `fails` is
    /// a failure.
    pub(crate) fn moody(slow: u32, fails: u32, seed: u64) -> Arc<Self> {
        Self::new(Some((slow, fails)), seed)
    }

    fn new(mood: Option<(u32, u32)>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            values: [(); PAGES].map(|()| AtomicU64::new(1)),
            calls: Mutex::default(),
            mood,
            random: Mutex::new(Random::new(seed)),
            held: Mutex::default(),
            released: watch::Sender::new(0),
        })
    }

    pub(crate) fn value(&self, page: usize) -> u64 {
        self.values[page].load(Ordering::SeqCst)
    }

    pub(crate) fn update(&self, page: usize) {
        self.values[page].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// The next answer for a page waits, after its value was read.
    pub(crate) fn hold_one(&self, page: usize) {
        *self.held.lock() = Some(page);
    }

    pub(crate) fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    pub(crate) async fn get(&self, page: usize, by: &str) -> Said {
        let value = self.value(page);
        let is_held = self.held.lock().take_if(|held| *held == page).is_some();
        let mut released = self.released.subscribe();
        self.calls.lock().push(Call { by: by.to_owned(), page, at: Instant::now() });
        let mut said = Said { status: 200, value };
        if let Some((slow, fails)) = self.mood {
            let (takes, fails) = {
                let mut random = self.random.lock();
                let slow = if random.one_in(20) { slow * 10 } else { slow };
                (random.millis(slow), random.one_in(fails))
            };
            pass(takes).await;
            if fails {
                said.status = 503;
            }
        }
        if is_held {
            drop(released.changed().await);
        }
        said
    }

    /// Answers lines on a socket for as long as the set lives: `node page`, to which it says `status value`.
    pub(crate) async fn listen(self: &Arc<Self>) -> (u16, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let site = Arc::clone(self);
        tasks.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                let site = Arc::clone(&site);
                callers.spawn(async move { drop(site.answer(caller).await) });
            }
        });
        (port, tasks)
    }

    async fn answer(&self, caller: TcpStream) -> std::io::Result<()> {
        let mut caller = BufReader::new(caller);
        let mut line = String::new();
        caller.read_line(&mut line).await?;
        let Some((by, page)) = line.trim().split_once(' ') else { return Ok(()) };
        let said = self.get(page.parse().unwrap(), by).await;
        caller.write_all(format!("{} {}\n", said.status, said.value).as_bytes()).await
    }
}

/// What a site on another's socket says. Where nobody answers, that is a bad gateway.
pub(crate) async fn ask(port: u16, page: usize, by: &str) -> Result<Said, Infallible> {
    let asking = async {
        let mut site = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.ok()?);
        site.write_all(format!("{by} {page}\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        site.read_line(&mut line).await.ok()?;
        let (status, value) = line.trim().split_once(' ')?;
        Some(Said { status: status.parse().ok()?, value: value.parse().ok()? })
    };
    Ok(asking.await.unwrap_or(Said { status: 502, value: 0 }))
}

/// Longer than any test waits for a site that is not held.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
