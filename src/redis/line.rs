//! A connection that many callers share, and what is known of its health.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Cmd, Pipeline, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::time::Instant;

use crate::redis::slot::Slots;

/// One connection. Its clones write into the same socket, in turn; in a Cluster, into one socket per node.
#[derive(Clone)]
pub(super) struct Line {
    wire: Wire,
    health: Arc<Health>,
}

#[derive(Clone)]
pub(super) enum Wire {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Whether a connection may be handed out once more.
#[derive(Debug)]
pub(super) struct Health {
    born: Instant,
    broken: AtomicBool,
    /// A node of several does not answer.
    ailing: AtomicBool,
    /// Deadlines that passed since the last answer.
    silences: AtomicU32,
}

/// Which node of a Cluster a command is for. Elsewhere there is one.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Keys(Slots),
    Anyone,
    Node(Arc<str>, u16),
}

/// One deadline may be the command's own fault, a second is the connection's.
const SILENCES: u32 = 2;

/// How old a connection to a Cluster is at least when one silent node ends it: the others' callers wait for the next.
const SETTLED: Duration = Duration::from_secs(5);

// === impl Line ===

impl Line {
    pub(super) fn new(wire: Wire, health: Arc<Health>) -> Self {
        Self { wire, health }
    }

    pub(super) async fn one(&mut self, cmd: Cmd, target: &Target) -> RedisResult<Value> {
        match &mut self.wire {
            Wire::Node(wire) => wire.send_packed_command(&cmd).await,
            Wire::Cluster(wire) => match target.single() {
                Some(node) => wire.route_command(cmd, RoutingInfo::SingleNode(node)).await,
                // What has no key of ours, or several that have to be split up, redis-rs knows how to send.
                None => wire.req_packed_command(&cmd).await,
            },
        }
        .and_then(Value::extract_error)
    }

    /// The answers to all commands of `pipe`, errors of the server among them.
    pub(super) async fn many(&mut self, pipe: Pipeline, target: &Target) -> RedisResult<Vec<Value>> {
        let count = pipe.len();
        match &mut self.wire {
            Wire::Node(wire) => wire.send_packed_commands(&pipe, 0, count).await,
            Wire::Cluster(wire) => {
                let route = target.single().unwrap_or(SingleNodeRoutingInfo::Random);
                wire.route_pipeline(pipe, 0, count, route).await
            }
        }
    }

    /// An answer came.
    #[inline]
    pub(super) fn answered(&self) {
        if self.health.silences.load(Ordering::Relaxed) != 0 {
            self.health.silences.store(0, Ordering::Relaxed);
        }
    }

    /// A deadline passed without an answer.
    #[cold]
    pub(super) fn silent(&self) {
        if self.health.silences.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCES {
            self.lost();
        }
    }

    /// A part of it does not answer. For a Cluster only: redis-rs learns of a new primary when the old one hangs up, not
    /// when it hangs.
    #[cold]
    pub(super) fn partly_silent(&self) {
        if matches!(self.wire, Wire::Cluster(_)) && self.health.born.elapsed() > SETTLED {
            self.health.ailing.store(true, Ordering::Release);
        }
    }

    /// It leads nowhere.
    #[cold]
    pub(super) fn lost(&self) {
        self.health.lost();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.health.broken.load(Ordering::Acquire)
    }

    /// Whether another is wanted in its place. One that is not lost serves until that is there.
    pub(super) fn is_to_be_replaced(&self) -> bool {
        self.is_lost() || self.health.ailing.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("health", &self.health).finish_non_exhaustive()
    }
}

// === impl Health ===

impl Health {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            broken: AtomicBool::new(false),
            ailing: AtomicBool::new(false),
            silences: AtomicU32::new(0),
        }
    }

    pub(super) fn lost(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

// === impl Target ===

impl Target {
    fn single(&self) -> Option<SingleNodeRoutingInfo> {
        match self {
            // To primaries, reads too: a replica may not know of a removal yet.
            Self::Keys(Slots::One(slot)) => {
                Some(SingleNodeRoutingInfo::SpecificNode(Route::new(*slot, SlotAddr::Master)))
            }
            Self::Keys(Slots::None | Slots::Several) => None,
            Self::Anyone => Some(SingleNodeRoutingInfo::Random),
            Self::Node(host, port) => Some(SingleNodeRoutingInfo::ByAddress { host: host.to_string(), port: *port }),
        }
    }
}
