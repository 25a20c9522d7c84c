//! How a run ends: everything is healed, all nodes come to rest, and the oracle says what has to be there.
use super::super::oracle::{resolve, text};
use super::super::prng::Prng;
use super::super::schema::{Role, quote};
use super::{Checked, World};
use lockstep_engine::change::ConflictKind;
use lockstep_engine::database::{ConflictState, Held};
use lockstep_engine::decide::{Choice, Keep, Side};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeSet;

impl World {
    fn rest(&mut self, limit: usize, r: &mut Prng) -> Checked {
        let n = self.nodes.len();
        for _ in 0..limit {
            self.step += 1;
            for a in 0..n {
                for b in 0..n {
                    for db in (0..self.schema.databases()).rev() {
                        if a != b {
                            let items = [1, 2, 5, 1000, 1000, 1000][r.below(6)];
                            self.pull(a, b, db, items, (None, None, None))?;
                        }
                    }
                }
            }
            let vectors: Vec<Vec<_>> = (0..n)
                .map(|k| self.nodes[k].dbs.iter().map(|d| d.open().vectors().expect("vectors")).collect())
                .collect();
            if vectors.iter().all(|v| *v == vectors[0]) {
                return Ok(());
            }
        }
        Err("the nodes don't come to rest".into())
    }

    fn digests(&self, n: usize) -> Vec<(String, u128)> {
        let mut out = Vec::new();
        for db in 0..self.nodes[n].dbs.len() {
            let key = self.nodes.iter().map(|x| x.dbs[db].open().summary().expect("summary").digest_key).min();
            let mut d = self.nodes[n].dbs[db].open();
            d.adopt_digest_key(key.expect("there are nodes"), self.now(n)).expect("digests");
            out.extend(d.summary().expect("summary").tables.into_iter().map(|t| (t.name, t.digest)));
        }
        out
    }

    /// Clocks are put right and every stamp is due; every application has its later version.
    pub fn heal(&mut self) {
        self.step += 3 * 3600 + self.farthest / 1000;
        for n in &mut self.nodes {
            n.skew = 0;
            n.at_rest = false;
        }
        (0..self.nodes.len()).for_each(|n| self.migrate(n));
    }

    pub fn finish(&mut self, r: &mut Prng) -> Checked {
        let limit = 5 + 2 * self.nodes.len();
        self.heal();
        self.rest(limit, r)?;
        self.agree()?;
        // A person ends what clashes, one thing at a time.
        for round in 0..12 {
            let mut settled = true;
            for n in 0..self.nodes.len() {
                let clash = |h: &Held| matches!(h.reason, ConflictKind::Unique | ConflictKind::Constraint);
                let clashes: BTreeSet<usize> = self.held(n).iter().filter(|(_, h)| clash(h)).map(|(t, _)| *t).collect();
                if let Some(&t) = clashes.iter().next() {
                    settled = false;
                    self.end_clash(n, t);
                    self.rest(limit, r)?;
                }
                if self.decide_delete(n, r) {
                    settled = false;
                    self.rest(limit, r)?;
                }
            }
            if settled {
                break;
            }
            if round == 11 {
                return Err(format!(
                    "held for ever: {:?}",
                    (0..self.nodes.len()).map(|n| self.held(n)).collect::<Vec<_>>()
                ));
            }
        }
        self.agree()?;
        self.same_rows()?;
        self.same_conflicts()?;
        self.nothing_lost()
    }

    /// Every node knows the same conflicts by the same ids, lists each once, and counts those that nobody looked at.
    fn same_conflicts(&self) -> Checked {
        for db in 0..self.schema.databases() {
            let mut first = None;
            for (n, node) in self.nodes.iter().enumerate() {
                let all = node.dbs[db].open().conflicts().map_err(|e| format!("conflicts of {n}: {e}"))?;
                let unread = all.iter().filter(|c| c.state != ConflictState::Reviewed).count() as u64;
                let counted = node.dbs[db].open().summary().map_err(|e| e.to_string())?.conflicts_unreviewed;
                if counted != unread {
                    return Err(format!("{n} counts {counted} conflicts and lists {unread}: {all:?}"));
                }
                let ids: BTreeSet<&str> = all.iter().map(|c| c.id.as_str()).collect();
                if ids.len() != all.len() {
                    return Err(format!("{n} lists a conflict twice: {all:?}"));
                }
                let ids: BTreeSet<String> = ids.into_iter().map(str::to_owned).collect();
                let known = first.get_or_insert_with(|| ids.clone());
                if *known != ids {
                    let other: Vec<_> = known.symmetric_difference(&ids).collect();
                    return Err(format!("0 and {n} know other conflicts: {other:?} of {all:?}"));
                }
            }
        }
        Ok(())
    }

    /// A delete and an edit that stand against each other under review: a person says which of them it is.
    fn decide_delete(&mut self, n: usize, r: &mut Prng) -> bool {
        let mut any = false;
        let (at, before) = (self.now(n), self.snapshot(n));
        for d in &self.nodes[n].dbs {
            let mut db = d.open();
            let waits = |h: &Held| matches!(h.reason, ConflictKind::UpdateDelete | ConflictKind::DeleteUpdate);
            let ids: BTreeSet<String> = db.held().expect("held").into_iter().filter(waits).map(|h| h.id).collect();
            for conflict in ids {
                let keep = Keep::All([Side::Winner, Side::Loser][r.below(2)]);
                // A decision before it may have settled it.
                if db.held().expect("held").iter().any(|h| h.id == conflict) {
                    db.resolve(&[Choice { conflict, keep, anyway: true }], at).expect("a decision");
                    any = true;
                }
            }
        }
        let after = self.snapshot(n);
        self.oracle.decided(&self.schema, &before, &after);
        any
    }

    /// All rows of a table get other unique values.
    fn end_clash(&mut self, n: usize, t: usize) {
        self.step += 1;
        let table = self.schema.tables[t].clone();
        if self.trace {
            eprintln!("{} a person at {n} ends a clash in {}", self.step, table.name);
        }
        let now = self.snapshot(n);
        for i in 0..now[t].len() {
            if table.sql.contains("CHECK") {
                let sql = format!("UPDATE {} SET lo = 0, hi = ?1", quote(&table.name));
                let hi = Value::Integer(9 + i64::from(self.number()));
                self.on_row((n, t), &now, i as u32, &sql, vec![hi], false);
            }
            for &p in &table.unique {
                let k = self.number();
                let v = if table.columns[p].role == Role::Number {
                    Value::Integer(5000 + i64::from(k))
                } else {
                    Value::Text(format!("free{k}"))
                };
                let sql = format!("UPDATE {} SET {} = ?1", quote(&table.name), quote(&table.columns[p].name));
                self.on_row((n, t), &now, i as u32, &sql, vec![v], false);
            }
        }
        let at = self.now(n);
        self.stamp_logs(n, at);
    }

    fn agree(&mut self) -> Checked {
        let d: Vec<_> = (0..self.nodes.len()).map(|n| self.digests(n)).collect();
        for x in &d[1..] {
            if *x != d[0] {
                return Err(format!("digests differ: {:?} / {x:?}", d[0]));
            }
        }
        Ok(())
    }

    /// All nodes show the same, references by what they name.
    fn same_rows(&self) -> Checked {
        let held: Vec<_> = (0..self.nodes.len()).map(|n| self.held(n)).collect();
        let review = held
            .iter()
            .flatten()
            .any(|(_, h)| h.reason == ConflictKind::UpdateUpdate || h.reason == ConflictKind::InsertInsert);
        for (n, list) in held.iter().enumerate() {
            for (t, h) in list {
                match h.reason {
                    ConflictKind::UpdateUpdate | ConflictKind::ParentDeleted => {}
                    _ => return Err(format!("node {n} holds {} for no reason: {h:?}", self.schema.tables[*t].name)),
                }
            }
        }
        let all: Vec<Vec<String>> = (0..self.nodes.len()).map(|n| self.logical(n, review)).collect();
        for x in &all[1..] {
            if *x != all[0] {
                let only =
                    |a: &[String], b: &[String]| a.iter().filter(|r| !b.contains(r)).cloned().collect::<Vec<_>>();
                return Err(format!("rows differ: {:#?} / {:#?}", only(&all[0], x), only(x, &all[0])));
            }
        }
        Ok(())
    }

    fn logical(&self, n: usize, review: bool) -> Vec<String> {
        let snap = self.snapshot(n);
        let mut out = Vec::new();
        for (t, table) in self.schema.tables.iter().enumerate() {
            for row in &snap[t] {
                let mut line = table.name.clone();
                for (p, c) in table.columns.iter().enumerate() {
                    let v = &row.values[p];
                    line += &match &c.role {
                        Role::Id => continue,
                        _ if review && table.review.contains(&p) => continue,
                        Role::Ref { to, target, .. } if *v != Value::Null => {
                            resolve(&self.schema, &snap, *to, *target, v).map_or(" ?".into(), |x| format!(" ->{x}"))
                        }
                        _ => format!(" {v:?}"),
                    };
                }
                out.push(line);
            }
        }
        out.sort();
        out
    }

    /// Every row that nobody deleted is there; every text is shown, or was replaced by someone who saw it, or is on
    /// record; and its home keeps it in any case.
    fn nothing_lost(&self) -> Checked {
        let classes = self.oracle.classes();
        let deleted: BTreeSet<String> =
            self.oracle.facts.iter().filter(|(_, f)| f.deleted).map(|(t, _)| classes.of(t)).collect();
        for n in 0..self.nodes.len() {
            let snap = self.snapshot(n);
            let mut shown: BTreeSet<String> = BTreeSet::new();
            let mut referred: BTreeSet<String> = BTreeSet::new();
            let mut texts: BTreeSet<&str> = BTreeSet::new();
            for (t, table) in self.schema.tables.iter().enumerate() {
                for row in &snap[t] {
                    texts.extend(row.values.iter().filter_map(text));
                    if let Some(tag) = table.tag() {
                        shown.extend(text(&row.values[tag]).map(|x| classes.of(x)));
                    }
                    for p in table.refs() {
                        let Role::Ref { to, target, .. } = table.columns[p].role else { continue };
                        referred.extend(resolve(&self.schema, &snap, to, target, &row.values[p]));
                    }
                }
            }
            for (tag, f) in &self.oracle.facts {
                let root = classes.of(tag);
                if !deleted.contains(&root) && !shown.contains(&root) {
                    return Err(format!("node {n}: {tag} is not there, and nobody deleted it"));
                }
                let table = &self.schema.tables[f.table];
                let tag_shown =
                    table.tag().is_some_and(|p| snap[f.table].iter().any(|r| text(&r.values[p]) == Some(tag.as_str())));
                let alone = self.oracle.facts.keys().filter(|o| classes.same(o, tag)).count() == 1;
                if f.deleted && !f.kept && f.writers.len() == 1 && alone && tag_shown && !referred.contains(tag) {
                    return Err(format!("node {n}: {tag} is there, though it was deleted where it was written"));
                }
            }
            let kept: Vec<Kept> = self.nodes[n].dbs.iter().map(|d| Kept::read(&d.app)).collect();
            for (x, f) in &self.oracle.texts {
                if texts.contains(x.as_str()) {
                    continue;
                }
                let kept = &kept[self.schema.tables[f.table].db];
                let review = self.schema.tables[f.table].review.contains(&f.column);
                let fine = f.replaced
                    || deleted.contains(&classes.of(&f.tag))
                    || kept.on_record(x)
                    || review && kept.is_held(x);
                if !fine {
                    return Err(format!("node {n}: {x} of {} is neither shown nor replaced nor on record", f.tag));
                }
                if f.node == n && !f.exempt && !kept.anywhere(x) {
                    return Err(format!("node {n}: {x} of {} was written here and is nowhere", f.tag));
                }
            }
            for k in &kept {
                for (lost, won) in &k.pairs {
                    let (Some(l), Some(mut w)) = (self.within(lost), self.within(won)) else { continue };
                    let loser = &self.oracle.texts[&l];
                    // A value that came with a copy of the file was written at each of them under a dot of its own, which
                    // a write at another had not seen: it loses inside the class, on record (merge-rules 5 and 10).
                    // Where a row is judged as a whole, every edit of a row writes each of its values again, under a dot
                    // that nobody who replaced it elsewhere had seen.
                    if loser.copied || self.schema.tables[loser.table].whole {
                        continue;
                    }
                    while let Some(over) = self.oracle.texts.get(&w).and_then(|x| x.over.clone()) {
                        if over == l {
                            return Err(format!(
                                "node {n}: {l} is on record as a loser, though {won:?} had replaced it"
                            ));
                        }
                        w = over;
                    }
                }
            }
        }
        Ok(())
    }

    fn within(&self, blob: &[u8]) -> Option<String> {
        let s = String::from_utf8_lossy(blob);
        let (from, to) = (s.find('<')?, s.find('>')?);
        self.oracle.texts.contains_key(s.get(from..=to)?).then(|| s[from..=to].to_owned())
    }
}

/// What lies in the tables of Lockstep, as bytes.
struct Kept {
    record: Vec<u8>,
    held: Vec<u8>,
    all: Vec<u8>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn contains(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|w| w == needle.as_bytes())
}

impl Kept {
    fn read(c: &Connection) -> Kept {
        let column = |table: &str, col: &str| -> Vec<u8> {
            let mut q = c.prepare(&format!("SELECT {col} FROM {table}")).expect("a table of ours");
            let rows = q.query_map([], |r| r.get::<_, Option<Vec<u8>>>(0)).expect("its rows");
            rows.flat_map(|r| r.expect("a blob").unwrap_or_default()).collect()
        };
        let record = column("_lockstep_conflict", "value");
        let mut all = record.clone();
        all.extend(column("_lockstep_conflict", "winner_value"));
        all.extend(column("_lockstep_archive", "value"));
        let mut held = column("_lockstep_future", "body");
        let bodies: Vec<String> = c
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_lockstep_unshown_*'")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .expect("bodies");
        for b in bodies {
            held.extend(column(&b, "body"));
        }
        all.extend(&held);
        let pairs = c
            .prepare("SELECT value, winner_value FROM _lockstep_conflict WHERE value IS NOT NULL AND winner_value IS NOT NULL")
            .and_then(|mut q| q.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
            .expect("records");
        Kept { record, held, all, pairs }
    }

    fn on_record(&self, text: &str) -> bool {
        contains(&self.record, text)
    }

    /// Current, and not shown: it waits for a person.
    fn is_held(&self, text: &str) -> bool {
        contains(&self.held, text)
    }

    fn anywhere(&self, text: &str) -> bool {
        contains(&self.all, text)
    }
}
