//! Those in this process who wait for a lease of another to end.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How another's lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// There is something to be found, or to be made: ask.
    Ask,
    /// What came is for its asker only.
    Uncacheable,
    /// It could not be made.
    Failed,
}

/// How the lease with this nonce ended.
type Told = (Arc<[u8]>, Word);

/// By the name of the entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits(Arc<Mutex<ByEntry>>);

#[derive(Debug, Default)]
struct ByEntry {
    waiting: HashMap<Arc<[u8]>, HashMap<u64, oneshot::Sender<Told>>>,
    next: u64,
}

/// One who waits. Dropped, nobody does.
#[derive(Debug)]
pub(super) struct Waiting {
    waits: Waits,
    entry: Arc<[u8]>,
    number: u64,
    told: oneshot::Receiver<Told>,
}

// === impl Waits ===

impl Waits {
    /// From now on no word about `entry` is missed, as far as this process hears it.
    pub(super) fn join(&self, entry: Vec<u8>) -> Waiting {
        let (tell, told) = oneshot::channel();
        let entry: Arc<[u8]> = entry.into();
        let mut inner = self.0.lock();
        let number = inner.next;
        inner.next += 1;
        inner.waiting.entry(Arc::clone(&entry)).or_default().insert(number, tell);
        drop(inner);
        Waiting { waits: self.clone(), entry, number, told }
    }

    pub(super) fn tell(&self, entry: &[u8], nonce: &[u8], word: Word) {
        let nonce: Arc<[u8]> = nonce.into();
        let waiting = self.0.lock().waiting.remove(entry);
        for tell in waiting.into_iter().flatten().map(|(_, tell)| tell) {
            // Whoever gave up waiting is not there to be told.
            let _ = tell.send((Arc::clone(&nonce), word));
        }
    }

    /// Words may have been missed.
    pub(super) fn tell_all_to_ask(&self) {
        let waiting = std::mem::take(&mut self.0.lock().waiting);
        for tell in waiting.into_values().flatten().map(|(_, tell)| tell) {
            let _ = tell.send((Arc::default(), Word::Ask));
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// How the lease with `nonce` ended; of another that ended before it, only that something did.
    pub(super) async fn word_of(&mut self, nonce: &str) -> Word {
        match (&mut self.told).await {
            Ok((of, word)) if *of == *nonce.as_bytes() => word,
            _ => Word::Ask,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut inner = self.waits.0.lock();
        if let Some(waiting) = inner.waiting.get_mut(&self.entry) {
            waiting.remove(&self.number);
            if waiting.is_empty() {
                inner.waiting.remove(&self.entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_joined_before_a_word_hears_it_and_nobody_is_left() {
        let waits = Waits::default();
        let (mut one, mut two, other) = (waits.join(b"a".into()), waits.join(b"a".into()), waits.join(b"b".into()));
        waits.tell(b"a", b"5f", Word::Failed);
        let mut late = waits.join(b"a".into());
        assert_eq!((one.word_of("5f").await, two.word_of("5e").await), (Word::Failed, Word::Ask), "to whom it matters");
        waits.tell_all_to_ask();
        assert_eq!(late.word_of("5f").await, Word::Ask);
        drop((one, two, late, other, waits.join(b"c".into())));
        assert!(waits.0.lock().waiting.is_empty());
    }
}
