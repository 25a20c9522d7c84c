//! Ranges of a table's rows, in an order that is the same on every node, and the sums over them.
//!
//! Always true here: the sixteen parts of a range make up the range, and the sum over all is the digest of the table.
use std::fmt;
use std::str::FromStr;

/// Into how many parts a range is cut: one for each hex digit.
pub const FAN_OUT: usize = 16;
/// Digits of the finest range.
const DIGITS: u8 = 4;

/// All rows whose position begins with these hex digits: from none, which is the whole table, to four.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Range {
    digits: u8,
    /// The digits, right-aligned.
    prefix: u16,
}

impl Range {
    /// The whole table.
    pub const ALL: Range = Range { digits: 0, prefix: 0 };

    /// Can it not be cut any more?
    pub fn is_finest(self) -> bool {
        self.digits == DIGITS
    }

    /// Is a position in it?
    pub fn holds(self, position: u16) -> bool {
        self.digits == 0 || position >> (4 * (DIGITS - self.digits)) == self.prefix
    }

    /// Its part under a hex digit. None: it can't be cut any more.
    pub fn part(self, digit: usize) -> Option<Range> {
        (!self.is_finest() && digit < FAN_OUT)
            .then(|| Range { digits: self.digits + 1, prefix: self.prefix << 4 | digit as u16 })
    }

    /// The positions in it.
    fn positions(self) -> std::ops::Range<usize> {
        let width = 1_usize << (4 * (DIGITS - self.digits));
        let first = usize::from(self.prefix) * width;
        first..first + width
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits {
            0 => Ok(()),
            n => write!(f, "{:0width$x}", self.prefix, width = usize::from(n)),
        }
    }
}

/// A text that is not up to four lower-case hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a range is up to four hex digits")]
pub struct BadRange;

impl FromStr for Range {
    type Err = BadRange;
    fn from_str(s: &str) -> Result<Range, BadRange> {
        let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        if s.len() > usize::from(DIGITS) || !s.bytes().all(is_digit) {
            return Err(BadRange);
        }
        let prefix = if s.is_empty() { 0 } else { u16::from_str_radix(s, 16).map_err(|_| BadRange)? };
        Ok(Range { digits: s.len() as u8, prefix })
    }
}

/// The sum over a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RangeSum {
    /// Births that live.
    pub births: u64,
    /// Over their parts of the digest, and over their aliases.
    pub hash: u128,
}

/// The sums over all of the finest ranges of a table: 2 MiB, whatever the table's size.
#[derive(Clone, PartialEq, Eq)]
pub struct Sums {
    by_position: Vec<RangeSum>,
}

impl Default for Sums {
    /// Of an empty table.
    fn default() -> Sums {
        Sums { by_position: vec![RangeSum::default(); 1 << (4 * DIGITS)] }
    }
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of(Range::ALL).fmt(f)
    }
}

impl Sums {
    /// One more birth.
    pub(super) fn add(&mut self, position: u16, hash: u128) {
        self.by_position[usize::from(position)].births += 1;
        self.add_edge(position, hash);
    }

    /// One more alias.
    pub(super) fn add_edge(&mut self, position: u16, hash: u128) {
        let sum = &mut self.by_position[usize::from(position)];
        sum.hash = sum.hash.wrapping_add(hash);
    }

    /// The sum over a range.
    pub fn of(&self, range: Range) -> RangeSum {
        let sum =
            |a: RangeSum, b: &RangeSum| RangeSum { births: a.births + b.births, hash: a.hash.wrapping_add(b.hash) };
        self.by_position[range.positions()].iter().fold(RangeSum::default(), sum)
    }

    /// The sums over the sixteen parts of a range. None: it can't be cut any more.
    pub fn parts_of(&self, range: Range) -> Option<[RangeSum; FAN_OUT]> {
        (!range.is_finest())
            .then(|| std::array::from_fn(|digit| range.part(digit).map_or(RangeSum::default(), |r| self.of(r))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_named_by_its_digits_and_made_up_of_its_parts() {
        for (name, first, width) in
            [("", 0, 65_536), ("0", 0, 4096), ("a", 0xa000, 4096), ("0f", 0x0f00, 256), ("beef", 0xbeef, 1)]
        {
            let range: Range = name.parse().unwrap();
            assert_eq!(range.to_string(), name);
            assert_eq!(range.positions(), first..first + width);
            for position in 0..=u16::MAX {
                assert_eq!(
                    range.holds(position),
                    range.positions().contains(&usize::from(position)),
                    "{name} {position}"
                );
            }
        }
        for bad in ["g", "A", "+1", "12345", " ", "-"] {
            assert_eq!(bad.parse::<Range>(), Err(BadRange), "{bad}");
        }
        assert_eq!("beef".parse::<Range>().unwrap().part(0), None);
        assert_eq!(Range::ALL.part(16), None);
        let mut sums = Sums::default();
        for position in [0, 1, 0x1234, 0x1235, 0xffff] {
            sums.add(position, u128::MAX - u128::from(position));
        }
        sums.add_edge(7, 7);
        for name in ["", "1", "12", "123", "f"] {
            let range: Range = name.parse().unwrap();
            let parts = sums.parts_of(range).unwrap();
            let whole = parts.iter().fold(RangeSum::default(), |a, b| RangeSum {
                births: a.births + b.births,
                hash: a.hash.wrapping_add(b.hash),
            });
            assert_eq!(sums.of(range), whole, "{name}");
        }
        assert_eq!(sums.of(Range::ALL).births, 5);
    }
}
