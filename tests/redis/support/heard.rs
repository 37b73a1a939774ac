//! What a subscription must hear next.

use std::time::Duration;

use bartizan::{
    Error, Redis,
    redis::{Heard, Subscription},
};

use super::{eventually, within};

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn heard(subscription: &mut Subscription) -> Heard {
    within(LIMIT, subscription.next()).await.0
}

/// Whether keys are tracked by what has begun.
pub(crate) async fn begun(subscription: &mut Subscription) -> bool {
    match heard(subscription).await {
        Heard::Begun { tracks } => tracks,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn said(subscription: &mut Subscription) -> (usize, String) {
    match heard(subscription).await {
        Heard::Said { channel, text } => (channel, String::from_utf8(text.into()).unwrap()),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn changed(subscription: &mut Subscription) -> String {
    match heard(subscription).await {
        Heard::Changed(key) => String::from_utf8(key.into()).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn lost(subscription: &mut Subscription) -> Error {
    match heard(subscription).await {
        Heard::Lost(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Whether keys are tracked, once it has begun again, however often it was lost before.
pub(crate) async fn resumed(subscription: &mut Subscription) -> bool {
    let resuming = async {
        loop {
            match subscription.next().await {
                Heard::Begun { tracks } => return tracks,
                Heard::Lost(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    within(LIMIT, resuming).await.0
}

pub(crate) async fn publish(redis: &Redis, channel: &str, text: &str) {
    eventually("it is published", LIMIT, async || redis.command("PUBLISH").key(channel).arg(text).run().await.ok())
        .await;
}
