//! Several commands in one round trip.

use std::{collections::BTreeMap, time::Duration};

use ::redis::{Cmd, Pipeline as Batch, Value};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    error::Error,
    redis::{
        client::Redis,
        command::Command,
        fault::Fault,
        line::Target,
        reply::Reply,
        script::{ScriptCall, is_unknown},
        slot::Slots,
    },
};

/// Commands that travel together. Made by [`Redis::pipeline`].
///
/// Each succeeds or fails on its own, and none may depend on another: in a Cluster they go out side by side, by slot, and
/// a script that a server did not know runs after the others. What must happen as one is a [`Script`](crate::redis::Script).
#[derive(Clone, Debug)]
#[must_use]
pub struct Pipeline<'a> {
    redis: &'a Redis,
    steps: Vec<Step<'a>>,
    within: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Step<'a> {
    Command(Cmd, Slots),
    Script(ScriptCall<'a>),
}

type Answer = Result<Value, Error>;

// === impl Pipeline ===

impl<'a> Pipeline<'a> {
    pub(super) fn new(redis: &'a Redis) -> Self {
        Self { redis, steps: Vec::new(), within: None }
    }

    /// One command more.
    pub fn add_command(mut self, command: Command<'a>) -> Self {
        self.steps.push(Step::Command(command.cmd, command.slots));
        self
    }

    /// One script more.
    pub fn add_script(mut self, call: ScriptCall<'a>) -> Self {
        self.steps.push(Step::Script(call));
        self
    }

    /// A deadline of its own, in place of the handle's, for all of them together.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// Sends them. The answers are in the order of the commands, and as many.
    pub async fn run(self) -> Vec<Result<Reply, Error>> {
        let until = self.redis.until(self.within, Duration::ZERO);
        // What has no slot of its own cannot share a batch in a Cluster; it is keyed by its place.
        let mut groups: BTreeMap<(Option<u16>, usize), Vec<usize>> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            let group = match step.slots() {
                _ if !self.redis.is_cluster() => (None, 0),
                Slots::One(slot) => (Some(slot), 0),
                Slots::None | Slots::Several => (None, at),
            };
            groups.entry(group).or_default().push(at);
        }
        let groups = groups.into_values().map(|group| self.send_group(group, until));
        let mut answers: Vec<_> = join_all(groups).await.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer.map(Reply::new)).collect()
    }

    /// Each group sees to what its own server does not know: one that hangs uses up nobody else's time.
    async fn send_group(&self, group: Vec<usize>, until: Instant) -> Vec<(usize, Answer)> {
        let first = group.iter().map(|&at| (at, self.steps[at].first())).collect();
        let mut answers = self.send(first, until).await;
        let again = answers
            .iter()
            .filter(|(_, answer)| answer.as_ref().is_err_and(is_unknown))
            .filter_map(|(at, _)| match &self.steps[*at] {
                Step::Script(call) => Some((*at, call.by_text())),
                Step::Command(..) => None,
            })
            .collect();
        let mut again = self.send(again, until).await.into_iter().peekable();
        for (at, answer) in &mut answers {
            if let Some((_, better)) = again.next_if(|(other, _)| other == at) {
                *answer = better;
            }
        }
        answers
    }

    async fn send(&self, mut commands: Vec<(usize, Cmd)>, until: Instant) -> Vec<(usize, Answer)> {
        let Some((at, _)) = commands.first() else { return Vec::new() };
        let target = Target::Keys(self.steps[*at].slots());
        if commands.len() == 1
            && let Some((at, cmd)) = commands.pop()
        {
            return vec![(at, self.redis.one(cmd, &target, until).await)];
        }
        let mut batch = Batch::with_capacity(commands.len());
        let places: Vec<usize> = commands
            .into_iter()
            .map(|(at, cmd)| {
                batch.add_command(cmd);
                at
            })
            .collect();
        match self.redis.many(batch, &target, until).await {
            Ok(values) => places.into_iter().zip(values.into_iter().map(answer)).collect(),
            Err(error) => places.into_iter().map(|at| (at, Err(error.clone()))).collect(),
        }
    }
}

impl Step<'_> {
    fn first(&self) -> Cmd {
        match self {
            Self::Command(cmd, _) => cmd.clone(),
            Self::Script(call) => call.by_digest(),
        }
    }

    fn slots(&self) -> Slots {
        match self {
            Self::Command(_, slots) => *slots,
            Self::Script(call) => call.slots,
        }
    }
}

fn answer(value: Value) -> Answer {
    value.extract_error().map_err(|error| Fault::from(error).error)
}
