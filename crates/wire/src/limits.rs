//! What a message may measure. Every decoder takes these; none of them trusts a number that the message itself says.

/// The bounds of every message. The default is what both sides use; a small device may lower them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body as it travels (compressed, where it is). A larger batch goes in parts.
    pub message: usize,
    /// Bytes of a batch when unpacked.
    pub batch: u64,
    /// Bytes of a batch when unpacked, if it is one single write, which can't be cut: what the two sides of a conflict
    /// take in base64 if each is as large as SQLite allows by default, and a little.
    pub large: u64,
    /// How many times its packed bytes a batch may unpack to, once it is larger than `batch`. What packs better is
    /// filled up by the sender, so that nobody can make another take much memory by sending little.
    pub ratio: u64,
    /// Bytes of one line of a batch.
    pub line: usize,
    /// Items of a batch.
    pub items: u64,
    /// Tables of a database, and databases of a node.
    pub tables: usize,
    /// Columns of a table. SQLite can't be built for more.
    pub columns: usize,
    /// Replicas that a message names.
    pub replicas: usize,
    /// Contexts that a batch names.
    pub contexts: usize,
    /// Ranges of one question.
    pub ranges: usize,
    /// Births of one answer.
    pub births: usize,
    /// Rows of one question.
    pub rows: usize,
    /// Bytes of a name.
    pub name: usize,
    /// Bytes of a sentence for people (an error, a hint, what is wrong with capture).
    pub sentence: usize,
    /// Base 2 logarithm of the window that unpacking may ask memory for.
    pub window_log: u32,
}

impl Limits {
    /// What a batch of one single write may unpack to, when it is so large packed.
    pub(crate) fn unpacked(&self, packed: u64) -> u64 {
        self.large.min(packed.saturating_mul(self.ratio)).max(self.batch)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message: 8 << 20,
            batch: 64 << 20,
            large: 2_800_000_000,
            ratio: 20,
            line: 32 << 20,
            items: 100_000,
            tables: 10_000,
            columns: 32_767,
            replicas: 4_096,
            contexts: 100_000,
            ranges: 64,
            births: 65_536,
            rows: 64,
            name: 1_024,
            sentence: 2_048,
            window_log: 23,
        }
    }
}
