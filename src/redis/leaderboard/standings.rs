//! What is read from a board.

use crate::{
    clock::Timestamp,
    error::Error,
    redis::{
        Reply, ScriptCall,
        leaderboard::{
            Entry, LARGEST, LARGEST_PAGE, Leaderboard, Page, Period, Standing,
            board::{bounds, nonsense},
            scripts::{READ, TRIM},
            update::check_member,
        },
    },
};

/// A board during one period. From [`Leaderboard::ever`], [`today`](Leaderboard::today), [`this_week`](Leaderboard::this_week) and
/// [`during`](Leaderboard::during). What one call tells is of one moment.
///
/// Errors and cancellation are those of the [board](Leaderboard).
#[derive(Clone, Debug)]
pub struct Standings {
    board: Leaderboard,
    period: Period,
    ago: u32,
}

/// How many members one step removes.
const STEP: u64 = 1000;

/// So many hexadecimal digits stand before each member.
const DIGITS: usize = 14;

// === impl Standings ===

impl Standings {
    pub(super) fn new(board: Leaderboard, period: Period) -> Self {
        Self { board, period, ago: 0 }
    }

    /// The same so many days or weeks earlier: `board.today().ago(1)` is yesterday.
    #[must_use]
    pub fn ago(mut self, periods: u32) -> Self {
        self.ago = periods;
        self
    }

    /// The best, up to 1000.
    pub async fn top(&self, count: u64) -> Result<Page, Error> {
        self.page(0, count).await
    }

    /// Up to `count` members, 1000 at the most, after the first `offset`.
    pub async fn page(&self, offset: u64, count: u64) -> Result<Page, Error> {
        check_count(count)?;
        let offset = offset.min(LARGEST.unsigned_abs() / 2).to_string();
        let found = self.read("page", &offset, count).await?;
        found.map(|(page, _)| page).ok_or_else(nonsense)
    }

    /// A member, up to `count` (499 at the most) that are better and as many that are worse; `None` when they are not on the
    /// board. Near an end there are fewer on that side.
    pub async fn around(&self, member: &str, count: u64) -> Result<Option<Page>, Error> {
        check_member(member)?;
        check_count(count.saturating_mul(2).saturating_add(1))?;
        Ok(self.read("around", member, count).await?.map(|(page, _)| page))
    }

    /// Where a member is among all; `None` when they are not on the board.
    pub async fn standing(&self, member: &str) -> Result<Option<Standing>, Error> {
        check_member(member)?;
        let Some((page, tied)) = self.read("around", member, 0).await? else { return Ok(None) };
        let of = page.of;
        let entry = page.entries.into_iter().next().ok_or_else(nonsense)?;
        Ok(Some(Standing { entry, of, tied }))
    }

    /// How many members there are.
    pub async fn count(&self) -> Result<u64, Error> {
        Ok(self.page(0, 0).await?.of)
    }

    /// Drops the last until `keep` are left, a thousand at a time, and tells how many that were.
    pub async fn trim(&self, keep: u64) -> Result<u64, Error> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let mut dropped = 0;
        loop {
            let (now, over) = self.shorten(keep).await?;
            dropped += now;
            if over == 0 || now == 0 {
                return Ok(dropped);
            }
        }
    }

    /// Drops everybody at once, also from a board that lost a part of its keys.
    pub async fn clear(&self) -> Result<(), Error> {
        self.shorten(-1).await.map(|_| ())
    }

    async fn shorten(&self, keep: i64) -> Result<(u64, u64), Error> {
        let call = |now| {
            let (call, keys) = self.begin(self.board.redis().script(&TRIM), now);
            (call.arg(keep).arg(STEP), keys)
        };
        match self.board.located(call).await? {
            (word, counts) if word == "trimmed" && counts.len() == 2 => {
                Ok((unsigned(&counts[0])?, unsigned(&counts[1])?))
            }
            _ => Err(nonsense()),
        }
    }

    /// What is found, and how many have the score of the first.
    async fn read(&self, verb: &str, which: &str, count: u64) -> Result<Option<(Page, u64)>, Error> {
        let call = |now| {
            let (call, keys) = self.begin(self.board.redis().script(&READ), now);
            (call.arg(verb).arg(which).arg(count), keys)
        };
        let (word, parts) = self.board.located(call).await?;
        match word.as_str() {
            "nobody" => Ok(None),
            "page" if parts.len() >= 5 && parts.len() % 2 == 1 => self.told(parts).map(Some),
            _ => Err(nonsense()),
        }
    }

    fn begin<'a>(&self, call: ScriptCall<'a>, now: Timestamp) -> (ScriptCall<'a>, Vec<[String; 3]>) {
        // The present is what the server has to agree to; the past lies so far behind it.
        let present = self.period.stretch(now, 0);
        let keys = self.board.keys(&self.period.stretch(now, self.ago).label);
        let call = keys.iter().fold(call, ScriptCall::key);
        let call = bounds(call.arg(&self.board.micros()).arg(self.board.ranks()), &present);
        (call, vec![keys])
    }

    fn told(&self, parts: Vec<Reply>) -> Result<(Page, u64), Error> {
        let mut numbers = [0; 5];
        for (number, part) in numbers.iter_mut().zip(&parts) {
            *number = unsigned(part)?;
        }
        let [of, offset, better, levels, tied] = numbers;
        let mut parts = parts.into_iter().skip(numbers.len());
        let mut entries: Vec<Entry> = Vec::new();
        while let (Some(element), Some(score)) = (parts.next(), parts.next()) {
            let element = element.text()?.ok_or_else(nonsense)?;
            let score = score.int()? * self.board.sign();
            let (digits, member) = element.split_at_checked(DIGITS).ok_or_else(|| foreign(&element))?;
            let turn = u64::from_str_radix(digits, 16).map_err(|_| foreign(&element))?;
            let place = offset + entries.len() as u64 + 1;
            let (rank, dense_rank) = match entries.last() {
                None => (better + 1, levels + 1),
                Some(last) if last.score == score => (last.rank, last.dense_rank.unwrap_or(0)),
                Some(last) => (place, last.dense_rank.unwrap_or(0) + 1),
            };
            let reached = Timestamp::from_millis(LARGEST.unsigned_abs().saturating_sub(turn) / 1000);
            let dense_rank = self.board.is_dense().then_some(dense_rank);
            entries.push(Entry { member: member.to_owned(), score, place, rank, dense_rank, reached });
        }
        Ok((Page { entries, of }, tied))
    }
}

fn unsigned(reply: &Reply) -> Result<u64, Error> {
    u64::try_from(reply.int()?).map_err(|_| nonsense())
}

fn check_count(count: u64) -> Result<(), Error> {
    if count <= LARGEST_PAGE {
        return Ok(());
    }
    Err(Error::invalid(&format!("a page of a leaderboard has up to {LARGEST_PAGE} members, not {count}")))
}

/// Somebody else wrote it.
#[cold]
fn foreign(element: &str) -> Error {
    Error::undecodable(&format!("a leaderboard has an element that is none of its own: {:?}", element.escape_debug()))
}
