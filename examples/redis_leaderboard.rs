//! A league: results are reported by several processes, some of them twice, and everybody sees where they stand.
//!
//! ```text
//! cargo run --features redis --example redis_leaderboard            (REDIS_URL=redis://..)
//! cargo run --features redis --example redis_leaderboard -- player-7
//! ```
//!
//! See three points for each game that was won, each game counted once although every fifth is reported twice; the best of today,
//! who is around you, and how many you are better than. Of equal points, who had them first is ahead. Run it again: today's
//! points add up.

use std::{env, error::Error};

use bartizan::{
    Redis,
    clock::{Clock, SystemClock},
    redis::leaderboard::{Entry, Leaderboard, Page, Period, Update},
};
use tokio::task::JoinSet;

const PLAYERS: u32 = 200;
const GAMES: u32 = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let you = env::args().nth(1).unwrap_or_else(|| "player-42".to_owned());
    let redis = Redis::builder(&url)?.namespace("redis_leaderboard").connect().await?;
    let board = Leaderboard::builder(&redis, "league")?
        .periods([Period::DAY, Period::WEEK, Period::EVER])
        .dense_ranks()
        .build();

    // Everybody is on the board from the start; who is on it keeps what they have.
    let nobody: Vec<_> = (0..PLAYERS).map(|player| Update::best(format!("player-{player}"), 0)).collect();
    board.apply(&nobody).await?;

    let before = points(&board.today().page(0, 1000).await?);
    let evening = SystemClock.now().as_secs();
    let mut reports = JoinSet::new();
    for game in 0..GAMES {
        let board = board.clone();
        reports.spawn(async move {
            let winner = format!("player-{}", rand::random_range(0..PLAYERS).min(rand::random_range(0..PLAYERS)));
            // The game's id is what makes a second report harmless.
            let operation = format!("game {evening}-{game}");
            board.increment(&winner, 3, &operation).await?;
            if game % 5 == 0 {
                board.increment(&winner, 3, &operation).await?;
            }
            Ok::<_, bartizan::Error>(())
        });
    }
    for report in reports.join_all().await {
        report?;
    }
    let after = points(&board.today().page(0, 1000).await?);
    println!("{GAMES} games, {} reports, {} points\n", GAMES + GAMES / 5, after - before);

    println!("The best of today");
    let best = board.today().top(10).await?;
    print(&best.entries, &you);

    let Some(standing) = board.today().standing(&you).await? else {
        println!("\n{you} did not play today: try player-0 to player-{}", PLAYERS - 1);
        return Ok(());
    };
    if let Some(around) = board.today().around(&you, 3).await? {
        println!("\nAround {you}");
        print(&around.entries, &you);
    }
    println!(
        "\n{you} has {} points, as {} others have; better than {:.0} % of {} others today",
        standing.entry.score,
        standing.tied - 1,
        standing.percentile(),
        standing.of - 1,
    );
    let ever = board.ever().standing(&you).await?.map_or(0, |standing| standing.entry.score);
    let yesterday = board.today().ago(1).standing(&you).await?;
    println!(
        "ever: {ever} points; yesterday: {}",
        yesterday.map_or("not there".to_owned(), |one| one.entry.rank.to_string())
    );
    Ok(())
}

fn print(entries: &[Entry], you: &str) {
    println!("  place  rank  dense  points  player");
    for entry in entries {
        let Entry { place, rank, score, member, .. } = entry;
        let mark = if member == you { '>' } else { ' ' };
        println!("{mark} {place:>5} {rank:>5} {:>6} {score:>7}  {member}", entry.dense_rank.unwrap_or_default());
    }
}

fn points(page: &Page) -> i64 {
    page.entries.iter().map(|entry| entry.score).sum()
}
