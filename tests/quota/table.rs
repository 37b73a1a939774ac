//! The table of cases, whose language is told in `cases/README.md`, and who plays it.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Denied, Quota, Retry, Standing, Taken},
};

const EPOCH: i64 = 1_700_000_000_000;

/// What has been taken under one key, wherever it is counted.
pub(crate) trait Player {
    /// One from which nothing was taken.
    fn begin(&mut self, algorithm: Algorithm);

    async fn take(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied>;

    async fn peek(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied>;

    async fn refund(&mut self, quota: &Quota, taken: Taken, now: Timestamp) -> u64;

    async fn penalise(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Standing;

    async fn reset(&mut self, now: Timestamp);
}

/// One case as it is played.
struct Case<'a, P> {
    player: &'a mut P,
    quota: Option<Quota>,
    receipts: HashMap<String, Taken>,
}

/// Plays all files of the table.
pub(crate) async fn play_all(player: &mut impl Player) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quota/cases");
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut steps = 0;
    for file in entries.map(|entry| entry.expect("it can be read").path()) {
        if file.extension().is_some_and(|extension| extension == "txt") {
            let text = fs::read_to_string(&file).expect("it is a text");
            let played = play(&text, player).await;
            if std::env::var("QUOTA_CASES").is_ok_and(|what| what == "write") {
                fs::write(&file, &played).expect("it can be written");
                continue;
            }
            for (number, (want, got)) in text.lines().zip(played.lines()).enumerate() {
                assert_eq!(got, want, "{}:{}", file.display(), number + 1);
                steps += usize::from(want.contains(" -> "));
            }
        }
    }
    assert!(steps > 2_000 || steps == 0 && std::env::var("QUOTA_CASES").is_ok(), "{steps} steps are in the table");
}

/// The text, with the answers that are given.
pub(crate) async fn play(text: &str, player: &mut impl Player) -> String {
    let (mut case, mut played) = (Case::new(player), String::new());
    for line in text.lines() {
        let step = line.split(" -> ").next().unwrap_or(line);
        if line.starts_with("##") {
            case = Case::new(case.player);
        }
        let words: Vec<&str> = if line.starts_with('#') { Vec::new() } else { step.split_whitespace().collect() };
        match case.step(&words).await {
            Some(answer) => played.extend([step, " -> ", &answer, "\n"]),
            None => played.extend([step, "\n"]),
        }
    }
    played
}

// === impl Case ===

impl<'a, P: Player> Case<'a, P> {
    fn new(player: &'a mut P) -> Self {
        Self { player, quota: None, receipts: HashMap::new() }
    }

    async fn step(&mut self, words: &[&str]) -> Option<String> {
        let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{word:?} in {words:?} is no number"));
        if let [algorithm, limit, "per", window, burst @ ..] = words {
            let mut quota = match number(limit) {
                0 => Quota::per_second(0),
                limit => Quota::new(limit, Duration::from_millis(number(window))).expect("it is a quota"),
            };
            if let ["burst", burst] = burst {
                quota = quota.burst(number(burst));
            }
            if self.quota.replace(quota).is_none() {
                self.player.begin(algorithm.parse().expect("it is an algorithm"));
            }
            return None;
        }
        let [time, operation @ ..] = words else { return None };
        let now = Timestamp::from_millis((EPOCH + time.parse::<i64>().expect("a step begins with its time")) as u64);
        let (player, quota) = (&mut *self.player, self.quota.as_ref().expect("a case begins with its quota"));
        Some(match operation {
            ["take", cost, name @ ..] => {
                let taken = player.take(quota, number(cost), now).await;
                let told = answer(taken.as_ref().map(Taken::standing).map_err(|denied| *denied));
                if let (["as", name], Ok(taken)) = (name, taken) {
                    self.receipts.insert((*name).to_owned(), taken);
                }
                told
            }
            ["peek", cost] => answer(player.peek(quota, number(cost), now).await),
            ["penalise", cost] => standing(player.penalise(quota, number(cost), now).await),
            ["refund", name, kept @ ..] => {
                let kept = if let ["kept", kept] = kept { number(kept) } else { 0 };
                // What was denied left no receipt.
                match self.receipts.remove(*name) {
                    Some(taken) => player.refund(quota, taken.all_but(kept), now).await.to_string(),
                    None => "0".to_owned(),
                }
            }
            ["reset"] => {
                player.reset(now).await;
                return None;
            }
            _ => panic!("{operation:?} is no operation"),
        })
    }
}

fn answer(answer: Result<Standing, Denied>) -> String {
    match answer {
        Ok(now) => format!("ok {}", standing(now)),
        Err(denied) => match denied.retry() {
            Retry::After(wait) => format!("no {}, {}", wait.as_millis(), standing(denied.standing())),
            Retry::Never => format!("no never, {}", standing(denied.standing())),
        },
    }
}

fn standing(standing: Standing) -> String {
    match standing.more_after() {
        Some(after) => format!("{}, {} after {}", standing.remaining(), standing.more(), after.as_millis()),
        None => format!("{}, -", standing.remaining()),
    }
}
