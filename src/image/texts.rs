//! Texts as an image has them, many of them short, kept in one piece of memory: a cache holds images by the ten
//! thousand, and a text of its own takes twice what a short one is long.

use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

/// A list of texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// One after the other.
    whole: Box<str>,
    /// Where each ends, in bytes.
    ends: Box<[u32]>,
}

/// Values by their names, in the order of the names, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TextMap {
    /// A name, its value, the next name, …
    pairs: Texts,
}

impl Texts {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|nth| self.at(nth))
    }

    /// The bytes that they take beside the value's own size, and in how many allocations.
    pub(super) fn memory(&self) -> (usize, usize) {
        let allocations = usize::from(!self.whole.is_empty()) + usize::from(!self.ends.is_empty());
        (self.whole.len() + size_of_val(&*self.ends), allocations)
    }

    /// Empty where there is none.
    fn at(&self, nth: usize) -> &str {
        let start =
            nth.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        let end = self.ends.get(nth).map_or(0, |end| *end as usize);
        self.whole.get(start..end).unwrap_or_default()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    /// What does not fit into 4 GiB is left out; a registry's documents are a thousand times smaller.
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let (mut whole, mut ends) = (String::new(), Vec::new());
        for text in texts {
            let Ok(end) = u32::try_from(whole.len() + text.as_ref().len()) else { break };
            whole.push_str(text.as_ref());
            ends.push(end);
        }
        Self { whole: whole.into(), ends: ends.into() }
    }
}

impl TextMap {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.pairs.at(2 * middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(self.pairs.at(2 * middle + 1)),
            }
        }
        None
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.len()).map(|nth| (self.pairs.at(2 * nth), self.pairs.at(2 * nth + 1)))
    }

    /// See [`Texts::memory`].
    pub(super) fn memory(&self) -> (usize, usize) {
        self.pairs.memory()
    }
}

impl<K: AsRef<str> + Ord, V: AsRef<str>> FromIterator<(K, V)> for TextMap {
    /// Of names that are there twice, the last counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let sorted: BTreeMap<K, V> = entries.into_iter().collect();
        Self { pairs: sorted.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect() }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for TextMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for TextMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_put_in() {
        for list in [&[][..], &[""], &["a", "", "é", "a"], &["", "", "PATH=/bin"]] {
            let texts: Texts = list.iter().collect();
            assert_eq!(texts.iter().collect::<Vec<_>>(), list);
            assert_eq!((texts.len(), texts.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(
                serde_json::to_string(&texts).expect("JSON"),
                serde_json::to_string(list).expect("JSON")
            );
        }
    }

    #[test]
    fn finds_each_name_and_no_other() {
        for count in 0..9 {
            let names: Vec<String> = (0..count).map(|nth| format!("n{:02}", 2 * nth)).collect();
            let map: TextMap = names.iter().rev().map(|name| (name, format!("of {name}"))).collect();
            assert_eq!((map.len(), map.is_empty()), (count, count == 0));
            for name in &names {
                assert_eq!(map.get(name), Some(&*format!("of {name}")));
            }
            for other in ["", "n", "n01", "n03", "n09", "zz"] {
                assert_eq!(map.get(other), None, "{other}");
            }
            assert_eq!(map.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), names);
        }
        let map: TextMap = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        assert_eq!(serde_json::to_string(&map).expect("JSON"), r#"{"a":"2","b":"3"}"#);
        assert_eq!(format!("{map:?}"), r#"{"a": "2", "b": "3"}"#);
    }
}
