//! What the RFCs ask of a shared cache, as scenarios that are played on the layer. The scenarios are in the `*.scenarios`
//! beside this file, their language is told in `README.md`, and `docs/rfc9111.md` says which proves what.
//!
//! `cargo test --test corpus storing` plays one file; `SCENARIO=words` in the environment plays those with these words in
//! their name.

#[path = "../support/mod.rs"]
mod support;

mod line;
mod play;
mod script;
mod table;
mod would_catch;

use script::Scenario;

/// A test for each file.
macro_rules! scenarios {
    ($($file:ident)*) => {
        const FILES: &[(&str, &str)] = &[$((stringify!($file), include_str!(concat!(stringify!($file), ".scenarios")))),*];
        $(
            #[tokio::test(start_paused = true)]
            async fn $file() {
                play_file(stringify!($file)).await;
            }
        )*
    };
}

scenarios! {
    cache_status
    changes
    directives
    cache_status_more
    entity_tags
    freshness
    groups
    post
    reverse_proxy
    targeted
    head
    parts
    query
    several_ranges
    stale
    storing
    validation
    vary
}

async fn play_file(file: &str) {
    let words = std::env::var("SCENARIO").unwrap_or_default();
    let mut faults = Vec::new();
    for scenario in all().iter().filter(|scenario| scenario.at.file == file && scenario.name.contains(&words)) {
        if let Err(fault) = play::play(scenario).await {
            let at = if fault.at.is_empty() { scenario.at.fault("").at } else { fault.at };
            faults.push(format!("{}\n    {at}: {}", scenario.name, fault.what));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// All scenarios of all files.
fn all() -> Vec<Scenario> {
    let read = |(file, text): &(&'static str, &'static str)| {
        script::parse(file, text).unwrap_or_else(|fault| panic!("{}: {}", fault.at, fault.what))
    };
    FILES.iter().flat_map(read).collect()
}

#[test]
fn every_file_of_scenarios_is_played() {
    let folder =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus")).expect("the folder is readable");
    let mut found: Vec<String> = folder
        .filter_map(|entry| entry.expect("the folder is readable").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".scenarios").map(str::to_owned))
        .collect();
    found.sort();
    let mut played: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
    played.sort_unstable();
    assert_eq!(found, played);
}

#[test]
fn no_two_scenarios_have_one_name() {
    let mut names: Vec<String> = all().into_iter().map(|scenario| scenario.name).collect();
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
