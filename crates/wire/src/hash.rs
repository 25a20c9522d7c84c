//! The hash by which both ends, the archive and the logs name a change.
//!
//! Always true here: it depends on what the change says and on nothing else. The numbers of a batch are replaced by the
//! names behind them, and everything has its length before it, so that no two changes have one form.
use lockstep_engine::change::{AliasKind, Batch, Cell, Change, ConflictRecord, Existence, Item};
use lockstep_engine::id::{Dot, Stamp};
use lockstep_engine::value::Value;
use sha2::{Digest, Sha256};

/// SHA-256 over the canonical form of an item of a batch.
///
/// # Panics
///
/// If there is no such item, or it names what the batch does not have.
pub fn change_hash(batch: &Batch, index: usize) -> [u8; 32] {
    let item = &batch.items[index];
    let mut form = Form { batch, table: item.table(), sum: Sha256::new(), value: Vec::new() };
    form.text("lockstep change 1");
    form.text(&batch.database);
    form.text(&batch.tables[form.table].name);
    form.dot(item.dot());
    form.stamp(item.stamp());
    match item {
        Item::Change(c) => form.change(c),
        Item::Alias(a) => {
            form.tag(b'a');
            form.tag(match a.kind {
                AliasKind::Hand => b'h',
                AliasKind::Apart => b'a',
                AliasKind::Fall => b'f',
                AliasKind::Key => b'k',
            });
            a.births.into_iter().for_each(|b| form.dot(b));
        }
        Item::Conflict(r) => form.conflict(r),
        Item::Decision(d) => {
            form.tag(b'd');
            form.dot(d.birth);
            form.dot(d.loser);
            form.text(d.kept.name());
        }
    }
    form.sum.finalize().into()
}

struct Form<'a> {
    batch: &'a Batch,
    table: usize,
    sum: Sha256,
    value: Vec<u8>,
}

impl Form<'_> {
    fn tag(&mut self, tag: u8) {
        self.sum.update([tag]);
    }

    fn number(&mut self, n: u64) {
        self.sum.update(n.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.sum.update(text);
    }

    fn dot(&mut self, dot: Dot) {
        self.sum.update(dot.replica.0);
        self.number(dot.seq.0);
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.number(stamp.0.cast_unsigned());
    }

    fn column(&mut self, column: usize) {
        let name = &self.batch.tables[self.table].columns[column];
        self.text(name);
    }

    fn register(&mut self, register: Option<usize>) {
        match register {
            None => self.tag(0),
            Some(column) => {
                self.tag(1);
                self.column(column);
            }
        }
    }

    fn cell(&mut self, cell: Option<&Cell>) {
        match cell {
            None => self.tag(0),
            Some(Cell::Value(v)) => self.value(1, v),
            Some(Cell::Row(dot)) => {
                self.tag(2);
                self.dot(*dot);
            }
            Some(Cell::Raw(v)) => self.value(3, v),
        }
    }

    fn value(&mut self, tag: u8, value: &Value) {
        self.tag(tag);
        self.value.clear();
        value.encode(&mut self.value);
        self.sum.update(&self.value);
    }

    fn change(&mut self, c: &Change) {
        self.tag(b'c');
        self.dot(c.birth);
        match c.rank {
            None => self.tag(0),
            Some(rank) => {
                self.tag(1);
                self.stamp(rank);
            }
        }
        let seen = &self.batch.contexts[c.context].seen;
        self.number(seen.len() as u64);
        for (replica, seq) in seen {
            self.dot(Dot { replica: *replica, seq: *seq });
        }
        self.number(c.unseen.len() as u64);
        for (register, dot) in &c.unseen {
            self.register(*register);
            self.dot(*dot);
        }
        match &c.existence {
            None => self.tag(0),
            Some(Existence::Lives) => self.tag(1),
            Some(Existence::Deleted { dangling }) => {
                self.tag(2);
                self.number(dangling.len() as u64);
                for reference in dangling {
                    self.text(&reference.table);
                    self.text(&reference.column);
                    self.dot(reference.dot);
                }
            }
        }
        // By name: two nodes may have the columns of a table in another order.
        let columns = &self.batch.tables[self.table].columns;
        let mut by_name: Vec<&(usize, Cell)> = c.columns.iter().collect();
        by_name.sort_unstable_by_key(|(n, _)| &columns[*n]);
        self.number(by_name.len() as u64);
        for (column, cell) in by_name {
            self.column(*column);
            self.cell(Some(cell));
        }
        match &c.origin {
            None => self.tag(0),
            Some(origin) => {
                self.tag(if origin.alone { 2 } else { 1 });
                self.value(0, &origin.id.map_or(Value::Null, Value::Integer));
                let mut awaits: Vec<&String> = origin.awaits.iter().map(|n| &columns[*n]).collect();
                awaits.sort_unstable();
                self.number(awaits.len() as u64);
                awaits.into_iter().for_each(|name| self.text(name));
            }
        }
    }

    fn conflict(&mut self, r: &ConflictRecord) {
        self.tag(b'x');
        self.dot(r.birth);
        self.register(r.register);
        for (dot, stamp, cell) in [(r.loser, r.loser_stamp, &r.value), (r.winner, r.winner_stamp, &r.winner_value)] {
            self.dot(dot);
            self.stamp(stamp);
            self.cell(cell.as_ref());
        }
        self.text(r.kind.name());
    }
}
