//! Writing a transaction back: records, what is not shown, dots, links, archive, what is held.
//!
//! Always true here: the digest and the accounts of a table move by exactly what its stored births move.
use super::dots::{encode_dot, load_dot};
use super::prepared::Use;
use super::{Birth, DotOf, LOCAL_ROW, RAW, Standing, Txn, links};
use crate::digest::Hash;
use crate::error::Error;
use crate::record::{Cell, Col, Existence, LocalDot, Register, Unshown, encode_cell, encode_unshown};
use crate::store::{ARCHIVED, DELETED, HELD, State, VISIBLE};
use crate::value::Value;
use rusqlite::params;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

impl Txn<'_> {
    /// Its part of the digest.
    pub fn hash_of(&self, i: usize) -> u128 {
        let birth = &self.births[i];
        if !self.lives(i) {
            return 0;
        }
        let cols = &self.s.t(birth.t).cols;
        let start = self.hash.start(birth.b, &self.s.replicas);
        let mut sum = Hash::lives(&start);
        for e in &birth.rec.entries {
            for f in &e.fields {
                let column = &cols[usize::from(f.col.0)];
                sum = sum.wrapping_add(Hash::field(start, column, &f.cell, &self.s.replicas));
            }
        }
        sum
    }

    /// (visible, lost inside its class, deleted, held)
    pub fn accounts_of(&self, i: usize) -> [u32; 4] {
        let birth = &self.births[i];
        let lives = self.lives(i);
        let mut a = [0u32; 4];
        for e in &birth.rec.entries {
            for f in &e.fields {
                let held = birth.standing != Standing::Shown || birth.held.contains(&Register::Column(f.col));
                a[match (f.shown, lives, held) {
                    (true, _, _) => 0,
                    (false, true, false) => 1,
                    (false, false, _) => 2,
                    (false, true, true) => 3,
                }] += 1;
            }
            match &e.existence {
                None => {}
                // A delete that is held: its row is shown all the same.
                Some(Existence::Deleted(_)) if birth.held.contains(&Register::Existence) => a[3] += 1,
                Some(Existence::Deleted(_)) => a[2] += 1,
                Some(Existence::Lives) if birth.standing == Standing::Shown => a[0] += 1,
                Some(Existence::Lives) if lives => a[3] += 1,
                // A person's word that it lives, and a later delete that had not seen it.
                Some(Existence::Lives) => a[2] += 1,
            }
        }
        a
    }

    /// Writes everything back, and begins anew. The caller has planned the rows and written them.
    pub fn store(&mut self) -> Result<(), Error> {
        let dirty: Vec<usize> = (0..self.births.len()).filter(|&i| self.births[i].dirty).collect();
        // What the rows of a table that is gone showed is not known: nothing of them may be written anew.
        if let Some(&i) = dirty.iter().find(|&&i| self.is_lost(i)) {
            return Err(Error::TableGone { table: self.s.t(self.births[i].t).name.clone() });
        }
        // Tables, columns and replicas first: what follows names their numbers.
        self.s.store(self.c)?;
        let differs = self.has_differences()?;
        for i in dirty {
            self.store_birth(i)?;
            if differs {
                self.settle_difference(self.births[i].t, self.births[i].b)?;
            }
        }
        self.store_edges()?;
        self.store_lost()?;
        self.store_decided()?;
        self.store_asides()?;
        self.store_archive()?;
        self.store_held()?;
        self.store_futures()?;
        for ((t, d), of) in std::mem::take(&mut self.dots) {
            self.store_dot(t, d, &of)?;
        }
        self.store_identity()?;
        self.store_ids()?;
        for (pt, value, (ct, c, col)) in std::mem::take(&mut self.left_behind) {
            self.store_raw(pt, &value, ct, c, col)?;
        }
        for (database, n, clock) in std::mem::take(&mut self.followed) {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO _lockstep_followed (database, n, clock) VALUES (?1, ?2, ?3)")?
                .execute(params![database, n, clock])?;
        }
        // Rows of other files that refer to any birth of a row that moved, or that became one with another, have to follow.
        let mut followed = BTreeSet::new();
        for (t, b) in std::mem::take(&mut self.moved) {
            followed.insert((t, b));
            followed.extend(self.class(t, b)?.members.iter().map(|m| (t, *m)));
        }
        for (t, b) in followed {
            self.c.prepare_cached("INSERT INTO _lockstep_moved (t, b) VALUES (?1, ?2)")?.execute(params![t, b.0])?;
        }
        self.s.store(self.c)?;
        self.s.all_stored();
        self.forget();
        Ok(())
    }

    fn store_birth(&mut self, i: usize) -> Result<(), Error> {
        let (hash, accounts) = (self.hash_now(i)?, self.accounts_of(i));
        let (t, b) = (self.births[i].t, self.births[i].b);
        let class = if self.births[i].rec.linked { Some(self.class(t, b)?) } else { None };
        let anchor = match &class {
            Some(c) => self.anchors(&c.clone())?.first().map(|&a| self.births[a].b),
            None => None,
        };
        {
            let birth = &self.births[i];
            let s = self.s.t_mut(t);
            s.digest = s.digest.wrapping_sub(birth.rec.hash).wrapping_add(hash);
            s.rows += i64::from(birth.key.is_some()) - i64::from(birth.before.key.is_some());
            for (k, account) in [VISIBLE, ARCHIVED, DELETED, HELD].into_iter().enumerate() {
                s.accounts[account] += i64::from(accounts[k]) - i64::from(birth.rec.accounts[k]);
            }
        }
        let row = match (&self.births[i].key, self.births[i].dirty) {
            (Some(k), true) if k.is_content() => self.rows_now.get(&(t, b)).cloned(),
            _ => None,
        };
        let body = unshown_body(&self.births[i], &self.s, row.as_deref());
        let birth = &mut self.births[i];
        birth.rec.hash = hash;
        birth.rec.accounts = accounts;
        let had_body = birth.rec.unshown;
        birth.rec.unshown = !body.is_empty();
        let bytes = birth.rec.encode();
        let c = self.c;
        if birth.before.in_db {
            if birth.before.key == birth.key {
                self.q
                    .get(Use::UpdateRecord, t, || format!("UPDATE _lockstep_row_{t} SET rec = ?2 WHERE b = ?1"))?
                    .execute(params![b.0, bytes])?;
            } else {
                self.q
                    .get(Use::UpdateBirth, t, || format!("UPDATE _lockstep_row_{t} SET k = ?2, rec = ?3 WHERE b = ?1"))?
                    .execute(params![b.0, birth.key, bytes])?;
            }
        } else {
            self.q
                .get(Use::InsertBirth, t, || format!("INSERT INTO _lockstep_row_{t} (b, k, rec) VALUES (?1, ?2, ?3)"))?
                .execute(params![b.0, birth.key, bytes])?;
        }
        if let Some(key) = birth.key.clone().filter(|k| birth.before.key.as_ref() != Some(k)) {
            // `all_by_key` counts on it.
            self.used(t, &key)?;
        }
        let birth = &self.births[i];
        if !body.is_empty() {
            let sql = format!("INSERT OR REPLACE INTO _lockstep_unshown_{t} (b, body) VALUES (?1, ?2)");
            c.prepare_cached(&sql)?.execute(params![b.0, encode_unshown(&body)])?;
        } else if had_body {
            let sql = format!("DELETE FROM _lockstep_unshown_{t} WHERE b = ?1");
            c.prepare_cached(&sql)?.execute([b.0])?;
        }
        if let Some(class) = class {
            let now = (class.leader, anchor);
            if birth.before.class != Some(now) {
                c.prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_class (t, b, leader, anchor) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![t, b.0, now.0.0, now.1.map(|a| a.0)])?;
                self.moved.insert((t, b));
            }
        }
        let birth = &self.births[i];
        if let Some(origin) = birth.rec.copied_origin().filter(|_| self.s.is_copy && birth.before.origin.is_none()) {
            self.note_origin(t, origin, b)?;
        }
        self.store_dots_of(i)?;
        self.store_links_of(i)
    }

    /// Which dots went out of the record, and which came in.
    fn store_dots_of(&mut self, i: usize) -> Result<(), Error> {
        let birth = &self.births[i];
        let (t, b) = (birth.t, birth.b);
        let is_now = |d: &LocalDot| birth.rec.entries.iter().any(|e| e.write.dot == *d);
        let gone: Vec<LocalDot> = birth.before.dots.iter().copied().filter(|d| !is_now(d)).collect();
        let now = birth.rec.entries.iter().map(|e| e.write.dot);
        let come: Vec<LocalDot> = now.filter(|d| *d != b && !birth.before.dots.contains(d)).collect();
        for d in gone {
            if let Some(list) = self.dot_births(t, d)? {
                list.retain(|x| *x != b);
            }
        }
        for d in come {
            if let Some(list) = self.dot_births(t, d)?
                && let Err(at) = list.binary_search(&b)
            {
                list.insert(at, b);
            }
        }
        Ok(())
    }

    fn dot_births(&mut self, t: u32, d: LocalDot) -> Result<Option<&mut Vec<LocalDot>>, Error> {
        let of = match self.dots.entry((t, d)) {
            Entry::Occupied(e) => e.into_mut(),
            Entry::Vacant(e) => {
                // A dot of this transaction is not stored yet; an old one may stand for several births.
                let stored = if self.s.is_stored(t, d) { load_dot(&mut self.q, t, d)? } else { None };
                e.insert(stored.unwrap_or(DotOf::Births(Vec::new())))
            }
        };
        Ok(match of {
            DotOf::Births(list) => Some(list),
            DotOf::Conflict(..) | DotOf::Alias(..) | DotOf::Decision(..) | DotOf::Future => None,
        })
    }

    fn store_dot(&mut self, t: u32, d: LocalDot, of: &DotOf) -> Result<(), Error> {
        match encode_dot(of) {
            Some(what) => self
                .q
                .get(Use::StoreDot, t, || {
                    format!("INSERT OR REPLACE INTO _lockstep_dot_{t} (d, what) VALUES (?1, ?2)")
                })?
                .execute(params![d.0, what])?,
            None if !self.s.is_stored(t, d) => 0,
            None => {
                self.q.get(Use::DropDot, t, || format!("DELETE FROM _lockstep_dot_{t} WHERE d = ?1"))?.execute([d.0])?
            }
        };
        Ok(())
    }

    fn store_links_of(&mut self, i: usize) -> Result<(), Error> {
        let birth = &self.births[i];
        let (t, b) = (birth.t, birth.b);
        let now = links(&birth.rec);
        let target = |col: Col| self.s.t(t).refs.get(&col).map(|(n, _)| *n);
        for (col, to) in birth.before.links.iter().filter(|l| !now.contains(l)) {
            if let Some(pt) = target(*col) {
                self.c
                    .prepare_cached(
                        "DELETE FROM _lockstep_link WHERE pt = ?1 AND p = ?2 AND ct = ?3 AND c = ?4 AND col = ?5",
                    )?
                    .execute(params![pt, to.0, t, b.0, col.0])?;
            }
        }
        for (col, to) in now.iter().filter(|l| !birth.before.links.contains(l)) {
            if let Some(pt) = target(*col) {
                self.c
                    .prepare_cached(
                        "INSERT OR IGNORE INTO _lockstep_link (pt, p, ct, c, col) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![pt, to.0, t, b.0, col.0])?;
            }
        }
        let raws: Vec<(Col, Value)> = birth
            .rec
            .entries
            .iter()
            .filter(|e| self.s.is_ours(t, e.write.dot))
            .flat_map(|e| e.fields.iter())
            .filter_map(|f| if let Cell::Raw(v) = &f.cell { Some((f.col, v.clone())) } else { None })
            .collect();
        if birth.before.raws {
            self.c.prepare_cached("DELETE FROM _lockstep_raw WHERE ct = ?1 AND c = ?2")?.execute(params![t, b.0])?;
        }
        for (col, v) in raws {
            if let Some(pt) = target(col) {
                self.store_raw(pt, &v, t, b, col)?;
            }
        }
        Ok(())
    }

    /// A value that names no row, to be found when one comes.
    fn store_raw(&self, pt: u32, value: &Value, ct: u32, c: LocalDot, col: Col) -> Result<(), Error> {
        self.c
            .prepare_cached("INSERT OR IGNORE INTO _lockstep_raw (pt, value, ct, c, col) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![pt, value, ct, c.0, col.0])?;
        Ok(())
    }

    fn store_edges(&mut self) -> Result<(), Error> {
        for (t, e) in std::mem::take(&mut self.new_edges) {
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_alias (t, a, b, kind, d, stamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![t, e.a.0, e.b.0, e.kind as u8, e.dot.0, e.stamp.0])?;
        }
        Ok(())
    }

    fn store_lost(&mut self) -> Result<(), Error> {
        for ((t, b, r, loser), l) in std::mem::take(&mut self.lost) {
            let cell = |c: &Option<Cell>| {
                c.as_ref().map(|c| {
                    let mut o = Vec::new();
                    encode_cell(c, &mut o);
                    o
                })
            };
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_conflict
                     (t, b, col, loser, d, stamp, loser_stamp, value, winner, winner_stamp, winner_value, kind, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                )?
                .execute(params![
                    t,
                    b.0,
                    r,
                    loser.0,
                    l.dot.0,
                    l.stamp.0,
                    l.loser_stamp.0,
                    cell(&l.value),
                    l.winner.0,
                    l.winner_stamp.0,
                    cell(&l.winner_value),
                    l.kind as u8,
                    self.now.0
                ])?;
        }
        Ok(())
    }

    fn store_archive(&mut self) -> Result<(), Error> {
        for a in std::mem::take(&mut self.archive) {
            let history = self.s.t(a.t).table.as_ref().is_none_or(|t| t.config.history);
            let Some(cell) = a.cell.filter(|c| *c != Cell::Unread && (history || a.lost)) else { continue };
            let mut o = Vec::new();
            encode_cell(&cell, &mut o);
            self.q
                .get(Use::Archive, 0, || {
                    "INSERT INTO _lockstep_archive (t, b, d, col, stamp, why, by, at, value)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                        .to_owned()
                })?
                .execute(params![
                    a.t,
                    a.b.0,
                    a.write.dot.0,
                    a.register.number(),
                    a.write.stamp.0,
                    a.lost,
                    a.by.0,
                    self.now.0,
                    o
                ])?;
        }
        Ok(())
    }

    /// Does anything wait in this file?
    pub fn has_held(&mut self) -> Result<bool, Error> {
        if self.any_held.is_none() {
            let n: i64 = self.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_held)", [], |r| r.get(0))?;
            self.any_held = Some(n != 0);
        }
        Ok(self.any_held == Some(true))
    }

    /// Is a write held for its stamp?
    pub fn has_futures(&mut self) -> Result<bool, Error> {
        if self.any_future.is_none() {
            self.any_future = Some(super::future::any(self.c)?);
        }
        Ok(self.any_future == Some(true))
    }

    pub fn body_of(&self, i: usize) -> Result<Vec<Unshown>, Error> {
        self.body(self.births[i].t, self.births[i].b)
    }

    fn store_futures(&mut self) -> Result<(), Error> {
        for (t, d, n) in std::mem::take(&mut self.due) {
            self.c
                .prepare_cached("DELETE FROM _lockstep_future WHERE t = ?1 AND d = ?2 AND n = ?3")?
                .execute(params![t, d.0, n])?;
        }
        for (n, f) in std::mem::take(&mut self.futures).into_iter().enumerate() {
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_future (t, d, n, stamp, b, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![f.t, f.write.dot.0, n, f.write.stamp.0, f.b.0, f.encode()])?;
        }
        Ok(())
    }

    fn store_held(&mut self) -> Result<(), Error> {
        for ((t, b), list) in std::mem::take(&mut self.held) {
            self.c.prepare_cached("DELETE FROM _lockstep_held WHERE t = ?1 AND b = ?2")?.execute(params![t, b.0])?;
            for h in list {
                self.c
                    .prepare_cached(
                        "INSERT OR IGNORE INTO _lockstep_held (t, b, col, d, reason, wt, wb, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        t,
                        b.0,
                        h.register.map_or(-2, Register::number),
                        h.dot.map_or(0, |d| d.0),
                        h.reason as u8,
                        h.waits.map(|w| w.0),
                        h.waits.map(|w| w.1.0),
                        self.now.0
                    ])?;
            }
        }
        Ok(())
    }
}

/// Every value of a birth that its row doesn't show, or doesn't show as it is.
fn unshown_body(birth: &Birth, s: &State, row: Option<&[Value]>) -> Vec<Unshown> {
    let mut body = Vec::new();
    for e in &birth.rec.entries {
        for f in &e.fields {
            let (value, raw) = match &f.cell {
                Cell::Value(v) => (v, false),
                Cell::Raw(v) => (v, !s.is_ours(birth.t, e.write.dot)),
                Cell::Row(_) | Cell::Unread => (&Value::Null, false),
            };
            if !f.shown {
                body.push((f.col, e.write.dot, value.clone()));
            } else if raw {
                body.push((Col(f.col.0 | RAW), e.write.dot, value.clone()));
            }
        }
    }
    for (p, v) in row.unwrap_or_default().iter().enumerate() {
        body.push((Col(LOCAL_ROW | p as u16), LocalDot(0), v.clone()));
    }
    body
}
