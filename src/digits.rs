//! Numbers as field values, without an allocation and without a count that threads would share.

use http::HeaderValue;

/// Numbers below this are ready in the program's own memory: an `Age` of 2 h 46 min, a `Content-Length` of 10 kB.
const READY: u64 = 10_000;

/// `number` in decimal.
#[inline]
pub(crate) fn value(number: u64) -> HeaderValue {
    if number < READY { HeaderValue::from_static(ready(number as usize)) } else { HeaderValue::from(number) }
}

fn ready(number: usize) -> &'static str {
    let (digits, before) = match number {
        0..10 => (1, 0),
        10..100 => (2, 10 - 2 * 10),
        100..1000 => (3, 10 + 180 - 3 * 100),
        _ => (4, 10 + 180 + 2700 - 4 * 1000),
    };
    let start = (digits * number as isize + before) as usize;
    &NUMBERS[start..start + digits as usize]
}

/// "0123456789101112..9999".
const NUMBERS: &str = match std::str::from_utf8(&DIGITS) {
    Ok(numbers) => numbers,
    Err(_) => panic!("digits are ASCII"),
};

static DIGITS: [u8; 10 + 180 + 2700 + 36_000] = {
    let mut digits = [0; 38_890];
    let (mut at, mut number) = (0, 0);
    while number < READY {
        let mut divisor = if number < 10 {
            1
        } else if number < 100 {
            10
        } else if number < 1000 {
            100
        } else {
            1000
        };
        while divisor > 0 {
            digits[at] = b'0' + (number / divisor % 10) as u8;
            (at, divisor) = (at + 1, divisor / 10);
        }
        number += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_its_digits() {
        for number in (0..2 * READY).chain([u64::from(u32::MAX), u64::MAX]) {
            assert_eq!(value(number).to_str().unwrap(), number.to_string());
        }
    }
}
