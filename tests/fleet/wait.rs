//! Time that passes: the pace of a load, never a wait for something to have happened.

use std::{future::pending, time::Duration};

use tokio::time::timeout;

pub(crate) async fn pass(time: Duration) {
    drop(timeout(time, pending::<()>()).await);
}
