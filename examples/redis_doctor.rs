//! How a Redis is, and what about it should be different.
//!
//! ```text
//! cargo run --features redis --example redis_doctor -- redis://127.0.0.1 cache sessions   (NAMESPACE=bartizan)
//! ```
//!
//! After the URL comes what it serves: `cache`, `limits`, `sessions`, `tools`; everything, if nothing is said. It only reads. The
//! exit code is 1 when there is advice. Try it on a fresh `redis-server`, then set what it says (`redis-cli config set ..`) and
//! see it fall silent.

use std::{env, error::Error, fmt::Display, process::ExitCode, time::Duration};

use bartizan::{
    Redis,
    redis::health::{Checkup, Keys, Node, Purpose},
};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "redis://127.0.0.1".to_owned());
    let mut purposes = args.map(|word| purpose(&word)).collect::<Result<Vec<_>, _>>()?;
    if purposes.is_empty() {
        purposes = vec![Purpose::Cache, Purpose::Limits, Purpose::Sessions, Purpose::Tools];
    }
    let namespace = env::var("NAMESPACE").unwrap_or_else(|_| "bartizan".to_owned());
    let redis = Redis::builder(&url)?.namespace(namespace.as_str()).deadline(Duration::from_secs(5)).connect().await?;

    let report = Checkup::new(&redis).serves(purposes).run().await?;
    report.nodes.iter().for_each(print_node);
    print_keys(&report.keys, &namespace);
    println!();
    if report.advice.is_empty() {
        println!("Nothing to advise.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Advice, the worst first");
    for advice in &report.advice {
        println!("  [{}] {advice}", advice.finding.as_str());
    }
    Ok(ExitCode::FAILURE)
}

fn purpose(word: &str) -> Result<Purpose, String> {
    match word {
        "cache" => Ok(Purpose::Cache),
        "limits" => Ok(Purpose::Limits),
        "sessions" => Ok(Purpose::Sessions),
        "tools" => Ok(Purpose::Tools),
        _ => Err(format!("{word}: it serves cache, limits, sessions or tools")),
    }
}

fn print_node(node: &Node) {
    println!("{}", node.address.as_deref().unwrap_or("The server"));
    if let Some(info) = &node.info {
        let (memory, stats) = (&info.memory, &info.stats);
        line("version", format!("{}, up for {}", info.version, span(info.uptime)));
        let limit = memory.limit.filter(|limit| *limit > 0).map_or("no limit".to_owned(), size);
        let policy = memory.policy.as_deref().unwrap_or("unknown");
        line("memory", format!("{} used (peak {}), {limit}, {policy}", size(memory.used), size(memory.peak)));
        line("clients", format!("{} of {}, {} blocked", stats.clients, stats.max_clients, stats.blocked_clients));
        line("commands", format!("{} in all, {} in the last second", stats.commands, stats.commands_per_second));
        let asked = (stats.hits + stats.misses).max(1);
        line("lookups", format!("{} found, {:.0} %", stats.hits, 100.0 * stats.hits as f64 / asked as f64));
        line("dropped", format!("{} expired, {} evicted", stats.expired, stats.evicted));
        let role = if info.replication.is_replica { "replica" } else { "primary" };
        let replicas: Vec<_> = info.replication.replicas.iter().map(|one| one.address.as_str()).collect();
        line(
            "replication",
            format!("{role}, replicas: {}", if replicas.is_empty() { "none".to_owned() } else { replicas.join(", ") }),
        );
        let disk = &info.persistence;
        let file = if disk.append_only { "append-only file" } else { "no append-only file" };
        line("disk", format!("{file}, {} writes since the last snapshot", disk.changes_since_save));
    }
    line("round trip", format!("{:.0?}", node.round_trip));
    for spike in node.spikes.iter().take(3) {
        line("latency", format!("{}: {:?}, at worst {:?}", spike.event, spike.latest, spike.longest));
    }
    let mut slow: Vec<_> = node.slow.iter().collect();
    slow.sort_by_key(|slow| std::cmp::Reverse(slow.took));
    for slow in slow.into_iter().take(3) {
        line("slow", format!("{:.1?}  {}", slow.took, slow.command));
    }
    if !node.withheld.is_empty() {
        line("withheld", node.withheld.join(", "));
    }
}

fn print_keys(keys: &Keys, namespace: &str) {
    let all = if keys.complete { "all" } else { "the first" };
    println!("\nKeys of {namespace}: {all} {} were looked at, {} never expire", keys.seen, keys.lasting);
    for key in keys.largest.iter().take(5) {
        line(&size(key.bytes), &key.name);
    }
}

fn line(name: &str, text: impl Display) {
    println!("  {name:<12} {text}");
}

fn span(span: Duration) -> String {
    match span.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs @ 7_200..172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
