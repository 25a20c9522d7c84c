//! From bytes to a batch.
//!
//! The grammar is serde_json's; the visitors here say which of its documents are items. They have no recursion, so that
//! the depth of a line is bounded by their form. None of their errors quotes what it found.
use super::form::check_item;
use super::header::{self, Header};
use crate::batch::alias_kind;
use crate::error::Error;
use crate::limits::Limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lockstep_engine::change::{
    Alias, Batch, Cell, Change, ConflictKind, ConflictRecord, Decision, Existence, Item, Kept, Origin, ReferenceWrite,
    TableHead,
};
use lockstep_engine::id::{Dot, ReplicaId, Seq, Stamp};
use lockstep_engine::value::Value;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// Reads a batch, or refuses it whole.
pub fn decode_batch(bytes: &[u8], limits: &Limits) -> Result<Batch, Error> {
    let mut lines = Lines::new(bytes, limits)?;
    let mut line = Vec::new();
    if !lines.next(&mut line)? {
        return Err(Error::Count { expected: 1, found: 0 });
    }
    let header = Header::read(&line, limits)?;
    let (count, sha256) = (header.count, header.sha256.0);
    let head = header::summed(&line).to_vec();
    let (mut batch, replicas) = header.into_batch()?;

    let mut sum = Sha256::new();
    let names = Names::new(&batch.tables, &replicas);
    let mut items: Vec<Item> = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(4096));
    while lines.next(&mut line)? {
        let n = items.len() as u64;
        if n == count {
            return Err(Error::Count { expected: count, found: n + 1 });
        }
        sum.update(&line);
        sum.update(b"\n");
        let Some(item) = names.read_line(&line, n)? else {
            continue;
        };
        check_item(&item, &batch.tables, batch.contexts.len()).map_err(|reason| Error::Form { item: n, reason })?;
        if let Some(first) = items.first()
            && (first.dot() != item.dot() || first.table() != item.table())
        {
            lines.several_writes();
        }
        items.push(item);
    }
    if !names.long.borrow().is_empty() {
        return Err(Error::Item { item: items.len() as u64, column: 0, reason: "no item uses this long value" });
    }
    if items.len() as u64 != count {
        return Err(Error::Count { expected: count, found: items.len() as u64 });
    }
    sum.update(&head);
    if <[u8; 32]>::from(sum.finalize()) != sha256 {
        return Err(Error::Checksum { what: "batch" });
    }
    batch.items = items;
    Ok(batch)
}

/// The unpacked lines, each and all of them bounded.
struct Lines<'a> {
    input: BufReader<zstd::Decoder<'static, BufReader<&'a [u8]>>>,
    taken: u64,
    limits: &'a Limits,
    /// What all lines may take.
    most: u64,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8], limits: &'a Limits) -> Result<Lines<'a>, Error> {
        let unpack = |source| Error::Unpack { source };
        let mut unpacker = zstd::Decoder::new(bytes).map_err(unpack)?;
        unpacker.window_log_max(limits.window_log).map_err(unpack)?;
        let input = BufReader::with_capacity(128 << 10, unpacker);
        Ok(Lines { input, taken: 0, limits, most: limits.unpacked(bytes.len() as u64) })
    }

    /// From here on the smaller limit holds, also for what was read so far.
    fn several_writes(&mut self) {
        self.most = self.limits.batch;
    }

    /// Reads the next line, without its newline. False: there is none.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, Error> {
        line.clear();
        let most = self.most.saturating_sub(self.taken).min(self.limits.line as u64);
        let read = self.input.by_ref().take(most + 1).read_until(b'\n', line);
        let n = read.map_err(|source| Error::Unpack { source })? as u64;
        self.taken += n;
        if self.taken > self.most {
            return Err(Error::TooLarge { what: "the batch", limit: self.most });
        }
        if n == 0 {
            return Ok(false);
        }
        if n > self.limits.line as u64 {
            return Err(Error::TooLarge { what: "an item", limit: self.limits.line as u64 });
        }
        if line.pop() != Some(b'\n') {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(Error::Unpack { source });
        }
        Ok(true)
    }
}

/// What the numbers of a line stand for, and what the lines before have left behind.
struct Names<'a> {
    tables: &'a [TableHead],
    replicas: &'a [ReplicaId],
    seqs: RefCell<HashMap<(usize, u32), u64>>,
    stamp: Slot<i64>,
    /// Long values that wait for their item.
    long: RefCell<Vec<Option<Vec<u8>>>>,
    /// Why the line is refused; the text of a serde error may quote values.
    reason: Slot<Option<&'static str>>,
    /// A real was read that might have been written as an integer.
    doubtful: Slot<bool>,
}

const OTHER_FORM: &str = "it has not the form of an item";

impl<'a> Names<'a> {
    fn new(tables: &'a [TableHead], replicas: &'a [ReplicaId]) -> Names<'a> {
        Names {
            tables,
            replicas,
            seqs: RefCell::default(),
            stamp: Slot::new(0),
            long: RefCell::default(),
            reason: Slot::new(None),
            doubtful: Slot::new(false),
        }
    }

    /// None: the line is a piece of a long value.
    fn read_line(&self, line: &[u8], n: u64) -> Result<Option<Item>, Error> {
        self.doubtful.set(false);
        let mut json = serde_json::Deserializer::from_slice(line);
        let read = LineSeed(self).deserialize(&mut json).and_then(|item| json.end().map(|()| item));
        let item = read.map_err(|e| Error::Item {
            item: n,
            column: e.column(),
            reason: self.reason.take().unwrap_or(if e.is_data() { OTHER_FORM } else { "it is no JSON" }),
        })?;
        if self.doubtful.get()
            && let Some(column) = find_far_integer(line)
        {
            return Err(Error::Item { item: n, column, reason: "an integer does not fit 64 bits" });
        }
        Ok(item)
    }

    fn refuse<E: serde::de::Error>(&self, reason: &'static str) -> E {
        self.reason.set(Some(reason));
        E::custom(reason)
    }

    fn dot<E: serde::de::Error>(&self, (replica, seq): (u32, u64)) -> Result<Dot, E> {
        match self.replicas.get(replica as usize) {
            Some(replica) => Ok(Dot { replica: *replica, seq: Seq(seq) }),
            None => Err(self.refuse("it names a replica that the header does not")),
        }
    }

    /// The own dot of an item: its seq is the step from the one before of the same table and replica.
    fn own_dot<E: serde::de::Error>(&self, table: usize, (replica, step): (u32, i64)) -> Result<Dot, E> {
        let mut seqs = self.seqs.borrow_mut();
        let last = seqs.entry((table, replica)).or_insert(0);
        *last = last.wrapping_add(step.cast_unsigned());
        self.dot((replica, *last))
    }

    fn own_stamp(&self, step: i64) -> Stamp {
        self.stamp.set(self.stamp.get().wrapping_add(step));
        Stamp(self.stamp.get())
    }

    fn columns_of<E: serde::de::Error>(&self, table: usize) -> Result<usize, E> {
        match self.tables.get(table) {
            Some(head) => Ok(head.columns.len()),
            None => Err(self.refuse("it names a table that the header does not")),
        }
    }

    fn take_long<E: serde::de::Error>(&self, number: u64) -> Result<Arc<[u8]>, E> {
        let mut long = self.long.borrow_mut();
        let slot = usize::try_from(number).ok().and_then(|n| long.get_mut(n));
        match slot.and_then(Option::take) {
            Some(bytes) => Ok(bytes.into()),
            None => Err(self.refuse("it names a long value that was not there")),
        }
    }

    /// An item ends: it must have used all of its long values.
    fn end_long<E: serde::de::Error>(&self) -> Result<(), E> {
        let mut long = self.long.borrow_mut();
        if long.iter().any(Option::is_some) {
            return Err(self.refuse("it does not use all of its long values"));
        }
        long.clear();
        Ok(())
    }

    fn add_long<E: serde::de::Error>(&self, number: usize, piece: Piece) -> Result<(), E> {
        let mut long = self.long.borrow_mut();
        if number == long.len() {
            long.push(Some(Vec::new()));
        }
        if number + 1 != long.len() {
            return Err(self.refuse("a piece of a long value is out of its order"));
        }
        let Some(Some(bytes)) = long.last_mut() else {
            return Err(self.refuse("a piece of a long value is out of its order"));
        };
        match piece {
            Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
            Piece::Base64(text) => {
                BASE64.decode_vec(text.as_ref(), bytes).map_err(|_| self.refuse::<E>("it has broken base64"))?;
            }
        }
        Ok(())
    }
}

enum Piece<'de> {
    Text(std::borrow::Cow<'de, str>),
    Base64(std::borrow::Cow<'de, str>),
}

/// A string, borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'t>(#[serde(borrow)] std::borrow::Cow<'t, str>);

/// The next element, which must be there.
fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(seq: &mut A, names: &Names) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| names.refuse("it is too short"))
}

fn next_seed<'de, A: SeqAccess<'de>, S: DeserializeSeed<'de>>(
    seq: &mut A,
    seed: S,
    names: &Names,
) -> Result<S::Value, A::Error> {
    seq.next_element_seed(seed)?.ok_or_else(|| names.refuse("it is too short"))
}

struct LineSeed<'n, 'a>(&'n Names<'a>);

impl<'de> DeserializeSeed<'de> for LineSeed<'_, '_> {
    type Value = Option<Item>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<Item>, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_, '_> {
    type Value = Option<Item>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<Item>, A::Error> {
        let names = self.0;
        let kind: Text = next(&mut seq, names)?;
        let item = match kind.0.as_ref() {
            "c" => Item::Change(read_change(&mut seq, names)?),
            "a" => Item::Alias(read_alias(&mut seq, names)?),
            "x" => Item::Conflict(read_conflict(&mut seq, names)?),
            "d" => Item::Decision(read_decision(&mut seq, names)?),
            "text" | "bytes" => {
                let number = next(&mut seq, names)?;
                let text: Text = next(&mut seq, names)?;
                let piece = if kind.0 == "text" { Piece::Text(text.0) } else { Piece::Base64(text.0) };
                names.add_long(number, piece)?;
                return Ok(None);
            }
            _ => return Err(names.refuse("it is of a kind that is not known here")),
        };
        names.end_long()?;
        Ok(Some(item))
    }
}

/// What every item begins with.
fn read_begin<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<(usize, Dot, Stamp), A::Error> {
    let table: usize = next(seq, names)?;
    names.columns_of::<A::Error>(table)?;
    let dot = names.own_dot(table, next(seq, names)?)?;
    let stamp = names.own_stamp(next(seq, names)?);
    Ok((table, dot, stamp))
}

fn read_dot<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<Dot, A::Error> {
    names.dot(next(seq, names)?)
}

fn read_change<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<Change, A::Error> {
    let (table, dot, stamp) = read_begin(seq, names)?;
    let context = next(seq, names)?;
    let birth = next_seed(seq, BirthSeed { names, dot }, names)?;
    let existence = next_seed(seq, ExistenceSeed(names), names)?;
    let columns = next_seed(seq, ColumnsSeed { names, len: names.columns_of(table)? }, names)?;
    let extra: Extra = seq.next_element()?.unwrap_or_default();
    let mut unseen = Vec::with_capacity(extra.unseen.len());
    for (register, dot) in extra.unseen {
        unseen.push((register, names.dot(dot)?));
    }
    Ok(Change {
        table,
        birth,
        dot,
        stamp,
        rank: extra.rank.map(Stamp),
        context,
        unseen,
        existence,
        columns,
        origin: extra.origin.map(|o| Origin { id: o.id, alone: o.alone, awaits: o.awaits }),
    })
}

/// The last element of a change, if there is one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Extra {
    rank: Option<i64>,
    unseen: Vec<(Option<usize>, (u32, u64))>,
    origin: Option<ExtraOrigin>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ExtraOrigin {
    id: Option<i64>,
    alone: bool,
    awaits: Vec<usize>,
}

fn read_alias<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<Alias, A::Error> {
    let (table, dot, stamp) = read_begin(seq, names)?;
    let kind: Text = next(seq, names)?;
    let Some(kind) = alias_kind(&kind.0) else {
        return Err(names.refuse("its kind of alias is not known here"));
    };
    let births = [read_dot(seq, names)?, read_dot(seq, names)?];
    Ok(Alias { table, dot, stamp, kind, births })
}

fn read_conflict<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<ConflictRecord, A::Error> {
    let (table, dot, stamp) = read_begin(seq, names)?;
    let birth = read_dot(seq, names)?;
    let register = next(seq, names)?;
    let (loser, loser_stamp, value) = next_seed(seq, SideSeed(names), names)?;
    let (winner, winner_stamp, winner_value) = next_seed(seq, SideSeed(names), names)?;
    let kind: Text = next(seq, names)?;
    let Some(kind) = ConflictKind::from_name(&kind.0) else {
        return Err(names.refuse("its kind of conflict is not known here"));
    };
    Ok(ConflictRecord {
        table,
        dot,
        stamp,
        birth,
        register,
        loser,
        loser_stamp,
        value,
        winner,
        winner_stamp,
        winner_value,
        kind,
    })
}

fn read_decision<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<Decision, A::Error> {
    let (table, dot, stamp) = read_begin(seq, names)?;
    let (birth, loser) = (read_dot(seq, names)?, read_dot(seq, names)?);
    let kept: Text = next(seq, names)?;
    let Some(kept) = Kept::from_name(&kept.0) else {
        return Err(names.refuse("its kind of decision is not known here"));
    };
    Ok(Decision { table, dot, stamp, birth, loser, kept })
}

/// Implements [`DeserializeSeed`] by handing the visitor to one method of the deserializer.
macro_rules! seed {
    ($seed:ty, $value:ty, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<$value, D::Error> {
                d.$method(self)
            }
        }
    };
}

/// `0` for an insert, else the dot of one.
struct BirthSeed<'n, 'a> {
    names: &'n Names<'a>,
    dot: Dot,
}

seed!(BirthSeed<'_, '_>, Dot, deserialize_any);

impl<'de> Visitor<'de> for BirthSeed<'_, '_> {
    type Value = Dot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a birth")
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Dot, E> {
        if n == 0 { Ok(self.dot) } else { Err(self.names.refuse("a birth is 0 or a dot")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Dot, A::Error> {
        read_short_dot(&mut seq, self.names)
    }
}

/// `[replica, seq]` of which the bracket is already open.
fn read_short_dot<'de, A: SeqAccess<'de>>(seq: &mut A, names: &Names) -> Result<Dot, A::Error> {
    let replica = next(seq, names)?;
    names.dot((replica, next(seq, names)?))
}

/// `null`, `true`, or the references that a delete left dangling.
struct ExistenceSeed<'n, 'a>(&'n Names<'a>);

seed!(ExistenceSeed<'_, '_>, Option<Existence>, deserialize_any);

impl<'de> Visitor<'de> for ExistenceSeed<'_, '_> {
    type Value = Option<Existence>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, true or a list of references")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, lives: bool) -> Result<Self::Value, E> {
        if lives { Ok(Some(Existence::Lives)) } else { Err(self.0.refuse("existence is null, true or a list")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut dangling = Vec::new();
        while seq.next_element_seed(GroupSeed { names: self.0, into: &mut dangling })?.is_some() {}
        Ok(Some(Existence::Deleted { dangling }))
    }
}

/// `["table","column",[replica,seq],…]`
struct GroupSeed<'n, 'a> {
    names: &'n Names<'a>,
    into: &'n mut Vec<ReferenceWrite>,
}

seed!(GroupSeed<'_, '_>, (), deserialize_seq);

impl<'de> Visitor<'de> for GroupSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("references of one column")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let table: String = next(&mut seq, self.names)?;
        let column: String = next(&mut seq, self.names)?;
        while let Some(dot) = seq.next_element()? {
            let dot = self.names.dot(dot)?;
            self.into.push(ReferenceWrite { table: table.clone(), column: column.clone(), dot });
        }
        Ok(())
    }
}

/// All columns as an array, or some as an object.
struct ColumnsSeed<'n, 'a> {
    names: &'n Names<'a>,
    len: usize,
}

seed!(ColumnsSeed<'_, '_>, Vec<(usize, Cell)>, deserialize_any);

impl<'de> Visitor<'de> for ColumnsSeed<'_, '_> {
    type Value = Vec<(usize, Cell)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut columns = Vec::with_capacity(self.len.min(64));
        while let Some(cell) = seq.next_element_seed(CellSeed { names: self.names, of: Of::Column })? {
            if columns.len() == self.len {
                return Err(self.names.refuse("it has more columns than the header names"));
            }
            columns.push((columns.len(), cell));
        }
        if columns.len() < self.len {
            return Err(self.names.refuse("it has fewer columns than the header names"));
        }
        Ok(columns)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Vec<(usize, Cell)> = Vec::new();
        while let Some(column) = map.next_key::<usize>()? {
            if column >= self.len || columns.last().is_some_and(|(last, _)| *last >= column) {
                return Err(self.names.refuse("its columns don't ascend, or the header does not name them"));
            }
            columns.push((column, map.next_value_seed(CellSeed { names: self.names, of: Of::Column })?));
        }
        Ok(columns)
    }
}

/// `[dot, stamp, cell?]`
struct SideSeed<'n, 'a>(&'n Names<'a>);

seed!(SideSeed<'_, '_>, (Dot, Stamp, Option<Cell>), deserialize_seq);

impl<'de> Visitor<'de> for SideSeed<'_, '_> {
    type Value = (Dot, Stamp, Option<Cell>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a side of a conflict")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let dot = read_dot(&mut seq, self.0)?;
        let stamp = Stamp(next(&mut seq, self.0)?);
        let cell = seq.next_element_seed(CellSeed { names: self.0, of: Of::Column })?;
        Ok((dot, stamp, cell))
    }
}

/// Where a cell stands: inside `raw` only plain values are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Column,
    Raw,
}

struct CellSeed<'n, 'a> {
    names: &'n Names<'a>,
    of: Of,
}

seed!(CellSeed<'_, '_>, Cell, deserialize_any);

impl CellSeed<'_, '_> {
    fn cell(&self, value: Value) -> Cell {
        match self.of {
            Of::Column => Cell::Value(value),
            Of::Raw => Cell::Raw(value),
        }
    }
}

impl<'de> Visitor<'de> for CellSeed<'_, '_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(self.cell(Value::Null))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Cell, E> {
        Ok(self.cell(Value::Integer(n)))
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Cell, E> {
        match i64::try_from(n) {
            Ok(n) => Ok(self.cell(Value::Integer(n))),
            Err(_) => Err(self.names.refuse("an integer does not fit 64 bits")),
        }
    }

    fn visit_f64<E>(self, f: f64) -> Result<Cell, E> {
        // serde_json reads `-0` and integers past 64 bits as reals.
        if f.to_bits() == (-0.0_f64).to_bits() || f.abs() >= 9.0e18 {
            self.names.doubtful.set(true);
        }
        Ok(self.cell(Value::Real(f)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell, E> {
        Ok(self.cell(Value::text(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cell, E> {
        if text.contains('\0') {
            return Err(self.names.refuse("text with NUL has to be tagged"));
        }
        Ok(self.cell(Value::text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        match self.of {
            Of::Column => Ok(Cell::Row(read_short_dot(&mut seq, self.names)?)),
            Of::Raw => Err(self.names.refuse("a raw value is not a row")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let names = self.names;
        let Some(tag) = map.next_key::<Text>()? else {
            return Err(names.refuse("a tagged value has no tag"));
        };
        let cell = match tag.0.as_ref() {
            "text" => self.cell(Value::Text(map.next_value_seed(BytesSeed(names))?)),
            "blob" => self.cell(Value::Blob(map.next_value_seed(BytesSeed(names))?)),
            "real" => {
                let text: Text = map.next_value()?;
                match text.0.as_ref() {
                    "inf" => self.cell(Value::Real(f64::INFINITY)),
                    "-inf" => self.cell(Value::Real(f64::NEG_INFINITY)),
                    _ => return Err(names.refuse("a tagged real is inf or -inf")),
                }
            }
            "raw" if self.of == Of::Column => map.next_value_seed(CellSeed { names, of: Of::Raw })?,
            _ => return Err(names.refuse("the tag of a value is not known here")),
        };
        match map.next_key::<Text>()? {
            None => Ok(cell),
            Some(_) => Err(names.refuse("a tagged value has two tags")),
        }
    }
}

/// Base64, or the number of a long value.
struct BytesSeed<'n, 'a>(&'n Names<'a>);

seed!(BytesSeed<'_, '_>, Arc<[u8]>, deserialize_any);

impl Visitor<'_> for BytesSeed<'_, '_> {
    type Value = Arc<[u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64, or the number of a long value")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Arc<[u8]>, E> {
        self.0.take_long(number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Arc<[u8]>, E> {
        match BASE64.decode(text) {
            Ok(bytes) => Ok(bytes.into()),
            Err(_) => Err(self.0.refuse("it has broken base64")),
        }
    }
}

/// In a line that serde_json has read: where a number without point and exponent stands that is no 64-bit integer.
fn find_far_integer(line: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'"' => {
                at += 1;
                while line[at] != b'"' {
                    at += if line[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = &line[at..];
                let is_number = |c: &u8| c.is_ascii_digit() || matches!(c, b'-' | b'+' | b'.' | b'e' | b'E');
                let number = &rest[..rest.iter().position(|c| !is_number(c)).unwrap_or(rest.len())];
                let integer = !number.iter().any(|c| matches!(c, b'.' | b'e' | b'E'));
                let fits = std::str::from_utf8(number).is_ok_and(|n| n.parse::<i64>().is_ok());
                if integer && (!fits || number == b"-0") {
                    return Some(at + 1);
                }
                at += number.len();
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find_far_integer;

    #[test]
    fn integers_that_would_become_reals_are_found_and_nothing_else() {
        let check = |line: &str, found| assert_eq!(find_far_integer(line.as_bytes()), found, "{line}");
        check(r#"[1,-9223372036854775808,1e300,-0.0,"-0",9223372036854775807]"#, None);
        check(r#"["a\"-0\\",-0]"#, Some(12));
        check("[9223372036854775808]", Some(2));
        check("[18446744073709551616.0]", None);
    }
}
