//! What the limiter of one process holds when ten million identities come, and how often a check asks for memory.
//!
//! ```text
//! cargo bench --bench limit
//! ```
//!
//! See for each algorithm how many have an account of their own, the bytes that are counted beside the limit, what the process has
//! in all, and nanoseconds for each who comes. It fails where more is held than allowed, where an account is given more than its
//! limit, or where a check allocates that is not an account's first. `benches/peers` has the same beside `governor`.
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{fs, process::ExitCode, time::Instant};

use bartizan::{
    limit::{Charge, Identity, Ledger, Limiter, MemoryLimiter},
    quota::{Algorithm, Quota},
};

const IDENTITIES: u64 = 10_000_000;
const LIMIT: usize = 64 << 20;

fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let identities = if std::env::args().any(|arg| arg == "--bench") { IDENTITIES } else { 10_000 };
    println!("{identities} identities, at most {} MiB", LIMIT >> 20);
    println!("algorithm        accounts   MiB counted   MiB of process   ns each");
    let mut broken = Vec::new();
    for algorithm in Algorithm::ALL {
        broken.extend(flood(algorithm, identities));
    }
    broken.extend(allocations());
    for fault in &broken {
        println!("BROKEN: {fault}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn flood(algorithm: Algorithm, identities: u64) -> Vec<String> {
    let before = resident();
    let limiter = MemoryLimiter::with_capacity(LIMIT);
    let (ledger, quota) = (Ledger::new("address", algorithm), Quota::per_day(100));
    let (start, mut most) = (Instant::now(), 0);
    for number in 0..identities {
        takes(&limiter, &ledger, &quota, number);
        if number % 100_000 == 0 {
            most = most.max(limiter.usage().bytes);
        }
    }
    let nanos = start.elapsed().as_nanos() as f64 / identities as f64;
    let usage = limiter.usage();
    let process = resident().saturating_sub(before);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{:<15} {:>9} {:>13.1} {:>16.1} {nanos:>9.0}",
        algorithm.as_str(),
        usage.accounts,
        mib(most.max(usage.bytes)),
        mib(process),
    );

    let mut broken = Vec::new();
    if most.max(usage.bytes) > LIMIT as u64 {
        broken.push(format!("{algorithm:?} holds {most} bytes"));
    }
    // Whoever came first has an account, and not a penny more than is in it.
    let rest = (0..200).filter(|_| takes(&limiter, &ledger, &quota, 0)).count();
    if rest != 99 {
        broken.push(format!("{algorithm:?} lets {rest} more through, of 99"));
    }
    broken
}

/// Of checks whose account is known.
fn allocations() -> Vec<String> {
    let mut broken = Vec::new();
    for algorithm in Algorithm::ALL {
        for (verdict, quota) in [("allowed", Quota::per_second(1_000_000)), ("denied", Quota::per_day(1))] {
            let (limiter, ledger) = (MemoryLimiter::new(), Ledger::new("address", algorithm));
            takes(&limiter, &ledger, &quota, 7);
            let counted = allocation_counter::measure(|| {
                for _ in 0..100 {
                    takes(&limiter, &ledger, &quota, 7);
                }
            });
            // The exact log has a place for each millisecond.
            let budget = if algorithm == Algorithm::Log { 2 } else { 0 };
            if counted.count_total > budget {
                broken.push(format!("{algorithm:?}, {verdict}: {} allocations in 100 checks", counted.count_total));
            }
        }
    }
    broken
}

fn takes(limiter: &MemoryLimiter, ledger: &Ledger, quota: &Quota, number: u64) -> bool {
    let identity = Identity::new().text(number.to_be_bytes());
    let verdict = limiter.take_now(&[Charge { ledger, identity: &identity, quota, cost: 1 }]);
    verdict.is_some_and(|verdict| verdict.is_allowed())
}

/// What the process has in memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
