//! What a shop has to itself: the store of `shared.rs` without the feature `redis`.

use bartizan::{BoxStore, Error, Memory, cache::Stored};

use crate::catalogue::Catalogue;

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: BoxStore<Stored>,
}

// === impl Shared ===

impl Shared {
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, String> {
        match url {
            None => Ok(Self { store: BoxStore::new(Memory::with_capacity(64 << 20)) }),
            Some(url) => Err(format!(
                "to share a cache on {url} it must be built so: cargo run --release --features redis --example quickstart"
            )),
        }
    }

    pub(crate) async fn write(&self, _: &str, _: u32, _: u64) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) async fn read_into(&self, _: &Catalogue) {}
}
