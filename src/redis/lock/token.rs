//! What tells a later holder from an earlier one.

use std::{fmt, str::FromStr};

use crate::error::Error;

/// The order in which holders had a lock: of two tokens the greater is the later holder's, and no two holders share one.
///
/// As text it has 33 ASCII characters, 16 digits, a hyphen and 16 lower-case hexadecimal digits, so that comparing bytes
/// compares tokens. A resource keeps the text with what it protects. See the [module](crate::redis::lock#fencing).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken {
    number: u64,
    nonce: u64,
}

/// Lua counts in doubles.
const MOST: u64 = (1 << 53) - 1;

const DIGITS: usize = 16;

// === impl FencingToken ===

impl FencingToken {
    pub(super) fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}-{:016x}", self.number, self.nonce)
    }
}

/// Reads what [`Display`](fmt::Display) wrote.
///
/// # Errors
///
/// [`Invalid`](crate::error::ErrorKind::Invalid), for any other text.
impl FromStr for FencingToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (number, nonce) = text.split_once('-')?;
            let token = Self { number: number.parse().ok()?, nonce: u64::from_str_radix(nonce, 16).ok()? };
            (token.number <= MOST && token.to_string() == text).then_some(token)
        };
        read().ok_or_else(|| {
            Error::invalid("a fencing token is 16 digits, a hyphen and 16 lower-case hexadecimal digits")
        })
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FencingToken({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_ordered_as_tokens_are_and_read_back(a in (0..=MOST, any::<u64>()), b in (0..=MOST, any::<u64>())) {
            let [a, b] = [a, b].map(|(number, nonce)| FencingToken { number, nonce });
            prop_assert_eq!(a.to_string().as_bytes().cmp(b.to_string().as_bytes()), a.cmp(&b));
            prop_assert_eq!(a.to_string().parse::<FencingToken>().unwrap(), a);
            prop_assert_eq!(a.to_string().len(), 33);
        }

        #[test]
        fn any_other_text_is_no_token(text in "[0-9a-fA-F+-]{0,36}|\\PC*") {
            if let Ok(token) = text.parse::<FencingToken>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }

    #[test]
    fn numbers_that_lua_cannot_count_are_refused() {
        let most = FencingToken { number: MOST, nonce: 0 };
        assert_eq!(most.to_string().parse::<FencingToken>().unwrap(), most);
        assert!(
            FencingToken { number: MOST + 1, nonce: 0 }.to_string().parse::<FencingToken>().unwrap_err().is_invalid()
        );
        for text in ["", "-", "1-1", "000000000000001-+000000000000001", "0000000000000001-000000000000000G"] {
            assert!(text.parse::<FencingToken>().is_err(), "{text}");
        }
    }
}
