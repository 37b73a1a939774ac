//! Records and changes as scripts and the hash have them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    error::Error,
    redis::{Reply, ScriptCall},
    session::{
        changes::{Changes, Members, Rotation},
        record::{Client, Fields, Generation, Head, Lifetime, Principal, Record, Retired, Shows},
        token::SecretDigest,
    },
};

/// What nobody reads back as something else: a newer version has another number.
const VERSION: u8 = 1;

/// The last moment, and the longest time, that scripts can tell.
pub(super) const MOST: u64 = (1 << 48) - 1;

// === Records, as they are read ===

/// A head as [`record.lua`](../lua/record.lua) has it; `None` if it makes no sense.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let mut rest = bytes;
    let [version, flags, retired, tokens] = take(&mut rest)?;
    if version != VERSION {
        return None;
    }
    let generation = Generation::from_number(number(&mut rest)?);
    let [created, seen, renewed, authenticated] = [(); 4].map(|()| number(&mut rest).map(Timestamp::from_millis));
    let [idle, absolute] = [(); 2].map(|()| number(&mut rest).map(Duration::from_millis));
    let ends = Timestamp::from_millis(number(&mut rest)?);
    let _weight = number(&mut rest)?;
    let secret = SecretDigest::from_bytes(take(&mut rest)?);
    let retired = (0..retired).map(|_| self::retired(&mut rest)).collect::<Option<Vec<_>>>()?;
    for _ in 0..tokens {
        take::<14>(&mut rest)?;
    }
    let (principal, client) = client(&mut rest)?;
    Some(Head {
        created: created?,
        seen: seen?,
        renewed: renewed?,
        authenticated: authenticated.filter(|at| at.as_millis() > 0),
        lifetime: Lifetime { idle: idle?, absolute: absolute?, kept_by_client: flags & KEPT != 0 },
        ends,
        generation,
        secret,
        retired,
        principal,
        client,
    })
}

const KEPT: u8 = 1;

/// All fields of the hash, names and contents in turn; `None` if they make no sense.
pub(super) fn record(hash: Vec<Reply>) -> Option<Record> {
    let mut found = None;
    let mut fields = Fields::default();
    let mut hash = hash.into_iter();
    while let (Some(name), Some(value)) = (hash.next(), hash.next()) {
        let (name, value) = (name.bytes().ok()??, value.bytes().ok()??);
        match name.split_first()? {
            (b'h', []) => found = Some(head(&value)?),
            (b'v', name) => drop(fields.values.insert(text(name)?, value)),
            (b'c', name) => match text(&value)?.parse().ok()? {
                0 => {}
                sum => drop(fields.counters.insert(text(name)?, sum)),
            },
            (b's', rest) => {
                let colon = rest.iter().position(|&byte| byte == b':')?;
                let length: usize = text(&rest[..colon])?.parse().ok()?;
                let (set, member) = rest[colon + 1..].split_at_checked(length)?;
                fields.sets.entry(text(set)?).or_default().insert(name.slice_ref(member));
            }
            _ => return None,
        }
    }
    Some(Record { head: found?, fields })
}

fn retired(rest: &mut &[u8]) -> Option<Retired> {
    let secret = SecretDigest::from_bytes(take(rest)?);
    let until = Timestamp::from_millis(number(rest)?);
    let shows = match take(rest)? {
        [0] => Shows::Session,
        [1] => Shows::Nothing,
        [_] => return None,
    };
    Some(Retired { secret, until, shows })
}

fn client(rest: &mut &[u8]) -> Option<(Option<Principal>, Client)> {
    let principal = match short(rest)? {
        "" => None,
        name => Some(Principal::new(name).ok()?),
    };
    let mut client = Client::new();
    if take(rest)? == [1] {
        client = client.agent(short(rest)?);
    }
    client = match take(rest)? {
        [0] => client,
        [4] => client.address(Ipv4Addr::from(take::<4>(rest)?).into()),
        [16] => client.address(Ipv6Addr::from(take::<16>(rest)?).into()),
        [_] => return None,
    };
    rest.is_empty().then_some((principal, client))
}

/// A text of at most 255 bytes, after its length.
fn short<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = take(rest)?;
    let (text, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide[..6].copy_from_slice(&take::<6>(rest)?);
    Some(u64::from_le_bytes(wide))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn text(bytes: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(bytes).ok().map(Box::from)
}

/// A moment, as scripts answer it.
pub(super) fn moment(reply: &Reply) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millis(u64::try_from(reply.int()?).map_err(|_| nonsense())?))
}

// === What is sent ===

/// The second argument of `create.lua`.
pub(super) fn beginning(record: &Record) -> Vec<u8> {
    let Head { lifetime, secret, principal, client, .. } = &record.head;
    let mut bytes = Vec::with_capacity(128);
    bytes.extend([flags(lifetime), u8::from(principal.is_some())]);
    push_span(&mut bytes, lifetime.idle);
    push_span(&mut bytes, lifetime.absolute);
    push_number(&mut bytes, record.fields.weight() as u64);
    bytes.extend(secret.as_bytes());
    push_client(&mut bytes, principal.as_ref(), client);
    bytes
}

/// The fields of a new record, names and contents in turn.
pub(super) fn push_fields<'a>(mut call: ScriptCall<'a>, fields: &Fields) -> ScriptCall<'a> {
    for (name, value) in &fields.values {
        call = call.arg(&field(b'v', name)).arg(value.as_ref());
    }
    for (name, sum) in &fields.counters {
        call = call.arg(&field(b'c', name)).arg(&sum.to_string());
    }
    for (name, set) in &fields.sets {
        let set_field = set_field(name);
        for member in set {
            call = call.arg(&[&set_field, member.as_ref()].concat()).arg(MEMBER);
        }
    }
    call
}

/// The arguments of `apply.lua` from the fifth on.
pub(super) fn push_changes<'a>(mut call: ScriptCall<'a>, changes: &Changes) -> ScriptCall<'a> {
    let Changes { expected, clear, values, counters, sets, rotation } = changes;
    call = match expected {
        None => call.arg("").arg("").arg(""),
        Some(expected) => {
            let kind = if expected.value.is_some() { "p" } else { "a" };
            call.arg(kind).arg(&field(b'v', &expected.name)).arg(expected.value.as_deref().unwrap_or_default())
        }
    };
    call = call.arg(&rotation.as_ref().map(self::rotation).unwrap_or_default()).arg(if *clear { "1" } else { "" });
    for (name, value) in values {
        call = step(call, value.is_some(), &field(b'v', name), value.as_deref().unwrap_or_default());
    }
    for (name, addition) in counters {
        let (field, add) = (field(b'c', name), addition.add.to_string());
        call = match addition.reset {
            true => step(call, addition.add != 0, &field, add.as_bytes()),
            false => call.arg("c").arg(&field).arg(&add),
        };
    }
    push_sets(call, sets)
}

fn push_sets<'a>(mut call: ScriptCall<'a>, sets: &BTreeMap<Box<str>, Members>) -> ScriptCall<'a> {
    for (name, Members { clear, removed, added }) in sets {
        let set_field = set_field(name);
        let member_field = |member: &Bytes| [&set_field, member.as_ref()].concat();
        if *clear {
            call = call.arg("e").arg(&set_field).arg("");
        }
        for member in removed {
            call = step(call, false, &member_field(member), b"");
        }
        for member in added {
            call = step(call, true, &member_field(member), MEMBER);
        }
    }
    call
}

/// What a field of a set holds: not nothing, so that it has a length.
const MEMBER: &[u8] = b"1";

/// A field is written, or removed.
fn step<'a>(call: ScriptCall<'a>, is_written: bool, field: &[u8], value: &[u8]) -> ScriptCall<'a> {
    call.arg(if is_written { "v" } else { "d" }).arg(field).arg(value)
}

fn rotation(rotation: &Rotation) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    match rotation {
        Rotation::Renewal { from, to, overlap } => {
            bytes.push(b'n');
            bytes.extend(from.as_bytes());
            bytes.extend(to.as_bytes());
            push_span(&mut bytes, *overlap);
        }
        Rotation::Rights { to, overlap, principal, lifetime, client } => {
            bytes.push(b'r');
            bytes.extend(to.as_bytes());
            push_span(&mut bytes, *overlap);
            push_span(&mut bytes, lifetime.idle);
            push_span(&mut bytes, lifetime.absolute);
            bytes.extend([flags(lifetime), u8::from(principal.is_some())]);
            push_client(&mut bytes, principal.as_ref(), client);
        }
    }
    bytes
}

fn push_client(bytes: &mut Vec<u8>, principal: Option<&Principal>, client: &Client) {
    push_short(bytes, principal.map_or("", Principal::as_str));
    match &client.agent {
        None => bytes.push(0),
        Some(agent) => {
            bytes.push(1);
            // As long as may be, also where the field was written by hand.
            push_short(bytes, Client::new().agent(agent).agent.as_deref().unwrap_or_default());
        }
    }
    match client.address {
        None => bytes.push(0),
        Some(std::net::IpAddr::V4(address)) => {
            bytes.push(4);
            bytes.extend(address.octets());
        }
        Some(std::net::IpAddr::V6(address)) => {
            bytes.push(16);
            bytes.extend(address.octets());
        }
    }
}

fn push_short(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend(text.bytes().take(255));
}

fn push_span(bytes: &mut Vec<u8>, span: Duration) {
    push_number(bytes, millis(span));
}

fn push_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.min(MOST).to_le_bytes()[..6]);
}

pub(super) fn millis(span: Duration) -> u64 {
    Timestamp::default().plus(span).as_millis().min(MOST)
}

fn flags(lifetime: &Lifetime) -> u8 {
    if lifetime.kept_by_client { KEPT } else { 0 }
}

fn field(kind: u8, name: &str) -> Vec<u8> {
    let mut field = Vec::with_capacity(1 + name.len());
    field.push(kind);
    field.extend(name.bytes());
    field
}

/// What the fields of a set begin with. With its length before it, no name is the beginning of another.
fn set_field(name: &str) -> Vec<u8> {
    format!("s{}:{name}", name.len()).into_bytes()
}

#[cold]
pub(super) fn nonsense() -> Error {
    Error::undecodable("Redis answered something else than what a script of sessions does")
}
