//! Rate limiting, from outside.

mod answers;
mod broken;
mod keys;
mod layer;
mod memory;
mod shaping;
mod site;
