//! Sessions in axum.

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use super::{save::status_of, session::Session};
use crate::error::Error;

/// A handler asks for a [`Session`] where no [`SessionLayer`](super::SessionLayer) is around it.
#[derive(Clone, Copy, Debug)]
pub struct NoSessionLayer;

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = NoSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoSessionLayer> {
        Self::of(&parts.extensions).cloned().ok_or(NoSessionLayer)
    }
}

impl IntoResponse for NoSessionLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, "no session layer is around this handler").into_response()
    }
}

/// The status alone: what went wrong is nothing for clients.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        status_of(&self).into_response()
    }
}
