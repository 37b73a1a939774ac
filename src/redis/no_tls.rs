//! What stands for TLS without the feature `redis-tls`.

use ::redis::{ConnectionAddr, cluster::ClusterClientBuilder};

use crate::{error::Error, redis::address::Host};

#[derive(Clone, Default)]
pub(super) struct Trust;

impl Trust {
    pub(super) fn addr(&self, _: Host) -> Result<ConnectionAddr, Error> {
        Err(Error::invalid("TLS to Redis needs the feature `redis-tls`"))
    }

    pub(super) fn cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        builder
    }
}
