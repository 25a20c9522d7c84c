//! A body that is larger than a message may be goes in parts: each one a line of JSON that says what it belongs to,
//! and bytes after it. A value of any size travels so.
//!
//! Always true here: what [`Parts`] gives back has the SHA-256 that its parts named, and is no larger than allowed.
use crate::error::Error;
use crate::hex::Hex;
use crate::limits::Limits;
use crate::message::{Message, bound, message};
use sha2::{Digest, Sha256};

message! {
    /// The line before the bytes of a part.
    "part" PartHead {
        /// SHA-256 of the whole body.
        whole: Hex<32>,
        /// Bytes of the whole body.
        length: u64,
        /// Which part, from 0.
        index: u32,
        /// Of how many.
        of: u32,
    }
    check(head, _limits) {
        if head.index >= head.of || u64::from(head.of) > head.length {
            return Err(Error::Field { reason: "a part has a number that can't be" });
        }
    }
}

message! {
    /// Asks for a further part of a body of which the first has come.
    "part_request" PartRequest {
        /// SHA-256 of the whole body.
        whole: Hex<32>,
        /// Which part, from 0.
        index: u32,
    }
    check(_ask, _limits) {}
}

message! {
    /// Says that a part has come, and which one is missing now.
    "part_ack" PartAck {
        /// SHA-256 of the whole body.
        whole: Hex<32>,
        /// The next part, from 0.
        next: u32,
    }
    check(_ack, _limits) {}
}

/// A body cut into parts. With one part there is no need to send it as such.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    body: &'a [u8],
    whole: Hex<32>,
    size: usize,
}

/// Room for the line before the bytes.
const HEAD: usize = 256;

impl<'a> Cut<'a> {
    /// Cuts a body so that each part, framed, is a message.
    pub fn new(body: &'a [u8], limits: &Limits) -> Cut<'a> {
        let size = limits.message.saturating_sub(HEAD).max(1);
        Cut { body, whole: Hex(Sha256::digest(body).into()), size }
    }

    /// Its name.
    pub fn whole(&self) -> Hex<32> {
        self.whole
    }

    /// How many parts there are.
    pub fn of(&self) -> u32 {
        u32::try_from(self.body.len().div_ceil(self.size).max(1)).unwrap_or(u32::MAX)
    }

    /// A part, framed. None: there are not so many.
    pub fn part(&self, index: u32) -> Option<Vec<u8>> {
        if index >= self.of() {
            return None;
        }
        let bytes = self.body.chunks(self.size).nth(index as usize)?;
        let head = PartHead { whole: self.whole, length: self.body.len() as u64, index, of: self.of() };
        let mut framed = head.to_json();
        framed.push(b'\n');
        framed.extend_from_slice(bytes);
        Some(framed)
    }
}

/// Is this body a part, and not a whole batch?
pub fn is_part(body: &[u8]) -> bool {
    body.first() == Some(&b'{')
}

/// Splits a framed part into its head and its bytes.
pub fn read_part<'a>(framed: &'a [u8], limits: &Limits) -> Result<(PartHead, &'a [u8]), Error> {
    bound("the message", framed.len(), limits.message)?;
    let head = &framed[..framed.len().min(HEAD)];
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        return Err(Error::Part { reason: "it has no line before its bytes" });
    };
    Ok((PartHead::from_json(&framed[..end], limits)?, &framed[end + 1..]))
}

/// Parts as they come, in order. A part that came before is no fault, so that a lost answer is none either.
#[derive(Debug, Default)]
pub struct Parts {
    head: Option<PartHead>,
    next: u32,
    bytes: Vec<u8>,
}

/// Where a body stands after a part has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This part is missing next.
    Next(u32),
    /// All have come; this is the body.
    Whole(Vec<u8>),
}

impl Parts {
    /// None has come.
    pub fn new() -> Parts {
        Parts::default()
    }

    /// Takes a part. A first part of another body begins anew. After an error everything has to come again.
    pub fn add(&mut self, head: &PartHead, bytes: &[u8], limits: &Limits) -> Result<Progress, Error> {
        // What is packed is no larger than what is unpacked, but for a little that zstd adds.
        let most = limits.large.max(limits.batch) / 64 * 65;
        if head.length > most {
            return Err(Error::TooLarge { what: "the batch", limit: most });
        }
        let same =
            self.head.as_ref().is_some_and(|h| h.whole == head.whole && h.length == head.length && h.of == head.of);
        if !same {
            *self = Parts::new();
            if head.index != 0 {
                return Err(Error::Part { reason: "it is not the first, and the first has not come" });
            }
            self.head = Some(head.clone());
        }
        if head.index < self.next {
            return Ok(Progress::Next(self.next));
        }
        if head.index > self.next {
            return Err(Error::Part { reason: "one before it has not come" });
        }
        if self.bytes.len() as u64 + bytes.len() as u64 > head.length {
            *self = Parts::new();
            return Err(Error::Part { reason: "it has more bytes than it says" });
        }
        self.bytes.extend_from_slice(bytes);
        self.next += 1;
        if self.next < head.of {
            return Ok(Progress::Next(self.next));
        }
        let whole = std::mem::take(self).bytes;
        if whole.len() as u64 != head.length || <[u8; 32]>::from(Sha256::digest(&whole)) != head.whole.0 {
            return Err(Error::Checksum { what: "body in parts" });
        }
        Ok(Progress::Whole(whole))
    }
}
