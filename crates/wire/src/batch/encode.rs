//! From a batch to bytes.
use super::form::{check_head, check_item};
use super::header::{self, Header, Replicas};
use crate::error::Error;
use crate::hex::Hex;
use crate::limits::Limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lockstep_engine::change::{
    Alias, AliasKind, Batch, Cell, Change, ConflictRecord, Decision, Existence, Item, Origin, ReferenceWrite,
};
use lockstep_engine::id::{Dot, Stamp};
use lockstep_engine::value::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;

/// A longer value goes in lines of its own, so that no line is long.
const INLINE: usize = 64 << 10;
/// What the values of one item may take inside its line; then only short ones stay there.
const INLINE_TOTAL: usize = 1 << 20;
/// A value up to this stays in the line in any case.
const SHORT: usize = 256;
/// Bytes of a long value in one line.
pub(super) const CHUNK: usize = 192 << 10;
/// Lines are summed and packed when so many bytes of them have gathered.
const GATHER: usize = 128 << 10;
/// Level 1 packs a third faster than 3, and some percent less.
const LEVEL: i32 = 1;
const WINDOW_LOG: u32 = 21;

/// A batch as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The packed lines.
    pub bytes: Vec<u8>,
    /// Over the canonical bytes: the item lines before packing, each with its newline, and then the header up to the
    /// field that says this.
    pub sha256: [u8; 32],
    /// Items.
    pub count: u64,
    /// Bytes of all lines before packing.
    pub unpacked: u64,
}

/// Writes a batch.
///
/// Fails if the batch is not in order (a number without a name, columns that don't ascend, …) or larger than any
/// receiver with these limits would take; never because of what a value is.
pub fn encode_batch(batch: &Batch, limits: &Limits) -> Result<Encoded, Error> {
    check_head(batch).map_err(|reason| Error::Field { reason })?;
    if batch.items.len() as u64 > limits.items {
        return Err(Error::TooLarge { what: "the number of items", limit: limits.items });
    }
    let mut lines = Lines::new(batch)?;
    for (n, item) in batch.items.iter().enumerate() {
        check_item(item, &batch.tables, batch.contexts.len())
            .map_err(|reason| Error::Form { item: n as u64, reason })?;
        lines.item(item)?;
        if lines.longest > limits.line {
            return Err(Error::TooLarge { what: "an item", limit: limits.line as u64 });
        }
    }
    let (body, mut replicas, mut sum, items_unpacked) = lines.finish()?;

    let mut header = Header::of(batch, &mut replicas);
    sum.update(header::summed(&header.line()));
    let sha256 = sum.finalize().into();
    header.sha256 = Hex(sha256);
    let mut head = header.line();
    head.push(b'\n');
    if head.len() > limits.line {
        return Err(Error::TooLarge { what: "the header", limit: limits.line as u64 });
    }
    // The decoder will check the header in full; this is so that the sender notices first.
    Header::read(&head[..head.len() - 1], limits)?;
    let unpacked = items_unpacked + head.len() as u64;
    let alone = batch.items.windows(2).all(|w| w[0].table() == w[1].table() && w[0].dot() == w[1].dot());
    let limit = if alone { limits.large } else { limits.batch };
    if unpacked > limit {
        return Err(Error::TooLarge { what: "the batch", limit });
    }
    let mut bytes = packer(Vec::with_capacity(body.len() + head.len() / 2 + 64))
        .and_then(|mut p| p.write_all(&head).and_then(|()| p.finish()))
        .map_err(|source| Error::Pack { source })?;
    bytes.extend_from_slice(&body);
    if unpacked > limits.batch {
        fill(&mut bytes, unpacked.div_ceil(limits.ratio));
    }
    Ok(Encoded { bytes, sha256, count: batch.items.len() as u64, unpacked })
}

/// Makes it at least so long by frames that zstd skips.
fn fill(bytes: &mut Vec<u8>, length: u64) {
    let missing = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    let Some(padding) = u32::try_from(missing).ok().filter(|n| *n > 0) else {
        return;
    };
    bytes.extend_from_slice(&0x184D_2A50_u32.to_le_bytes());
    bytes.extend_from_slice(&padding.to_le_bytes());
    bytes.resize(bytes.len() + missing, 0);
}

fn packer(out: Vec<u8>) -> std::io::Result<zstd::Encoder<'static, Vec<u8>>> {
    let mut packer = zstd::Encoder::new(out, LEVEL)?;
    packer.window_log(WINDOW_LOG)?;
    Ok(packer)
}

/// The item lines on their way through the sum into zstd.
struct Lines<'a> {
    batch: &'a Batch,
    replicas: Replicas,
    /// The last own dot of (table, replica): the next one is written as the difference.
    seqs: HashMap<(usize, u32), u64>,
    stamp: i64,
    gathered: Vec<u8>,
    longest: usize,
    total: u64,
    sum: Sha256,
    packer: zstd::Encoder<'static, Vec<u8>>,
}

impl<'a> Lines<'a> {
    fn new(batch: &'a Batch) -> Result<Lines<'a>, Error> {
        Ok(Lines {
            batch,
            replicas: Replicas::default(),
            seqs: HashMap::new(),
            stamp: 0,
            gathered: Vec::with_capacity(GATHER + (16 << 10)),
            longest: 0,
            total: 0,
            sum: Sha256::new(),
            packer: packer(Vec::new()).map_err(|source| Error::Pack { source })?,
        })
    }

    fn finish(mut self) -> Result<(Vec<u8>, Replicas, Sha256, u64), Error> {
        self.flush()?;
        let body = self.packer.finish().map_err(|source| Error::Pack { source })?;
        Ok((body, self.replicas, self.sum, self.total))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sum.update(&self.gathered);
        self.total += self.gathered.len() as u64;
        self.packer.write_all(&self.gathered).map_err(|source| Error::Pack { source })?;
        self.gathered.clear();
        Ok(())
    }

    fn end_line(&mut self, start: usize) -> Result<(), Error> {
        self.gathered.push(b'\n');
        self.longest = self.longest.max(self.gathered.len() - start);
        if self.gathered.len() >= GATHER { self.flush() } else { Ok(()) }
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        let far = self.long_values(item)?;
        let start = self.gathered.len();
        self.gathered.push(b'[');
        match item {
            Item::Change(c) => self.change(c, far),
            Item::Alias(a) => self.alias(a),
            Item::Conflict(r) => self.conflict(r, far),
            Item::Decision(d) => self.decision(d),
        }
        self.gathered.push(b']');
        self.end_line(start)
    }

    /// Writes the long values of an item in lines before its own, and says how the line has to judge "long".
    fn long_values(&mut self, item: &Item) -> Result<Far, Error> {
        let far = Far::of(item);
        if far.bound == usize::MAX {
            return Ok(far);
        }
        for (number, value) in values(item).filter(|v| far.is_far(v)).enumerate() {
            match value {
                Value::Text(t) => match plain(t) {
                    Some(text) => self.text_lines(number, text)?,
                    None => self.base64_lines(number, t)?,
                },
                Value::Blob(b) => self.base64_lines(number, b)?,
                Value::Null | Value::Integer(_) | Value::Real(_) => unreachable!("they are short"),
            }
        }
        Ok(far)
    }

    fn text_lines(&mut self, number: usize, mut text: &str) -> Result<(), Error> {
        while !text.is_empty() {
            let (head, rest) = text.split_at(text.floor_char_boundary(CHUNK));
            let start = self.gathered.len();
            self.gathered.extend_from_slice(b"[\"text\",");
            self.number(number);
            self.gathered.push(b',');
            string(&mut self.gathered, head);
            self.gathered.push(b']');
            self.end_line(start)?;
            text = rest;
        }
        Ok(())
    }

    fn base64_lines(&mut self, number: usize, bytes: &[u8]) -> Result<(), Error> {
        for chunk in bytes.chunks(CHUNK) {
            let start = self.gathered.len();
            self.gathered.extend_from_slice(b"[\"bytes\",");
            self.number(number);
            self.gathered.push(b',');
            base64(&mut self.gathered, chunk);
            self.gathered.push(b']');
            self.end_line(start)?;
        }
        Ok(())
    }

    /// `"c",table,[replica,+seq],+stamp` and the like: what every item begins with.
    fn begin(&mut self, kind: &[u8], table: usize, dot: Dot, stamp: Stamp) {
        self.gathered.extend_from_slice(kind);
        self.number(table);
        self.gathered.extend_from_slice(b",[");
        let replica = self.replicas.number(dot.replica);
        let last = self.seqs.entry((table, replica)).or_insert(0);
        let step = dot.seq.0.wrapping_sub(*last).cast_signed();
        *last = dot.seq.0;
        self.number(replica);
        self.gathered.push(b',');
        self.number(step);
        self.gathered.extend_from_slice(b"],");
        self.number(stamp.0.wrapping_sub(self.stamp));
        self.stamp = stamp.0;
        self.gathered.push(b',');
    }

    fn change(&mut self, c: &Change, far: Far) {
        self.begin(b"\"c\",", c.table, c.dot, c.stamp);
        self.number(c.context);
        self.gathered.push(b',');
        if c.birth == c.dot {
            self.gathered.push(b'0')
        } else {
            self.dot(c.birth)
        }
        self.gathered.push(b',');
        match &c.existence {
            None => self.gathered.extend_from_slice(b"null"),
            Some(Existence::Lives) => self.gathered.extend_from_slice(b"true"),
            Some(Existence::Deleted { dangling }) => self.dangling(dangling),
        }
        self.gathered.push(b',');
        self.columns(c, far);
        self.extra(c);
        // The comma before `extra`, or nothing.
    }

    /// `[["table","column",[replica,seq],…],…]`: neighbours of one column stand together.
    fn dangling(&mut self, all: &[ReferenceWrite]) {
        self.gathered.push(b'[');
        let groups = all.chunk_by(|a, b| a.table == b.table && a.column == b.column);
        for (n, group) in groups.enumerate() {
            self.gathered.extend_from_slice(if n == 0 { b"[" } else { b",[" });
            string(&mut self.gathered, &group[0].table);
            self.gathered.push(b',');
            string(&mut self.gathered, &group[0].column);
            for reference in group {
                self.gathered.push(b',');
                self.dot(reference.dot);
            }
            self.gathered.push(b']');
        }
        self.gathered.push(b']');
    }

    /// An array if all columns of the table are there, else an object by their numbers.
    fn columns(&mut self, c: &Change, far: Far) {
        let mut long = 0;
        // They ascend and are bounded, so that as many as there are is all of them.
        let whole = c.columns.len() == self.batch.tables[c.table].columns.len();
        self.gathered.push(if whole { b'[' } else { b'{' });
        for (n, (column, cell)) in c.columns.iter().enumerate() {
            if n > 0 {
                self.gathered.push(b',');
            }
            if !whole {
                self.gathered.push(b'"');
                self.number(*column);
                self.gathered.extend_from_slice(b"\":");
            }
            self.cell(cell, far, &mut long);
        }
        self.gathered.push(if whole { b']' } else { b'}' });
    }

    /// What few changes have, by name: `,{"rank":…,"unseen":…,"origin":…}`.
    fn extra(&mut self, c: &Change) {
        let mut open: &[u8] = b",{";
        if let Some(rank) = c.rank {
            self.named(&mut open, b"\"rank\":");
            self.number(rank.0);
        }
        if !c.unseen.is_empty() {
            self.named(&mut open, b"\"unseen\":[");
            for (n, (register, dot)) in c.unseen.iter().enumerate() {
                self.gathered.extend_from_slice(if n == 0 { b"[" } else { b",[" });
                self.register(*register);
                self.gathered.push(b',');
                self.dot(*dot);
                self.gathered.push(b']');
            }
            self.gathered.push(b']');
        }
        if let Some(origin) = &c.origin {
            self.named(&mut open, b"\"origin\":");
            self.origin(origin);
        }
        if open == b"," {
            self.gathered.push(b'}');
        }
    }

    fn origin(&mut self, origin: &Origin) {
        self.gathered.push(b'{');
        let mut open: &[u8] = b"";
        if let Some(id) = origin.id {
            self.named(&mut open, b"\"id\":");
            self.number(id);
        }
        if origin.alone {
            self.named(&mut open, b"\"alone\":true");
        }
        if !origin.awaits.is_empty() {
            self.named(&mut open, b"\"awaits\":[");
            for (n, column) in origin.awaits.iter().enumerate() {
                if n > 0 {
                    self.gathered.push(b',');
                }
                self.number(*column);
            }
            self.gathered.push(b']');
        }
        self.gathered.push(b'}');
    }

    fn named(&mut self, open: &mut &[u8], name: &[u8]) {
        self.gathered.extend_from_slice(open);
        self.gathered.extend_from_slice(name);
        *open = b",";
    }

    fn alias(&mut self, a: &Alias) {
        self.begin(b"\"a\",", a.table, a.dot, a.stamp);
        string(&mut self.gathered, alias_name(a.kind));
        for birth in a.births {
            self.gathered.push(b',');
            self.dot(birth);
        }
    }

    /// `"x",table,dot,stamp,birth,register,[loser,stamp,value],[winner,stamp,value],kind`
    fn conflict(&mut self, r: &ConflictRecord, far: Far) {
        self.begin(b"\"x\",", r.table, r.dot, r.stamp);
        self.dot(r.birth);
        self.gathered.push(b',');
        self.register(r.register);
        let mut long = 0;
        let sides = [(r.loser, r.loser_stamp, &r.value), (r.winner, r.winner_stamp, &r.winner_value)];
        for (dot, stamp, value) in sides {
            self.gathered.extend_from_slice(b",[");
            self.dot(dot);
            self.gathered.push(b',');
            self.number(stamp.0);
            if let Some(cell) = value {
                self.gathered.push(b',');
                self.cell(cell, far, &mut long);
            }
            self.gathered.push(b']');
        }
        self.gathered.push(b',');
        string(&mut self.gathered, r.kind.name());
    }

    /// `"d",table,dot,stamp,birth,loser,kept`
    fn decision(&mut self, d: &Decision) {
        self.begin(b"\"d\",", d.table, d.dot, d.stamp);
        for dot in [d.birth, d.loser] {
            self.dot(dot);
            self.gathered.push(b',');
        }
        string(&mut self.gathered, d.kept.name());
    }

    fn cell(&mut self, cell: &Cell, far: Far, long: &mut usize) {
        match cell {
            Cell::Value(v) => self.value(v, far, long),
            Cell::Row(dot) => self.dot(*dot),
            Cell::Raw(v) => {
                self.gathered.extend_from_slice(b"{\"raw\":");
                self.value(v, far, long);
                self.gathered.push(b'}');
            }
        }
    }

    fn value(&mut self, value: &Value, far: Far, long: &mut usize) {
        if far.is_far(value) {
            self.gathered.extend_from_slice(match value {
                Value::Text(_) => b"{\"text\":",
                Value::Null | Value::Integer(_) | Value::Real(_) | Value::Blob(_) => b"{\"blob\":",
            });
            self.number(*long);
            self.gathered.push(b'}');
            *long += 1;
            return;
        }
        match value {
            Value::Null => self.gathered.extend_from_slice(b"null"),
            Value::Integer(i) => self.number(*i),
            Value::Real(f) if f.is_infinite() => {
                self.gathered.extend_from_slice(if *f > 0.0 { b"{\"real\":\"inf\"}" } else { b"{\"real\":\"-inf\"}" });
            }
            Value::Real(f) => serde_json::to_writer(&mut self.gathered, f).expect("a Vec takes all"),
            Value::Text(t) => match plain(t) {
                Some(text) => string(&mut self.gathered, text),
                None => self.tagged(b"{\"text\":", t),
            },
            Value::Blob(b) => self.tagged(b"{\"blob\":", b),
        }
    }

    fn tagged(&mut self, tag: &[u8], bytes: &[u8]) {
        self.gathered.extend_from_slice(tag);
        base64(&mut self.gathered, bytes);
        self.gathered.push(b'}');
    }

    fn register(&mut self, register: Option<usize>) {
        match register {
            Some(column) => self.number(column),
            None => self.gathered.extend_from_slice(b"null"),
        }
    }

    fn dot(&mut self, dot: Dot) {
        let replica = self.replicas.number(dot.replica);
        self.gathered.push(b'[');
        self.number(replica);
        self.gathered.push(b',');
        self.number(dot.seq.0);
        self.gathered.push(b']');
    }

    fn number(&mut self, n: impl serde::Serialize) {
        serde_json::to_writer(&mut self.gathered, &n).expect("a Vec takes all");
    }
}

/// From which length on the values of an item stand in lines of their own.
#[derive(Clone, Copy)]
struct Far {
    bound: usize,
}

impl Far {
    fn of(item: &Item) -> Far {
        let (mut total, mut longest) = (0, 0);
        for value in values(item) {
            let weight = value.weight();
            total += weight;
            longest = longest.max(weight);
        }
        let bound = match () {
            () if total > INLINE_TOTAL => SHORT,
            () if longest > INLINE => INLINE,
            () => usize::MAX,
        };
        Far { bound }
    }

    fn is_far(self, value: &Value) -> bool {
        match value {
            Value::Text(b) | Value::Blob(b) => b.len() > self.bound,
            Value::Null | Value::Integer(_) | Value::Real(_) => false,
        }
    }
}

/// The values of an item in the order in which its line has them.
fn values(item: &Item) -> impl Iterator<Item = &Value> {
    let (columns, sides): (&[(usize, Cell)], [&Option<Cell>; 2]) = match item {
        Item::Change(c) => (&c.columns, [&None, &None]),
        Item::Alias(_) | Item::Decision(_) => (&[], [&None, &None]),
        Item::Conflict(r) => (&[], [&r.value, &r.winner_value]),
    };
    let cells = columns.iter().map(|(_, cell)| cell).chain(sides.into_iter().flatten());
    cells.filter_map(|cell| match cell {
        Cell::Value(v) | Cell::Raw(v) => Some(v),
        Cell::Row(_) => None,
    })
}

/// The text, if JSON carries it as it is: UTF-8 without NUL.
fn plain(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains('\0') { None } else { Some(text) }
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes all");
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let n = BASE64.encode_slice(bytes, &mut out[start..]).expect("there is room");
    out.truncate(start + n);
    out.push(b'"');
}

/// How the kind of an alias is written.
pub(crate) fn alias_name(kind: AliasKind) -> &'static str {
    match kind {
        AliasKind::Hand => "hand",
        AliasKind::Apart => "apart",
        AliasKind::Fall => "fall",
        AliasKind::Key => "key",
    }
}

/// The kind of that name.
pub(crate) fn alias_kind(name: &str) -> Option<AliasKind> {
    [AliasKind::Hand, AliasKind::Apart, AliasKind::Fall, AliasKind::Key].into_iter().find(|k| alias_name(*k) == name)
}
