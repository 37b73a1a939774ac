//! The table of cases, played by the arithmetic itself.

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Counter, Denied, Meter, Quota, Standing, Taken},
};

use crate::table::{Player, play, play_all};

impl Player for Counter {
    fn begin(&mut self, algorithm: Algorithm) {
        *self = algorithm.counter();
    }

    async fn take(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied> {
        Meter::take(self, quota, cost, now)
    }

    async fn peek(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied> {
        Meter::peek(self, quota, cost, now)
    }

    async fn refund(&mut self, quota: &Quota, taken: Taken, now: Timestamp) -> u64 {
        Meter::refund(self, quota, taken, now)
    }

    async fn penalise(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Standing {
        Meter::penalise(self, quota, cost, now)
    }

    async fn reset(&mut self, now: Timestamp) {
        Meter::reset(self, now);
    }
}

#[tokio::test]
async fn the_table_comes_true() {
    play_all(&mut Counter::default()).await;
}

#[tokio::test]
async fn a_wrong_answer_would_be_seen() {
    let right = "## one\nsliding 1 per 10\n0 take 1 -> ok 0, 1 after 10\n3 take 1 -> no 7, 0, 1 after 7\n";
    let mut counter = Counter::default();
    assert_eq!(play(right, &mut counter).await, right);
    assert_eq!(play(&right.replace("no 7", "no 8"), &mut counter).await, right);
}
