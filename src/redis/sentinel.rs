//! Which server is the primary, asked of the sentinels.
//!
//! redis-rs can ask too, but takes the sentinels' answers in the order of the list with time-outs of its own, so that one
//! sentinel that hangs can use up our deadline each time. Here all are asked at once, and what most of them say counts as
//! soon as they have said it.

use std::{collections::HashMap, time::Duration};

use ::redis::{AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, RedisResult, cmd};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::{error::Error, redis::address::Host, redis::fault::Fault};

/// What one sentinel holds to be the primary, and since which of its elections.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vote {
    epoch: u64,
    host: Host,
}

/// The primary of `service`: what more than half of `sentinels` say, or after `patience` the newest of what was said.
pub(super) async fn primary(sentinels: &[ConnectionInfo], service: &str, patience: Duration) -> Result<Host, Error> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
    let mut answers: FuturesUnordered<_> =
        sentinels.iter().map(|sentinel| ask(sentinel.clone(), &config, service)).collect();
    let until = Instant::now() + patience;
    let mut votes = Vec::new();
    let mut fault = None;
    while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
        match answer {
            Ok(Some(vote)) => votes.push(vote),
            Ok(None) => {}
            Err(error) => fault = Some(error),
        }
        if let Some(host) = majority(&votes, sentinels.len()) {
            return Ok(host);
        }
    }
    newest(votes).ok_or_else(|| match fault {
        Some(fault) => Fault::connecting(fault),
        None => Error::unavailable("no sentinel knows the primary", format!("the service is `{service}`")),
    })
}

async fn ask(sentinel: ConnectionInfo, config: &AsyncConnectionConfig, service: &str) -> RedisResult<Option<Vote>> {
    let mut connection = Client::open(sentinel)?.get_multiplexed_async_connection_with_config(config).await?;
    let fields = connection.send_packed_command(cmd("SENTINEL").arg("MASTER").arg(service)).await?.extract_error()?;
    Ok(vote(&HashMap::from_redis_value(fields)?))
}

fn vote(fields: &HashMap<String, String>) -> Option<Vote> {
    let name = fields.get("ip")?.clone();
    let port = fields.get("port")?.parse().ok()?;
    let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Some(Vote { epoch, host: Host { name, port } })
}

fn majority(votes: &[Vote], sentinels: usize) -> Option<Host> {
    votes
        .iter()
        .find(|vote| 2 * votes.iter().filter(|other| other.host == vote.host).count() > sentinels)
        .map(|vote| vote.host.clone())
}

fn newest(votes: Vec<Vote>) -> Option<Host> {
    votes.into_iter().max_by_key(|vote| vote.epoch).map(|vote| vote.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(epoch: u64, port: u16) -> Vote {
        Vote { epoch, host: Host { name: "h".to_owned(), port } }
    }

    #[test]
    fn more_than_half_of_all_decide_at_once_and_else_the_newest_election() {
        assert_eq!(majority(&[vote(1, 1)], 1).map(|host| host.port), Some(1));
        assert_eq!(majority(&[vote(1, 1)], 3), None, "one of three");
        assert_eq!(majority(&[vote(1, 1), vote(2, 2)], 3), None, "one each");
        assert_eq!(majority(&[vote(1, 1), vote(2, 2), vote(2, 2)], 3).map(|host| host.port), Some(2));
        assert_eq!(newest(vec![vote(1, 1), vote(7, 2), vote(3, 3)]).map(|host| host.port), Some(2));
        assert_eq!(newest(vec![]), None);
    }
}
