//! A bounded map that forgets what is used least. Entries stand in generations: a use brings one into the youngest,
//! and when there is too much, the oldest goes as a whole.
//!
//! An entry takes its own size and a few bytes more, and finding one takes a lock for some nanoseconds. Caches with a
//! list through their entries evict better by a little, and take hundreds of bytes for each: of what is kept here by
//! the ten thousand, that would be most.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    mem::size_of,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Each with a lock of its own.
const SHARDS: u64 = 16;
/// The more there are, the less goes at once.
const GENERATIONS: u64 = 8;

/// Keyed hashes that nobody outside this process can foresee: see [`super::source::Fingerprints`].
type Key = [u64; 2];

/// What an entry takes beside its own size.
pub(super) trait Weigh {
    /// In bytes: what it refers to.
    fn weight(&self) -> u64;
}

/// The map.
pub(super) struct Recent<V> {
    shards: Vec<Mutex<Shard<V>>>,
    /// How much a generation of a shard may hold, in bytes.
    bound: u64,
}

struct Shard<V> {
    /// The youngest first; never empty.
    generations: VecDeque<Generation<V>>,
    evicted: u64,
}

struct Generation<V> {
    entries: HashMap<Key, V, BuildHasherDefault<AsItIs>>,
    weight: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// Entries that had to go because there was no room, since the start.
    pub(super) evicted: u64,
}

impl<V: Clone + Weigh> Recent<V> {
    /// That holds so many bytes at most.
    pub(super) fn new(bytes: u64) -> Self {
        let shard = || Mutex::new(Shard { generations: VecDeque::from([Generation::default()]), evicted: 0 });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), bound: bytes / SHARDS / GENERATIONS }
    }

    fn shard(&self, key: u128) -> (MutexGuard<'_, Shard<V>>, Key) {
        let halves = [key >> 64, key & u128::from(u64::MAX)];
        let key @ [first, _] = halves.map(|half| u64::try_from(half).unwrap_or_default());
        // The map takes both ends of the first half.
        let at = usize::try_from(first >> 32).unwrap_or_default() % self.shards.len();
        (self.shards[at].lock().unwrap_or_else(PoisonError::into_inner), key)
    }

    /// What is there, which counts as a use.
    pub(super) fn get(&self, key: u128) -> Option<V> {
        let (mut shard, key) = self.shard(key);
        if let Some(value) = shard.generations[0].entries.get(&key) {
            return Some(value.clone());
        }
        let value = shard.take(&key)?;
        shard.put(key, value.clone(), self.bound);
        Some(value)
    }

    /// Puts it there, in the place of what was.
    pub(super) fn insert(&self, key: u128, value: V) {
        let (mut shard, key) = self.shard(key);
        shard.take(&key);
        shard.put(key, value, self.bound);
    }

    /// Takes it away.
    pub(super) fn remove(&self, key: u128) {
        let (mut shard, key) = self.shard(key);
        shard.take(&key);
    }

    /// How much there is, in one moment.
    pub(super) fn amount(&self) -> Amount {
        let mut amount = Amount::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            amount.evicted += shard.evicted;
            for generation in &shard.generations {
                amount.entries += generation.entries.len() as u64;
                amount.bytes += generation.weight;
            }
        }
        amount
    }
}

impl<V: Weigh> Shard<V> {
    fn take(&mut self, key: &Key) -> Option<V> {
        self.generations.iter_mut().find_map(|generation| {
            let value = generation.entries.remove(key)?;
            generation.weight -= weight(&value);
            Some(value)
        })
    }

    /// Among the youngest; the oldest go if those are enough.
    fn put(&mut self, key: Key, value: V, bound: u64) {
        let weight = weight(&value);
        if self.generations[0].weight + weight > bound && !self.generations[0].entries.is_empty() {
            self.generations.push_front(Generation::default());
            while self.generations.len() as u64 > GENERATIONS {
                let oldest = self.generations.pop_back();
                self.evicted += oldest.map_or(0, |oldest| oldest.entries.len() as u64);
            }
        }
        self.generations[0].weight += weight;
        self.generations[0].entries.insert(key, value);
    }
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), weight: 0 }
    }
}

/// With its place in a table that is half full.
fn weight<V: Weigh>(value: &V) -> u64 {
    value.weight() + 2 * (size_of::<(Key, V)>() as u64 + 1)
}

/// Takes the first half of a key for its hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // An array of numbers comes as its bytes.
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash};

    #[derive(Clone, Debug, PartialEq)]
    struct Heavy(u64);

    impl Weigh for Heavy {
        fn weight(&self) -> u64 {
            1000
        }
    }

    fn key(nth: u64) -> u128 {
        let half = |nth: u64| {
            let mut hasher = DefaultHasher::new();
            nth.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(nth) << 64 | half(nth + 1)
    }

    #[test]
    fn what_was_put_is_there_until_it_is_taken_away() {
        let recent = Recent::new(1 << 20);
        recent.insert(key(1), Heavy(1));
        recent.insert(key(2), Heavy(2));
        recent.insert(key(1), Heavy(3));
        assert_eq!(
            (recent.get(key(1)), recent.get(key(2)), recent.get(key(3))),
            (Some(Heavy(3)), Some(Heavy(2)), None)
        );
        let amount = recent.amount();
        assert_eq!((amount.entries, amount.evicted), (2, 0));
        assert!((2000..2200).contains(&amount.bytes), "{amount:?}");
        recent.remove(key(1));
        recent.remove(key(2));
        assert_eq!((recent.get(key(1)), recent.amount()), (None, Amount::default()));
    }

    #[test]
    fn it_stays_within_its_bound_and_what_is_used_stays() {
        let recent = Recent::new(1 << 20);
        for nth in 0..20_000 {
            recent.insert(key(nth), Heavy(nth));
            assert!(recent.get(key(7 % (nth + 1))).is_some(), "{nth}: it is used all the time");
        }
        let amount = recent.amount();
        assert!(amount.bytes <= 1 << 20 && amount.bytes > (1 << 20) * 3 / 4, "{amount:?}");
        assert_eq!(amount.entries + amount.evicted, 20_000);
        assert!(recent.get(key(19_999)).is_some() && recent.get(key(100)).is_none());
    }

    #[test]
    fn one_that_is_too_large_displaces_all_and_is_kept_alone() {
        let recent = Recent::new(1);
        for nth in 0..1000 {
            recent.insert(key(nth), Heavy(nth));
        }
        assert!(recent.amount().entries <= SHARDS * GENERATIONS, "{:?}", recent.amount());
    }
}
