//! Load and mischief in a random order, and what came of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    history::{History, Outcome, Promise, Purge, Read, Tally},
    node::Node,
    random::Random,
    site::{LANGUAGES, PAGES, PATIENCE, Site, What},
    store::DOUBT,
    support::{Link, Proxy, Server, eventually},
    wait::pass,
};

/// The nodes of one schedule, and what stands between them and their Redis.
pub(crate) struct Scene {
    pub(crate) site: Arc<Site>,
    pub(crate) nodes: Arc<[Node]>,
    /// One for each of the first nodes, to be broken.
    links: Vec<Proxy>,
    /// Which of them have connections that lost bytes.
    lossy: Vec<bool>,
    /// To be stopped and killed.
    server: Option<Server>,
    trouble: Trouble,
    pub(crate) history: Arc<History>,
    /// The longest that it may take, after all is well again, until what could not be told is told.
    recovery: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Paused,
    Killed,
}

/// The load on a scene, from when it begins until it is told to end.
pub(crate) struct Load {
    site: Arc<Site>,
    nodes: Arc<[Node]>,
    history: Arc<History>,
    ends: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

const STEPS: u32 = 120;

/// How long a step lasts, at the most, in milliseconds.
const PACE: u32 = 25;

/// How long a node is stopped, at the most, in milliseconds.
const PAUSE: u32 = 500;

// === impl Scene ===

impl Scene {
    pub(crate) fn new(site: Arc<Site>, nodes: Vec<Node>, promises: Vec<Promise>) -> Self {
        Self {
            site,
            nodes: nodes.into(),
            links: Vec::new(),
            lossy: Vec::new(),
            server: None,
            trouble: Trouble::None,
            history: Arc::new(History::new(promises)),
            recovery: Duration::ZERO,
        }
    }

    /// With links and a server that fail.
    pub(crate) fn on(self, links: Vec<Proxy>, server: Server) -> Self {
        Self { lossy: vec![false; links.len()], links, server: Some(server), ..self }
    }

    /// With this time to make up for what failed, after all is well.
    pub(crate) fn recovering(self, recovery: Duration) -> Self {
        Self { recovery, ..self }
    }

    /// Plays the schedule of a seed, waits until all is well again, and tells what was seen.
    pub(crate) async fn play(&mut self, seed: u64) -> (Tally, Option<Duration>) {
        let mut random = Random::new(seed);
        let mut load = Load::begin(&self.site, &self.nodes, &self.history, &mut random);
        for _ in 0..STEPS {
            if random.one_in(5) {
                self.help_the_server().await;
            }
            match random.below(10) {
                0..=6 => {
                    let node = random.below(self.nodes.len() as u32) as usize;
                    load.change(node, What::any(&mut random));
                }
                7 => self.break_or_mend_a_link(&mut random).await,
                8 => self.trouble_the_server(&mut random).await,
                _ => self.trouble_a_node(&mut random),
            }
            pass(random.millis(PACE)).await;
        }
        let took = self.mend(&mut load).await;
        load.end().await;
        (self.history.tally(), took)
    }

    /// Changes and purges at random until `during` is done; then as [`play`](Self::play).
    pub(crate) async fn play_during(
        &mut self,
        seed: u64,
        during: impl Future<Output = ()>,
    ) -> (Tally, Option<Duration>) {
        let mut random = Random::new(seed);
        let mut load = Load::begin(&self.site, &self.nodes, &self.history, &mut random);
        let mut during = std::pin::pin!(during);
        while timeout(random.millis(4 * PACE), &mut during).await.is_err() {
            let node = random.below(self.nodes.len() as u32) as usize;
            load.change(node, What::any(&mut random));
        }
        let took = self.mend(&mut load).await;
        load.end().await;
        (self.history.tally(), took)
    }

    async fn break_or_mend_a_link(&mut self, random: &mut Random) {
        if self.links.is_empty() {
            return;
        }
        let at = random.below(self.links.len() as u32) as usize;
        let link = match random.below(8) {
            0 => Link::Slow(random.millis(60)),
            1 => Link::Held,
            2 => Link::HalfOpen,
            3 => Link::Cut,
            4 => Link::Garbled,
            _ => Link::Up,
        };
        self.set(at, link).await;
    }

    /// What becomes of a link.
    pub(crate) async fn set(&mut self, at: usize, link: Link) {
        if std::mem::replace(&mut self.lossy[at], link == Link::HalfOpen) {
            // A connection that lost bytes never goes on: its peers do not number what they say.
            self.links[at].set(Link::Cut);
            pass(Duration::from_millis(5)).await;
        }
        self.history.fault(format!("link {at}: {link:?}"));
        self.links[at].set(link);
    }

    /// Stops or kills it.
    async fn trouble_the_server(&mut self, random: &mut Random) {
        self.help_the_server().await;
        let Some(server) = &mut self.server else { return };
        self.trouble = if random.one_in(3) {
            server.kill();
            Trouble::Killed
        } else {
            server.pause();
            Trouble::Paused
        };
        self.history.fault(format!("server: {:?}", self.trouble));
    }

    async fn help_the_server(&mut self) {
        let Some(server) = &mut self.server else { return };
        match std::mem::replace(&mut self.trouble, Trouble::None) {
            Trouble::None => return,
            Trouble::Paused => server.resume(),
            Trouble::Killed => server.restart().await,
        }
        self.history.fault("server: well".to_owned());
    }

    /// Stops a node of its own for a while, or kills it for good, so long as two are left.
    fn trouble_a_node(&self, random: &mut Random) {
        let node = random.below(self.nodes.len() as u32) as usize;
        let (pause, kills) = (random.millis(PAUSE), random.one_in(8));
        let living = self.nodes.iter().filter(|node| matches!(node, Node::Apart(process) if process.lives())).count();
        let Node::Apart(process) = &self.nodes[node] else { return };
        if kills && living > 2 {
            self.history.fault(format!("node {node}: killed"));
            process.kill();
            return;
        }
        self.history.fault(format!("node {node}: stopped for {pause:?}"));
        process.pause();
        let nodes = Arc::clone(&self.nodes);
        tokio::spawn(async move {
            pass(pause).await;
            nodes[node].resume();
        });
    }

    /// All is well again: everyone can purge, and everything that anyone tried to purge is purged. Tells how long after the
    /// first the second was so, if it was.
    async fn mend(&mut self, load: &mut Load) -> Option<Duration> {
        self.help_the_server().await;
        for link in 0..self.links.len() {
            self.set(link, Link::Up).await;
        }
        self.nodes.iter().for_each(Node::resume);
        load.settle().await;
        let living: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].lives()).collect();
        for &node in &living {
            eventually("everyone can purge again", PATIENCE, async || {
                let outcome = self.nodes[node].purge(What::Tag(usize::MAX)).await;
                (outcome == Outcome::Acknowledged).then_some(())
            })
            .await;
        }
        // What is not found for a while after a restart must not be there after that either.
        pass(DOUBT).await;
        let (owed, start) = (self.history.owed(), Instant::now());
        let all = living.iter().flat_map(|node| (0..PAGES).map(move |page| (node, page)));
        let taking_effect = async {
            for ((node, page), language) in
                all.flat_map(|page| (0..LANGUAGES.len()).map(move |language| (page, language)))
            {
                while self.nodes[*node].read(page, language).await.is_none_or(|answer| answer.is_older_than(owed[page]))
                {
                    pass(Duration::from_millis(5)).await;
                }
            }
        };
        timeout(self.recovery, taking_effect).await.ok().map(|()| start.elapsed())
    }
}

// === impl Load ===

impl Load {
    /// Two clients for each node, who read whatever they like.
    pub(crate) fn begin(site: &Arc<Site>, nodes: &Arc<[Node]>, history: &Arc<History>, random: &mut Random) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let mut load = Self {
            site: Arc::clone(site),
            nodes: Arc::clone(nodes),
            history: Arc::clone(history),
            ends,
            tasks: JoinSet::new(),
        };
        for node in (0..nodes.len()).flat_map(|node| [node; 2]) {
            let client = client(node, Arc::clone(nodes), Arc::clone(history), Arc::clone(&load.ends), random.fork());
            load.tasks.spawn(client);
        }
        load
    }

    /// Changes what is to be purged, and has a node purge it, meanwhile.
    pub(crate) fn change(&mut self, node: usize, what: What) {
        (0..PAGES).filter(|page| what.covers(*page)).for_each(|page| self.site.update(page));
        let (nodes, history) = (Arc::clone(&self.nodes), Arc::clone(&self.history));
        let values = std::array::from_fn(|page| self.site.value(page));
        self.tasks.spawn(async move {
            let began = Instant::now();
            let outcome = nodes[node].purge(what).await;
            history.purged(Purge { node, what, began, ended: Instant::now(), values, outcome });
        });
    }

    /// The purges are done; clients go on.
    async fn settle(&mut self) {
        let clients = 2 * self.nodes.len();
        while self.tasks.len() > clients {
            self.tasks.join_next().await.unwrap().unwrap();
        }
    }

    pub(crate) async fn end(mut self) {
        self.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

async fn client(node: usize, nodes: Arc<[Node]>, history: Arc<History>, ends: Arc<AtomicBool>, mut random: Random) {
    while !ends.load(Ordering::SeqCst) {
        let page = random.below(PAGES as u32) as usize;
        let read = nodes[node].read(page, random.below(2) as usize);
        let began = Instant::now();
        let answer = if random.one_in(16) {
            // This client is gone before its answer comes, or else it has it.
            timeout(random.millis(4), read).await.ok().flatten()
        } else {
            read.await
        };
        if let Some(answer) = answer {
            let (status, value, how) = (answer.status, answer.value, answer.how);
            history.read(Read { node, page, began, ended: Instant::now(), status, value, how });
        }
        pass(random.millis(4)).await;
    }
}
