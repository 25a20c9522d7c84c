//! Births whose classes are to be planned anew.
use crate::record::LocalDot;

/// A set that is filled one by one, mostly in order, and read as a whole.
#[derive(Debug, Default)]
pub struct Touched {
    births: Vec<(u32, LocalDot)>,
    /// So many of them are in order, and each is there once.
    sorted: usize,
}

impl Touched {
    pub fn insert(&mut self, birth: (u32, LocalDot)) {
        if self.births.last() == Some(&birth) {
            return;
        }
        if self.sorted == self.births.len() && self.births.last().is_none_or(|last| *last < birth) {
            self.sorted += 1;
        }
        self.births.push(birth);
    }

    pub fn is_empty(&self) -> bool {
        self.births.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Touched::default();
    }

    /// All, ascending.
    pub fn list(&mut self) -> Vec<(u32, LocalDot)> {
        self.sort();
        self.births.clone()
    }

    /// All, ascending; none is left.
    pub fn take(&mut self) -> Vec<(u32, LocalDot)> {
        self.sort();
        self.sorted = 0;
        std::mem::take(&mut self.births)
    }

    fn sort(&mut self) {
        if self.sorted < self.births.len() {
            self.births.sort_unstable();
            self.births.dedup();
            self.sorted = self.births.len();
        }
    }
}

impl Extend<(u32, LocalDot)> for Touched {
    fn extend<I: IntoIterator<Item = (u32, LocalDot)>>(&mut self, births: I) {
        births.into_iter().for_each(|b| self.insert(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_once_in_order() {
        let mut touched = Touched::default();
        let at = |t, seq| (t, LocalDot::new(1, seq));
        touched.extend([at(1, 2), at(1, 2), at(1, 5), at(1, 3), at(1, 5)]);
        assert_eq!(touched.list(), [at(1, 2), at(1, 3), at(1, 5)]);
        touched.extend([at(1, 5), at(2, 1), at(1, 1)]);
        assert_eq!(touched.take(), [at(1, 1), at(1, 2), at(1, 3), at(1, 5), at(2, 1)]);
        assert!(touched.is_empty());
    }
}
