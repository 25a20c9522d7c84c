//! Bytes of a fixed length, written as lower-case hex digits.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// `N` bytes; in JSON a string of `2 * N` lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not so many lower-case hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not lower-case hex digits of the right number")]
pub struct BadHex;

impl<const N: usize> FromStr for Hex<N> {
    type Err = BadHex;
    fn from_str(s: &str) -> Result<Self, BadHex> {
        let digits = s.as_bytes();
        if digits.len() != 2 * N {
            return Err(BadHex);
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Hex(bytes))
    }
}

fn digit(c: u8) -> Result<u8, BadHex> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(BadHex),
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Digits<const N: usize>;
        impl<const N: usize> serde::de::Visitor<'_> for Digits<N> {
            type Value = Hex<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} lower-case hex digits", 2 * N)
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<Hex<N>, E> {
                s.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(Digits)
    }
}

impl From<u128> for Hex<16> {
    fn from(n: u128) -> Self {
        Hex(n.to_be_bytes())
    }
}

impl From<Hex<16>> for u128 {
    fn from(h: Hex<16>) -> u128 {
        u128::from_be_bytes(h.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_digits_of_the_right_number() {
        let h: Hex<2> = "0aff".parse().unwrap();
        assert_eq!(h, Hex([0x0a, 0xff]));
        assert_eq!(serde_json::to_string(&h).unwrap(), "\"0aff\"");
        for bad in ["0aFF", "0af", "0aff0", "+aff", "0aé"] {
            assert_eq!(bad.parse::<Hex<2>>(), Err(BadHex), "{bad}");
        }
        assert_eq!(u128::from(Hex::from(7u128)), 7);
    }
}
