//! How far each limiting algorithm is from what it promises, on traffic that is seeded, so that every run prints the same.
//!
//! ```text
//! cargo run --release --example limiter_error
//! ```
//!
//! See a table, a row for each algorithm and limit. *worst* is the fullest trailing window there was, in limits, beside what the
//! documentation allows; *cold*, what a key nobody used gets at once; *steady*, how much of the limit Poisson traffic at
//! one and a half times the limit got; *of log*, that in parts of what the exact log admits of the same; *least*, the
//! same on the traffic where it is least; *wrongly*, how many of the denials on steady traffic the limit would have
//! allowed. It ends with a failure when a bound is broken.

use std::{process::ExitCode, time::Duration};

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, ApproximateWindow, FixedWindow, Meter, Quota, SlidingLog, SlidingWindow, TokenBucket},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

const WINDOW: u64 = 60_000;
const WINDOWS: u64 = 100;
/// The beginning of a period.
const START: u64 = 1_700_000_040_000;

/// The least share of what the exact log admits that the default must.
const LEAST: f64 = 0.98;

/// When somebody asks, and for how much.
type Traffic = Vec<(u64, u64)>;

struct Outcome {
    worst: u64,
    admitted: u64,
    denied: u64,
    wrongly: u64,
    bytes: usize,
}

fn main() -> ExitCode {
    println!(
        "{} windows of {} s; all but bytes in parts of the limit, or of what was denied\n",
        WINDOWS,
        WINDOW / 1_000
    );
    println!("algorithm           limit   worst  (bound)    cold  steady  of log   least  wrongly   bytes");
    let mut broken = Vec::new();
    for limit in [5, 20, 100, 1_000] {
        let traffic = traffic(limit);
        let quota = Quota::new(limit, Duration::from_millis(WINDOW)).expect("a minute is a window");
        let tenth = quota.clone().burst(limit.div_ceil(10));
        let log: Vec<Outcome> = traffic.iter().map(|traffic| play::<SlidingLog>(&quota, traffic)).collect();
        let mut row = |name, algorithm, quota: &Quota, play: fn(&Quota, &Traffic) -> Outcome| {
            let outcomes: Vec<Outcome> = traffic.iter().map(|traffic| play(quota, traffic)).collect();
            broken.extend(report(name, algorithm, quota, &log, &outcomes, play));
        };
        row("sliding", Algorithm::Sliding, &quota, play::<SlidingWindow>);
        row("log", Algorithm::Log, &quota, play::<SlidingLog>);
        row("bucket", Algorithm::Bucket, &quota, play::<TokenBucket>);
        row("bucket, burst 1/10", Algorithm::Bucket, &tenth, play::<TokenBucket>);
        row("fixed", Algorithm::Fixed, &quota, play::<FixedWindow>);
        row("approximate", Algorithm::Approximate, &quota, play::<ApproximateWindow>);
        println!();
    }
    for fault in &broken {
        println!("BROKEN: {fault}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a row, and says what in it should not be.
fn report(
    name: &str,
    algorithm: Algorithm,
    quota: &Quota,
    log: &[Outcome],
    outcomes: &[Outcome],
    play: fn(&Quota, &Traffic) -> Outcome,
) -> Vec<String> {
    let limit = quota.limit();
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let (worst, bound) = (outcomes.iter().map(|o| o.worst).max().unwrap_or(0), algorithm.worst_window(quota));
    let cold = play(quota, &vec![(START, 1); 2 * limit as usize]).admitted;
    let of_log: Vec<f64> = outcomes.iter().zip(log).map(|(o, log)| share(o.admitted, log.admitted)).collect();
    let (steady, least) = (&outcomes[0], of_log.iter().copied().fold(f64::INFINITY, f64::min));
    println!(
        "{name:<19} {limit:>5}  {:>6.3}  ({:>5.3})  {:>6.3}  {:>6.3}  {:>6.4}  {least:>6.4}  {:>7.4}  {:>6}",
        share(worst, limit),
        share(bound, limit),
        share(cold, limit),
        share(steady.admitted, limit * WINDOWS),
        of_log[0],
        share(steady.wrongly, steady.denied),
        outcomes.iter().map(|o| o.bytes).max().unwrap_or(0),
    );

    let mut broken = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            broken.push(format!("{name} at {limit}: {what}"));
        }
    };
    must(worst <= bound, "a window holds more than is documented");
    must(cold == quota.at_once(), "a cold key gets something else than all at once");
    if matches!(algorithm, Algorithm::Sliding | Algorithm::Log) {
        must(worst <= limit, "a window holds more than the limit");
        must(least >= LEAST, "the exact log admits more than a fiftieth more");
        must(algorithm != Algorithm::Log || outcomes.iter().all(|o| o.wrongly == 0), "the exact log denied wrongly");
    }
    broken
}

fn play<M: Meter>(quota: &Quota, traffic: &Traffic) -> Outcome {
    let mut meter = M::default();
    let mut outcome = Outcome { worst: 0, admitted: 0, denied: 0, wrongly: 0, bytes: 0 };
    let (mut taken, mut oldest, mut in_window): (Traffic, usize, u64) = (Vec::new(), 0, 0);
    for &(at, cost) in traffic {
        while let Some(&(_, cost)) = taken.get(oldest).filter(|(then, _)| then + WINDOW <= at) {
            in_window -= cost;
            oldest += 1;
        }
        if meter.take(quota, cost, Timestamp::from_millis(at)).is_ok() {
            taken.push((at, cost));
            in_window += cost;
            outcome.admitted += cost;
            outcome.worst = outcome.worst.max(in_window);
        } else {
            outcome.denied += 1;
            outcome.wrongly += u64::from(in_window + cost <= quota.limit());
        }
        outcome.bytes = outcome.bytes.max(meter.bytes());
    }
    outcome
}

/// Several sorts of it; the first is steady.
fn traffic(limit: u64) -> Vec<Traffic> {
    let mut rng = SmallRng::seed_from_u64(limit);
    vec![
        poisson(&mut rng, limit as f64 * 1.5, |_, _| 1),
        poisson(&mut rng, limit as f64 * 1.02, |_, _| 1),
        poisson(&mut rng, limit as f64 * 10.0, |_, _| 1),
        // On and off.
        poisson(&mut rng, limit as f64 * 4.0, |_, at| u64::from((at / (WINDOW * 7 / 5)).is_multiple_of(3))),
        poisson(&mut rng, limit as f64 * 20.0, |_, at| u64::from(at % (WINDOW * 13 / 10) < WINDOW / 11)),
        // Of all costs up to a fifth of the limit.
        poisson(&mut rng, 15.0, |rng, _| rng.random_range(1..=limit.div_ceil(5))),
        // All that there may be, all the time.
        (0..WINDOW * WINDOWS / 20)
            .flat_map(|tick| (0..limit.div_ceil(200)).map(move |_| (START + tick * 20, 1)))
            .collect(),
        // All of it at the end of a period, and again when the next begins.
        (1..=WINDOWS / 2)
            .flat_map(|k| [START + 2 * k * WINDOW - 1, START + 2 * k * WINDOW])
            .flat_map(|at| (0..limit).map(move |_| (at, 1)))
            .collect(),
        // All of it at the end of a period, and as much as there may be through the next.
        (0..WINDOW * WINDOWS / 20)
            .map(|tick| (START + tick * 20 + 19, tick * 20 / WINDOW % 3))
            .flat_map(|(at, period)| {
                let asks = if period == 0 && at % WINDOW == WINDOW - 1 {
                    limit
                } else {
                    u64::from(period == 1) * limit.div_ceil(200)
                };
                (0..asks).map(move |_| (at, 1))
            })
            .collect(),
        // Against runs: all of one but the last of it at once, and that as late as may be without another in between.
        adversary_of_runs(limit),
    ]
}

/// So many in a window on average, each for the cost that `cost` says at that time after the start.
fn poisson(rng: &mut SmallRng, in_window: f64, cost: impl Fn(&mut SmallRng, u64) -> u64) -> Traffic {
    let mut at = 0.0;
    let mut traffic = Vec::new();
    while at < (WINDOW * WINDOWS) as f64 {
        at += -(1.0 - rng.random::<f64>()).ln() * WINDOW as f64 / in_window;
        let cost = cost(rng, at as u64);
        if cost > 0 {
            traffic.push((START + at as u64, cost));
        }
    }
    traffic
}

fn adversary_of_runs(limit: u64) -> Traffic {
    let run = limit.div_ceil(60);
    let step = WINDOW / limit.div_ceil(run);
    (0..WINDOW * WINDOWS / step)
        .flat_map(|k| (0..run).map(move |n| START + k * step + if n + 1 == run { step - 1 } else { 0 }))
        .flat_map(|at| [(at, 1), (at, 1)])
        .collect()
}
