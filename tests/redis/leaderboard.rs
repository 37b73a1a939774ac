//! Leaderboards: what is told of them, and what is refused.

use std::{sync::Arc, time::Duration};

use bartizan::{
    Redis,
    clock::{Clock, SystemClock, TestClock, Timestamp},
    redis::leaderboard::{Entry, LARGEST, Leaderboard, Outcome, Page, Period, Standings, Update},
};
use futures_util::future::join_all;
use tokio::{task::JoinSet, time::interval};

use crate::{
    dropped::dropped_after,
    support::{Cluster, Link, Proxy, Server, eventually, within},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn redis(server: &Server) -> Redis {
    Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(5)).connect().await.unwrap()
}

fn lines(page: &Page) -> Vec<(u64, u64, &str, i64)> {
    page.entries.iter().map(|entry| (entry.place, entry.rank, entry.member.as_str(), entry.score)).collect()
}

fn members(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.member.as_str()).collect()
}

#[tokio::test]
async fn of_equal_scores_who_reached_it_first_comes_first() {
    let server = Server::start().await;
    let board = Leaderboard::builder(&redis(&server).await, "race").unwrap().dense_ranks().build();
    for (member, score) in [("zoe", 7), ("ada", 7), ("bob", 9), ("cid", 4), ("mia", 7)] {
        assert!(board.add(member, score).await.unwrap().is_changed());
    }
    let page = board.ever().top(10).await.unwrap();
    assert_eq!(
        lines(&page),
        [(1, 1, "bob", 9), (2, 2, "zoe", 7), (3, 2, "ada", 7), (4, 2, "mia", 7), (5, 5, "cid", 4)]
    );
    assert_eq!(page.entries.iter().map(|entry| entry.dense_rank).collect::<Vec<_>>(), [1, 2, 2, 2, 3].map(Some));
    assert_eq!(page.of, 5);

    // The same again keeps its place; to come back to it is to reach it anew.
    assert_eq!(board.add("zoe", 7).await.unwrap().outcome, Outcome::Unchanged);
    board.add("ada", 8).await.unwrap();
    board.add("ada", 7).await.unwrap();
    let page = board.ever().page(1, 3).await.unwrap();
    assert_eq!(lines(&page), [(2, 2, "zoe", 7), (3, 2, "mia", 7), (4, 2, "ada", 7)]);
    assert!(page.entries.windows(2).all(|pair| pair[0].reached <= pair[1].reached));
    assert!(SystemClock.now().since(page.entries[0].reached) < Duration::from_secs(60), "{page:?}");

    let around = board.ever().around("mia", 1).await.unwrap().unwrap();
    assert_eq!(lines(&around), [(2, 2, "zoe", 7), (3, 2, "mia", 7), (4, 2, "ada", 7)]);
    assert_eq!(members(&board.ever().around("bob", 2).await.unwrap().unwrap().entries), ["bob", "zoe", "mia"]);
    assert_eq!(board.ever().around("eve", 2).await.unwrap(), None);

    let standing = board.ever().standing("ada").await.unwrap().unwrap();
    assert_eq!((standing.entry.place, standing.entry.rank, standing.tied, standing.of), (4, 2, 3, 5));
    assert_eq!(standing.percentile(), 25.0, "one of four others is worse");
    assert_eq!(board.ever().standing("bob").await.unwrap().unwrap().percentile(), 100.0);
    assert_eq!(board.ever().standing("cid").await.unwrap().unwrap().percentile(), 0.0);

    assert!(board.remove("bob").await.unwrap().is_changed());
    assert!(!board.remove("bob").await.unwrap().is_changed());
    let page = board.ever().top(1).await.unwrap();
    assert_eq!((lines(&page), page.entries[0].dense_rank), (vec![(1, 1, "zoe", 7)], Some(1)));
}

#[tokio::test]
async fn where_less_is_better_the_lowest_is_first() {
    let server = Server::start().await;
    let board = Leaderboard::builder(&redis(&server).await, "laps").unwrap().lowest_first().build();
    assert_eq!(board.set_best("ada", 61_200).await.unwrap().score, Some(61_200));
    assert_eq!(board.set_best("ada", 61_900).await.unwrap().score, Some(61_200));
    assert_eq!(board.set_best("ada", 60_800).await.unwrap().score, Some(60_800));
    board.set_best("bob", 60_100).await.unwrap();
    assert_eq!(board.increment("bob", 700, "penalty 1").await.unwrap().score, Some(60_800));
    board.add("cid", -5).await.unwrap();
    assert_eq!(
        lines(&board.ever().top(3).await.unwrap()),
        [(1, 1, "cid", -5), (2, 2, "ada", 60_800), (3, 2, "bob", 60_800)]
    );
}

#[tokio::test]
async fn an_increment_counts_once_for_each_operation_and_member() {
    let server = Server::start().await;
    let board = Leaderboard::new(&redis(&server).await, "race").unwrap();
    for _ in 0..3 {
        board.increment("ada", 5, "game 1").await.unwrap();
        board.increment("bob", 3, "game 1").await.unwrap();
    }
    // No member and operation run together into another.
    board.increment("ad", 1, "agame 1").await.unwrap();
    board.increment("ada", 5, "game 2").await.unwrap();
    assert_eq!(lines(&board.ever().top(9).await.unwrap()), [(1, 1, "ada", 10), (2, 2, "bob", 3), (3, 3, "ad", 1)]);
    // At the same time, as when a connection broke.
    join_all((0..50).map(|at| board.increment("ada", 1, format!("game {}", at % 10 + 10)))).await;
    assert_eq!(board.ever().standing("ada").await.unwrap().unwrap().entry.score, 20);
}

#[tokio::test]
async fn operations_are_remembered_for_a_while_and_no_more_of_them_than_said() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let hour = Duration::from_secs(3600);
    let board = Leaderboard::builder(&redis(&server).await, "race")
        .unwrap()
        .remember_operations(hour, 10)
        .clock(clock.clone())
        .build();
    board.increment("ada", 1, "old").await.unwrap();
    clock.advance(hour);
    assert!(!board.increment("ada", 1, "old").await.unwrap().is_changed());
    clock.advance(Duration::from_millis(2));
    board.increment("ada", 1, "new").await.unwrap();
    assert_eq!(server.ask::<u64>(&["ZCARD", "bartizan:leaderboard:{race}:done"]).await.unwrap(), 1);
    for operation in 0..100 {
        board.increment("ada", 1, format!("{operation}")).await.unwrap();
    }
    assert_eq!(server.ask::<u64>(&["ZCARD", "bartizan:leaderboard:{race}:done"]).await.unwrap(), 10);
    assert!(server.ask::<i64>(&["PTTL", "bartizan:leaderboard:{race}:done"]).await.unwrap() > 0);
}

#[tokio::test]
async fn what_a_sorted_set_does_not_tell_apart_is_refused() {
    let server = Server::start().await;
    let periods = [Period::EVER, Period::DAY];
    let board = Leaderboard::builder(&redis(&server).await, "race").unwrap().periods(periods).build();
    for score in [LARGEST + 1, -LARGEST - 1, i64::MAX, i64::MIN] {
        let error = board.add("ada", score).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("9007199254740991"), "{error}");
    }
    board.add("ada", LARGEST - 1).await.unwrap();
    board.add("bob", LARGEST).await.unwrap();
    board.add("cid", -LARGEST).await.unwrap();
    let error = board.increment("ada", 2, "two").await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("9007199254740991"), "{error}");
    assert_eq!(board.increment("ada", 1, "two").await.unwrap().score, Some(LARGEST), "it was not taken for done");
    assert!(board.increment("cid", -1, "one").await.unwrap_err().is_invalid());
    for standings in [board.ever(), board.today()] {
        let page = standings.top(3).await.unwrap();
        assert_eq!(lines(&page), [(1, 1, "bob", LARGEST), (2, 1, "ada", LARGEST), (3, 3, "cid", -LARGEST)]);
    }
    let changes = board
        .apply(&[Update::set("dan", 1), Update::increment("bob", 1, "three"), Update::set("eve", 2)])
        .await
        .unwrap();
    let outcomes: Vec<_> = changes.iter().map(|change| change.outcome).collect();
    assert_eq!(outcomes, [Outcome::Changed, Outcome::OutOfRange, Outcome::Changed]);
}

#[tokio::test]
async fn names_and_pages_that_cannot_be_are_refused() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    for name in ["", "a{b}", &"x".repeat(201)] {
        assert!(Leaderboard::new(&redis, name).unwrap_err().is_invalid());
    }
    let board = Leaderboard::new(&redis, "race").unwrap();
    let long = "x".repeat(257);
    for member in ["", &long] {
        assert!(board.add(member, 1).await.unwrap_err().is_invalid());
        assert!(board.ever().around(member, 1).await.unwrap_err().is_invalid());
    }
    assert!(board.increment("ada", 1, "").await.unwrap_err().is_invalid());
    assert!(board.ever().top(1001).await.unwrap_err().is_invalid());
    assert!(board.ever().around("ada", u64::MAX).await.unwrap_err().is_invalid());
    assert_eq!(board.ever().page(u64::MAX, 10).await.unwrap(), Page::default());
    // Whatever bytes a member has.
    for member in ["a b", "ü{}*\n", &"x".repeat(256), "0"] {
        board.add(member, 1).await.unwrap();
        assert_eq!(board.ever().standing(member).await.unwrap().unwrap().entry.member, member);
    }
}

#[tokio::test]
async fn a_period_begins_with_nobody_and_can_be_read_for_a_while() {
    let server = Server::start().await;
    let saturday = Timestamp::from_secs(1_795_258_800); // 2026-11-21, 11:00
    let clock = TestClock::at(saturday);
    let season = Period::season("autumn", saturday, saturday.plus(3 * DAY)).unwrap();
    let periods = [Period::EVER, Period::DAY, Period::WEEK, season.clone()];
    let board = Leaderboard::builder(&redis(&server).await, "race")
        .unwrap()
        .periods(periods)
        .keep(10 * DAY)
        .remember_operations(2 * DAY, 100)
        .clock(clock.clone())
        .build();
    let score = async |period: &Period| {
        board.during(period).standing("ada").await.unwrap().map(|standing| standing.entry.score)
    };
    board.increment("ada", 1, "1").await.unwrap();
    clock.advance(DAY);
    board.increment("ada", 2, "2").await.unwrap();
    board.increment("ada", 1, "1").await.unwrap();
    assert_eq!(score(&Period::DAY).await, Some(2), "what was done yesterday is not done again today");
    assert_eq!(score(&Period::WEEK).await, Some(3));
    clock.advance(DAY);
    assert_eq!(score(&Period::DAY).await, None);
    board.increment("ada", 4, "3").await.unwrap();
    assert_eq!(score(&Period::WEEK).await, Some(4), "monday");
    clock.advance(DAY);
    board.increment("ada", 8, "4").await.unwrap();
    assert_eq!(score(&season).await, Some(7), "it is over");
    assert_eq!(score(&Period::EVER).await, Some(15));
    let ago = |period: &Period, ago| {
        let standings = board.during(period).ago(ago);
        async move { standings.standing("ada").await.unwrap().map(|standing| standing.entry.score) }
    };
    assert_eq!(
        [ago(&Period::DAY, 0).await, ago(&Period::DAY, 1).await, ago(&Period::DAY, 2).await],
        [8, 4, 2].map(Some)
    );
    assert_eq!([ago(&Period::WEEK, 0).await, ago(&Period::WEEK, 1).await], [12, 3].map(Some));

    let ttl = async |field: &str| {
        server.ask::<i64>(&["PTTL", &format!("bartizan:leaderboard:{{race}}:{field}")]).await.unwrap()
    };
    let span = |span: Duration| i64::try_from(span.as_millis()).unwrap();
    for field in ["scores", "order"] {
        assert_eq!(ttl(&format!("ever:{field}")).await, -1);
        // What is left of the day, and ten more.
        let left = ttl(&format!("day-2026-11-24:{field}")).await;
        assert!((span(10 * DAY)..=span(11 * DAY)).contains(&left), "{left}");
        let left = ttl(&format!("season-autumn:{field}")).await;
        // Reckoned from the day on which the key was last made: the server's own clock stood still.
        assert!((span(11 * DAY) - 60_000..=span(13 * DAY)).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn days_are_those_of_the_server() {
    let server = Server::start().await;
    let board = Leaderboard::builder(&redis(&server).await, "race").unwrap().periods([Period::DAY]).build();
    let today = async || {
        let micros: Vec<String> = server.ask(&["TIME"]).await.unwrap();
        httpdate::fmt_http_date(Timestamp::from_secs(micros[0].parse().unwrap()).into())
    };
    let before = today().await;
    board.add("ada", 1).await.unwrap();
    let after = today().await;
    let found: Vec<String> = server.ask(&["KEYS", "*day*:scores"]).await.unwrap();
    let day = &found[0].strip_suffix(":scores").unwrap()[found[0].len() - 9..];
    assert!(day == &before[5..7] || day == &after[5..7], "{found:?} is of {before}");
}

#[tokio::test]
async fn the_last_are_dropped_from_a_full_board() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let board = Leaderboard::builder(&redis, "race").unwrap().capacity(100).dense_ranks().build();
    let flood: Vec<_> = (0..5_000).map(|n| Update::set(format!("m{n}"), n % 1000)).collect();
    board.apply(&flood).await.unwrap();
    assert_eq!(board.ever().count().await.unwrap(), 100);
    for (key, command, most) in [("scores", "ZCARD", 100), ("order", "HLEN", 101), ("levels", "ZCARD", 100)] {
        let key = format!("bartizan:leaderboard:{{race}}:ever:{key}");
        assert!(server.ask::<u64>(&[command, &key]).await.unwrap() <= most, "{key}");
    }
    let change = board.add("nobody", 3).await.unwrap();
    assert_eq!(change.score, None, "who has less than the last does not come in");
    assert_eq!(board.add("somebody", 2_000).await.unwrap().score, Some(2_000));

    assert_eq!(board.ever().trim(10).await.unwrap(), 90);
    let page = board.ever().top(100).await.unwrap();
    assert_eq!((page.entries.len(), page.entries[0].member.as_str(), page.of), (10, "somebody", 10));
    assert_eq!(board.ever().trim(10).await.unwrap(), 0);
    board.ever().clear().await.unwrap();
    assert_eq!(board.ever().count().await.unwrap(), 0);
    assert_eq!(server.ask::<Vec<String>>(&["KEYS", "*"]).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn keys_that_hold_something_else_are_named() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let board = Leaderboard::builder(&redis, "race").unwrap().dense_ranks().build();
    let season = Period::season("s", Timestamp::default(), Timestamp::from_secs(1 << 40)).unwrap();
    let both = Leaderboard::builder(&redis, "race").unwrap().periods([Period::EVER, season]).dense_ranks().build();
    let key = |field: &str| format!("bartizan:leaderboard:{{race}}:{field}");
    for (field, kind) in
        [("season-s:scores", "zset"), ("season-s:order", "hash"), ("season-s:levels", "zset"), ("done", "zset")]
    {
        server.tell(&["FLUSHALL"]).await;
        server.tell(&["SET", &key(field), "mine"]).await;
        let error = both.apply(&[Update::set("bob", 1), Update::increment("ada", 1, "1")]).await.unwrap_err();
        assert_eq!(server.ask::<u64>(&["DBSIZE"]).await.unwrap(), 1, "nothing was written: {field}");
        assert_eq!((error.is_refused(), error.code()), (true, Some("WRONGTYPE")), "{error}");
        assert_eq!(
            error.to_string(),
            format!("`{}`: the key holds a string, where a {kind} is kept", key(field)),
            "{field}"
        );
    }
    server.tell(&["FLUSHALL"]).await;
    // One that somebody else wrote on.
    board.add("ada", 1).await.unwrap();
    server.tell(&["ZADD", &key("ever:scores"), "5", "eve"]).await;
    assert!(board.ever().top(10).await.unwrap_err().is_undecodable());
    server.tell(&["ZREM", &key("ever:scores"), "eve"]).await;
    server.tell(&["ZADD", &key("ever:scores"), "1.5", "00000000000001eve"]).await;
    assert!(board.ever().top(10).await.unwrap_err().is_undecodable());
    board.ever().clear().await.unwrap();

    // One of which a part was evicted or deleted.
    for field in ["ever:scores", "ever:order", "ever:levels"] {
        board.add("ada", 1).await.unwrap();
        server.tell(&["DEL", &key(field)]).await;
        for error in [board.add("bob", 1).await.unwrap_err(), board.ever().top(3).await.unwrap_err()] {
            assert!(error.is_undecodable() && error.to_string().contains(&key(field)), "{error}");
        }
        board.ever().clear().await.unwrap();
    }
}

#[tokio::test]
async fn processes_that_do_not_agree_how_it_ranks_are_told() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let plain = Leaderboard::new(&redis, "race").unwrap();
    plain.add("ada", 1).await.unwrap();
    let make = || Leaderboard::builder(&redis, "race").unwrap();
    for other in [make().dense_ranks().build(), make().lowest_first().build()] {
        for error in [
            other.add("bob", 1).await.unwrap_err(),
            other.ever().top(3).await.unwrap_err(),
            other.ever().trim(0).await.unwrap_err(),
        ] {
            assert!(error.is_invalid() && error.to_string().contains("race"), "{error}");
        }
    }
    assert_eq!(plain.ever().count().await.unwrap(), 1);
}

/// Scores rise and fall together, so any answer put together of two moments shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rank_and_range_are_of_one_moment() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let board = Leaderboard::builder(&redis, "race").unwrap().dense_ranks().build();
    // Twenty members, of which the one with the best score always goes to the end.
    board.apply(&(0..20).map(|n| Update::set(format!("m{n}"), -n)).collect::<Vec<_>>()).await.unwrap();
    let writer = tokio::spawn({
        let board = board.clone();
        async move {
            for n in 20..2_000_i64 {
                board.add(&format!("m{}", n % 20), -n).await.unwrap();
            }
        }
    });
    let mut reads = 0;
    while !writer.is_finished() {
        let around = board.ever().around(&format!("m{}", reads % 20), 3).await.unwrap().unwrap();
        assert_eq!(around.of, 20);
        let me = around.entries.iter().position(|entry| entry.member == format!("m{}", reads % 20)).unwrap();
        assert!(me == 3 || around.entries[0].place == 1, "{around:?}");
        assert!(
            around.entries.len() == 7 || around.entries[0].place == 1 || around.entries.last().unwrap().place == 20
        );
        for pair in around.entries.windows(2) {
            assert_eq!(pair[1].place, pair[0].place + 1);
            assert_eq!(pair[1].score, pair[0].score - 1, "all twenty are always in a row: {around:?}");
        }
        for entry in &around.entries {
            assert_eq!((entry.rank, entry.dense_rank), (entry.place, Some(entry.place)));
        }
        reads += 1;
    }
    writer.await.unwrap();
    assert!(reads > 20, "{reads}");
}

#[tokio::test]
async fn in_a_cluster_all_of_a_board_is_in_one_slot() {
    let cluster = Cluster::start().await;
    let patience = Duration::from_secs(5);
    let redis = cluster.handle(patience).deadline(patience).connect().await.unwrap();
    let periods = [Period::EVER, Period::DAY, Period::WEEK];
    for n in 0..12 {
        let board =
            Leaderboard::builder(&redis, &format!("level {n}")).unwrap().periods(periods.clone()).dense_ranks().build();
        board.increment("ada", n, "1").await.unwrap();
        board.increment("ada", n, "1").await.unwrap();
        assert_eq!(board.today().standing("ada").await.unwrap().unwrap().entry.score, n);
        assert_eq!(board.this_week().trim(0).await.unwrap(), 1);
        assert_eq!(board.ever().count().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_within_the_deadline() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_millis(100)).connect().await.unwrap();
    let board = Leaderboard::new(&redis, "race").unwrap();
    server.pause();
    let (result, _) = within(Duration::from_secs(2), board.add("ada", 1)).await;
    assert!(result.unwrap_err().is_unavailable());
    server.resume();
}

/// Dropped at whatever await, a change is done or not, and never by half; done again it is done once.
#[tokio::test]
async fn whoever_leaves_at_any_await_may_come_again() {
    let server = Server::start().await;
    let mut polls = 0;
    loop {
        let redis = redis(&server).await;
        server.tell(&["SCRIPT", "FLUSH"]).await;
        let board = Leaderboard::builder(&redis, &format!("race {polls}"))
            .unwrap()
            .periods([Period::EVER, Period::DAY])
            .dense_ranks()
            .build();
        let done = dropped_after(polls, async { drop(board.increment("ada", 5, "game 1").await) }).await;
        dropped_after(polls, async { drop(board.ever().around("ada", 3).await) }).await;
        let score = async |standings: Standings| standings.standing("ada").await.unwrap().map(|at| at.entry.score);
        let (ever, today) = (score(board.ever()).await, score(board.today()).await);
        assert!(ever == today && [None, Some(5)].contains(&ever), "after {polls} polls: {ever:?}, {today:?}");
        for _ in 0..2 {
            assert_eq!(board.increment("ada", 5, "game 1").await.unwrap().score, Some(5), "after {polls} polls");
        }
        if done {
            break;
        }
        polls += 1;
    }
    assert!(polls > 1, "several awaits were left: {polls}");
}

/// Nobody knows whether what got no answer was done, so it is done again, until there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_until_it_is_answered_counts_once() {
    let server = Server::start().await;
    let proxy = Arc::new(Proxy::to(server.port).await);
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(Duration::from_millis(50));
    let redis = redis.backoff(Duration::from_millis(1), Duration::from_millis(5)).build().unwrap();
    let board = Leaderboard::builder(&redis, "race").unwrap().dense_ranks().build();
    let mut writers: JoinSet<u32> = (0..8)
        .map(|writer| {
            let board = board.clone();
            async move {
                let mut repeated = 0;
                for n in 0..100 {
                    let operation = format!("{writer} {n}");
                    while board.increment("ada", 1, &operation).await.is_err() {
                        repeated += 1;
                        tokio::task::yield_now().await;
                    }
                }
                repeated
            }
        })
        .collect();
    let mut ticks = interval(Duration::from_millis(7));
    let mut links = [Link::Up, Link::Held, Link::Up, Link::Cut].into_iter().cycle();
    let mut repeated = 0;
    while !writers.is_empty() {
        tokio::select! {
            Some(done) = writers.join_next() => repeated += done.unwrap(),
            _ = ticks.tick() => proxy.set(links.next().unwrap()),
        }
    }
    proxy.set(Link::Up);
    assert!(repeated > 20, "{repeated}");
    let score = async || board.ever().standing("ada").await.ok().map(|standing| standing.unwrap().entry.score);
    let (score, _) = eventually("it can be read", Duration::from_secs(5), score).await;
    assert_eq!(score, 800, "after {repeated} repetitions");
}
