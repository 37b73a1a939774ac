//! Removing, and how it is seen to that no removal is lost.

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    names::Name,
    scripts,
    store::{MOST_NAMES, RedisStore, Shared, fresh_epoch, millis, table_time},
};
use crate::{clock::Moment, error::Error, redis::Reply, store::key::Key};

/// A removal on its way. When it ends, however it ends, it is carried out near.
pub(super) struct Removing<'a> {
    shared: &'a Shared,
    name: Name,
    token: u64,
    is_sure: bool,
}

/// The token of a removal that nobody knows again.
pub(super) const NOBODY: u64 = 0;

// === impl RedisStore ===

impl RedisStore {
    /// Removes `name` in these buckets. What could not be removed is owed.
    pub(super) async fn remove_in(&self, buckets: &[usize], name: Name, entry: Option<Key>) -> Result<(), Error> {
        let one = (buckets.len() == 1).then(|| buckets[0]);
        let removing = Removing::begin(&self.0, one, name.clone());
        let mut failed = None;
        let each = buckets.iter().map(|&at| (at, &name, entry.as_ref(), removing.token()));
        for (bucket, result) in self.0.send_removals(each).await {
            if let Err(error) = result {
                self.0.owe(bucket, name.clone());
                failed = Some(error);
            }
        }
        removing.done(failed.is_none());
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.0.names.buckets().len()).collect()
    }
}

// === impl Shared ===

impl Shared {
    /// It could not be removed in this bucket, and will be once it can.
    pub(super) fn owe(&self, bucket: usize, name: Name) {
        self.removals.lock().owe(bucket, name);
        self.wake.notify_one();
    }

    /// Removes names, each in its bucket, all at once.
    pub(super) async fn send_removals<'a>(
        &self,
        removals: impl IntoIterator<Item = (usize, &'a Name, Option<&'a Key>, u64)>,
    ) -> Vec<(usize, Result<(), Error>)> {
        let (mut pipeline, mut buckets) = (self.redis.pipeline(), Vec::new());
        for (at, name, entry, token) in removals {
            let bucket = &self.names.buckets()[at];
            let mut call = self.redis.script(&scripts::REMOVE).key(&bucket.table).key(&bucket.stamp);
            if let Some(key) = entry {
                call = call.key(bucket.entry(key));
            }
            let call = call.arg(fresh_epoch()).arg(table_time(Duration::ZERO));
            pipeline = pipeline
                .add_script(call.arg(&name.field()).arg(MOST_NAMES).arg(token).arg(millis(self.settings.doubt)));
            buckets.push(at);
        }
        let answers = pipeline.run().await;
        join_all(buckets.into_iter().zip(answers).map(|(at, answer)| async move {
            let removed = match answer.and_then(Reply::text) {
                Ok(server) => {
                    self.observe(at, &server.unwrap_or_default());
                    Ok(())
                }
                // There is no room for a name; forgetting the table takes none.
                Err(error) if error.code() == Some("OOM") => self.forget(at).await,
                Err(error) => Err(error),
            };
            (at, removed)
        }))
        .await
    }

    async fn forget(&self, at: usize) -> Result<(), Error> {
        let bucket = &self.names.buckets()[at];
        self.redis.script(&scripts::FORGET).key(&bucket.table).key(&bucket.stamp).run().await.map(|_| ())
    }
}

// === impl Removing ===

impl<'a> Removing<'a> {
    pub(super) fn begin(shared: &'a Shared, bucket: Option<usize>, name: Name) -> Self {
        let token = shared.removals.lock().begin(Moment::now(), bucket, name.clone());
        Self { shared, name, token, is_sure: false }
    }

    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// What is near is removed now, and not again when this is heard of, if that `is_sure` to be for nothing.
    fn done(mut self, is_sure: bool) {
        self.is_sure = is_sure;
    }

    /// It was done, and the caller sees to what is near.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        if !self.is_sure {
            self.shared.removals.lock().abandon(self.token);
        }
        self.shared.tell_near(&self.name);
    }
}
