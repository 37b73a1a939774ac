//! What happens as one, on the server. A script has the parts of the algorithms it is for, and no others: reading them takes the server as
//! long as what they do.

use std::{fmt::Write as _, sync::OnceLock};

use super::wire::letter;
use crate::{quota::Algorithm, redis::Script};

#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Take,
    Peek,
    Penalise,
    Refund,
    Reset,
}

/// Several algorithms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Algorithms(u8);

macro_rules! lua {
    ($part:literal) => {
        include_str!(concat!("lua/", $part, ".lua"))
    };
}

// === impl Algorithms ===

impl Algorithms {
    pub(super) fn add(&mut self, algorithm: Algorithm) {
        self.0 |= 1 << place(algorithm);
    }

    fn has(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << place(algorithm)) != 0
    }
}

/// The script that does this by those.
pub(super) fn script(operation: Operation, algorithms: Algorithms) -> &'static Script {
    static SCRIPTS: [[OnceLock<Script>; 1 << Algorithm::ALL.len()]; 5] =
        [const { [const { OnceLock::new() }; 1 << Algorithm::ALL.len()] }; 5];
    let script = &SCRIPTS[operation as usize][usize::from(algorithms.0)];
    script.get_or_init(|| Script::new(&text(operation, algorithms)))
}

fn text(operation: Operation, algorithms: Algorithms) -> String {
    use Algorithm::{Approximate, Bucket, Fixed, Log, Sliding};
    let mut text = lua!("head").to_owned();
    let mut add = |wanted: bool, part: &str| text.push_str(if wanted { part } else { "" });
    let has = |algorithm| algorithms.has(algorithm);
    let (by_runs, divided) = (has(Sliding) || has(Log), has(Bucket) || has(Approximate));
    let (resets, refunds) = (matches!(operation, Operation::Reset), matches!(operation, Operation::Refund));
    add(divided && !resets, lua!("product"));
    add(by_runs, lua!("ring"));
    add(by_runs && refunds, lua!("ring_back"));
    let (mut meters, mut backs) = (String::new(), String::new());
    for algorithm in Algorithm::ALL.into_iter().filter(|&algorithm| has(algorithm) && !resets) {
        let (meter, back) = match algorithm {
            Sliding => (lua!("sliding"), lua!("sliding_back")),
            Log => (lua!("log"), lua!("log_back")),
            Bucket => (lua!("bucket"), lua!("bucket_back")),
            Fixed => (lua!("fixed"), lua!("fixed_back")),
            Approximate => (lua!("approximate"), lua!("approximate_back")),
        };
        add(true, meter);
        add(refunds, back);
        let (letter, name) = (letter(algorithm), algorithm.as_str());
        let _ = write!(meters, " [{letter}] = {name},");
        let _ = write!(backs, " [{letter}] = {name}_back,");
    }
    add(!resets, &format!("\nlocal meters = {{{meters} }}\n"));
    if let Operation::Take = operation {
        // One call reads all, but not all of a log.
        add(true, if has(Log) { "local seen = {}\n" } else { "local seen = redis.call('MGET', every(KEYS))\n" });
    }
    add(refunds, &format!("local backs = {{{backs} }}\n"));
    add(
        true,
        match operation {
            Operation::Take => lua!("take"),
            Operation::Peek => lua!("peek"),
            Operation::Penalise => lua!("penalise"),
            Operation::Refund => lua!("refund"),
            Operation::Reset => lua!("reset"),
        },
    );
    text
}

const fn place(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sliding => 0,
        Algorithm::Log => 1,
        Algorithm::Bucket => 2,
        Algorithm::Fixed => 3,
        Algorithm::Approximate => 4,
    }
}
