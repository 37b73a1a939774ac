//! Keys, a few at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ::redis::cmd;

use crate::{
    error::Error,
    redis::{client::Redis, line::Target, reply::Reply},
};

/// The keys of our namespace that match a pattern. Made by [`Redis::scan`].
///
/// Each step is one `SCAN` that looks at a bounded number of keys, so it never holds up the server as `KEYS` does. A key that
/// is there from the first step to the last is told at least once; others may be told or not. In a Cluster the
/// primaries are gone through one after the other, and what moves between them meanwhile may be missed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Scan<'a> {
    redis: &'a Redis,
    pattern: Vec<u8>,
    count: u32,
    cursor: Vec<u8>,
    /// Unknown before the first step.
    nodes: Option<VecDeque<Target>>,
}

// === impl Scan ===

impl<'a> Scan<'a> {
    pub(super) fn new(redis: &'a Redis, pattern: &str) -> Self {
        let prefix = redis.key("");
        let mut escaped = Vec::with_capacity(prefix.len() + pattern.len());
        for byte in prefix {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^') {
                escaped.push(b'\\');
            }
            escaped.push(byte);
        }
        escaped.extend_from_slice(pattern.as_bytes());
        Self { redis, pattern: escaped, count: 250, cursor: b"0".to_vec(), nodes: None }
    }

    /// About how many keys the server looks at in one step. The default is 250.
    pub fn count(mut self, count: u32) -> Self {
        self.count = count.max(1);
        self
    }

    /// The keys of the next step, without the namespace; often none. `None` at the end.
    ///
    /// # Errors
    ///
    /// As those of [`Command::run`](crate::redis::Command::run). It may be called again, and goes on where it was.
    pub async fn step(&mut self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let nodes = match &self.nodes {
            Some(nodes) => nodes,
            None => self.nodes.insert(nodes(self.redis).await?),
        };
        let Some(node) = nodes.front() else { return Ok(None) };
        let mut scan = cmd("SCAN");
        scan.arg(&self.cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(self.count);
        let answer = self.redis.one(scan, node, self.redis.until(None, Duration::ZERO)).await?;
        let mut parts = Reply::new(answer).list()?.into_iter();
        let (Some(cursor), Some(keys), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::undecodable("Redis answered SCAN with other than a cursor and keys"));
        };
        let prefix = self.redis.key("").len();
        let mut found = Vec::new();
        for key in keys.list()? {
            found.extend(key.bytes()?.and_then(|key| key.get(prefix..).map(<[u8]>::to_vec)));
        }
        self.cursor = cursor.bytes()?.unwrap_or_default().into();
        if self.cursor == b"0"
            && let Some(nodes) = &mut self.nodes
        {
            nodes.pop_front();
        }
        Ok(Some(found))
    }
}

/// The primaries to be asked.
pub(super) async fn nodes(redis: &Redis) -> Result<VecDeque<Target>, Error> {
    if !redis.is_cluster() {
        return Ok(VecDeque::from([Target::Anyone]));
    }
    let mut slots = cmd("CLUSTER");
    slots.arg("SLOTS");
    let ranges = Reply::new(redis.one(slots, &Target::Anyone, redis.until(None, Duration::ZERO)).await?).list()?;
    let mut seen: Vec<(String, u16)> = Vec::new();
    for range in ranges {
        // First slot, last slot, primary, replicas.
        let Some(primary) = range.list()?.into_iter().nth(2) else { continue };
        let mut primary = primary.list()?.into_iter();
        let (Some(host), Some(port)) = (primary.next(), primary.next()) else { continue };
        let node = (host.text()?.unwrap_or_default(), u16::try_from(port.int()?).unwrap_or(0));
        if !seen.contains(&node) {
            seen.push(node);
        }
    }
    Ok(seen.into_iter().map(|(host, port)| Target::Node(Arc::from(host), port)).collect())
}
