//! How a queue and its jobs stand.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{
    job::JobId,
    jobs::{Queue, number},
    scripts,
};
use crate::{error::Error, redis::reply::Reply};

/// How many jobs there were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCounts {
    /// To be given out.
    pub ready: u64,
    /// Due later.
    pub delayed: u64,
    /// Given out, and not settled.
    pub claimed: u64,
    /// Not tried again.
    pub dead: u64,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobPlace {
    /// It is to be given out.
    Ready,
    /// It is due later.
    Delayed,
    /// It was given out.
    Claimed,
    /// It is not tried again.
    Dead,
}

/// What is known of a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobStatus<T> {
    /// Where it is.
    pub place: JobPlace,
    /// How often it was given out.
    pub attempts: u32,
    /// What it was pushed with.
    pub priority: u8,
    /// What was pushed; an error if that is no `T`.
    pub value: Result<T, Error>,
    /// Why it failed last.
    pub reason: Option<String>,
    /// What who works at it said last.
    pub progress: Option<String>,
}

/// A job that is not tried again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadJob<T> {
    /// What it is called by.
    pub id: JobId,
    /// How often it was given out.
    pub attempts: u32,
    /// What it was pushed with.
    pub priority: u8,
    /// What was pushed; an error if that is no `T`.
    pub value: Result<T, Error>,
    /// Why it died.
    pub reason: String,
}

impl<T> Queue<T> {
    /// How many jobs there are.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    pub async fn counts(&self) -> Result<QueueCounts, Error> {
        let reply = self.inner.run(self.inner.script(&scripts::COUNTS)).await?.list()?;
        let numbers =
            reply.iter().map(|n| Ok(u64::try_from(n.int()?).unwrap_or(0))).collect::<Result<Vec<_>, Error>>()?;
        match numbers[..] {
            [ready, delayed, claimed, dead] => Ok(QueueCounts { ready, delayed, claimed, dead }),
            _ => Err(Error::undecodable("Redis answered no counts of a queue")),
        }
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// What is known of the job `id`; `None` when it is done, was removed, or never was.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    pub async fn find(&self, id: JobId) -> Result<Option<JobStatus<T>>, Error> {
        let inner = &self.inner;
        let mut parts = inner.run(inner.script(&scripts::FIND).arg(&id.to_string())).await?.list()?.into_iter();
        let Some(place) = parts.next() else { return Ok(None) };
        let mut next = || parts.next().ok_or_else(cut_off);
        let place = match place.text()?.as_deref() {
            Some("ready") => JobPlace::Ready,
            Some("delayed") => JobPlace::Delayed,
            Some("claimed") => JobPlace::Claimed,
            Some("dead") => JobPlace::Dead,
            _ => return Ok(None),
        };
        Ok(Some(JobStatus {
            place,
            attempts: number(&next()?)?,
            priority: number(&next()?)? as u8,
            value: inner.value(id, &next()?.bytes()?.unwrap_or_default()),
            reason: text(next()?)?,
            progress: text(next()?)?,
        }))
    }

    /// Up to `count` dead jobs, those that died last first.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    pub async fn dead(&self, count: u32) -> Result<Vec<DeadJob<T>>, Error> {
        let inner = &self.inner;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut parts = inner.run(inner.script(&scripts::DEAD).arg(count)).await?.list()?.into_iter();
        let mut dead = Vec::new();
        while let Some(id) = parts.next() {
            let mut next = || parts.next().ok_or_else(cut_off);
            let id = JobId::of(id)?;
            dead.push(DeadJob {
                id,
                attempts: number(&next()?)?,
                priority: number(&next()?)? as u8,
                value: inner.value(id, &next()?.bytes()?.unwrap_or_default()),
                reason: text(next()?)?.unwrap_or_default(),
            });
        }
        Ok(dead)
    }
}

/// What others wrote may be no UTF-8, and is shown all the same.
fn text(reply: Reply) -> Result<Option<String>, Error> {
    let lossy = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
    Ok(reply.bytes()?.map(lossy))
}

#[cold]
fn cut_off() -> Error {
    Error::undecodable("Redis answered part of a job")
}
