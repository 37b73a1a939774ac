//! A limiter that cannot be asked.

use bartizan::{
    Error,
    limit::{Charge, Identity, Ledger, Limiter, Verdict},
    quota::{Standing, Taken},
};

#[derive(Clone, Copy)]
pub(crate) struct Broken;

fn broken<T>() -> Result<T, Error> {
    Err(Error::unavailable("the counts are away", "it is broken"))
}

impl Limiter for Broken {
    fn take_now(&self, _: &[Charge<'_>]) -> Option<Verdict> {
        None
    }

    async fn take(&self, _: &[Charge<'_>]) -> Result<Verdict, Error> {
        broken()
    }

    async fn peek(&self, _: &[Charge<'_>]) -> Result<Verdict, Error> {
        broken()
    }

    async fn refund(&self, _: Charge<'_>, _: Taken) -> Result<u64, Error> {
        broken()
    }

    async fn penalise(&self, _: Charge<'_>) -> Result<Standing, Error> {
        broken()
    }

    async fn reset(&self, _: &Ledger, _: &Identity) -> Result<(), Error> {
        broken()
    }
}
