//! What a failure means: to the caller, to the breaker, to the connection.

use ::redis::{ErrorKind, RedisError, Value};

use crate::error::Error;

/// A failure, and what it says about the server.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    pub(super) verdict: Verdict,
}

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// The server is well; it does not want this.
    Alive,
    /// The server is there and cannot work now: it loads, it looks for its primary, it is busy.
    Unwell,
    /// This connection leads nowhere, or to a server that is no longer the one to talk to.
    Lost,
}

// === impl Fault ===

impl Fault {
    /// What came instead of a connection.
    pub(super) fn connecting(error: RedisError) -> Error {
        let error = Self::from(error).error;
        if error.is_refused() || error.is_invalid() {
            return error;
        }
        Error::unavailable("no connection to Redis", error)
    }
}

/// There was no connection to send anything on.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, verdict: Verdict::Unwell }
    }
}

impl From<RedisError> for Fault {
    #[cold]
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
                let code = error.code().unwrap_or("ERR").to_owned();
                Self::answer(&code, error.detail().unwrap_or_default())
            }
            // redis-rs's word for what it takes for a server without `HELLO`.
            ErrorKind::RESP3NotSupported => Self::answer("NOPROTO", "HELLO is not known"),
            ErrorKind::UnexpectedReturnType => Self {
                error: Error::undecodable("an answer of Redis is not what this command gives").because(error),
                verdict: Verdict::Alive,
            },
            // After a broken frame nothing on this connection can be believed.
            ErrorKind::Parse => Self {
                error: Error::undecodable("what Redis sent does not follow its protocol").because(error),
                verdict: Verdict::Lost,
            },
            ErrorKind::InvalidClientConfig | ErrorKind::Client => Self {
                error: Error::invalid("the connection or the command cannot be as it is asked for").because(error),
                verdict: Verdict::Alive,
            },
            _ if error.is_timeout() => Self {
                error: Error::timed_out("Redis did not answer in time").because(error),
                verdict: Verdict::Unwell,
            },
            _ => Self { error: Error::unavailable("the connection to Redis broke", error), verdict: Verdict::Lost },
        }
    }
}

impl Fault {
    fn answer(code: &str, detail: &str) -> Self {
        if let Some((code, detail)) = within_script(code, detail) {
            return Self::answer(code, detail);
        }
        let verdict = Verdict::of_code(code);
        let said = format!("{code} {detail}");
        let error = match verdict {
            Verdict::Alive => Error::refused(&format!("Redis refused: {}", said.trim_end()), code),
            _ => Error::unavailable("Redis cannot do this now", said.trim_end()),
        };
        Self { error, verdict }
    }
}

/// What a command in a script was refused with, where the server hides it in its own words (before 7.0): `ERR Error running
/// script (call to f_..): @user_script:1: WRONGTYPE Operation against ..`.
fn within_script<'a>(code: &str, detail: &'a str) -> Option<(&'a str, &'a str)> {
    if code != "ERR" || !detail.starts_with("Error running script") {
        return None;
    }
    let (_, said) = detail.split_once("@user_script:")?.1.split_once(": ")?;
    let (code, detail) = said.trim_start_matches('-').split_once(' ')?;
    (code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some((code, detail))
}

// === impl Verdict ===

impl Verdict {
    /// What one of several answers says.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::ServerError(error) => Self::of_code(error.code()),
            _ => Self::Alive,
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            // A primary that became a replica.
            "READONLY" => Self::Lost,
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => Self::Unwell,
            _ => Self::Alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::redis::parse_redis_value;

    fn fault(line: &str) -> Fault {
        let error = parse_redis_value(line.as_bytes()).and_then(::redis::Value::extract_error).expect_err(line);
        error.into()
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        for (line, verdict, code) in [
            ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", Verdict::Alive, Some("OOM")),
            ("-WRONGTYPE Operation against a key\r\n", Verdict::Alive, Some("WRONGTYPE")),
            ("-NOPERM this user has no permissions\r\n", Verdict::Alive, Some("NOPERM")),
            ("-NOSCRIPT No matching script.\r\n", Verdict::Alive, Some("NOSCRIPT")),
            ("-ERR syntax error\r\n", Verdict::Alive, Some("ERR")),
            (
                "-ERR Error running script (call to f_1b): @user_script:12: WRONGTYPE Operation against a key\r\n",
                Verdict::Alive,
                Some("WRONGTYPE"),
            ),
            (
                "-ERR Error running script (call to f_1b): @user_script:1: -NOGROUP No such key\r\n",
                Verdict::Alive,
                Some("NOGROUP"),
            ),
            (
                "-ERR Error running script (call to f_1b): @user_script:3: Script attempted to x\r\n",
                Verdict::Alive,
                Some("ERR"),
            ),
            ("-READONLY You can't write against a read only replica.\r\n", Verdict::Lost, None),
            ("-LOADING Redis is loading the dataset in memory\r\n", Verdict::Unwell, None),
            ("-BUSY Redis is busy running a script.\r\n", Verdict::Unwell, None),
            ("-CLUSTERDOWN The cluster is down\r\n", Verdict::Unwell, None),
        ] {
            let fault = fault(line);
            assert_eq!(fault.verdict, verdict, "{line}");
            assert_eq!(fault.error.code(), code, "{line}");
            assert_eq!(fault.error.is_refused(), verdict == Verdict::Alive, "{line}");
        }
    }
}
