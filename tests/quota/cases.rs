//! The table of cases, whose language is told in `cases/README.md`.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Counter, Denied, Meter, Quota, Retry, Standing, Taken},
};

const EPOCH: i64 = 1_700_000_000_000;

/// One case as it is played.
#[derive(Default)]
struct Case {
    state: Option<(Quota, Counter)>,
    receipts: HashMap<String, Taken>,
}

#[test]
fn the_table_comes_true() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quota/cases");
    let mut steps = 0;
    for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "txt") {
            let text = fs::read_to_string(&file).unwrap();
            let played = play(&text);
            if std::env::var("QUOTA_CASES").is_ok_and(|what| what == "write") {
                fs::write(&file, &played).unwrap();
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

#[test]
fn a_wrong_answer_would_be_seen() {
    let right = "## one\nsliding 1 per 10\n0 take 1 -> ok 0, 1 after 10\n3 take 1 -> no 7, 0, 1 after 7\n";
    assert_eq!(play(right), right);
    assert_eq!(play(&right.replace("no 7", "no 8")), right);
}

/// The text, with the answers that are given.
fn play(text: &str) -> String {
    let (mut case, mut played) = (Case::default(), String::new());
    for line in text.lines() {
        let step = line.split(" -> ").next().unwrap_or(line);
        if line.starts_with("##") {
            case = Case::default();
        }
        let words: Vec<&str> = if line.starts_with('#') { Vec::new() } else { step.split_whitespace().collect() };
        match case.step(&words) {
            Some(answer) => played.extend([step, " -> ", &answer, "\n"]),
            None => played.extend([step, "\n"]),
        }
    }
    played
}

// === impl Case ===

impl Case {
    fn step(&mut self, words: &[&str]) -> Option<String> {
        let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{word:?} in {words:?} is no number"));
        if let [algorithm, limit, "per", window, burst @ ..] = words {
            let mut quota = match number(limit) {
                0 => Quota::per_second(0),
                limit => Quota::new(limit, Duration::from_millis(number(window))).expect("it is a quota"),
            };
            if let ["burst", burst] = burst {
                quota = quota.burst(number(burst));
            }
            let counter = self.state.take().map_or_else(
                || algorithm.parse::<Algorithm>().expect("it is an algorithm").counter(),
                |(_, counter)| counter,
            );
            self.state = Some((quota, counter));
            return None;
        }
        let [time, operation @ ..] = words else { return None };
        let now = Timestamp::from_millis((EPOCH + time.parse::<i64>().expect("a step begins with its time")) as u64);
        let (quota, counter) = self.state.as_mut().expect("a case begins with its quota");
        Some(match operation {
            ["take", cost, name @ ..] => {
                let taken = counter.take(quota, number(cost), now);
                let told = answer(taken.as_ref().map(Taken::standing).map_err(|denied| *denied));
                if let (["as", name], Ok(taken)) = (name, taken) {
                    self.receipts.insert((*name).to_owned(), taken);
                }
                told
            }
            ["peek", cost] => answer(counter.peek(quota, number(cost), now)),
            ["penalise", cost] => standing(counter.penalise(quota, number(cost), now)),
            ["refund", name, kept @ ..] => {
                let kept = if let ["kept", kept] = kept { number(kept) } else { 0 };
                // What was denied left no receipt.
                let taken = self.receipts.remove(*name);
                taken.map_or(0, |taken| counter.refund(quota, taken.all_but(kept), now)).to_string()
            }
            ["reset"] => {
                counter.reset(now);
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
