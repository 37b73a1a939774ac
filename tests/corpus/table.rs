//! `docs/rfc9111.md` leaves nothing out: each row names scenarios that cite its section, and each scenario is in a row.

use std::collections::BTreeMap;

use crate::all;

const TABLE: &str = include_str!("../../docs/rfc9111.md");

/// `| 4.2.1 | MUST | what | scenarios |`
struct Row {
    section: &'static str,
    proof: &'static str,
}

fn rows() -> Vec<Row> {
    let cells = TABLE.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = cells.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let is_row = |cells: &Vec<&str>| cells[0].starts_with(|first: char| first.is_ascii_digit());
    cells
        .filter(is_row)
        .map(|cells| match cells[..] {
            [section, _keyword, _what, proof] => Row { section, proof },
            _ => panic!("a row has four cells: {cells:?}"),
        })
        .collect()
}

/// What stands between backquotes.
fn names(proof: &str) -> impl Iterator<Item = &str> {
    proof.split('`').skip(1).step_by(2)
}

#[test]
fn each_row_names_scenarios_that_cite_its_section_or_says_why_there_is_none() {
    let cites: BTreeMap<String, Vec<String>> =
        all().into_iter().map(|scenario| (scenario.name, scenario.cites)).collect();
    let rows = rows();
    assert!(rows.len() > 60, "the table was read");
    let mut faults = Vec::new();
    for Row { section, proof } in rows {
        if proof.starts_with("not applicable: ") {
            continue;
        }
        if names(proof).next().is_none() {
            faults.push(format!("{section}: an empty row"));
        }
        for name in names(proof) {
            match cites.get(name) {
                None => faults.push(format!("{section}: no scenario {name:?}")),
                Some(cites) if !cites.contains(&format!("RFC 9111 {section}")) => {
                    faults.push(format!("{section}: {name:?} cites {cites:?}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn each_scenario_of_rfc_9111_is_in_the_table_under_each_section_it_cites() {
    let rows = rows();
    let mut faults = Vec::new();
    for scenario in all() {
        for section in scenario.cites.iter().filter_map(|cite| cite.strip_prefix("RFC 9111 ")) {
            let is_there = |row: &Row| row.section == section && names(row.proof).any(|name| name == scenario.name);
            if !rows.iter().any(is_there) {
                faults.push(format!("{section}: {:?}", scenario.name));
            }
        }
    }
    assert!(faults.is_empty(), "not in docs/rfc9111.md:\n{}\n", faults.join("\n"));
}
