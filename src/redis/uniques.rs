//! Who was there, each once.

use std::{sync::LazyLock, time::Duration};

use crate::{
    error::Error,
    redis::{Redis, Reply, Script, ScriptCall, name::checked, wrong_type},
};

static ADMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/admit.lua")));
static UNITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/unite.lua")));

/// Sets of texts, each of which is in a set once; with the union of several, such as the visitors of a week by those of its days.
///
/// ```no_run
/// use std::time::Duration;
/// use bartizan::redis::Uniques;
///
/// # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
/// let visitors = Uniques::new(&redis, "visitors")?.expires_after(Duration::from_secs(30 * 24 * 3600));
/// let is_new = visitors.add("2026-11-21", "ada").await?;
/// let on_both_days = visitors.count(&["2026-11-20", "2026-11-21"]).await?;
/// # Ok(()) }
/// ```
///
/// All sets of one name have one slot of a Cluster, since the server unites them. It is exact, and takes about 60 bytes for each
/// member; for an estimate in 12 KiB there are `PFADD` and `PFCOUNT`.
///
/// # Errors
///
/// [`Invalid`](crate::error::ErrorKind::Invalid), when a set or a member is not 1 to 200 bytes long, or more is asked for than is told;
/// [`Refused`](crate::error::ErrorKind::Refused), when a set is full (code `FULL`) or its key (`unique:{name}:set:..`) holds another type; else as
/// those of [`Command::run`](crate::redis::Command::run).
///
/// # Cancellation
///
/// A call that is dropped may or may not have been carried out. All may be repeated, but the answer is then about the first.
#[derive(Clone, Debug)]
pub struct Uniques {
    redis: Redis,
    name: Box<str>,
    capacity: u64,
    ttl: Option<Duration>,
}

/// How many members are told at once, and go out at once.
const TOLD: u64 = 100_000;
const AT_ONCE: usize = 1000;

/// The longest member, in bytes, and how many sets are united.
const LONGEST: usize = 200;
const SETS: usize = 400;

// === impl Uniques ===

impl Uniques {
    /// The sets of that name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has braces or control characters.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        let name = checked("sets", name)?.into();
        Ok(Self { redis: redis.clone(), name, capacity: 1_000_000, ttl: None })
    }

    /// A set is empty again so long after its first member came. The default is never.
    ///
    /// # Panics
    ///
    /// When that is under a millisecond.
    #[must_use]
    pub fn expires_after(mut self, span: Duration) -> Self {
        assert!(span >= Duration::from_millis(1), "a set lasts for a while");
        self.ttl = Some(span);
        self
    }

    /// How many members a set has at most. The default is 1 000 000. Who comes then is refused.
    #[must_use]
    pub fn capacity(mut self, members: u64) -> Self {
        self.capacity = members;
        self
    }

    /// Adds a member, and tells whether it is new.
    pub async fn add(&self, set: &str, member: &str) -> Result<bool, Error> {
        Ok(self.add_all(set, &[member]).await? == 1)
    }

    /// Adds members, by the thousand, and tells how many are new.
    pub async fn add_all(&self, set: &str, members: &[impl AsRef<str> + Sync]) -> Result<u64, Error> {
        let key = self.key(set)?;
        members.iter().try_for_each(|member| check_member(member.as_ref()))?;
        let ttl = self.ttl.map_or_else(String::new, |ttl| ttl.as_millis().min(i64::MAX as u128 / 2).to_string());
        let mut new = 0;
        for some in members.chunks(AT_ONCE) {
            let call = self.redis.script(&ADMIT).key(&key).arg(self.capacity).arg(&ttl);
            let call = some.iter().fold(call, |call, member| call.arg(member.as_ref()));
            let [added, refused] = &self.run(call, &[&key]).await?[..] else { return Err(nonsense()) };
            new += added.int()?.unsigned_abs();
            if refused.int()? > 0 {
                let message = format!("`{key}`: the set has {} members, which is all it may have", self.capacity);
                return Err(Error::refused(&message, "FULL"));
            }
        }
        Ok(new)
    }

    /// Whether a member is in a set.
    pub async fn contains(&self, set: &str, member: &str) -> Result<bool, Error> {
        self.ask("SISMEMBER", set, member).await
    }

    /// Takes a member out of a set, and tells whether it was in it.
    pub async fn remove(&self, set: &str, member: &str) -> Result<bool, Error> {
        self.ask("SREM", set, member).await
    }

    /// How many different members there are in these sets together, up to 400. Of one set it is known; several are united first,
    /// which holds up the server for about two seconds for each million members.
    pub async fn count(&self, sets: &[impl AsRef<str> + Sync]) -> Result<u64, Error> {
        if let [set] = sets {
            let key = self.key(set.as_ref())?;
            return match self.redis.command("SCARD").key(&key).run().await {
                Ok(count) => Ok(count.int()?.unsigned_abs()),
                Err(error) => Err(wrong_type::named(&self.redis, error, &[(&key, "set")]).await),
            };
        }
        Ok(self.unite(sets, 0).await?.0)
    }

    /// The members of these sets together, in no order, up to 100 000; [`Invalid`](crate::error::ErrorKind::Invalid), when there
    /// are more.
    pub async fn union(&self, sets: &[impl AsRef<str> + Sync]) -> Result<Vec<String>, Error> {
        let (count, members) = self.unite(sets, TOLD).await?;
        if count > TOLD {
            return Err(Error::invalid(&format!("up to {TOLD} members are told, and these sets have {count}")));
        }
        members.into_iter().map(|member| member.text().map(Option::unwrap_or_default)).collect()
    }

    async fn unite(&self, sets: &[impl AsRef<str> + Sync], most: u64) -> Result<(u64, Vec<Reply>), Error> {
        if sets.is_empty() {
            return Ok((0, Vec::new()));
        }
        if sets.len() > SETS {
            return Err(Error::invalid(&format!("up to {SETS} sets are united, not {}", sets.len())));
        }
        let keys = sets.iter().map(|set| self.key(set.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let call = self.redis.script(&UNITE).key(format!("unique:{{{}}}:union", self.name));
        let call = keys.iter().fold(call, ScriptCall::key).arg(most);
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let mut parts = self.run(call, &keys).await?.into_iter();
        let (Some(count), Some(members), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(nonsense());
        };
        Ok((count.int()?.unsigned_abs(), members.list()?))
    }

    async fn ask(&self, command: &str, set: &str, member: &str) -> Result<bool, Error> {
        check_member(member)?;
        let key = self.key(set)?;
        match self.redis.command(command).key(&key).arg(member).run().await {
            Ok(answer) => Ok(answer.int()? == 1),
            Err(error) => Err(wrong_type::named(&self.redis, error, &[(&key, "set")]).await),
        }
    }

    async fn run(&self, call: ScriptCall<'_>, keys: &[&str]) -> Result<Vec<Reply>, Error> {
        match call.run().await {
            Ok(reply) => reply.list(),
            Err(error) => {
                let kept: Vec<_> = keys.iter().map(|key| (*key, "set")).collect();
                Err(wrong_type::named(&self.redis, error, &kept).await)
            }
        }
    }

    fn key(&self, set: &str) -> Result<String, Error> {
        Ok(format!("unique:{{{}}}:set:{}", self.name, checked("a set", set)?))
    }
}

fn check_member(member: &str) -> Result<(), Error> {
    if (1..=LONGEST).contains(&member.len()) {
        return Ok(());
    }
    Err(Error::invalid(&format!("a member of a set has 1 to {LONGEST} bytes, not {}", member.len())))
}

#[cold]
fn nonsense() -> Error {
    Error::undecodable("Redis answered the script of a set with other than what it returns")
}
