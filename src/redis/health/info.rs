//! `INFO`, `SLOWLOG GET` and `LATENCY LATEST`, read.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::Timestamp,
    error::Error,
    redis::{
        Reply,
        health::snapshot::{Info, Memory, Persistence, Replica, Replication, Slow, Spike, Stats},
    },
};

/// How much of a key is told.
const SHOWN: usize = 80;

// === impl Info ===

impl Info {
    pub(super) fn parse(text: &str) -> Self {
        let fields: Fields<'_> = text.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let fields = &fields;
        Self {
            version: text_of(fields, "valkey_version").or(text_of(fields, "redis_version")).unwrap_or_default(),
            uptime: Duration::from_secs(number(fields, "uptime_in_seconds")),
            memory: Memory {
                used: number(fields, "used_memory"),
                peak: number(fields, "used_memory_peak"),
                resident: number(fields, "used_memory_rss"),
                limit: fields.get("maxmemory").and_then(|limit| limit.parse().ok()),
                policy: text_of(fields, "maxmemory_policy"),
            },
            stats: Stats {
                clients: number(fields, "connected_clients"),
                max_clients: number(fields, "maxclients"),
                blocked_clients: number(fields, "blocked_clients"),
                commands_per_second: number(fields, "instantaneous_ops_per_sec"),
                commands: number(fields, "total_commands_processed"),
                hits: number(fields, "keyspace_hits"),
                misses: number(fields, "keyspace_misses"),
                evicted: number(fields, "evicted_keys"),
                expired: number(fields, "expired_keys"),
                rejected: number(fields, "rejected_connections"),
            },
            replication: Replication {
                is_replica: fields.get("role") == Some(&"slave"),
                replicas: (0..number(fields, "connected_slaves").min(100))
                    .filter_map(|at| fields.get(format!("slave{at}").as_str()))
                    .map(|line| Replica::parse(line))
                    .collect(),
            },
            persistence: Persistence {
                append_only: number(fields, "aof_enabled") == 1,
                failed: ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"]
                    .iter()
                    .any(|name| fields.get(name) == Some(&"err")),
                loading: number(fields, "loading") == 1,
                last_save: Timestamp::from_secs(number(fields, "rdb_last_save_time")),
                changes_since_save: number(fields, "rdb_changes_since_last_save"),
            },
        }
    }
}

type Fields<'a> = HashMap<&'a str, &'a str>;

fn text_of(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).map(|&text| text.to_owned())
}

fn number(fields: &Fields<'_>, name: &str) -> u64 {
    fields.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

// === impl Replica ===

impl Replica {
    /// `ip=127.0.0.1,port=6380,state=online,offset=14,lag=0`
    fn parse(line: &str) -> Self {
        let fields: Fields<'_> = line.split(',').filter_map(|part| part.split_once('=')).collect();
        let part = |name| fields.get(name).copied().unwrap_or_default();
        Self {
            address: format!("{}:{}", part("ip"), part("port")),
            is_online: part("state") == "online",
            lag: Duration::from_secs(number(&fields, "lag")),
        }
    }
}

// === impl Slow ===

impl Slow {
    /// Id, seconds, microseconds, arguments, and from 4.0 on who it was.
    pub(super) fn parse(entry: Reply) -> Result<Self, Error> {
        let mut parts = entry.list()?.into_iter().skip(1);
        let (Some(at), Some(took), Some(args)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::undecodable("Redis answered SLOWLOG with other than entries"));
        };
        let mut words = Vec::new();
        for arg in args.list()?.into_iter().take(4) {
            words.push(arg.bytes()?.unwrap_or_default());
        }
        Ok(Self {
            at: Timestamp::from_secs(at.int()?.unsigned_abs()),
            took: Duration::from_micros(took.int()?.unsigned_abs()),
            command: shown(&words),
        })
    }
}

/// The name of a command, and of its first key, if it is known to have one in that place.
fn shown(words: &[impl AsRef<[u8]>]) -> String {
    let word = |at: usize| words.get(at).map(|word| escaped(word.as_ref()));
    let name = word(0).unwrap_or_default().to_ascii_uppercase();
    let key = match name.as_str() {
        "EVAL" | "EVALSHA" | "EVAL_RO" | "EVALSHA_RO" | "FCALL" | "FCALL_RO" if word(2).as_deref() != Some("0") => {
            word(3)
        }
        "GET" | "SET" | "MGET" | "MSET" | "DEL" | "UNLINK" | "EXISTS" | "APPEND" | "GETRANGE" | "SETRANGE"
        | "STRLEN" | "SORT" | "SDIFF" | "SINTER" | "SUNION" => word(1),
        // Those of hashes, lists, sets, sorted sets, streams, bitmaps.
        _ if ["H", "L", "S", "Z", "X", "R", "BIT", "PF", "GEO"].iter().any(|kind| name.starts_with(kind))
            && ![
                "HELLO",
                "LATENCY",
                "LASTSAVE",
                "SCAN",
                "SCRIPT",
                "SLOWLOG",
                "SAVE",
                "SHUTDOWN",
                "XREAD",
                "XREADGROUP",
                "XGROUP",
                "XINFO",
                "ROLE",
                "REPLICAOF",
                "SLAVEOF",
                "RESET",
                "REPLCONF",
                "RESTORE",
            ]
            .contains(&name.as_str()) =>
        {
            word(1)
        }
        _ => None,
    };
    match key {
        Some(key) => format!("{name} {key}"),
        None => name,
    }
}

pub(super) fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let escaped = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { escaped + ".." } else { escaped }
}

// === impl Spike ===

impl Spike {
    pub(super) fn parse(entry: Reply) -> Result<Self, Error> {
        let mut parts = entry.list()?.into_iter();
        let (Some(event), Some(at), Some(latest), Some(longest)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::undecodable("Redis answered LATENCY with other than events"));
        };
        Ok(Self {
            event: event.text()?.unwrap_or_default(),
            at: Timestamp::from_secs(at.int()?.unsigned_abs()),
            latest: Duration::from_millis(latest.int()?.unsigned_abs()),
            longest: Duration::from_millis(longest.int()?.unsigned_abs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_server_says_is_read() {
        let info = Info::parse(
            "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:60\r\n# Memory\r\nused_memory:100\r\nmaxmemory:0\r\n\
             maxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\naof_last_write_status:err\r\n\
             # Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=10.0.0.1,port=6380,state=online,offset=14,lag=1\r\nslave1:ip=::1,port=6381,state=wait_bgsave,lag=0\r\n",
        );
        assert_eq!((info.version.as_str(), info.uptime), ("7.0.15", Duration::from_secs(60)));
        assert_eq!((info.memory.used, info.memory.limit), (100, Some(0)));
        assert!(info.persistence.append_only && info.persistence.failed);
        let replicas: Vec<_> =
            info.replication.replicas.iter().map(|one| (one.address.as_str(), one.is_online)).collect();
        assert_eq!(replicas, [("10.0.0.1:6380", true), ("::1:6381", false)]);
        assert_eq!(Info::parse(""), Info::default());
    }

    #[test]
    fn of_a_slow_command_only_a_key_is_told() {
        for (words, told) in [
            (&["set", "user:1", "secret"][..], "SET user:1"),
            (&["EVALSHA", "1b936e3f", "1", "session:4f", "secret"], "EVALSHA session:4f"),
            (&["EVALSHA", "1b936e3f", "0", "secret"], "EVALSHA"),
            (&["AUTH", "secret"], "AUTH"),
            (&["HELLO", "3", "AUTH", "secret"], "HELLO"),
            (&["CONFIG", "SET", "requirepass", "secret"], "CONFIG"),
            (&["hgetall", "a\nb"], r"HGETALL a\nb"),
            (&["KEYS", "*"], "KEYS"),
            (&["NEWCOMMAND", "secret"], "NEWCOMMAND"),
            (&[], ""),
        ] {
            assert_eq!(shown(words), told);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, bytes: Vec<u8>) {
            drop(Info::parse(&text));
            prop_assert!(escaped(&bytes).chars().count() <= 10 * SHOWN + 2);
        }
    }
}
