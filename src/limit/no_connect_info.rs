//! What stands for axum's `ConnectInfo` without the feature `axum`.

use std::net::IpAddr;

use http::Extensions;

pub(super) fn address(_: &Extensions) -> Option<IpAddr> {
    None
}
