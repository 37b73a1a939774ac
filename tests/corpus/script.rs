//! The language of the scenarios: see `README.md` beside this file. What it does not know, it rejects.

use std::time::Duration;

use crate::line::{check, duration, field, parts, quoted};

/// Why a scenario cannot be read, or what in it did not come true.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `file:line`
    pub(crate) at: String,
    pub(crate) what: String,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) at: Place,
    pub(crate) name: String,
    /// `RFC 9111 4.2`
    pub(crate) cites: Vec<String>,
    pub(crate) rules: Vec<(Place, String)>,
    pub(crate) steps: Vec<Step>,
}

/// Where in which file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: usize,
}

#[derive(Debug)]
pub(crate) enum Step {
    Forward(Duration),
    Back(Duration),
    /// Requests that are sent together.
    Ask(Vec<Exchange>),
}

/// A request, what the origin makes of it, and what its client is to have.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) at: Place,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
    /// The calls of the origin that it leads to, in the background too.
    pub(crate) calls: Vec<Call>,
    pub(crate) expected: Expected,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: Place,
    pub(crate) seen: Vec<(Place, Check)>,
    pub(crate) answer: Answer,
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) trailers: Vec<(String, String)>,
    /// How much of the clock it takes.
    pub(crate) after: Duration,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Whole,
    /// The body breaks.
    Cut,
    /// There is no response.
    Error,
}

#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) at: Place,
    /// None where the service fails.
    pub(crate) status: Option<u16>,
    pub(crate) body: Option<String>,
    pub(crate) is_cut: bool,
    /// Parameters of the last member of `Cache-Status`, and whether they are there.
    pub(crate) parameters: Vec<(bool, String)>,
    pub(crate) checks: Vec<(Place, Check)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// All lines of the field, joined.
    Field(String, String),
    NoField(String),
    /// `GET /path`
    Request(String),
    Trailer(String, String),
}

/// Reads a file of scenarios.
pub(crate) fn parse(file: &'static str, text: &str) -> Result<Vec<Scenario>, Fault> {
    let mut scenarios = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = Place { file, line: index + 1 };
        let line = line.trim_end();
        if line.is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        if let Some(title) = line.strip_prefix("## ") {
            scenarios.push(Scenario::titled(&at, title)?);
            continue;
        }
        let scenario = scenarios.last_mut().ok_or_else(|| at.fault("a scenario begins with `## name [RFC ..]`"))?;
        scenario.read(&at, line)?;
    }
    for scenario in &scenarios {
        if let Some(open) = scenario.exchanges().find(|exchange| exchange.expected.at.line == 0) {
            return Err(open.at.fault("what is expected of this request? a line with `=` is missing"));
        }
    }
    Ok(scenarios)
}

// === impl Place ===

impl Place {
    pub(crate) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { at: format!("tests/corpus/{}.scenarios:{}", self.file, self.line), what: what.into() }
    }
}

// === impl Scenario ===

impl Scenario {
    fn titled(at: &Place, title: &str) -> Result<Self, Fault> {
        let (name, cites) = title
            .strip_suffix(']')
            .and_then(|title| title.rsplit_once(" ["))
            .ok_or_else(|| at.fault("a title ends with what it rests on, as `[RFC 9111 4.2; RFC 5861 3]`"))?;
        let cites: Vec<String> = cites.split("; ").map(str::to_owned).collect();
        if let Some(cite) = cites.iter().find(|cite| !is_citation(cite)) {
            return Err(at.fault(format!("{cite:?} is no citation as `RFC 9111 4.2`")));
        }
        Ok(Self { at: at.clone(), name: name.trim().to_owned(), cites, rules: Vec::new(), steps: Vec::new() })
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.steps.iter().flat_map(|step| match step {
            Step::Ask(exchanges) => exchanges.as_slice(),
            Step::Forward(_) | Step::Back(_) => &[],
        })
    }

    fn read(&mut self, at: &Place, line: &str) -> Result<(), Fault> {
        if let Some(rules) = line.strip_prefix("rules: ") {
            if !self.steps.is_empty() {
                return Err(at.fault("rules stand before the first step"));
            }
            self.rules.extend(rules.split_whitespace().map(|rule| (at.clone(), rule.to_owned())));
        } else if let Some(span) = line.strip_prefix('+') {
            self.steps.push(Step::Forward(duration(at, span)?));
        } else if let Some(span) = line.strip_prefix('-') {
            self.steps.push(Step::Back(duration(at, span)?));
        } else if let Some(rest) = line.strip_prefix("& ") {
            let exchange = Exchange::begun(at, rest).ok_or_else(|| at.fault("`&` goes before a request"))??;
            match self.steps.last_mut() {
                Some(Step::Ask(together)) => together.push(exchange),
                _ => return Err(at.fault("`&` goes before a request that is sent together with the one above it")),
            }
        } else if let Some(exchange) = Exchange::begun(at, line) {
            self.steps.push(Step::Ask(vec![exchange?]));
        } else if let Some(Step::Ask(together)) = self.steps.last_mut() {
            let exchange = together.last_mut().expect("a step has a request");
            exchange.read(at, line)?;
        } else {
            return Err(at.fault(format!("no step: {line:?}")));
        }
        Ok(())
    }
}

/// `RFC 9111 4.2`
fn is_citation(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let numbers =
        |text: &str, dots| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (dots && b == b'.'));
    matches!(words[..], ["RFC", number, section] if numbers(number, false) && numbers(section, true))
}

// === impl Exchange ===

impl Exchange {
    /// `GET /path; name: value; name: value`
    fn begun(at: &Place, line: &str) -> Option<Result<Self, Fault>> {
        let (line, fields) = parts(line);
        let (method, target) = line.split_once(' ')?;
        let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if !is_method || method.is_empty() || target.contains(' ') {
            return None;
        }
        let fields: Result<_, Fault> = fields.iter().map(|part| field(at, part)).collect();
        Some(fields.map(|fields| Self {
            at: at.clone(),
            method: method.to_owned(),
            target: target.to_owned(),
            fields,
            body: String::new(),
            calls: Vec::new(),
            expected: Expected {
                at: Place { file: at.file, line: 0 },
                status: None,
                body: None,
                is_cut: false,
                parameters: Vec::new(),
                checks: Vec::new(),
            },
        }))
    }

    /// `GET /path`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn read(&mut self, at: &Place, line: &str) -> Result<(), Fault> {
        match line.split_once(' ') {
            Some((">", rest)) => each(rest, |part| self.seen(at, part)),
            Some(("<", rest)) => each(rest, |part| self.answer(at, part)),
            Some(("=", rest)) => each(rest, |part| self.expect(at, part)),
            Some(("body", text)) => {
                self.body = quoted(at, text.trim_start())?.0;
                Ok(())
            }
            _ => {
                self.fields.push(field(at, line)?);
                Ok(())
            }
        }
    }

    /// What the origin is to see. The next status answers that call.
    fn seen(&mut self, at: &Place, text: &str) -> Result<(), Fault> {
        let is_new = self.calls.last().is_none_or(|call| call.answer.status != 0 || call.answer.end == End::Error);
        if is_new {
            self.calls.push(Call { at: at.clone(), seen: Vec::new(), answer: Answer::default() });
        }
        let check = match text.split_once(' ') {
            Some((method, target)) if !method.ends_with(':') => Check::Request(format!("{method} {target}")),
            _ => check(at, text)?,
        };
        self.calls.last_mut().expect("one was made").seen.push((at.clone(), check));
        Ok(())
    }

    fn answer(&mut self, at: &Place, text: &str) -> Result<(), Fault> {
        let begins = text == "error" || text.starts_with(|first: char| first.is_ascii_digit());
        if begins {
            let is_open =
                self.calls.last().is_some_and(|call| call.answer.status == 0 && call.answer.end == End::Whole);
            if !is_open {
                self.calls.push(Call { at: at.clone(), seen: Vec::new(), answer: Answer::default() });
            }
        }
        let Some(Call { answer, .. }) = self.calls.last_mut().filter(|call| begins || call.answer.status != 0) else {
            return Err(at.fault("an answer begins with its status, as `< 200 \"body\"`, or is an `error`"));
        };
        if !begins {
            match text.strip_prefix("trailer ") {
                Some(trailer) => answer.trailers.push(field(at, trailer)?),
                None => answer.fields.push(field(at, text)?),
            }
            return Ok(());
        }
        if text == "error" {
            answer.end = End::Error;
            return Ok(());
        }
        let (status, mut rest) = text.split_at(3.min(text.len()));
        answer.status = status.parse().map_err(|_| at.fault("a status has three digits"))?;
        while !rest.trim_start().is_empty() {
            rest = rest.trim_start();
            if rest.starts_with('"') {
                let (body, after) = quoted(at, rest)?;
                (answer.body, rest) = (body, after);
            } else if let Some(after) = rest.strip_prefix("cut") {
                (answer.end, rest) = (End::Cut, after);
            } else if let Some(span) = rest.strip_prefix("after ") {
                let (span, after) = span.split_once(' ').unwrap_or((span, ""));
                (answer.after, rest) = (duration(at, span)?, after);
            } else {
                return Err(at.fault(format!("behind a status stand a body, `cut` or `after 5s`, but not {rest:?}")));
            }
        }
        Ok(())
    }

    fn expect(&mut self, at: &Place, text: &str) -> Result<(), Fault> {
        let expected = &mut self.expected;
        let begins = text == "error" || text.starts_with(|first: char| first.is_ascii_digit());
        if begins != (expected.at.line == 0) {
            return Err(at.fault("what is expected begins with one status, as `= 200 \"body\" hit`, or is an `error`"));
        }
        if !begins {
            let check = match text.strip_prefix("trailer ") {
                Some(trailer) => field(at, trailer).map(|(name, value)| Check::Trailer(name, value))?,
                None => check(at, text)?,
            };
            expected.checks.push((at.clone(), check));
            return Ok(());
        }
        expected.at = at.clone();
        if text == "error" {
            return Ok(());
        }
        let (status, mut rest) = text.split_at(3.min(text.len()));
        expected.status = Some(status.parse().map_err(|_| at.fault("a status has three digits"))?);
        while !rest.trim_start().is_empty() {
            rest = rest.trim_start();
            if rest.starts_with('"') {
                let (body, after) = quoted(at, rest)?;
                (expected.body, rest) = (Some(body), after);
                continue;
            }
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            let (is_there, parameter) = word.strip_prefix('!').map_or((true, word), |word| (false, word));
            let name = parameter.split('=').next().unwrap_or_default();
            match name {
                "cut" => expected.is_cut = true,
                "hit" | "fwd" | "fwd-status" | "stored" | "collapsed" | "ttl" | "key" | "detail" => {
                    expected.parameters.push((is_there, parameter.to_owned()));
                }
                _ => return Err(at.fault(format!("{word:?} is neither `cut` nor a parameter of Cache-Status"))),
            }
        }
        Ok(())
    }
}

/// Reads the first part of a line, then the fields behind it.
fn each(line: &str, mut read: impl FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault> {
    let (head, fields) = parts(line.trim_start());
    read(head)?;
    fields.into_iter().try_for_each(read)
}
