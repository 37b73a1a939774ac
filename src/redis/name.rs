//! Names of things on the server, which become part of keys.

use crate::error::Error;

/// The longest name, in bytes.
const LONGEST: usize = 200;

/// `name` of `what`, if it can be part of a key: a brace would decide where in a Cluster the key lives, and whatever is called by
/// a name with one could be taken for something else.
pub(super) fn checked<'a>(what: &str, name: &'a str) -> Result<&'a str, Error> {
    let is_good = |c: char| !matches!(c, '{' | '}') && !c.is_control();
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_good) {
        let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        let rule = format!("has from 1 to {LONGEST} bytes without braces and control characters");
        return Err(Error::invalid(&format!("the name of {what} {rule}, not `{shown}`")));
    }
    Ok(name)
}

/// `error`, with the key that it is about.
pub(super) fn at(key: &str, error: Error) -> Error {
    error.prefixed(&format!("`{key}`: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_move_a_key_are_refused() {
        for good in ["a", "order:42", "Grüße", &"x".repeat(LONGEST)] {
            assert_eq!(checked("a lock", good).unwrap(), good);
        }
        for bad in ["", "{a}", "a}b", "a\n", &"x".repeat(LONGEST + 1)] {
            let error = checked("a lock", bad).unwrap_err();
            assert!(error.is_invalid() && error.to_string().starts_with("the name of a lock"), "{error}");
        }
    }
}
