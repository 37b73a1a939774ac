//! Servers of the tests' own, and a link to them that can be broken.

mod certificates;
mod heard;
mod proxy;
mod servers;
mod wait;

pub(crate) use certificates::Certificates;
pub(crate) use heard::{begun, changed, heard, lost, publish, resumed, said};
pub(crate) use proxy::{Link, Proxy};
pub(crate) use servers::{Cluster, Sentinels, Server};
pub(crate) use wait::{eventually, within};
