//! What one file knows about one birth: its registers, whose write each holds, and how that is stored.
//!
//! Always true here: registers written together stand in one [`Entry`]; a later write of one column takes just that
//! column out of it. A register under `newest` stands in exactly one entry, else perhaps in several. Values
//! lie in the application's row where they are shown, and in the birth's *unshown* body where not; the record itself
//! holds only what the row can't say. Not here: what a merge does (`merge`), where things are stored (`store`).
use crate::id::Stamp;
use crate::value::Value;
use std::cmp::Ordering;

/// A dot inside one file: the number that the file gave the replica, and the seq. 2^40 writes a replica and table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalDot(pub i64);

const SEQ_BITS: u32 = 40;

impl LocalDot {
    pub fn new(replica: u32, seq: u64) -> LocalDot {
        assert!(seq > 0 && seq < 1 << SEQ_BITS, "seq out of range");
        LocalDot((i64::from(replica) << SEQ_BITS) | seq as i64)
    }
    /// None: no file counts so far.
    pub fn checked(replica: u32, seq: u64) -> Option<LocalDot> {
        (seq > 0 && seq < 1 << SEQ_BITS).then(|| LocalDot::new(replica, seq))
    }
    /// Below every dot of a replica.
    pub fn first(replica: u32) -> LocalDot {
        LocalDot(i64::from(replica) << SEQ_BITS)
    }
    /// Not below any.
    pub fn last(replica: u32) -> LocalDot {
        LocalDot(((i64::from(replica) + 1) << SEQ_BITS) - 1)
    }
    pub fn replica(self) -> u32 {
        (self.0 >> SEQ_BITS) as u32
    }
    pub fn seq(self) -> u64 {
        (self.0 & ((1 << SEQ_BITS) - 1)) as u64
    }
}

/// The number that a file gave to a column of a table, for ever (also to columns that only a peer has).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Col(pub u16);

/// What is versioned alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Register {
    /// Does the row live?
    Existence,
    /// A column.
    Column(Col),
}

impl Register {
    /// -1 for existence, else the column's number.
    pub fn number(self) -> i64 {
        match self {
            Register::Existence => -1,
            Register::Column(c) => i64::from(c.0),
        }
    }
    pub fn from_number(n: i64) -> Register {
        u16::try_from(n).map_or(Register::Existence, |n| Register::Column(Col(n)))
    }
}

/// The value of a column, as far as it is at hand.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A plain value.
    Value(Value),
    /// A reference, to the row with this birth.
    Row(LocalDot),
    /// A reference value that named no row at its author.
    Raw(Value),
    /// It is in the application's row or the unshown body, and was not read.
    Unread,
}

/// One column of one entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub col: Col,
    pub cell: Cell,
    /// The application's row shows this very write.
    pub shown: bool,
}

/// Who wrote, when, knowing what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub dot: LocalDot,
    pub stamp: Stamp,
    /// For rows older than Lockstep: the stamp that decides conflicts.
    pub rank: Option<Stamp>,
    /// Number of the interned context.
    pub context: u32,
    /// Inside the context, but held and not looked at.
    pub unseen: Vec<(Register, LocalDot)>,
}

impl Write {
    /// The stamp that decides.
    pub fn decides(&self) -> Stamp {
        self.rank.unwrap_or(self.stamp)
    }
}

/// A reference write that a delete left dangling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dangling {
    pub table: u32,
    pub col: Col,
    pub dot: LocalDot,
}

/// The existence register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    Lives,
    Deleted(Vec<Dangling>),
}

/// The surviving registers of one write in one birth.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub write: Write,
    pub existence: Option<Existence>,
    /// Ascending by column.
    pub fields: Vec<Field>,
}

impl Entry {
    /// Where the column stands in `fields`. In most entries column n is the nth.
    pub fn place(&self, col: Col) -> Option<usize> {
        let guess = usize::from(col.0);
        match self.fields.get(guess) {
            Some(f) if f.col == col => Some(guess),
            Some(_) | None => self.fields.binary_search_by_key(&col, |f| f.col).ok(),
        }
    }
    pub fn field(&self, col: Col) -> Option<&Field> {
        self.place(col).map(|i| &self.fields[i])
    }
    /// The entry with its cells, of which it keeps none.
    pub fn take(&mut self) -> Entry {
        let fields = self.fields.iter_mut().map(|f| Field { cell: std::mem::replace(&mut f.cell, Cell::Unread), ..*f });
        Entry { write: self.write.clone(), existence: self.existence.clone(), fields: fields.collect() }
    }
    pub fn is_empty(&self) -> bool {
        self.existence.is_none() && self.fields.is_empty()
    }
    pub fn is_tombstone(&self) -> bool {
        matches!(self.existence, Some(Existence::Deleted(_)))
    }
    pub fn holds(&self, register: Register) -> bool {
        match register {
            Register::Existence => self.existence.is_some(),
            Register::Column(c) => self.field(c).is_some(),
        }
    }
}

/// What is stored of one birth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its surrogate id at its birthplace; of a row without one that was there before capture a hash of its key then.
    pub origin: Option<i64>,
    /// It was there before its file met another replica.
    pub alone: bool,
    /// It was there before its file was captured, as an insert said that is not among the entries any more.
    pub older: bool,
    /// It has alias edges.
    pub linked: bool,
    /// Something of its class is held here.
    pub held: bool,
    /// Some values lie in the unshown body.
    pub unshown: bool,
    /// The last local id it had here, while it has no row.
    pub was: Option<i64>,
    /// Its part of the table's digest.
    pub hash: u128,
    /// Its part of the balance: how many of its registers are visible, lost inside their class, deleted, held.
    pub accounts: [u32; 4],
    /// Columns whose register is still to come (merge-rules: an incomplete row waits).
    pub awaits: Vec<Col>,
    pub entries: Vec<Entry>,
}

impl Record {
    /// Does the register stand in an entry?
    pub fn has(&self, register: Register) -> bool {
        self.entries.iter().any(|e| e.holds(register))
    }

    /// Existence is known, and every column that its author had.
    pub fn complete(&self) -> bool {
        self.has(Register::Existence) && self.awaits.iter().all(|&c| self.has(Register::Column(c)))
    }

    /// It was there before its file was captured: its insert is ranked by what the row says of its age.
    pub fn is_older_than_capture(&self) -> bool {
        self.older || self.says_older()
    }

    /// By what copies of its file know it again, if it is one of the rows that they have in common.
    pub fn copied_origin(&self) -> Option<i64> {
        self.origin.filter(|_| self.alone && self.is_older_than_capture())
    }

    fn says_older(&self) -> bool {
        self.entries.iter().any(|e| e.existence == Some(Existence::Lives) && e.write.rank.is_some())
    }

    pub fn siblings(&self, col: Col) -> impl Iterator<Item = (&Write, &Field)> {
        self.entries.iter().filter_map(move |e| e.field(col).map(|f| (&e.write, f)))
    }

    /// All columns that have a register, ascending.
    pub fn columns(&self) -> Vec<Col> {
        match self.entries.as_slice() {
            [one] => one.fields.iter().map(|f| f.col).collect(),
            many => {
                let mut cols: Vec<Col> = many.iter().flat_map(|e| e.fields.iter().map(|f| f.col)).collect();
                cols.sort_unstable();
                cols.dedup();
                cols
            }
        }
    }

    /// How many registers count in the balance (a register with two current values counts twice).
    pub fn count(&self) -> u64 {
        self.entries.iter().map(|e| e.fields.len() as u64 + u64::from(e.existence.is_some())).sum()
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut o = Vec::with_capacity(48);
        let flags = u64::from(self.origin.is_some())
            | u64::from(self.alone) << 1
            | u64::from(self.linked) << 2
            | u64::from(self.held) << 3
            | u64::from(self.unshown) << 4
            | u64::from(self.was.is_some()) << 5
            | u64::from(!self.awaits.is_empty()) << 6
            | u64::from(self.older && !self.says_older()) << 7;
        put(&mut o, flags);
        o.extend_from_slice(&self.hash.to_le_bytes());
        self.accounts.iter().for_each(|&a| put(&mut o, u64::from(a)));
        for id in [self.origin, self.was].into_iter().flatten() {
            put_signed(&mut o, id);
        }
        if !self.awaits.is_empty() {
            put(&mut o, self.awaits.len() as u64);
            self.awaits.iter().for_each(|c| put(&mut o, u64::from(c.0)));
        }
        put(&mut o, self.entries.len() as u64);
        for e in &self.entries {
            encode_entry(e, &mut o);
        }
        o
    }

    /// None: these bytes are not a record of this version.
    pub fn decode(mut bytes: &[u8]) -> Option<Record> {
        let i = &mut bytes;
        let flags = get(i)?;
        let (hash, rest) = i.split_at_checked(16)?;
        *i = rest;
        let mut accounts = [0; 4];
        for a in &mut accounts {
            *a = u32::try_from(get(i)?).ok()?;
        }
        let origin = if flags & 1 != 0 { Some(get_signed(i)?) } else { None };
        let was = if flags & 32 != 0 { Some(get_signed(i)?) } else { None };
        let awaits = if flags & 64 != 0 {
            (0..get(i)?).map(|_| Some(Col(u16::try_from(get(i)?).ok()?))).collect::<Option<_>>()?
        } else {
            Vec::new()
        };
        let n = get(i)?;
        let entries = (0..n).map(|_| decode_entry(i)).collect::<Option<_>>()?;
        let mut rec = Record {
            origin,
            alone: flags & 2 != 0,
            linked: flags & 4 != 0,
            held: flags & 8 != 0,
            unshown: flags & 16 != 0,
            was,
            hash: u128::from_le_bytes(hash.try_into().ok()?),
            accounts,
            awaits,
            entries,
            older: flags & 128 != 0,
        };
        rec.older |= rec.says_older();
        Some(rec)
    }
}

fn encode_entry(e: &Entry, o: &mut Vec<u8>) {
    let w = &e.write;
    let refs = || e.fields.iter().filter(|f| matches!(f.cell, Cell::Row(_) | Cell::Raw(_)));
    let run = e.fields.windows(2).all(|p| p[1].col.0 == p[0].col.0 + 1);
    let flags = match &e.existence {
        None => 0u64,
        Some(Existence::Lives) => 1,
        Some(Existence::Deleted(_)) => 2,
    } | u64::from(w.rank.is_some()) << 2
        | u64::from(!w.unseen.is_empty()) << 3
        | u64::from(run) << 4
        | u64::from(refs().next().is_some()) << 5;
    put(o, flags);
    put_signed(o, w.dot.0);
    put_signed(o, w.stamp.0);
    if let Some(r) = w.rank {
        put_signed(o, r.0);
    }
    put(o, u64::from(w.context));
    if !w.unseen.is_empty() {
        put(o, w.unseen.len() as u64);
        for (reg, dot) in &w.unseen {
            put_signed(o, reg.number());
            put_signed(o, dot.0);
        }
    }
    if let Some(Existence::Deleted(list)) = &e.existence {
        put(o, list.len() as u64);
        for d in list {
            put(o, u64::from(d.table));
            put(o, u64::from(d.col.0));
            put_signed(o, d.dot.0);
        }
    }
    put(o, e.fields.len() as u64);
    if run {
        if let Some(f) = e.fields.first() {
            put(o, u64::from(f.col.0));
        }
    } else {
        e.fields.iter().for_each(|f| put(o, u64::from(f.col.0)));
    }
    if refs().next().is_some() {
        put(o, refs().count() as u64);
        for f in refs() {
            put(o, u64::from(f.col.0));
            put_signed(o, if let Cell::Row(b) = f.cell { b.0 } else { 0 });
        }
    }
}

fn decode_entry(i: &mut &[u8]) -> Option<Entry> {
    let flags = get(i)?;
    let dot = LocalDot(get_signed(i)?);
    let stamp = Stamp(get_signed(i)?);
    let rank = if flags & 4 != 0 { Some(Stamp(get_signed(i)?)) } else { None };
    let context = u32::try_from(get(i)?).ok()?;
    let mut unseen = Vec::new();
    if flags & 8 != 0 {
        for _ in 0..get(i)? {
            unseen.push((Register::from_number(get_signed(i)?), LocalDot(get_signed(i)?)));
        }
    }
    let existence = match flags & 3 {
        0 => None,
        1 => Some(Existence::Lives),
        2 => {
            let mut list = Vec::new();
            for _ in 0..get(i)? {
                list.push(Dangling {
                    table: u32::try_from(get(i)?).ok()?,
                    col: Col(u16::try_from(get(i)?).ok()?),
                    dot: LocalDot(get_signed(i)?),
                });
            }
            Some(Existence::Deleted(list))
        }
        _ => return None,
    };
    let n = u16::try_from(get(i)?).ok()?;
    let mut fields = Vec::with_capacity(usize::from(n));
    let mut next = 0;
    for k in 0..n {
        if k == 0 || flags & 16 == 0 {
            next = u16::try_from(get(i)?).ok()?;
        }
        fields.push(Field { col: Col(next), cell: Cell::Unread, shown: false });
        next = next.wrapping_add(1);
    }
    let mut e = Entry { write: Write { dot, stamp, rank, context, unseen }, existence, fields };
    if flags & 32 != 0 {
        for _ in 0..get(i)? {
            let col = Col(u16::try_from(get(i)?).ok()?);
            let to = get_signed(i)?;
            let at = e.fields.binary_search_by_key(&col, |f| f.col).ok()?;
            e.fields[at].cell = if to == 0 { Cell::Raw(Value::Null) } else { Cell::Row(LocalDot(to)) };
        }
    }
    Some(e)
}

/// A value that the application's row does not show: (register, write, value).
pub type Unshown = (Col, LocalDot, Value);

pub fn encode_unshown(list: &[Unshown]) -> Vec<u8> {
    let mut o = Vec::new();
    for (c, d, v) in list {
        put(&mut o, u64::from(c.0));
        put_signed(&mut o, d.0);
        v.encode(&mut o);
    }
    o
}

/// None: not such bytes.
pub fn decode_unshown(mut bytes: &[u8]) -> Option<Vec<Unshown>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let c = Col(u16::try_from(get(&mut bytes)?).ok()?);
        let d = LocalDot(get_signed(&mut bytes)?);
        list.push((c, d, Value::decode(&mut bytes)?));
    }
    Some(list)
}

/// A cell as the archive keeps it: 0 value, 1 reference, 2 raw.
pub fn encode_cell(cell: &Cell, o: &mut Vec<u8>) {
    match cell {
        Cell::Value(v) => {
            o.push(0);
            v.encode(o);
        }
        Cell::Row(b) => {
            o.push(1);
            put_signed(o, b.0);
        }
        Cell::Raw(v) => {
            o.push(2);
            v.encode(o);
        }
        Cell::Unread => o.push(3),
    }
}

/// None: not such bytes.
pub fn decode_cell(i: &mut &[u8]) -> Option<Cell> {
    let (&tag, rest) = i.split_first()?;
    *i = rest;
    Some(match tag {
        0 => Cell::Value(Value::decode(i)?),
        1 => Cell::Row(LocalDot(get_signed(i)?)),
        2 => Cell::Raw(Value::decode(i)?),
        3 => Cell::Unread,
        _ => return None,
    })
}

/// Appends a number in as many bytes as it needs (LEB128).
pub fn put(o: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        o.push(n as u8 | 0x80);
        n >>= 7;
    }
    o.push(n as u8);
}

/// Zigzag, then [`put`].
pub fn put_signed(o: &mut Vec<u8>, n: i64) {
    put(o, ((n << 1) ^ (n >> 63)) as u64);
}

/// None: cut short.
pub fn get(i: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..70).step_by(7) {
        let (&b, rest) = i.split_first()?;
        *i = rest;
        n |= u64::from(b & 0x7f).checked_shl(shift)?;
        if b < 0x80 {
            return Some(n);
        }
    }
    None
}

/// None: cut short.
pub fn get_signed(i: &mut &[u8]) -> Option<i64> {
    let n = get(i)?;
    Some((n >> 1) as i64 ^ -((n & 1) as i64))
}

/// Who wins under `newest`: by stamp, replica, seq. `ids` gives each replica number its id.
pub fn order(a: &Write, b: &Write, ids: &[crate::id::ReplicaId]) -> Ordering {
    let id = |w: &Write| ids[w.dot.replica() as usize];
    (a.decides(), id(a), a.dot.seq()).cmp(&(b.decides(), id(b), b.dot.seq()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_bytes() {
        let field = |c, cell| Field { col: Col(c), cell, shown: false };
        let write =
            |q| Write { dot: LocalDot::new(3, q), stamp: Stamp(q as i64), rank: None, context: 7, unseen: vec![] };
        let r = Record {
            origin: Some(-5),
            alone: true,
            older: true,
            linked: false,
            held: true,
            unshown: true,
            was: Some(9),
            hash: 1 << 100,
            accounts: [1, 0, 3, 400],
            awaits: vec![Col(2)],
            entries: vec![
                Entry {
                    write: Write { rank: Some(Stamp(0)), ..write(1) },
                    existence: Some(Existence::Lives),
                    fields: vec![field(0, Cell::Unread), field(1, Cell::Row(LocalDot::new(1, 4)))],
                },
                Entry {
                    write: Write { unseen: vec![(Register::Existence, LocalDot::new(2, 2))], ..write(1 << 39) },
                    existence: Some(Existence::Deleted(vec![Dangling {
                        table: 1,
                        col: Col(3),
                        dot: LocalDot::new(1, 1),
                    }])),
                    fields: vec![field(2, Cell::Unread), field(700, Cell::Raw(Value::Null))],
                },
            ],
        };
        assert_eq!(Record::decode(&r.encode()), Some(r.clone()));
        let bytes = r.encode();
        for cut in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..cut]), None);
        }
        let body = vec![(Col(1), LocalDot::new(1, 1), Value::text("x")), (Col(9), LocalDot::new(2, 1), Value::Null)];
        assert_eq!(decode_unshown(&encode_unshown(&body)), Some(body));
    }
}
