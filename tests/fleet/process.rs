//! A node that is a process of its own: this test binary, started again.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request},
    routing::{get, post},
};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, time::timeout};

use crate::{
    history::Outcome,
    member::{Member, page},
    node::Answer,
    site::{self, LANGUAGE, LANGUAGES, PATIENCE, What},
    store::Made,
};

/// It is killed when this is dropped, and ends by itself when this process does.
pub(crate) struct Process {
    child: Mutex<Child>,
    _alive: ChildStdin,
    port: AtomicUsize,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What a node is told by its environment: its name, the port of the site, what its store is made of.
const TOLD: &str = "BARTIZAN_FLEET_NODE";

const PORT: &str = "the node listens at ";

#[test]
#[ignore = "a node, not a test: the tests start it"]
fn node() {
    let Ok(told) = std::env::var(TOLD) else { return };
    std::thread::spawn(|| {
        // The test that started this one is gone.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(serve(&told));
}

async fn serve(told: &str) {
    let mut words = told.splitn(3, ' ');
    let (name, site, made) = (words.next().unwrap().to_owned(), words.next().unwrap(), words.next().unwrap());
    let site: u16 = site.parse().unwrap();
    let store = made.parse::<Made>().unwrap().store().await;
    let member = Member::before(store, move |page| {
        let name = name.clone();
        async move { site::ask(site, page, &name).await }
    });
    let (reader, purger, counted) = (member.clone(), member.clone(), member);
    let read = async move |request: Request| {
        let language = request.headers().get(LANGUAGE).is_some_and(|language| language == LANGUAGES[1]);
        let answer = reader.read(page(request.uri().path()), usize::from(language)).await;
        let response = Response::builder().status(answer.status).header("cache-status", answer.how);
        response.body(Body::from(answer.value.to_string())).unwrap()
    };
    let purge = async move |Path((kind, number)): Path<(String, usize)>| {
        let what = match kind.as_str() {
            "tag" => What::Tag(number),
            "page" => What::Page(number),
            _ => What::All,
        };
        match purger.purge(what).await {
            Ok(()) => (StatusCode::OK, String::new()),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
        }
    };
    let app = Router::new()
        .route("/pages/{page}", get(read))
        .route("/purge/{kind}/{number}", post(purge))
        .route("/counters", get(async move || counted.counters().to_string()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{PORT}{}", listener.local_addr().unwrap().port());
    axum::serve(listener, app).await.unwrap();
}

// === impl Process ===

impl Process {
    pub(crate) fn start(name: &str, site: u16, made: &Made) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["process::node", "--exact", "--ignored", "--nocapture"])
            .env(TOLD, format!("{name} {site} {made}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let alive = child.stdin.take().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let child = Mutex::new(child);
        let process = Self { child, _alive: alive, port: AtomicUsize::new(0), client: client() };
        let port = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(PORT).and_then(|(_, port)| port.trim().parse().ok()));
        process.port.store(port.expect("the node says where it listens"), Ordering::SeqCst);
        process
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        drop(child.kill());
        drop(child.wait());
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn lives(&self) -> bool {
        self.child.lock().try_wait().unwrap().is_none()
    }

    /// Nothing, if it does not live.
    fn signal(&self, signal: &str) {
        let mut child = self.child.lock();
        if child.try_wait().unwrap().is_none() {
            let id = child.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success(), "kill {signal}");
        }
    }

    pub(crate) async fn read(&self, page: usize, language: usize) -> Option<Answer> {
        let request = http::Request::get(self.at(&format!("pages/{page}"))).header(LANGUAGE, LANGUAGES[language]);
        let response = self.send(request.body(Full::default()).unwrap()).await?;
        let (head, body) = response.into_parts();
        Some(Answer::of(&head, &body))
    }

    pub(crate) async fn purge(&self, what: What) -> Outcome {
        let path = match what {
            What::Tag(tag) => format!("purge/tag/{tag}"),
            What::Page(page) => format!("purge/page/{page}"),
            What::All => "purge/all/0".to_owned(),
        };
        let request = http::Request::post(self.at(&path)).body(Full::default()).unwrap();
        match self.send(request).await {
            None => Outcome::Gone,
            Some(response) if response.status() == 200 => Outcome::Acknowledged,
            Some(response) => Outcome::Failed(String::from_utf8_lossy(response.body()).into_owned()),
        }
    }

    pub(crate) async fn counters(&self) -> Option<String> {
        let request = http::Request::get(self.at("counters")).body(Full::default()).unwrap();
        Some(String::from_utf8_lossy(self.send(request).await?.body()).into_owned())
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> Option<Response<Bytes>> {
        let sent = async {
            let (head, body) = self.client.request(request).await.ok()?.into_parts();
            Some(Response::from_parts(head, body.collect().await.ok()?.to_bytes()))
        };
        timeout(PATIENCE + Duration::from_secs(5), sent).await.expect("a node answers, or its socket closes")
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port.load(Ordering::SeqCst))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}
