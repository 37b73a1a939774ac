//! What holds of the grammars for any bytes whatever: `fuzz/` feeds these properties, and so does a small test, which
//! keeps them true between two runs of the fuzzers.
//!
//! Each takes text of the wire: lines of a field, or of a head as `name: value`, with an empty line between two heads.
//! What is no field value is left out, since no server lets it come so far.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::{
    asked::Asked,
    policy::{
        allowance::{Allowance, SetCookie},
        conditional::{self, Answer, EntityTag, Validators},
        control::{RequestControl, ResponseControl, Scope},
        cookies, date, fields, freshness,
        groups::{self, CACHE_GROUPS},
        invalidate,
        list::{self, Members},
        number::{self, LONGEST},
        range::{self, Extent},
        reuse::{self, Demands, Reuse, Schedule},
        storable::{self, Cookies, Storable, Times},
        targeted,
        update::{self, Confirmed},
        vary::{self, Vary},
    },
    rules::Rules,
};
use crate::clock::Timestamp;

pub mod page;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Members are trimmed parts of the line; a list of them is the same list. Numbers are those of the standard library.
pub fn list(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let members: Vec<&[u8]> = Members::of(line).collect();
        assert!(members.iter().all(|member| !member.is_empty() && list::trimmed(member) == *member));
        let joined = members.join(&b", "[..]);
        assert_eq!(Members::of(&joined).collect::<Vec<_>>(), members, "a list of its own members");

        let digits = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
        let wanted = std::str::from_utf8(line).ok().filter(|_| digits && line.len() < 39);
        let wanted = wanted.and_then(|text| text.parse::<u128>().ok());
        let read = number::decimal(line);
        assert_eq!(read.is_some(), digits);
        assert!(wanted.is_none_or(|wanted| read == Some(u64::try_from(wanted).unwrap_or(u64::MAX))));
        assert!(number::seconds(line).is_none_or(|secs| secs <= LONGEST));
    }
}

/// Neither order nor case nor repetition of lines counts, and no line takes back what another forbids.
pub fn control(data: &[u8]) {
    let mut lines = lines(data, &header::CACHE_CONTROL);
    let said = comparable(ResponseControl::parse(&lines));
    let asked = RequestControl::parse(&lines);
    for other in [reversed(&lines), doubled(&lines), upper(&lines)] {
        assert_eq!(comparable(ResponseControl::parse(&other)), said);
        assert_eq!(RequestControl::parse(&other), asked);
    }
    for time in [said.max_age, said.s_maxage, said.stale_if_error, asked.max_age, asked.min_fresh, asked.max_stale] {
        assert!(time.is_none_or(|time| time <= LONGEST));
    }
    lines.append(header::CACHE_CONTROL, HeaderValue::from_static("No-Store, private, no-cache, max-age=0"));
    let (said, asked) = (ResponseControl::parse(&lines), RequestControl::parse(&lines));
    assert!(said.no_store && said.private == Scope::Whole && said.no_cache == Scope::Whole);
    assert!(asked.no_store && asked.no_cache);
    assert_eq!((said.max_age, asked.max_age), (Some(Duration::ZERO), Some(Duration::ZERO)));
}

/// A targeted field counts alone or not at all, and what it forbids stays forbidden.
pub fn targeted(data: &[u8]) {
    let [mut head, ..] = heads(data);
    let targets = [header::CDN_CACHE_CONTROL];
    let read = targeted::control(&head, &targets);
    for time in [read.max_age, read.s_maxage, read.stale_while_revalidate, read.stale_if_error] {
        assert!(time.is_none_or(|time| time <= LONGEST));
    }
    let said = ResponseControl::parse(&head);
    assert!(read.targeted || read == said);
    head.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    assert!(!read.targeted || targeted::control(&head, &targets) == read, "the other field does not count");
    head.append(header::CDN_CACHE_CONTROL, HeaderValue::from_static("no-store, private, max-age=0"));
    let closed = targeted::control(&head, &targets);
    assert!(closed.no_store, "a field that is malformed leaves the other one, which forbids it too");
    assert!(!closed.targeted || (closed.private == Scope::Whole && closed.max_age == Some(Duration::ZERO)));
    head.remove(header::CDN_CACHE_CONTROL);
    assert!(!targeted::control(&head, &targets).targeted);
}

/// The groups that are named are those of the line that is written of them; one wrong member, and there are none.
pub fn groups(data: &[u8]) {
    let mut lines = lines(data, &CACHE_GROUPS);
    let named = groups::named(&lines, &CACHE_GROUPS);
    let quoted = |group: &String| format!("\"{}\"", group.replace('\\', "\\\\").replace('"', "\\\""));
    let written: Vec<String> = named.iter().map(quoted).collect();
    let mut again = HeaderMap::new();
    again.insert(CACHE_GROUPS, HeaderValue::try_from(written.join(",")).expect("strings are visible ASCII"));
    assert_eq!(groups::named(&again, &CACHE_GROUPS), named);
    lines.append(CACHE_GROUPS, HeaderValue::from_static("1"));
    assert_eq!(groups::named(&lines, &CACHE_GROUPS), Vec::<String>::new());
}

/// What was read is read again alike, in whatever order and case. Two requests are one variant only if they have the same
/// fields, and always if they are the same.
pub fn vary(data: &[u8]) {
    let [asked, other, says] = heads(data);
    let read = vary::parse(&says);
    for again in [reversed(&says), doubled(&says), upper(&says)] {
        assert_eq!(vary::parse(&again), read);
    }
    let Vary::On(names) = read else { return };
    assert!(names.len() <= vary::MOST_NAMES);
    let written = names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",");
    assert_eq!(vary::parse(&lines(written.as_bytes(), &header::VARY)), Vary::On(names.clone()));

    let rules = Rules::new().normalise_vary();
    let selected = |headers: &HeaderMap| {
        let mut bytes = Vec::new();
        vary::selecting(&names, rules.settings().seen(headers), &mut |part| bytes.extend_from_slice(part));
        bytes
    };
    let same = selected(&asked) == selected(&other);
    let alike = |name: &HeaderName| asked.get_all(name).iter().eq(other.get_all(name));
    assert!(same || !names.iter().all(alike), "equal requests select alike");
    assert!(!same || names.iter().all(|name| asked.contains_key(name) == other.contains_key(name)));
}

/// A response confirms itself; only a 200 is compared; tags are written as they are read.
pub fn conditional(data: &[u8]) {
    let [mut asked, stored, _] = heads(data);
    let answer = |asked: &HeaderMap, status| conditional::answer(&Method::GET, asked, status, &stored, NOW);
    assert_eq!(answer(&asked, StatusCode::NOT_FOUND), Answer::Full);
    if asked.contains_key(header::IF_NONE_MATCH) {
        let before = answer(&asked, StatusCode::OK);
        asked.remove(header::IF_MODIFIED_SINCE);
        assert_eq!(answer(&asked, StatusCode::OK), before, "If-None-Match is the only one that counts");
    }
    let tags = stored.get_all(header::ETAG).iter().chain(asked.get_all(header::IF_NONE_MATCH));
    for tag in tags.filter_map(|line| EntityTag::parse(line.as_bytes())) {
        let mark: &[u8] = if tag.is_weak() { b"W/\"" } else { b"\"" };
        assert_eq!(EntityTag::parse(&[mark, tag.opaque, b"\""].concat()), Some(tag));
        assert!(tag.weakly_equals(tag) && tag.strongly_equals(tag) != tag.is_weak());
    }
    if let Some(validators) = Validators::of(&stored, NOW) {
        validators.write(&mut asked);
        assert_eq!(answer(&asked, StatusCode::OK), Answer::NotModified, "a response confirms itself");
        assert!(!asked.contains_key(header::RANGE) && !asked.contains_key(header::IF_RANGE));
    }
    let head = conditional::not_modified(&stored);
    assert!(head.keys().all(|name| head.get_all(name).iter().eq(stored.get_all(name))));
}

/// Parts lie within the body, are not empty and do not overlap; what was cut is what is named; without `Range` all is sent.
pub fn range(data: &[u8]) {
    let [mut asked, stored, _] = heads(data);
    for length in [0, 1, 10, data.len() as u64, u64::MAX] {
        let extent = range::extent(&asked, &stored, length, NOW);
        let parts = match &extent {
            Extent::Part(part) => std::slice::from_ref(part),
            Extent::Parts(parts) => parts,
            Extent::Whole | Extent::Unsatisfiable => continue,
        };
        let mut written = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            assert!(part.start < part.end && part.end <= length);
            assert!(parts[..at].iter().all(|other| other.end <= part.start || part.end <= other.start));
            written.push(format!("{}-{}", part.start, part.end - 1));
            assert_eq!(range::content_range(part, length), format!("bytes {}/{length}", written[at]));
        }
        let mut again = HeaderMap::new();
        let text = format!("bytes={}", written.join(", "));
        again.insert(header::RANGE, HeaderValue::try_from(text).expect("digits are a field value"));
        assert_eq!(range::extent(&again, &stored, length, NOW), extent);
    }
    asked.remove(header::RANGE);
    assert_eq!(range::extent(&asked, &stored, 10, NOW), Extent::Whole);
}

/// What `httpdate` reads is read alike, what is written is read again, and only years of two digits depend on the present.
pub fn date(data: &[u8]) {
    let Some((&[a, b, c, d], text)) = data.split_first_chunk() else { return };
    let now = Timestamp::from_secs(u64::from(u32::from_le_bytes([a, b, c, d])));
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    let read = date::parse(&value, now);
    if let Some(read) = read {
        let written = date::format(read);
        let last = Timestamp::from_secs(253_402_300_799);
        assert_eq!(date::parse(&written, now), Some(read.min(last)));
    }
    let theirs = value.to_str().ok().and_then(|text| httpdate::parse_http_date(text.trim_matches([' ', '\t'])).ok());
    // Of years of two digits `httpdate` knows the last century and this one, whatever the present is.
    if let Some(theirs) = theirs.filter(|_| !text.contains(&b'-')) {
        assert_eq!(read, Some(Timestamp::from(theirs)), "{:?}", SystemTime::from(read.unwrap_or_default()));
    }
    if text.contains(&b'-') {
        let horizon = now.plus(Duration::from_secs(51 * 366 * 24 * 60 * 60));
        assert!(read.is_none_or(|read| read <= horizon));
    } else {
        assert_eq!(date::parse(&value, NOW), read);
    }
}

/// Ages and lifetimes are bounded, nobody grows younger by waiting, and what is no longer fresh does not become so again.
pub fn freshness(data: &[u8]) {
    let [head, asks, _] = heads(data);
    let control = ResponseControl::parse(&head);
    let span = Duration::from_secs(u64::from(data.first().copied().unwrap_or_default()));
    let ages = [NOW, NOW.plus(span)].map(|answered| freshness::initial_age(&head, NOW, answered));
    assert!(ages[0] <= ages[1] && ages[1] <= LONGEST && span <= ages[1]);
    let stated = freshness::explicit_lifetime(&control, &head, NOW);
    assert!(stated.is_none_or(|lifetime| lifetime <= LONGEST));
    assert!(control.s_maxage.is_none() || stated == control.s_maxage);
    let guess = freshness::heuristic_lifetime(StatusCode::OK, &control, &head, NOW);
    assert!(guess.is_none_or(|lifetime| lifetime <= Duration::from_secs(24 * 60 * 60)));

    let asked = storable::Asked::of(&HeaderMap::new(), &RequestControl::default(), Cookies::Known);
    let allowance = Allowance { set_cookie: SetCookie::Stored, ..Allowance::default() };
    let times = Times { asked: NOW, answered: NOW.plus(span) };
    let stored = storable::storable(&asked, StatusCode::OK, &head, &control, &allowance, times);
    let Storable::Yes(terms) = stored else { return };
    let schedule = Schedule::new(&terms, times.answered);
    let asks = RequestControl::parse(&asks);
    for demands in [Demands::Ignored, Demands::Honoured(&asks)] {
        let mut fresh = true;
        for later in [0, 1, 59, 60, 3600, 86_400, 1 << 31, 1 << 33] {
            let now = times.answered.plus(Duration::from_secs(later));
            let verdict = reuse::verdict(&schedule, demands, now);
            assert!(fresh || verdict != Reuse::Fresh, "fresh again after {later} s");
            fresh = verdict == Reuse::Fresh;
            assert!(!fresh || schedule.age(now) <= terms.lifetime);
        }
    }
}

/// Names and values are what lies between the signs, and what is stripped is gone, without loss to the others.
pub fn cookies(data: &[u8]) {
    let rules = Rules::new().ignore_cookie("_ga").ignore_cookie("a").add_key_cookie("lang");
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.headers = lines(data, &header::COOKIE);
    let owned = |headers: &HeaderMap| -> Vec<(Vec<u8>, Vec<u8>)> {
        cookies::pairs(headers).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    };
    let personal = |headers: &HeaderMap| Asked::of(headers).0.personal_cookie(headers, rules.settings());
    let mut before = owned(&parts.headers);
    assert!(
        before.iter().all(|(name, value)| !name.contains(&b'=') && !name.contains(&b';') && !value.contains(&b';'))
    );
    let was_personal = personal(&parts.headers);
    rules.settings().strip(&mut parts);
    before.retain(|(name, _)| name != b"_ga" && name != b"a");
    assert_eq!(owned(&parts.headers), before);
    assert_eq!(personal(&parts.headers), was_personal);
}

/// What forbids storing forbids it whatever else is said; what is stored has nothing of the connection; a 304 that says
/// nothing changes nothing but the date.
pub fn storable(data: &[u8]) {
    let [client, head, not_modified] = heads(data);
    let status = data.get(..3).and_then(|digits| StatusCode::from_bytes(digits).ok()).unwrap_or(StatusCode::OK);
    let asked = storable::Asked::of(&client, &RequestControl::parse(&client), Cookies::Known);
    let times = Times { asked: NOW, answered: NOW };
    let judged = |head: &HeaderMap| {
        storable::storable(&asked, status, head, &ResponseControl::parse(head), &Allowance::default(), times)
    };
    let control = ResponseControl::parse(&head);
    if let Storable::Yes(terms) = judged(&head) {
        assert!(!asked.no_store && (!control.no_store || control.must_understand) && control.private != Scope::Whole);
        assert!(!client.contains_key(header::AUTHORIZATION) || terms.authorized_reuse);
        assert!(vary::parse(&head) != Vary::Star);
        let kept = fields::stored(&head, &terms.drop, NOW);
        let single = fields::hop_by_hop(&head);
        assert!(kept.keys().all(|name| *name != header::AGE && *name != header::SET_COOKIE && !single.contains(name)));
        assert!(kept.contains_key(header::DATE) || terms.drop.contains(&header::DATE));
        assert_eq!(fields::stored(&kept, &[], NOW), kept, "what was stored may be stored");
        for forbids in ["private", "max-age=60, private=\"", "private, public, s-maxage=9", "no-cache, private=,"] {
            let mut head = head.clone();
            head.append(header::CACHE_CONTROL, HeaderValue::from_static(forbids));
            assert!(matches!(judged(&head), Storable::No(_)), "{forbids}");
        }
    }
    assert_eq!(update::confirms(&head, &head, NOW), Confirmed::Stored, "a response is the one it is");
    let updated = update::updated(&head, &not_modified, NOW);
    for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE, header::CONTENT_RANGE] {
        assert!(updated.get_all(&name).iter().eq(head.get_all(&name)), "{name} describes the stored body");
    }
    let mut unchanged = update::updated(&head, &HeaderMap::new(), NOW);
    assert_eq!(unchanged.remove(header::DATE), Some(date::format(NOW)));
    let mut head = head;
    head.remove(header::DATE);
    assert_eq!(unchanged, head);
}

/// What is named lies at the same origin, without dots, and is another resource than the target.
pub fn invalidate(data: &[u8]) {
    let [_, answer, _] = heads(data);
    let target = Uri::from_static("https://example.com/folder/page?q=1");
    let named = invalidate::also_named(&target, &answer);
    assert!(named.len() <= 2);
    for uri in named {
        assert!(uri.authority().is_none() && uri.path().starts_with('/'), "{uri}");
        assert!(uri.path().split('/').all(|segment| segment != "." && segment != ".."), "{uri}");
        assert_ne!(uri.path_and_query(), target.path_and_query());
        let mut again = HeaderMap::new();
        if !uri.path().starts_with("//") {
            again.insert(header::LOCATION, HeaderValue::try_from(uri.to_string()).expect("a URI is a field value"));
            assert_eq!(invalidate::also_named(&target, &again), [uri]);
        }
    }
}

/// Who asks by way of a proxy selects nothing; whatever else is said of it does.
pub fn forwarding(data: &[u8]) {
    let [mut asked, ..] = heads(data);
    let selected = |headers: &HeaderMap| {
        let (fields, mut bytes) = (Asked::of(headers).0.forwarding(), Vec::new());
        fields.selecting(headers, &mut |part| bytes.extend_from_slice(part));
        (fields.bits(), bytes)
    };
    let before = selected(&asked);
    let mut append = |name, value| asked.try_append(name, HeaderValue::from_static(value)).map(|_| selected(&asked));
    if let Ok(after) = append("x-forwarded-for", "192.0.2.1") {
        assert_eq!(after, before);
    }
    // The field itself tells, be it empty.
    let Ok(there) = append("forwarded", "") else { return };
    for node in ["for=192.0.2.1", "BY = _proxy, for=\"[2001:db8::1]\"; by=x"] {
        if let Ok(after) = append("forwarded", node) {
            assert_eq!(after, there);
        }
    }
    for (name, value) in [("forwarded", "host=x"), ("x-forwarded-host", "x"), ("x-forwarded-host", "")] {
        if let Ok(after) = append(name, value) {
            assert_ne!(after, there);
        }
    }
}

/// Every line that is a field value, as a line of the field `name`.
fn lines(data: &[u8], name: &HeaderName) -> HeaderMap {
    let mut lines = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        let _full = lines.try_append(name, value);
    }
    lines
}

/// Three heads, with empty lines between them.
fn heads(data: &[u8]) -> [HeaderMap; 3] {
    let mut heads = [HeaderMap::new(), HeaderMap::new(), HeaderMap::new()];
    let mut at = 0;
    for line in data.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            at = (at + 1).min(2);
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':')
            && let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(list::trimmed(&line[colon + 1..])))
        {
            let _full = heads[at].try_append(name, value);
        }
    }
    heads
}

fn rewritten<'a>(headers: impl Iterator<Item = (&'a HeaderName, HeaderValue)>) -> HeaderMap {
    headers.map(|(name, value)| (name.clone(), value)).collect()
}

fn reversed(headers: &HeaderMap) -> HeaderMap {
    let lines: Vec<_> = headers.iter().collect();
    rewritten(lines.into_iter().rev().map(|(name, value)| (name, value.clone())))
}

fn doubled(headers: &HeaderMap) -> HeaderMap {
    rewritten(headers.iter().chain(headers).map(|(name, value)| (name, value.clone())))
}

fn upper(headers: &HeaderMap) -> HeaderMap {
    rewritten(headers.iter().map(|(name, value)| {
        let upper = HeaderValue::from_bytes(&value.as_bytes().to_ascii_uppercase());
        (name, upper.expect("upper case keeps a field value one"))
    }))
}

/// With the fields of a scope in order, each once.
fn comparable(control: ResponseControl) -> ResponseControl {
    let ordered = |scope| match scope {
        Scope::Fields(mut names) => {
            names.sort_unstable_by(|a: &HeaderName, b| a.as_str().cmp(b.as_str()));
            names.dedup();
            Scope::Fields(names)
        }
        other => other,
    };
    ResponseControl { private: ordered(control.private), no_cache: ordered(control.no_cache), ..control }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Property = fn(&[u8]);

    const ALL: [Property; 14] = [
        list,
        control,
        targeted,
        groups,
        vary,
        conditional,
        range,
        date,
        freshness,
        cookies,
        storable,
        invalidate,
        forwarding,
        page::page,
    ];

    proptest! {
        #[test]
        fn every_property_holds_of_any_bytes(data in proptest::collection::vec(any::<u8>(), 0..120)) {
            ALL.iter().for_each(|property| property(&data));
        }

        #[test]
        fn every_property_holds_of_heads(lines in proptest::collection::vec(proptest::sample::select(LINES), 0..12)) {
            let data = lines.join("\n");
            ALL.iter().for_each(|property| property(data.as_bytes()));
        }
    }

    const LINES: &[&str] = &[
        "",
        "age: 3, x",
        "authorization: Basic x",
        "bytes=0-4",
        "cache-control: max-age=60, stale-if-error=600",
        "cache-control: public, no-cache=\"a, b\", private=\"x-y\"",
        "cdn-cache-control: max-age=60, private=\"x-y\"",
        "cdn-cache-control: no-store, max-age=1.5;x, y=(1 2)",
        "connection: x-y",
        "date: Tue, 14 Nov 2023 22:13:20 GMT",
        "etag: W/\"a,b\"",
        "etag: \"a\"",
        "expires: 0",
        "forwarded: for=192.0.2.1;host=a, by=b",
        "if-modified-since: Tue, 14 Nov 2023 22:13:20 GMT",
        "if-none-match: \"x\", \"a\"",
        "lang=en; _ga=1; sid",
        "last-modified: Tuesday, 14-Nov-23 20:13:20 GMT",
        "location: ../x/./?y#z",
        "max-age=1, s-maxage=\"2\"",
        "range: bytes=2-5",
        "vary: Accept, x-y",
        "x-y: 1",
    ];
}
