//! How a token comes and goes.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    cookie::SessionCookie,
    keys::{SIGNED_TEXT, SigningKeys},
    token::{TOKEN_TEXT, Token},
};

/// What carries the token.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    pub(super) carrier: Carrier,
    pub(super) keys: Option<SigningKeys>,
}

#[derive(Clone, Debug)]
pub(super) enum Carrier {
    Cookie(SessionCookie),
    Header(HeaderName),
}

/// What a request came with, of the right length and otherwise unread, copied so that nothing is allocated.
pub(super) struct Presented {
    length: u8,
    text: [u8; SIGNED_TEXT],
}

/// What a client is told of its token.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// Its new one, and for how long it is to be kept if not until the client is closed.
    Token(Token, Option<Duration>),
    /// That it has none any more.
    Removed,
}

// === impl Transport ===

impl Transport {
    /// Takes what a request came with out of its head, so that nothing further in can tell it, pass it on, or answer by it.
    pub(super) fn take(&self, headers: &mut HeaderMap) -> Presented {
        match &self.carrier {
            Carrier::Cookie(cookie) => {
                let (presented, any) = self.present(cookie.values(headers));
                if any {
                    cookie.strip(headers);
                }
                presented
            }
            Carrier::Header(name) => {
                let (presented, any) = self.present(headers.get_all(name).into_iter().map(HeaderValue::as_bytes));
                if any {
                    headers.remove(name);
                }
                presented
            }
        }
    }

    /// The one of `values`, and whether there are any. Of several that differ none is believed: all but one are another's.
    fn present<'a>(&self, mut values: impl Iterator<Item = &'a [u8]>) -> (Presented, bool) {
        let mut presented = Presented { length: 0, text: [0; SIGNED_TEXT] };
        let Some(first) = values.next() else { return (presented, false) };
        let expected = if self.keys.is_some() { SIGNED_TEXT } else { TOKEN_TEXT };
        if first.len() == expected && values.all(|other| other == first) {
            presented.text[..expected].copy_from_slice(first);
            presented.length = expected as u8;
        }
        (presented, true)
    }

    /// `None` for what cannot be a token of ours.
    pub(super) fn read(&self, presented: &Presented) -> Option<Token> {
        let text = &presented.text[..usize::from(presented.length)];
        match &self.keys {
            Some(keys) => keys.read(text),
            None => Token::read(text),
        }
    }

    pub(super) fn tell(&self, told: &Told, headers: &mut HeaderMap) {
        let (value, max_age) = match told {
            Told::Token(token, max_age) => {
                let text = self.keys.as_ref().map_or_else(|| token.write(), |keys| keys.write(token));
                (Some(text), *max_age)
            }
            Told::Removed => (None, None),
        };
        let (name, line) = match &self.carrier {
            Carrier::Cookie(cookie) => (header::SET_COOKIE, cookie.field(value.as_deref(), max_age)),
            Carrier::Header(name) => (name.clone(), value.unwrap_or_default()),
        };
        let mut line = HeaderValue::try_from(line).expect("tokens, and what cookies are built of, are visible ASCII");
        line.set_sensitive(true);
        headers.append(name, line);
    }
}
