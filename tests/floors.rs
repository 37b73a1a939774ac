//! The house stands: a module names only floors below its own, and nothing beside it.
//!
//! Every file under `src` is read as tokens, without comments, literals and `#[cfg(test)]` items. Each path that starts
//! at `crate` or climbs there by `super` names a room; [`FLOORS`] says who may name it. [`PURE`] and [`SPAWN`] keep
//! clocks, waiting and tasks where they belong. When this test fails, mend the code.

use std::{collections::BTreeSet, fs, path::Path};

use tokens::{Token, occurrences, tokens, without_tests, word};

#[path = "floors/tokens.rs"]
mod tokens;
#[path = "floors/would_catch.rs"]
mod would_catch;

/// Rooms by floor. A room of the upper floors may name every room of a lower floor, and none of its own.
const FLOORS: [(u8, &[&str]); 5] = [
    (5, &["dashboard"]),
    (4, &["cache", "limit", "session", "aside"]),
    (3, &["store"]),
    (2, &["redis"]),
    (GROUND, &["quota", "expiry", "observe", "error", "clock", "private", "origin", "digits"]),
];

const GROUND: u8 = 1;

/// On the ground words stand beside words; these may name those.
const GROUND_NAMES: [(&str, &[&str]); 2] = [("expiry", &["clock"]), ("quota", &["clock", "error"])];

/// The cellar: everyone may name it, it names nothing.
const MACROS: &str = "macros";

/// Rules without async, input or clock: `now` is an argument.
const PURE: [&str; 3] = ["cache/policy/", "quota/", "expiry.rs"];
const IMPURE: [&[&str]; 6] =
    [&["async"], &["await"], &["tokio"], &["Instant", "::", "now"], &["SystemTime", "::", "now"], &[".", "now", "("]];

/// The only files that start tasks.
const SPAWN: [&str; 3] = ["store/fetch.rs", "store/redis/keeper.rs", "redis/lock/keeper.rs"];
const SPAWNS: [&[&str]; 4] = [&["spawn", "("], &["spawn_blocking", "("], &["spawn_local", "("], &["spawn_on", "("]];

#[test]
fn every_module_names_only_floors_below_its_own() {
    let files = sources();
    assert!(files.iter().any(|(path, _)| path == "lib.rs"), "src/lib.rs is among the files read");
    let faults = faults(&files);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_words_of_the_ground_floor_name_each_other_in_no_circle() {
    fn reach<'a>(word: &'a str, seen: &mut Vec<&'a str>) {
        for next in ground_names(word) {
            assert_eq!(floor(next), Some(GROUND), "{next} is a word of the ground floor");
            assert!(!seen.contains(next), "{word} names {next}, which led to {word}: {seen:?}");
            seen.push(next);
            reach(next, seen);
            seen.pop();
        }
    }
    for (word, _) in GROUND_NAMES {
        reach(word, &mut vec![word]);
    }
}

/// All files under `src`, each with its path below it, in `/`.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, below: &str, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a folder under src is readable") {
            let entry = entry.expect("a folder under src is readable");
            let name = format!("{below}{}", entry.file_name().to_str().expect("file names are UTF-8"));
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), files);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(entry.path()).expect("a source file is readable UTF-8");
                files.push((name, text));
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files.sort();
    files
}

/// Whatever breaks the rules of the house in `files`, one sentence each.
fn faults(files: &[(String, String)]) -> Vec<String> {
    let read: Vec<(&str, Vec<Token>, Vec<String>)> = files
        .iter()
        .map(|(path, text)| {
            let (tokens, test_modules) = without_tests(&tokens(text));
            (path.as_str(), tokens, test_modules)
        })
        .collect();

    // `#[cfg(test)] mod tests;` makes the file it points to a test as well, with all below it.
    let mut tests = BTreeSet::new();
    for (path, _, names) in &read {
        let folder = module(path).join("/");
        for name in names {
            tests.insert(format!("{folder}/{name}").trim_start_matches('/').to_owned());
        }
    }
    let is_test = |path: &str| {
        let module = module(path);
        (1..=module.len()).any(|n| tests.contains(&module[..n].join("/")))
    };

    let mut faults = Vec::new();
    for (path, tokens, _) in read.iter().filter(|(path, ..)| !is_test(path)) {
        let mut fault = |line: usize, why: String| faults.push(format!("src/{path}:{line}: {why}"));
        let module = module(path);
        if let Some(own) = module.first() {
            if own != MACROS && floor(own).is_none() {
                fault(1, format!("`{own}` has no floor; give it one in tests/floors.rs, as low as its users allow"));
            } else {
                for (line, name) in rooms_named(&module, tokens) {
                    if let Err(why) = may_name(own, &name) {
                        fault(line, why);
                    }
                }
            }
        }
        if PURE.iter().any(|pure| path.starts_with(pure)) {
            for (line, words) in occurrences(tokens, &IMPURE) {
                fault(line, format!("`{words}` in a pure rule: no async, no input, no clock; `now` is an argument"));
            }
        }
        if !SPAWN.contains(path) {
            for (line, words) in occurrences(tokens, &SPAWNS) {
                fault(line, format!("`{words}..)`: only {} starts tasks", SPAWN.join(", ")));
            }
        }
    }
    faults.dedup();
    faults
}

/// Whether code in the room `own` may name `name`, the first word after `crate::`.
fn may_name(own: &str, name: &str) -> Result<(), String> {
    if own == MACROS {
        return Err(format!("`{MACROS}` names nothing, but it names `crate::{name}`"));
    }
    if own == name || name == MACROS {
        return Ok(());
    }
    let Some(theirs) = floor(name) else {
        return Err(format!("`crate::{name}` is no room of the house; a thing is named by the file that owns it"));
    };
    let ours = floor(own).expect("the caller has looked the room up");
    if theirs < ours || (ours == GROUND && ground_names(own).contains(&name)) {
        return Ok(());
    }
    let rule = if theirs > ours {
        "a module names only floors below its own"
    } else if ours == GROUND {
        "on the ground a word names only what the table gives it"
    } else {
        "rooms of one floor never name each other"
    };
    Err(format!("`{own}` (floor {ours}) names `crate::{name}` (floor {theirs}): {rule}"))
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| *floor)
}

fn ground_names(word: &str) -> &'static [&'static str] {
    GROUND_NAMES.iter().find(|(name, _)| *name == word).map_or(&[], |(_, names)| names)
}

/// `cache/policy/mod.rs` is `cache::policy`, `cache/key.rs` is `cache::key`, `lib.rs` the root.
fn module(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

// === Paths ===

/// The first word below the crate's root of every path in `tokens` that gets there, with its line.
fn rooms_named(file: &[String], tokens: &[Token]) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut module = file.to_vec();
    let mut braces = Vec::new(); // for each open brace, how deep the modules were before it
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "mod" if word(tokens, at + 2) == "{" => {
                braces.push(module.len());
                module.push(word(tokens, at + 1).to_owned());
                at += 2;
            }
            "{" => braces.push(module.len()),
            "}" => module.truncate(braces.pop().unwrap_or(file.len())),
            // `pub(crate)`, `pub(super)`
            "crate" | "super" if at > 0 && word(tokens, at - 1) == "(" && word(tokens, at + 1) == ")" => {}
            // The middle of a path was followed from its start; `self` alone is a value.
            start @ ("crate" | "super" | "self")
                if (at == 0 || word(tokens, at - 1) != "::") && (start != "self" || word(tokens, at + 1) == "::") =>
            {
                at = follow(tokens, at, module.clone(), &mut named);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    named
}

/// Follows the path that starts at `at` from the module `from`; notes each end of it; tells where it stops.
fn follow(tokens: &[Token], mut at: usize, mut from: Vec<String>, named: &mut Vec<(usize, String)>) -> usize {
    let line = tokens[at].line;
    loop {
        match word(tokens, at) {
            "crate" => from.clear(),
            "super" => drop(from.pop()),
            "self" => {}
            "{" => {
                at += 1;
                while at < tokens.len() && word(tokens, at) != "}" {
                    let next = follow(tokens, at, from.clone(), named);
                    at = next.max(at + 1);
                    // `as name`, then the comma
                    while !matches!(word(tokens, at), "," | "}" | "") {
                        at += 1;
                    }
                    if word(tokens, at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            segment => from.push(segment.to_owned()),
        }
        if word(tokens, at + 1) == "::" && is_segment(word(tokens, at + 2)) {
            at += 2;
        } else {
            break;
        }
    }
    // A path that stays inside the file's own room ends in that room, and naming it is allowed.
    named.push((line, from.first().map_or("{the root itself}", String::as_str).to_owned()));
    at + 1
}

/// What may follow `::` in a path, unlike the `<` of a turbofish.
fn is_segment(word: &str) -> bool {
    matches!(word, "{" | "*") || word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
