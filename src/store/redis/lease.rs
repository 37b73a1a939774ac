//! The right to fill one key, and every way in which it ends.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    envelope::{self, Label},
    names::Name,
    orders::Order,
    removing::Removing,
    scripts,
    store::{MOST_NAMES, RedisStore, fresh_epoch, millis, nonsense, table_time},
};
use crate::{
    clock::Timestamp,
    error::Error,
    redis::{Reply, ScriptCall},
    store::{
        contract::{Ending, Filled, Lease},
        kept::{Tags, Version},
        key::Key,
        wire::Wire,
    },
};

/// The right to fill one key of a [`RedisStore`].
pub struct RedisLease {
    nonce: Nonce,
    epoch: u64,
    sequence: u64,
    /// On which it was won. No other knows what was removed when.
    server: Arc<str>,
    replaces: Option<Version>,
}

/// What tells the holder of a lease from others. It may be a holder from the moment it is sent; dropped, it is none any more.
pub(super) struct Nonce {
    store: RedisStore,
    key: Key,
    number: u64,
    is_live: bool,
}

/// What a fill sends of a value.
enum Parcel {
    Whole(Vec<u8>),
    /// Of the head, for the body of the value with this version.
    Head([u8; 32], Vec<u8>, Version),
    /// It is too large.
    Nothing,
}

enum Landed {
    Stored,
    Superseded,
    /// The body that a head was for.
    Gone,
}

/// After so many holders in a row vanished, those who wait are no longer made to wait for the next.
const MOST_VANISHED: u32 = 3;

/// How long it is remembered how many vanished.
const VANISHED_MS: u32 = 2000;

// === impl RedisLease ===

impl RedisLease {
    pub(super) fn new(nonce: Nonce, epoch: u64, sequence: u64, server: Arc<str>, replaces: Option<Version>) -> Self {
        nonce.store.0.orders.hold(nonce.number, nonce.key);
        Self { nonce, epoch, sequence, server, replaces }
    }

    /// The version of what it fills.
    pub(crate) fn version(&self) -> Version {
        Version::new(self.sequence)
    }

    /// Which key it is for, and what says that it is its holder's.
    fn script<'a>(&'a self, script: &'a crate::redis::Script, to: Option<&Key>) -> ScriptCall<'a> {
        let bucket = self.nonce.bucket();
        let mut call = self.nonce.call(script);
        if let Some(to) = to {
            call = call.key(bucket.entry(to)).key(bucket.lease(to)).key(bucket.entry(&Key::new(to.primary())));
        }
        call.arg(&self.nonce.text()).arg(self.epoch).arg(self.sequence).arg(&*self.server)
    }

    fn answer(&self, answer: Reply) -> Result<(String, impl Iterator<Item = Reply> + use<>), Error> {
        let mut answer = answer.list()?.into_iter();
        let word = answer.next().ok_or_else(nonsense)?.text()?.ok_or_else(nonsense)?;
        self.nonce.store.observe(self.nonce.key.primary(), &answer.next().ok_or_else(nonsense)?)?;
        Ok((word, answer))
    }

    fn label<'a>(&self, keep_until: Timestamp, tags: &'a Tags) -> Label<'a> {
        Label { epoch: self.epoch, sequence: self.sequence, keep_until, tags }
    }

    fn pack<V: Wire>(&self, value: &V, keep_until: Timestamp, tags: &Tags) -> Parcel {
        let settings = &self.nonce.store.0.settings;
        let encoded = value.encode();
        // Not compressed first, only to be thrown away.
        if encoded.body.len() > settings.largest {
            return Parcel::Nothing;
        }
        envelope::pack(&encoded, &self.label(keep_until, tags), settings.compress_from)
            .filter(|packed| packed.len() <= settings.largest)
            .map_or(Parcel::Nothing, Parcel::Whole)
    }

    async fn send(&self, parcel: &Parcel, keep_until: Timestamp, tags: &Tags) -> Result<Landed, Error> {
        let life = keep_until.since(self.nonce.store.clock().now());
        let call = self.script(&scripts::FILL, None).arg(millis(life).max(1)).arg(table_time(life));
        let mut call = match parcel {
            Parcel::Whole(packed) => call.arg(packed).arg("").arg("").arg("f"),
            Parcel::Head(fixed, head, seen) => {
                call.arg(&fixed[..]).arg(head).arg(&seen.sequence().to_string()).arg("f")
            }
            Parcel::Nothing => call.arg("").arg("").arg("").arg("u"),
        };
        call = call.arg(&Name::Resource(self.nonce.key.primary()).field());
        for tag in tags.iter() {
            call = call.arg(&Name::Tag(tag.clone()).field());
        }
        match self.answer(call.run().await?)?.0.as_str() {
            "stored" => Ok(Landed::Stored),
            "superseded" => Ok(Landed::Superseded),
            "gone" => Ok(Landed::Gone),
            _ => Err(nonsense()),
        }
    }

    /// Fills without giving the value away.
    pub(crate) async fn fill_with<V: Wire>(
        mut self,
        value: &V,
        keep_until: Timestamp,
        tags: &Tags,
    ) -> Result<Filled, Error> {
        let landed = self.send(&self.pack(value, keep_until, tags), keep_until, tags).await?;
        self.nonce.is_live = false;
        Ok(landed.into())
    }

    pub(crate) async fn refresh_with<V: Wire>(
        mut self,
        value: &V,
        keep_until: Timestamp,
        tags: &Tags,
    ) -> Result<Filled, Error> {
        let head = self.replaces.and_then(|seen| {
            let (fixed, head) = envelope::pack_head(&value.encode().head, &self.label(keep_until, tags))?;
            Some(Parcel::Head(fixed, head, seen))
        });
        if let Some(head) = head {
            match self.send(&head, keep_until, tags).await? {
                Landed::Gone => {}
                landed => {
                    self.nonce.is_live = false;
                    return Ok(landed.into());
                }
            }
        }
        self.fill_with(value, keep_until, tags).await
    }

    pub(crate) async fn narrow_with<V: Wire>(
        mut self,
        variant: u128,
        sign: &V,
        keep_until: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let to = self.nonce.key.with_variant(variant);
        let life = keep_until.since(self.nonce.store.clock().now());
        let Parcel::Whole(sign) = self.pack(sign, keep_until, &Tags::default()) else {
            return Err(Error::invalid("a sign is larger than what the store is allowed to send"));
        };
        let answer = self
            .script(&scripts::NARROW, Some(&to))
            .arg(millis(life).max(1))
            .arg(table_time(life))
            .arg(&sign)
            .arg(millis(self.nonce.store.0.settings.lease_time))
            .arg(&Name::Resource(to.primary()).field())
            .run()
            .await?;
        match self.answer(answer)?.0.as_str() {
            "moved" | "void" => {
                self.move_to(to);
                Ok(Some(self))
            }
            "taken" => {
                self.nonce.is_live = false;
                Ok(None)
            }
            _ => Err(nonsense()),
        }
    }

    pub(crate) async fn replace_all_with(mut self, variant: u128, tags: &Tags) -> Result<Option<Self>, Error> {
        let to = self.nonce.key.with_variant(variant);
        let name = Name::Resource(to.primary());
        let store = self.nonce.store.clone();
        let place = store.0.names.place(to.primary());
        let removing = Removing::begin(&store.0, Some(place), name.clone());
        let mut call = self
            .script(&scripts::REPLACE_ALL, Some(&to))
            .arg(fresh_epoch())
            .arg(table_time(Duration::ZERO))
            .arg(millis(store.0.settings.lease_time))
            .arg(MOST_NAMES)
            .arg(removing.token())
            .arg(millis(store.0.settings.doubt))
            .arg(&name.field());
        for tag in tags.iter() {
            call = call.arg(&Name::Tag(tag.clone()).field());
        }
        let answer = call.run().await.inspect_err(|_| store.0.owe(place, name))?;
        removing.leave();
        let (word, mut rest) = self.answer(answer)?;
        let mut number = || rest.next().and_then(|next| u64::try_from(next.int().ok()?).ok()).ok_or_else(nonsense);
        match word.as_str() {
            "moved" => {
                (self.epoch, self.sequence, self.replaces) = (number()?, number()?, None);
                self.move_to(to);
                Ok(Some(self))
            }
            "superseded" => {
                self.nonce.is_live = false;
                Ok(None)
            }
            _ => Err(nonsense()),
        }
    }

    pub(crate) async fn disband_with(mut self, ending: Ending) {
        let word = match ending {
            Ending::Uncacheable => "u",
            Ending::Failed => "x",
        };
        if self.nonce.release(word).await.is_ok() {
            self.nonce.is_live = false;
        }
    }

    fn move_to(&mut self, key: Key) {
        self.nonce.key = key;
        self.replaces = None;
        self.nonce.store.0.orders.hold(self.nonce.number, key);
    }
}

impl<V: Wire> Lease<V> for RedisLease {
    fn replaces(&self) -> Option<Version> {
        self.replaces
    }

    async fn fill(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.fill_with(&value, keep_until, &tags).await
    }

    async fn refresh(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.refresh_with(&value, keep_until, &tags).await
    }

    async fn narrow(self, variant: u128, sign: V, keep_until: Timestamp) -> Result<Option<Self>, Error> {
        self.narrow_with(variant, &sign, keep_until).await
    }

    async fn replace_all(self, variant: u128, tags: Tags) -> Result<Option<Self>, Error> {
        self.replace_all_with(variant, &tags).await
    }

    async fn disband(self, ending: Ending) {
        self.disband_with(ending).await;
    }
}

impl fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLease")
            .field("key", &self.nonce.key)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl From<Landed> for Filled {
    fn from(landed: Landed) -> Self {
        match landed {
            Landed::Stored => Self::Stored,
            Landed::Superseded | Landed::Gone => Self::Superseded,
        }
    }
}

// === impl Nonce ===

impl Nonce {
    pub(super) fn new(store: RedisStore, key: Key) -> Self {
        Self { store, key, number: rand::random(), is_live: true }
    }

    pub(super) fn text(&self) -> String {
        text_of(self.number)
    }

    /// No lease was granted for it.
    pub(super) fn unused(mut self) {
        self.is_live = false;
    }

    fn bucket(&self) -> &super::names::Bucket {
        self.store.0.names.of(self.key.primary())
    }

    fn call<'a>(&'a self, script: &'a crate::redis::Script) -> ScriptCall<'a> {
        let bucket = self.bucket();
        self.store.script(script, bucket).key(bucket.entry(&self.key)).key(bucket.lease(&self.key))
    }

    async fn release(&self, word: &str) -> Result<(), Error> {
        release(&self.store, &self.key, self.number, word).await
    }
}

/// The holder vanished, or whoever would have become it.
impl Drop for Nonce {
    fn drop(&mut self) {
        let orders = &self.store.0.orders;
        orders.let_go(self.number);
        if self.is_live {
            orders.give(Order::Release(self.key, self.number));
            self.store.0.wake.notify_one();
        }
    }
}

pub(super) fn text_of(number: u64) -> String {
    format!("{number:x}")
}

/// Gives a lease up, if it is this one's.
pub(super) async fn release(store: &RedisStore, key: &Key, number: u64, word: &str) -> Result<(), Error> {
    let bucket = store.0.names.of(key.primary());
    let call = store.script(&scripts::RELEASE, bucket).key(bucket.entry(key)).key(bucket.lease(key));
    call.arg(&text_of(number)).arg(word).arg(MOST_VANISHED).arg(VANISHED_MS).run().await.map(|_| ())
}
