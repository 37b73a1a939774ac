//! Composable Tower layers for HTTP services.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
