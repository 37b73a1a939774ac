//! Rate limiting, from outside.

mod broken;
mod layer;
mod memory;
mod shaping;
mod site;
