//! Why the memory store stands on quick_cache: the map alone, against moka's sync cache.
//!
//! Both hold an `Arc` under a 128-bit key that is a keyed hash already, so neither hashes it again. Both weigh their
//! entries. The number that must hold: **a hit in quick_cache takes at most half of what it takes in moka**, on one hot
//! key and over 10 000 keys, in the same run. When that stops being true, so does the reason for the choice, and the
//! bench ends with a failure.
//!
//! ```text
//! cargo bench --bench map
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    hash::{BuildHasherDefault, Hasher},
    hint::black_box,
    process::ExitCode,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// What a hit in quick_cache may take of a hit in moka.
const BOUND: f64 = 0.5;

const KEYS: usize = 10_000;
const ENTRY_WEIGHT: u32 = 1_400;

fn main() -> ExitCode {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    let (hot, zipf) = (vec![key(1)], zipf_keys());

    let mut group = criterion.benchmark_group("hit, one hot key");
    hit::<QuickCache>(&mut group, &hot);
    hit::<Moka>(&mut group, &hot);
    group.finish();
    let mut group = criterion.benchmark_group("hit, 10 000 zipf keys");
    hit::<QuickCache>(&mut group, &zipf);
    hit::<Moka>(&mut group, &zipf);
    group.finish();
    let mut group = criterion.benchmark_group("hit, 10 000 zipf keys, two threads");
    hit_from_two_threads::<QuickCache>(&mut group, &zipf);
    hit_from_two_threads::<Moka>(&mut group, &zipf);
    group.finish();
    let mut group = criterion.benchmark_group("insert and evict");
    churn::<QuickCache>(&mut group);
    churn::<Moka>(&mut group);
    group.finish();
    criterion.final_summary();

    // `cargo test --benches` only asks whether the bench runs.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let held = [verdict("one hot key", &hot), verdict("10 000 zipf keys", &zipf)];
    if held == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is asked of either map.
trait Map: Sync {
    const NAME: &'static str;
    fn with_capacity(entries: usize) -> Self;
    fn get(&self, key: u128) -> Option<Arc<Entry>>;
    fn insert(&self, key: u128, entry: Arc<Entry>);
}

struct Entry {
    weight: u32,
}

// === the groups ===

fn hit<M: Map>(group: &mut BenchmarkGroup<'_, WallTime>, keys: &[u128]) {
    let map = filled::<M>(keys);
    let mut keys = keys.iter().cycle();
    group.bench_function(M::NAME, |bencher| {
        bencher.iter(|| keys.next().and_then(|key| map.get(*key)));
    });
}

/// The time of one hit as each thread sees it, while the other does the same.
fn hit_from_two_threads<M: Map>(group: &mut BenchmarkGroup<'_, WallTime>, keys: &[u128]) {
    let map = filled::<M>(keys);
    group.bench_function(M::NAME, |bencher| {
        bencher.iter_custom(|iterations| {
            let start_line = Barrier::new(2);
            let run = |offset: usize| {
                let mut keys = keys.iter().cycle().skip(offset);
                start_line.wait();
                let start = Instant::now();
                for _ in 0..iterations {
                    black_box(keys.next().and_then(|key| map.get(*key)));
                }
                start.elapsed()
            };
            thread::scope(|scope| {
                let other = scope.spawn(|| run(keys.len() / 2));
                run(0).max(other.join().expect("a reader does not panic"))
            })
        });
    });
}

/// Every insert is of a new key into a full map, so it also evicts.
fn churn<M: Map>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let map = M::with_capacity(KEYS);
    let entry = Arc::new(Entry { weight: ENTRY_WEIGHT });
    let mut fresh = (0..).map(key);
    for key in fresh.by_ref().take(2 * KEYS) {
        map.insert(key, Arc::clone(&entry));
    }
    group.bench_function(M::NAME, |bencher| {
        bencher.iter(|| {
            let key = fresh.next().expect("keys do not end");
            map.insert(key, Arc::clone(&entry));
        });
    });
}

/// Compares the two in turns, so that a noisy neighbour disturbs both alike.
fn verdict(what: &str, keys: &[u128]) -> bool {
    const ROUNDS: usize = 9;
    let (quick, moka) = (filled::<QuickCache>(keys), filled::<Moka>(keys));
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| (ns_per_hit(&quick, keys), ns_per_hit(&moka, keys))).collect();
    rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    let (quick, moka) = rounds[ROUNDS / 2];
    let ratio = quick / moka;
    let held = ratio <= BOUND;
    println!(
        "{what}: quick_cache {quick:.1} ns, moka {moka:.1} ns, ratio {ratio:.2} (at most {BOUND}): {}",
        if held { "held" } else { "BROKEN" }
    );
    held
}

fn ns_per_hit<M: Map>(map: &M, keys: &[u128]) -> f64 {
    const HITS: u32 = 500_000;
    let start = Instant::now();
    for key in keys.iter().cycle().take(HITS as usize) {
        black_box(map.get(*key));
    }
    start.elapsed().as_nanos() as f64 / f64::from(HITS)
}

// === keys ===

fn filled<M: Map>(keys: &[u128]) -> M {
    let map = M::with_capacity(2 * KEYS);
    for key in keys {
        map.insert(*key, Arc::new(Entry { weight: ENTRY_WEIGHT }));
    }
    map
}

/// Stands for the store's keyed hash: the n-th key is 128 random bits, the same in every run.
fn key(n: u64) -> u128 {
    SmallRng::seed_from_u64(n).random()
}

/// 65 536 draws of 10 000 keys, the n-th as often as 1/n^0.99.
fn zipf_keys() -> Vec<u128> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += (rank as f64).powf(-0.99);
            sum
        })
        .collect();
    let mut random = SmallRng::seed_from_u64(42);
    (0..1 << 16)
        .map(|_| {
            let draw = random.random::<f64>() * sum;
            key(cumulated.partition_point(|below| *below < draw) as u64)
        })
        .collect()
}

// === the maps ===

type QuickCache = Arc<quick_cache::sync::Cache<u128, Arc<Entry>, Weight, BuildHasherDefault<Identity>>>;
type Moka = moka::sync::Cache<u128, Arc<Entry>, BuildHasherDefault<Identity>>;

#[derive(Clone)]
struct Weight;

/// The keys are hashes already: half of one is as good a hash as any.
#[derive(Default)]
struct Identity(u64);

impl Map for QuickCache {
    const NAME: &'static str = "quick_cache";

    fn with_capacity(entries: usize) -> Self {
        let weight = entries as u64 * u64::from(ENTRY_WEIGHT);
        Arc::new(quick_cache::sync::Cache::with(
            entries,
            weight,
            Weight,
            BuildHasherDefault::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        self.as_ref().get(&key)
    }

    fn insert(&self, key: u128, entry: Arc<Entry>) {
        self.as_ref().insert(key, entry);
    }
}

impl Map for Moka {
    const NAME: &'static str = "moka";

    fn with_capacity(entries: usize) -> Self {
        moka::sync::Cache::builder()
            .initial_capacity(entries)
            .max_capacity(entries as u64 * u64::from(ENTRY_WEIGHT))
            .weigher(|_, entry: &Arc<Entry>| entry.weight)
            .build_with_hasher(BuildHasherDefault::default())
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        moka::sync::Cache::get(self, &key)
    }

    fn insert(&self, key: u128, entry: Arc<Entry>) {
        moka::sync::Cache::insert(self, key, entry);
    }
}

impl quick_cache::Weighter<u128, Arc<Entry>> for Weight {
    fn weight(&self, _key: &u128, entry: &Arc<Entry>) -> u64 {
        u64::from(entry.weight)
    }
}

impl Hasher for Identity {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("the keys are u128");
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
