//! What a server can do.

use std::time::Duration;

use ::redis::cmd;

use crate::{
    error::Error,
    redis::{client::Redis, line::Target, reply::Reply},
};

/// What the server can do. From [`Redis::capabilities`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    version: Version,
    valkey: bool,
    resp3: bool,
}

/// The version of a server, as far as it decides what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 7 of 7.2.4
    pub major: u16,
    /// 2 of 7.2.4
    pub minor: u16,
    /// 4 of 7.2.4
    pub patch: u16,
}

/// The oldest that is supported. A server that hides its version is taken for this.
const OLDEST: Version = Version { major: 6, minor: 2, patch: 0 };

// === impl Capabilities ===

impl Capabilities {
    pub(super) async fn probe(redis: &Redis) -> Result<Self, Error> {
        let mut info = cmd("INFO");
        info.arg("server");
        match redis.one(info, &Target::Anyone, redis.until(None, Duration::ZERO)).await {
            Ok(info) => Ok(Self::parse(&Reply::new(info).text()?.unwrap_or_default(), redis.speaks_resp3())),
            // Some managed services do not let anyone ask.
            Err(error) if error.is_refused() => Ok(Self::parse("", redis.speaks_resp3())),
            Err(error) => Err(error),
        }
    }

    /// Reads what `INFO server` says.
    fn parse(info: &str, resp3: bool) -> Self {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        // Valkey also says which Redis it stands for, which is always a 7.2.
        let valkey = field("valkey_version");
        let version = valkey.or_else(|| field("redis_version")).and_then(Version::parse).unwrap_or(OLDEST);
        Self { version, valkey: valkey.is_some(), resp3 }
    }

    /// The version, in the numbering of the server's own project.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it is a Valkey, whose versions begin at 7.2 too.
    pub fn is_valkey(&self) -> bool {
        self.valkey
    }

    /// Whether it is spoken to in RESP3, in which it can tell us what we did not ask for (`CLIENT TRACKING`).
    pub fn has_resp3(&self) -> bool {
        self.resp3
    }

    /// Whether a script may say in its first line that it runs on a server that is full (`#!lua flags=allow-oom`): from 7.0.
    pub fn has_script_flags(&self) -> bool {
        self.version.major >= 7
    }

    /// Whether channels can belong to a slot, so that a Cluster does not tell every message to every node
    /// (`SSUBSCRIBE`): from 7.0.
    pub fn has_sharded_channels(&self) -> bool {
        self.version.major >= 7
    }

    /// Whether fields of a hash can expire on their own (`HPEXPIRE`): Redis from 7.4, Valkey from 9.0.
    pub fn has_field_expiry(&self) -> bool {
        let since = if self.valkey { (9, 0) } else { (7, 4) };
        (self.version.major, self.version.minor) >= since
    }
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
        let major = parts.next()??;
        let mut part = || parts.next().flatten().unwrap_or(0);
        Some(Self { major, minor: part(), patch: part() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_what_they_say() {
        for (info, version, valkey, flags, fields) in [
            ("# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n", (6, 2, 14), false, false, false),
            ("redis_version:7.0.15\r\n", (7, 0, 15), false, true, false),
            ("redis_version:7.4.1\r\n", (7, 4, 1), false, true, true),
            ("redis_version:8.0-rc1\r\n", (8, 0, 0), false, true, true),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\n", (8, 1, 0), true, true, false),
            ("redis_version:7.2.4\nvalkey_version:9.0.0\n", (9, 0, 0), true, true, true),
            ("redis_version:new\r\n", (6, 2, 0), false, false, false),
            ("", (6, 2, 0), false, false, false),
        ] {
            let capabilities = Capabilities::parse(info, true);
            let (major, minor, patch) = version;
            assert_eq!(capabilities.version(), Version { major, minor, patch }, "{info}");
            assert_eq!(capabilities.is_valkey(), valkey, "{info}");
            assert_eq!(capabilities.has_script_flags(), flags, "{info}");
            assert_eq!(capabilities.has_sharded_channels(), flags, "{info}");
            assert_eq!(capabilities.has_field_expiry(), fields, "{info}");
        }
    }
}
