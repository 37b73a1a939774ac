//! A bounded look at the keys.

use crate::{
    error::Error,
    redis::{
        Redis, Reply,
        health::{
            info::escaped,
            snapshot::{Key, Keys},
        },
    },
};

/// What these keep may be there for good; how long is their users' choice.
const LASTING: [&str; 8] = ["counter", "fenced", "flag", "leaderboard", "queue", "recent", "stream", "unique"];

/// How many of the largest are told, and how many examples.
const LARGEST: usize = 10;
const EXAMPLES: usize = 5;

/// How many keys are asked for in one round trip.
const AT_ONCE: usize = 100;

/// Looks at up to `most` keys, ours and others.
pub(super) async fn sample(redis: &Redis, most: u32) -> Result<Keys, Error> {
    let mut keys = Keys::default();
    let step = most.clamp(1, 1000);
    let mut scan = redis.scan("*").count(step);
    let mut left = most;
    while left > 0 {
        let Some(found) = scan.step().await? else {
            keys.complete = true;
            break;
        };
        left = left.saturating_sub(step);
        for some in found.chunks(AT_ONCE) {
            look(redis, some, &mut keys).await?;
        }
    }
    Ok(keys)
}

async fn look(redis: &Redis, names: &[Vec<u8>], keys: &mut Keys) -> Result<(), Error> {
    let asking = names.iter().fold(redis.pipeline(), |pipe, name| {
        pipe.add_command(redis.command("MEMORY").arg("USAGE").key(name)).add_command(redis.command("PTTL").key(name))
    });
    let mut answers = asking.run().await.into_iter();
    for name in names {
        let (Some(bytes), Some(ttl)) = (answers.next(), answers.next()) else { break };
        // Where `MEMORY` is withheld the size stays unknown; gone meanwhile is nothing.
        let bytes = match bytes {
            Ok(bytes) if bytes.is_nil() => continue,
            Ok(bytes) => unsigned(&bytes),
            Err(error) if error.is_refused() => 0,
            Err(error) => return Err(error),
        };
        keys.seen += 1;
        if keys.largest.len() < LARGEST || keys.largest.last().is_some_and(|last| last.bytes < bytes) {
            let at = keys.largest.partition_point(|key| key.bytes >= bytes);
            keys.largest.insert(at, Key { name: escaped(name), bytes });
            keys.largest.truncate(LARGEST);
        }
        let tool = name.split(|byte| *byte == b':').next().unwrap_or_default();
        if ttl?.int()? == -1 && !LASTING.iter().any(|lasting| lasting.as_bytes() == tool) {
            keys.lasting += 1;
            if keys.lasting_examples.len() < EXAMPLES {
                keys.lasting_examples.push(escaped(name));
            }
        }
    }
    Ok(())
}

fn unsigned(reply: &Reply) -> u64 {
    reply.int().map_or(0, i64::unsigned_abs)
}
