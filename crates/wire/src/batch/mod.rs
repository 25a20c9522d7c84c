//! A batch as it travels: lines of JSON, packed with zstd.
//!
//! The first line is a header that names tables, columns, replicas and contexts once; then comes a line per item, an
//! array. The header stands in a frame of its own, so that it can say the SHA-256 of the lines that follow while these
//! are packed as they are written. Form and examples: `docs/protocol.md`.
//!
//! Always true here: what [`decode_batch`] returns is what [`encode_batch`] was given, bit for bit, or an error. A
//! batch is refused whole. Nothing is asked of the memory that the limits don't allow.
//!
//! Not here: whether the sender may write this, whether the receiver has what the batch starts from, and what its items
//! mean. That is for the node and the engine.
mod decode;
mod encode;
mod form;
mod header;

pub use decode::decode_batch;
pub use encode::{Encoded, encode_batch};
pub(crate) use encode::{alias_kind, alias_name};
