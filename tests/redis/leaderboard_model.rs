//! Leaderboards beside a model that is a sorted vector: random changes, of which many are repeated, by seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use bartizan::{
    Redis,
    clock::{Clock, TestClock, Timestamp},
    redis::leaderboard::{Entry, Leaderboard, LeaderboardBuilder, Outcome, Page, Period, Update},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::Server;

const PERIODS: [Period; 3] = [Period::EVER, Period::DAY, Period::WEEK];
const DAY: u64 = 24 * 3600 * 1000;

/// Up to so many members the model can be sorted at every step.
const SMALL: u64 = 10_000;

/// What a board is to be.
struct Model {
    lowest: bool,
    capacity: usize,
    boards: BTreeMap<(usize, u64), BTreeMap<String, (i64, u64)>>,
    done: BTreeSet<(String, String)>,
    turns: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, i64),
    Best(String, i64),
    Increment(String, i64, String),
    Remove(String),
}

// === impl Step ===

impl Step {
    fn random(random: &mut StdRng, members: u64, spread: u64, at: usize) -> Self {
        let member = format!("m{}", random.random_range(0..members));
        let score = i64::try_from(random.random_range(0..spread)).unwrap() - i64::try_from(spread / 3).unwrap();
        match random.random_range(0..10) {
            0..=2 => Self::Set(member, score),
            3..=5 => Self::Best(member, score),
            6..=8 => Self::Increment(member, score, format!("op{at}")),
            _ => Self::Remove(member),
        }
    }

    fn update(&self) -> Update {
        match self {
            Self::Set(member, score) => Update::set(member, *score),
            Self::Best(member, score) => Update::best(member, *score),
            Self::Increment(member, by, operation) => Update::increment(member, *by, operation.as_bytes()),
            Self::Remove(member) => Update::remove(member),
        }
    }
}

// === impl Model ===

impl Model {
    /// All of one script.
    fn play(&mut self, steps: &[Step], now: Timestamp) -> Vec<bool> {
        let changed = steps.iter().map(|step| self.step(step, now)).collect();
        for period in 0..PERIODS.len() {
            let over = self.board(period, now).len().saturating_sub(self.capacity);
            if over == 0 {
                continue;
            }
            let last: Vec<_> =
                self.sorted(period, now).into_iter().rev().take(over).map(|(member, ..)| member).collect();
            for member in last {
                self.board(period, now).remove(&member);
            }
        }
        changed
    }

    fn step(&mut self, step: &Step, now: Timestamp) -> bool {
        let mut changed = false;
        self.turns += 1;
        let (turn, lowest) = (self.turns, self.lowest);
        if let Step::Increment(member, _, operation) = step
            && !self.done.insert((member.clone(), operation.clone()))
        {
            return false;
        }
        for period in 0..PERIODS.len() {
            let board = self.board(period, now);
            let (member, new) = match step {
                Step::Set(member, score) => (member, *score),
                Step::Best(member, score) => match board.get(member) {
                    Some((old, _)) if lowest => (member, *old.min(score)),
                    Some((old, _)) => (member, *old.max(score)),
                    None => (member, *score),
                },
                Step::Increment(member, by, _) => (member, board.get(member).map_or(0, |(old, _)| *old) + by),
                Step::Remove(member) => {
                    changed |= board.remove(member).is_some();
                    continue;
                }
            };
            if board.get(member).is_none_or(|(old, _)| *old != new) {
                board.insert(member.clone(), (new, turn));
                changed = true;
            }
        }
        changed
    }

    fn board(&mut self, period: usize, now: Timestamp) -> &mut BTreeMap<String, (i64, u64)> {
        let day = now.as_millis() / DAY;
        let stretch = [0, day, (day + 3) / 7][period];
        self.boards.entry((period, stretch)).or_default()
    }

    fn sorted(&mut self, period: usize, now: Timestamp) -> Vec<(String, i64, u64)> {
        let lowest = self.lowest;
        let board = self.board(period, now);
        let mut all: Vec<_> = board.iter().map(|(member, (score, turn))| (member.clone(), *score, *turn)).collect();
        all.sort_by_key(|(_, score, turn)| (if lowest { *score } else { -*score }, *turn));
        all
    }

    /// As the board is to tell it.
    fn entries(&mut self, period: usize, now: Timestamp) -> Vec<(String, i64, u64, u64, u64)> {
        let mut told: Vec<(String, i64, u64, u64, u64)> = Vec::new();
        for (at, (member, score, _)) in self.sorted(period, now).into_iter().enumerate() {
            let place = at as u64 + 1;
            let (rank, dense) = match told.last() {
                Some((_, last, _, rank, dense)) if *last == score => (*rank, *dense),
                Some((.., dense)) => (place, dense + 1),
                None => (1, 1),
            };
            told.push((member, score, place, rank, dense));
        }
        told
    }
}

fn told(entries: &[Entry]) -> Vec<(String, i64, u64, u64, u64)> {
    let line = |entry: &Entry| {
        (
            entry.member.clone(),
            entry.score,
            entry.place,
            entry.rank,
            entry.dense_rank.expect("the board has dense ranks"),
        )
    };
    entries.iter().map(line).collect()
}

async fn compare(board: &Leaderboard, model: &mut Model, now: Timestamp, random: &mut StdRng, context: &str) {
    for (at, period) in PERIODS.iter().enumerate() {
        let want = model.entries(at, now);
        let of = want.len() as u64;
        let standings = board.during(period);
        let offset = random.random_range(0..of + 2);
        let page: Page = standings.page(offset, 50).await.unwrap();
        let slice = want.iter().skip(usize::try_from(offset).unwrap()).take(50).cloned().collect::<Vec<_>>();
        assert_eq!((told(&page.entries), page.of), (slice, of), "{context}, {period:?} from {offset}");

        let Some(pick) = want.get(random.random_range(0..want.len().max(1))) else { continue };
        let place = usize::try_from(pick.2).unwrap() - 1;
        let around = standings.around(&pick.0, 5).await.unwrap().unwrap();
        let slice = &want[place.saturating_sub(5)..want.len().min(place + 6)];
        assert_eq!(told(&around.entries), slice, "{context}, {period:?} around {}", pick.0);
        let standing = standings.standing(&pick.0).await.unwrap().unwrap();
        let tied = want.iter().filter(|other| other.1 == pick.1).count() as u64;
        assert_eq!((told(&[standing.entry]), standing.of, standing.tied), (vec![pick.clone()], of, tied), "{context}");
    }
}

/// All pages, in every period.
async fn compare_all(board: &Leaderboard, model: &mut Model, now: Timestamp, context: &str) {
    for (at, period) in PERIODS.iter().enumerate() {
        let mut found = Vec::new();
        loop {
            let page = board.during(period).page(found.len() as u64, 1000).await.unwrap();
            if page.entries.is_empty() {
                break;
            }
            // A page that begins among equals has to ask the server what it cannot see.
            found.extend(told(&page.entries));
        }
        let want = model.entries(at, now);
        assert!(found == want, "{context}: all of {period:?}, {} and {}", found.len(), want.len());
    }
}

async fn try_seed(build: LeaderboardBuilder, seed: u64, members: u64, steps: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let clock = TestClock::at(Timestamp::from_secs(1_790_000_000));
    let lowest = random.random_bool(0.5);
    // The model sorts all to find the last.
    let full = members <= SMALL && random.random_bool(0.5);
    let capacity = if full { usize::try_from(members / 2).unwrap() } else { 10_000_000 };
    let spread = [20, 1000, 1 << 40][random.random_range(0..3)];
    let build = build.periods(PERIODS).dense_ranks().capacity(capacity as u64).clock(clock.clone());
    let board = if lowest { build.lowest_first().build() } else { build.build() };
    let mut model = Model { lowest, capacity, boards: BTreeMap::new(), done: BTreeSet::new(), turns: 0 };
    let mut earlier: Vec<Step> = Vec::new();
    let mut at = 0;
    let mut unchanged = 0;
    while at < steps {
        let now = clock.now();
        let batch = if random.random_ratio(1, 3) { 1 } else { random.random_range(1..=250) };
        let mut updates = Vec::new();
        for _ in 0..batch {
            at += 1;
            // Every fifth is one that was sent before: just now, or long ago.
            let step = match earlier.len() {
                len if len > 0 && random.random_ratio(1, 5) => {
                    earlier[len - random.random_range(1..=len.min(2_000))].clone()
                }
                _ => Step::random(&mut random, members, spread, at),
            };
            earlier.push(step.clone());
            updates.push(step);
        }
        let sent: Vec<_> = updates.iter().map(Step::update).collect();
        let changes = board.apply(&sent).await.unwrap();
        let want = model.play(&updates, now);
        for ((change, want), step) in changes.iter().zip(want).zip(&updates) {
            let outcome = if want { Outcome::Changed } else { Outcome::Unchanged };
            assert_eq!(change.outcome, outcome, "seed {seed}, step {at}: {step:?}");
            unchanged += u32::from(!want);
        }
        let context = format!("seed {seed}, step {at}");
        if members <= SMALL || random.random_ratio(1, 1000) {
            compare(&board, &mut model, now, &mut random, &context).await;
        }
        clock.advance(Duration::from_millis(
            random.random_range(0..if members <= SMALL { DAY / 40 } else { DAY / 4_000 }),
        ));
        if members <= SMALL && random.random_ratio(1, 20) {
            clock.advance(Duration::from_millis(DAY * random.random_range(0..8)));
        }
    }
    let now = clock.now();
    compare_all(&board, &mut model, now, &format!("seed {seed}")).await;
    assert!(unchanged > 0, "some were repeated");
}

/// `BARTIZAN_MEMBERS=1000000` for the long run.
#[tokio::test]
async fn random_changes_with_repetitions_are_what_a_model_makes_of_them() {
    let members: u64 = env::var("BARTIZAN_MEMBERS").ok().map_or(300, |members| members.parse().unwrap());
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(20)).connect().await.unwrap();
    let (seeds, steps) = if members > SMALL { (1, usize::try_from(members).unwrap() * 2) } else { (8, 2_500) };
    for seed in 0..seeds {
        let build = Leaderboard::builder(&redis, &format!("seed {seed}")).unwrap();
        try_seed(build.remember_operations(Duration::from_secs(400 * 24 * 3600), u64::MAX >> 12), seed, members, steps)
            .await;
    }
}
