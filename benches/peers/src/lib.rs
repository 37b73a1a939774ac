//! Measuring in turns, so that what disturbs the machine disturbs everyone.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Something that is measured: a name, and what is done so many times.
pub struct Racer<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) + 'a>,
}

/// How long one of them takes, and how often it allocates.
pub struct Result {
    pub name: &'static str,
    pub nanos: f64,
    pub allocations: f64,
}

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(20);

impl<'a> Racer<'a> {
    pub fn new<T>(name: &'static str, mut once: impl FnMut(u64) -> T + 'a) -> Self {
        let run = move |times| {
            for number in 0..times {
                black_box(once(number));
            }
        };
        Self { name, run: Box::new(run) }
    }
}

/// Lets all of them run in turns; the median of each.
pub fn race(racers: &mut [Racer<'_>]) -> Vec<Result> {
    let times: Vec<u64> = racers.iter_mut().map(|racer| enough(&mut racer.run)).collect();
    let mut nanos = vec![Vec::new(); racers.len()];
    for _ in 0..ROUNDS {
        for ((racer, times), nanos) in racers.iter_mut().zip(&times).zip(&mut nanos) {
            let start = Instant::now();
            (racer.run)(*times);
            nanos.push(start.elapsed().as_nanos() as f64 / *times as f64);
        }
    }
    racers
        .iter_mut()
        .zip(nanos)
        .map(|(racer, mut nanos)| {
            nanos.sort_by(f64::total_cmp);
            let allocations = allocation_counter::measure(|| (racer.run)(1_000)).count_total as f64 / 1_000.0;
            Result { name: racer.name, nanos: nanos[ROUNDS / 2], allocations }
        })
        .collect()
}

/// How many times fill a round.
fn enough(run: &mut dyn FnMut(u64)) -> u64 {
    let mut times = 1_000;
    loop {
        let start = Instant::now();
        run(times);
        let took = start.elapsed();
        if took > ROUND / 4 {
            return (times as f64 * ROUND.as_secs_f64() / took.as_secs_f64()) as u64 + 1;
        }
        times *= 4;
    }
}

/// Prints them, beside the first.
pub fn print(title: &str, results: &[Result]) {
    println!("\n{title:<46} {:>8} {:>8} {:>12}", "ns", "ratio", "allocations");
    for result in results {
        let ratio = result.nanos / results[0].nanos;
        println!("{:<46} {:>8.0} {ratio:>8.2} {:>12.2}", result.name, result.nanos, result.allocations);
    }
}
