//! Why a message was refused.
//!
//! Always true here: no text of an error quotes a value of a row, so that none can reach a log.

/// A message that was refused whole. Nothing of it has been used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is larger, or holds more, than the limits say.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// It speaks a version that is not known here.
    #[error("the message is of version {found}, and this node speaks version {}", crate::VERSION)]
    Version {
        /// The version it names.
        found: u64,
    },
    /// It is another message than the one expected.
    #[error("the message is a `{found}`, where a `{expected}` belongs")]
    Type {
        /// What was expected.
        expected: &'static str,
        /// What it says it is.
        found: String,
    },
    /// Its JSON is broken or has another form.
    #[error("the message can't be read at column {column}: {reason}")]
    Message {
        /// Where, in bytes.
        column: usize,
        /// What the JSON reader said.
        reason: String,
    },
    /// A field of it says what can't be.
    #[error("the message is not in order: {reason}")]
    Field {
        /// What is wrong.
        reason: &'static str,
    },
    /// One line of a batch is broken or has another form.
    #[error("item {item} of the batch can't be read at column {column}: {reason}")]
    Item {
        /// Which, from 0.
        item: u64,
        /// Where in its line, in bytes.
        column: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A batch that this node was about to send, or that arrived, is not in order.
    #[error("item {item} of the batch is not in order: {reason}")]
    Form {
        /// Which, from 0.
        item: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// There are more or fewer items than the header says.
    #[error("the batch says {expected} items and has {found}")]
    Count {
        /// Of the header.
        expected: u64,
        /// Counted; at least so many.
        found: u64,
    },
    /// The bytes are not those that were sent.
    #[error("the {what} does not have the SHA-256 that it says")]
    Checksum {
        /// What was summed.
        what: &'static str,
    },
    /// It can't be unpacked, or ends too early.
    #[error("the batch can't be unpacked")]
    Unpack {
        /// What zstd said.
        source: std::io::Error,
    },
    /// It can't be packed.
    #[error("the batch can't be packed")]
    Pack {
        /// What zstd said.
        source: std::io::Error,
    },
    /// A part that does not belong to what has come so far.
    #[error("the part is not the one that is expected: {reason}")]
    Part {
        /// What is wrong.
        reason: &'static str,
    },
}

impl Error {
    /// A stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Error::TooLarge { .. } => "message_too_large",
            Error::Version { .. } => "message_version",
            Error::Type { .. } => "message_type",
            Error::Message { .. } | Error::Field { .. } => "message_malformed",
            Error::Item { .. } | Error::Form { .. } => "batch_malformed",
            Error::Count { .. } => "batch_count",
            Error::Checksum { .. } => "checksum",
            Error::Unpack { .. } => "batch_unpack",
            Error::Pack { .. } => "batch_pack",
            Error::Part { .. } => "part",
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::TooLarge { .. } => {
                "Nothing was taken over. If both nodes are of one version, raise the limit on this one."
            }
            Error::Version { .. } => "Nothing was taken over. Install the same version of Lockstep on both nodes.",
            Error::Type { .. }
            | Error::Message { .. }
            | Error::Field { .. }
            | Error::Item { .. }
            | Error::Form { .. } => {
                "Nothing was taken over. Install the same version of Lockstep on both nodes; if they are, report it."
            }
            Error::Count { .. } | Error::Checksum { .. } | Error::Unpack { .. } | Error::Part { .. } => {
                "Nothing was taken over; it is asked for again. If this stays, look for what changes messages on the way."
            }
            Error::Pack { .. } => "Nothing was sent. Look whether memory is short.",
        }
    }

    /// May the same message arrive well when it is asked for again?
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Message { .. }
            | Error::Item { .. }
            | Error::Count { .. }
            | Error::Checksum { .. }
            | Error::Unpack { .. }
            | Error::Part { .. } => true,
            Error::TooLarge { .. }
            | Error::Version { .. }
            | Error::Type { .. }
            | Error::Field { .. }
            | Error::Form { .. }
            | Error::Pack { .. } => false,
        }
    }
}

/// The text of a JSON error, bounded and on one line, since it may quote what a stranger sent.
pub(crate) fn message(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let reason: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Error::Message { column: error.column(), reason }
}
