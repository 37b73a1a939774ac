//! Keys that hold something else than what is kept there.

use crate::{error::Error, redis::client::Redis};

/// A key, and what kind of value is kept there, as `TYPE` calls it.
pub(super) type Kept<'a> = (&'a str, &'a str);

/// `error` with the name of the key that is to blame, when that is the type of its value: the server, in a script, tells neither
/// which key it is nor what is there. It is asked once more, which nobody does who is not in trouble.
#[cold]
pub(super) async fn named(redis: &Redis, error: Error, keys: &[Kept<'_>]) -> Error {
    if error.code() != Some("WRONGTYPE") {
        return error;
    }
    let asking = keys.iter().fold(redis.pipeline(), |pipe, (key, _)| pipe.add_command(redis.command("TYPE").key(key)));
    for ((key, kind), reply) in keys.iter().zip(asking.run().await) {
        let Ok(Some(found)) = reply.and_then(crate::redis::Reply::text) else { continue };
        if found != "none" && found != *kind {
            let key = redis.key(key);
            let message = format!("`{}`: the key holds a {found}, where a {kind} is kept", key.escape_ascii());
            return Error::refused(&message, "WRONGTYPE").because(error);
        }
    }
    error
}
