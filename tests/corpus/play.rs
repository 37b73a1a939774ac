//! Plays a scenario on the layer: a scripted origin inside, a clock wound by hand, no waiting.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bartizan::{
    CacheStatus, Rules,
    clock::{Clock, TestClock, Timestamp},
    expiry::{EarlyRefresh, Jitter},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};

use crate::{
    line::duration,
    script::{Answer, Call, Check, End, Exchange, Expected, Fault, Place, Scenario, Step},
    support::{Body, Failed, Origin, Scene, pipe, response, settle, streamed, take},
};

/// What of the scenario does not come true: the first step that goes wrong, since what follows rests on it.
pub(crate) async fn play(scenario: &Scenario) -> Result<(), Fault> {
    let mut rules = Rules::new().jitter(Jitter::NONE).early_refresh(EarlyRefresh::NEVER);
    let mut told = CacheStatus::new();
    for (at, rule) in &scenario.rules {
        match rule.as_str() {
            "cache-status=ttl" => told = told.ttl(),
            "cache-status=key" => told = told.key(),
            rule => rules = ruled(at, rules, rule)?,
        }
    }
    let script = Script::default();
    let origin = script.clone();
    let scene = Scene::with(
        Origin::new(move |call| {
            let origin = origin.clone();
            async move { origin.answer(call.request).await }
        }),
        |layer| layer.rules(rules).cache_status(told),
    );
    script.0.lock().expect("nobody panics").clock = Some(scene.clock.clone());
    let start = scene.clock.now();
    for step in &scenario.steps {
        match step {
            Step::Forward(span) => scene.clock.advance(*span),
            Step::Back(span) => scene.clock.set(scene.clock.now().minus(*span)),
            Step::Ask(together) => ask(&scene, &script, start, together).await?,
        }
    }
    Ok(())
}

fn ruled(at: &Place, rules: Rules, rule: &str) -> Result<Rules, Fault> {
    let (name, value) = rule.split_once('=').unwrap_or((rule, ""));
    let span = || duration(at, value);
    let field = || HeaderName::from_bytes(value.as_bytes()).map_err(|_| at.fault("a field name"));
    Ok(match name {
        "default-ttl" => rules.default_ttl(span()?),
        "negative-ttl" => rules.negative_ttl(span()?),
        "max-ttl" => rules.max_ttl(span()?),
        "pass-ttl" => rules.pass_ttl(span()?),
        "stale-while-revalidate" => rules.stale_while_revalidate(span()?),
        "stale-if-error" => rules.stale_if_error(span()?),
        "body-limit" => rules.body_limit(value.parse().map_err(|_| at.fault("a number of bytes"))?),
        "heuristics" => rules.heuristic_freshness(),
        "client-directives" => rules.honour_client_directives(),
        "store-set-cookie" => rules.danger_store_set_cookie(),
        "key-header" => rules.add_key_header(field()?),
        "key-cookie" => rules.add_key_cookie(value),
        "ignore-cookie" => rules.ignore_cookie(value),
        "reverse-proxy" => Rules::reverse_proxy(),
        "targeted" => {
            let names: Result<Vec<_>, _> = value.split(',').map(str::parse::<HeaderName>).collect();
            rules.targeted_fields(names.map_err(|_| at.fault("field names"))?)
        }
        "generate-etags" => rules.generate_etags(),
        "site" => rules.site(value),
        _ => return Err(at.fault(format!("no such rule: {rule:?}"))),
    })
}

async fn ask(scene: &Scene, script: &Script, start: Timestamp, together: &[Exchange]) -> Result<(), Fault> {
    {
        let mut scripted = script.0.lock().expect("nobody panics");
        let calls = together.iter().flat_map(|exchange| exchange.calls.iter().map(|call| (exchange.line(), call)));
        scripted.calls = calls.map(|(line, call)| dated(line, call, start)).collect();
    }
    let mut asked = Vec::new();
    for exchange in together {
        let answer = scene.send(request(exchange, start)?);
        asked.push(tokio::spawn(async move { Got::read(answer.await).await }));
    }
    for (exchange, got) in together.iter().zip(asked) {
        // Of tokio's paused time, which runs ahead only when nothing else can be done.
        let got = tokio::time::timeout(Duration::from_secs(3600), got).await;
        let got = got.map_err(|_| exchange.at.fault("this request is never answered"))?;
        let got = got.map_err(|_| exchange.at.fault("this request makes the service panic"))?;
        let verdict = compare(&exchange.expected, &got, start);
        script.faults()?;
        verdict?;
    }
    // What goes on in the background has to be over before the next step.
    take(10).await;
    settle().await;
    script.faults()?;
    match script.0.lock().expect("nobody panics").calls.pop() {
        Some(call) => Err(call.at.fault("the origin is not asked")),
        None => Ok(()),
    }
}

fn request(exchange: &Exchange, start: Timestamp) -> Result<Request<Full<Bytes>>, Fault> {
    let request = Request::builder().method(exchange.method.as_str()).uri(&exchange.target);
    let request =
        exchange.fields.iter().fold(request, |request, (name, value)| request.header(name, moments(value, start)));
    let body = Full::from(exchange.body.clone());
    request.body(body).map_err(|error| exchange.at.fault(format!("no request: {error}")))
}

/// The calls that are still to come, and what was wrong with those that were.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Scripted>>);

#[derive(Default)]
struct Scripted {
    calls: Vec<Scheduled>,
    faults: Vec<Fault>,
    clock: Option<TestClock>,
}

/// A call, with its moments written out.
struct Scheduled {
    /// The request that it is for.
    line: String,
    at: Place,
    seen: Vec<(Place, Check)>,
    answer: Answer,
}

fn dated(line: String, call: &Call, start: Timestamp) -> Scheduled {
    let lines = |lines: &[(String, String)]| -> Vec<(String, String)> {
        lines.iter().map(|(name, value)| (name.clone(), moments(value, start))).collect()
    };
    let Answer { status, body, fields, trailers, after, end } = &call.answer;
    Scheduled {
        line,
        at: call.at.clone(),
        seen: call.seen.iter().map(|(at, check)| (at.clone(), written(check, start))).collect(),
        answer: Answer {
            status: *status,
            body: body.clone(),
            fields: lines(fields),
            trailers: lines(trailers),
            after: *after,
            end: *end,
        },
    }
}

fn written(check: &Check, start: Timestamp) -> Check {
    match check {
        Check::Field(name, value) => Check::Field(name.clone(), moments(value, start)),
        other => other.clone(),
    }
}

// === impl Script ===

impl Script {
    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<http::Response<Body>, Failed> {
        let head = format!("{} {}", request.method(), request.uri());
        let (call, clock) = {
            let mut scripted = self.0.lock().expect("nobody panics");
            // Of requests that are sent together any may be the first to come here.
            let own = scripted.calls.iter().position(|call| call.line == head).unwrap_or(0);
            let call = if scripted.calls.is_empty() { None } else { Some(scripted.calls.remove(own)) };
            (call, scripted.clock.clone())
        };
        let Some(Scheduled { at, seen, answer, .. }) = call else {
            let what = format!("the origin is asked: {head}");
            self.0.lock().expect("nobody panics").faults.push(Fault { at: String::new(), what });
            return Ok(response(599, &[], "not in the script"));
        };
        for (at, check) in &seen {
            if let Err(what) = holds(check, &head, request.headers(), None) {
                self.0.lock().expect("nobody panics").faults.push(at.fault(format!("the origin sees {what}")));
            }
        }
        // Requests that are sent together are all there before the first of them is answered.
        take(1).await;
        if let Some(clock) = clock {
            clock.advance(answer.after);
        }
        let fields: Vec<(&str, &str)> =
            answer.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match answer.end {
            End::Error => Err(Failed),
            End::Whole if answer.trailers.is_empty() => Ok(response(answer.status, &fields, answer.body.clone())),
            End::Whole | End::Cut => {
                let (tap, body) = pipe();
                let trailers = map(&at, &answer.trailers);
                let reply = streamed(answer.status, &fields, body);
                tokio::spawn(async move {
                    tap.data(answer.body).await;
                    match answer.end {
                        End::Cut => tap.broken().await,
                        _ => drop(tap.trailers(trailers).await),
                    }
                });
                Ok(reply)
            }
        }
    }

    fn faults(&self) -> Result<(), Fault> {
        self.0.lock().expect("nobody panics").faults.pop().map_or(Ok(()), Err)
    }
}

fn map(at: &Place, lines: &[(String, String)]) -> HeaderMap {
    let line = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap_or_else(|_| panic!("{at:?}: a field name"));
        (name, HeaderValue::from_str(value).unwrap_or_else(|_| panic!("{at:?}: a field value")))
    };
    lines.iter().map(line).collect()
}

/// What came of a request.
struct Got(Option<(http::response::Parts, String, Option<HeaderMap>, bool)>);

impl Got {
    async fn read<B>(response: Result<http::Response<B>, Failed>) -> Self
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let Ok(response) = response else { return Self(None) };
        let (head, mut body) = response.into_parts();
        let (mut bytes, mut trailers, mut is_cut) = (Vec::new(), None, false);
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => bytes.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => {
                    is_cut = true;
                    break;
                }
            }
        }
        Self(Some((head, String::from_utf8_lossy(&bytes).into_owned(), trailers, is_cut)))
    }
}

fn compare(expected: &Expected, got: &Got, start: Timestamp) -> Result<(), Fault> {
    let at = &expected.at;
    let (Some(status), Got(Some((head, body, trailers, is_cut)))) = (expected.status, got) else {
        return match (expected.status, &got.0) {
            (None, None) => Ok(()),
            (None, Some((head, ..))) => Err(at.fault(format!("an answer, {}, and no error", head.status))),
            (Some(_), _) => Err(at.fault("the service fails")),
        };
    };
    let told = joined(&head.headers, "cache-status").unwrap_or_default();
    if head.status != status {
        return Err(at.fault(format!("the status is {} ({told})", head.status)));
    }
    if expected.body.as_ref().is_some_and(|wanted| wanted != body) {
        return Err(at.fault(format!("the body is {body:?} ({told})")));
    }
    if expected.is_cut != *is_cut {
        return Err(at.fault(if *is_cut { "the body breaks" } else { "the body does not break" }));
    }
    let own = told.rsplit(',').next().unwrap_or_default();
    let parameters: Vec<&str> = own.split(';').skip(1).map(str::trim).collect();
    for (is_there, parameter) in &expected.parameters {
        let is_told = parameters.iter().any(|told| told == parameter || told.split('=').next() == Some(parameter));
        if is_told != *is_there {
            return Err(at.fault(format!("Cache-Status is {told:?}")));
        }
    }
    if parameters.contains(&"hit") && parameters.iter().any(|told| told.starts_with("fwd")) {
        return Err(at.fault(format!("both hit and forwarded (RFC 9211, 2.2): {told:?}")));
    }
    for (at, check) in &expected.checks {
        holds(&written(check, start), "", &head.headers, trailers.as_ref()).map_err(|what| at.fault(what))?;
    }
    Ok(())
}

fn holds(check: &Check, line: &str, headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Result<(), String> {
    match check {
        Check::Request(wanted) if wanted != line => Err(format!("{line:?}")),
        Check::Field(name, wanted) => match joined(headers, name) {
            Some(value) if value == *wanted => Ok(()),
            Some(value) => Err(format!("{name}: {value}")),
            None => Err(format!("no {name}")),
        },
        Check::NoField(name) => joined(headers, name).map_or(Ok(()), |value| Err(format!("{name}: {value}"))),
        Check::Trailer(name, wanted) => match trailers.and_then(|trailers| joined(trailers, name)) {
            Some(value) if value == *wanted => Ok(()),
            other => Err(format!("the trailer {name}: {other:?}")),
        },
        Check::Request(_) => Ok(()),
    }
}

fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// `{T}`, `{T+1h}` and `{T-5s}` as dates, where T is when the scenario begins.
fn moments(text: &str, start: Timestamp) -> String {
    let Some((before, rest)) = text.split_once("{T") else { return text.to_owned() };
    let (span, after) = rest.split_once('}').expect("a brace that closes");
    let nowhere = Place { file: "?", line: 0 };
    let length = |span| duration(&nowhere, span).expect("a time as {T+5s}");
    let moment = match span.split_at(span.len().min(1)) {
        ("+", span) => start.plus(length(span)),
        ("-", span) => start.minus(length(span)),
        _ => start,
    };
    format!("{before}{}{}", httpdate::fmt_http_date(SystemTime::from(moment)), moments(after, start))
}
