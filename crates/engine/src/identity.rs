//! The same row or another row: merge-rules 14 to 16, and design §6.
//!
//! Always true here: rows are matched only when the last batch of a delta has come; two living rows of one application
//! are never made one by rule; each match is an alias, a write that travels. Not here: what classes follow from the
//! aliases (`class`).
use crate::catalog::{Key, Table};
use crate::change::AliasKind;
use crate::class::Class;
use crate::contact::Began;
use crate::error::Error;
use crate::key::LocalKey;
use crate::map::Map;
use crate::record::{Cell, Col, LocalDot, Record};
use crate::rule::{Rule, applies};
use crate::transaction::{Txn, Use};
use crate::value::Value;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hasher;

/// Do two values count as the same key under a collation of SQLite?
pub fn equal(a: &Value, b: &Value, collation: &str) -> bool {
    let mut x = Vec::new();
    let mut y = Vec::new();
    normal(a, collation, &mut x);
    normal(b, collation, &mut y);
    x == y
}

/// The value in a form in which equal keys have equal bytes.
pub fn normal(v: &Value, collation: &str, o: &mut Vec<u8>) {
    match v {
        Value::Real(f) if f.fract() == 0.0 && f.abs() < 9e18 => Value::Integer(*f as i64).encode(o),
        Value::Text(b) if collation.eq_ignore_ascii_case("NOCASE") => {
            Value::Text(b.to_ascii_lowercase().into()).encode(o)
        }
        Value::Text(b) if collation.eq_ignore_ascii_case("RTRIM") => {
            let end = b.iter().rposition(|c| *c != b' ').map_or(0, |i| i + 1);
            Value::Text(b[..end].into()).encode(o);
        }
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Text(_) | Value::Blob(_) => v.encode(o),
    }
}

/// The identity key that our own index serves: that of the configuration, where no unique index of theirs does.
fn own_index(table: &Table) -> Option<&[usize]> {
    table.config.identity.as_ref()?;
    let key = table.identity.first()?;
    let served = table.uniques.iter().any(|u| {
        u.plain_columns().is_some_and(|mut c| {
            let mut k = key.clone();
            c.sort_unstable();
            k.sort_unstable();
            c == k
        })
    });
    (!served).then_some(key)
}

fn hash_key(parts: &[Value], table: &Table, places: &[usize]) -> i64 {
    let mut o = Vec::new();
    for (v, &p) in parts.iter().zip(places) {
        normal(v, &table.columns[p].collation, &mut o);
    }
    let mut h = siphasher::sip::SipHasher13::new();
    h.write(&o);
    h.finish() as i64
}

/// By which copies of one file know a row again that was there before capture: its surrogate id, or a hash of its natural
/// key as it was then. Ids in that are the same in all copies.
pub fn origin_of(table: &Table, key: &LocalKey, row: &[Value]) -> Option<i64> {
    if table.surrogate().is_some() {
        return key.id();
    }
    let places = table.key_places();
    let parts: Vec<Value> = places.iter().map(|&p| row[p].clone()).collect();
    (!parts.is_empty() && !parts.iter().any(Value::is_null)).then(|| hash_key(&parts, table, places))
}

/// A key of a class, with references as classes: what is compared between births that have no row here.
type ClassKey = Vec<u8>;

impl Txn<'_> {
    /// Keeps our own index of declared identity keys up to date with a row as it is in the application's table.
    pub fn index_identity(&mut self, i: usize) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let Some(table) = self.s.t(t).table.clone() else { return Ok(()) };
        if own_index(&table).is_none() {
            return Ok(());
        }
        let row = match &self.births[i].row_key {
            Some(_) => self.stored_row(i)?,
            None => None,
        };
        self.index_row(t, b, &table, row.as_deref());
        Ok(())
    }

    /// The same, with the row at hand; None: it is gone.
    pub fn index_row(&mut self, t: u32, b: LocalDot, table: &Table, row: Option<&[Value]>) {
        let Some(places) = own_index(table) else { return };
        let h = row.and_then(|row| {
            let parts: Vec<Value> = places.iter().map(|&p| row[p].clone()).collect();
            parts.iter().all(|v| !v.is_null()).then(|| hash_key(&parts, table, places))
        });
        self.identity_now.insert((t, b), h);
    }

    pub fn store_identity(&mut self) -> Result<(), Error> {
        for ((t, b), h) in std::mem::take(&mut self.identity_now) {
            match h {
                Some(h) => self
                    .q
                    .get(Use::StoreIdentity, t, || {
                        format!("INSERT OR REPLACE INTO _lockstep_ident_{t} (b, h) VALUES (?1, ?2)")
                    })?
                    .execute(params![b.0, h])?,
                None => {
                    self.c.prepare_cached(&format!("DELETE FROM _lockstep_ident_{t} WHERE b = ?1"))?.execute([b.0])?
                }
            };
        }
        Ok(())
    }

    /// The cell that a class shows in a column: the best of its sources, or under review what is shown now.
    pub fn class_cell(&mut self, sources: &[usize], col: Col) -> Result<Option<(usize, LocalDot, Cell)>, Error> {
        let mut best: Option<(usize, crate::record::Write, Cell, bool)> = None;
        for &s in sources {
            self.read(s)?;
        }
        let Some(&first) = sources.first() else { return Ok(None) };
        if sources.len() == 1 {
            // Nearly always there is one write, and nothing to choose.
            let mut writes = self.births[first].rec.siblings(col);
            match (writes.next(), writes.next()) {
                (None, _) => return Ok(None),
                (Some((w, f)), None) => return Ok(Some((first, w.dot, f.cell.clone()))),
                (Some(_), Some(_)) => {}
            }
        }
        let t = self.births[first].t;
        let review = self.policy(t, col).0 == crate::merge::Keeps::All;
        for &s in sources {
            for (w, f) in self.births[s].rec.siblings(col) {
                let shown = review && f.shown;
                let better = best.as_ref().is_none_or(|(_, o, _, o_shown)| {
                    shown.cmp(o_shown).then_with(|| self.better((t, col), w, o)).is_gt()
                });
                if better {
                    best = Some((s, w.clone(), f.cell.clone(), shown));
                }
            }
        }
        Ok(best.map(|(s, w, c, _)| (s, w.dot, c)))
    }

    pub fn class_key(
        &mut self,
        t: u32,
        table: &Table,
        sources: &[usize],
        places: &[usize],
    ) -> Result<Option<ClassKey>, Error> {
        let mut key = Vec::new();
        for &p in places {
            let Some(col) = self.s.t(t).col_at[p] else { return Ok(None) };
            let Some((_, _, cell)) = self.class_cell(sources, col)? else { return Ok(None) };
            match cell {
                Cell::Row(b) => {
                    let pt = self.s.t(t).refs.get(&col).map_or(t, |(n, _)| *n);
                    let leader = self.leader(pt, b)?;
                    let (r, seq) = self.id_of(leader);
                    key.push(9);
                    key.extend_from_slice(&r.0);
                    key.extend_from_slice(&seq.to_be_bytes());
                }
                Cell::Value(v) | Cell::Raw(v) => {
                    if v.is_null() && table.key != Key::Content {
                        return Ok(None);
                    }
                    normal(&v, &table.columns[p].collation, &mut key);
                }
                Cell::Unread => unreachable!("class_cell reads"),
            }
        }
        Ok(Some(key))
    }

    /// The local values of a class's key, if everything that it refers to has a row here.
    fn local_key_values(&mut self, t: u32, sources: &[usize], places: &[usize]) -> Result<Option<Vec<Value>>, Error> {
        let mut out = Vec::new();
        for &p in places {
            let Some(col) = self.s.t(t).col_at[p] else { return Ok(None) };
            let Some((_, _, cell)) = self.class_cell(sources, col)? else { return Ok(None) };
            match cell {
                Cell::Row(b) => match self.local_value(t, col, b)? {
                    Some(v) => out.push(v),
                    None => return Ok(None),
                },
                Cell::Value(v) | Cell::Raw(v) => out.push(v),
                Cell::Unread => unreachable!("class_cell reads"),
            }
        }
        Ok(Some(out))
    }

    /// Anchors of rows here with this key, by their index or ours.
    fn shown_with(&mut self, t: u32, table: &Table, places: &[usize], values: &[Value]) -> Result<Vec<usize>, Error> {
        if own_index(table).is_some_and(|k| k == places) {
            let h = hash_key(values, table, places);
            let mut births: Vec<LocalDot> = self
                .c
                .prepare_cached(&format!("SELECT b FROM _lockstep_ident_{t} WHERE h = ?1"))?
                .query_map([h], |r| Ok(LocalDot(r.get(0)?)))?
                .collect::<Result<_, _>>()?;
            births.retain(|b| self.identity_now.get(&(t, *b)).is_none_or(|now| *now == Some(h)));
            births.extend(
                self.identity_now.iter().filter(|((x, _), now)| *x == t && **now == Some(h)).map(|((_, b), _)| *b),
            );
            births.sort_unstable();
            births.dedup();
            let mut out = Vec::new();
            for b in births {
                let Some(i) = self.find(t, b)? else { continue };
                let Some(row) = self.stored_row(i)? else { continue };
                if places.iter().zip(values).all(|(&p, v)| equal(&row[p], v, &table.columns[p].collation)) {
                    out.push(i);
                }
            }
            return Ok(out);
        }
        let keys = crate::rows::keys_with(self.c, table, places, values)?;
        let mut out = Vec::new();
        for key in keys {
            for i in self.all_by_key(t, &key)? {
                if !out.contains(&i) {
                    out.push(i);
                }
            }
        }
        Ok(out)
    }

    /// Matches identities to a fixpoint. Before the last batch of a delta only those that follow from what their
    /// references name: these can't wait, since two rows can't show one key.
    pub fn match_identities(&mut self) -> Result<(), Error> {
        for _ in 0..64 {
            if !self.match_once()? {
                return Ok(());
            }
        }
        Err(crate::store::damaged("aliases do not settle"))
    }

    fn match_once(&mut self) -> Result<bool, Error> {
        self.touch_clusters()?;
        let mut by_table: BTreeMap<(usize, u32), BTreeSet<LocalDot>> = BTreeMap::new();
        for (t, b) in self.touched.list() {
            if self.s.t(t).table.is_some() {
                let leader = self.class(t, b)?.leader;
                by_table.entry((self.s.t(t).rank, t)).or_default().insert(leader);
            }
        }
        let mut found = false;
        for ((_, t), leaders) in by_table {
            let table = self.s.t(t).table.clone().expect("chosen above");
            found |= self.match_table(t, &table, &leaders)?;
        }
        Ok(found)
    }

    fn match_table(&mut self, t: u32, table: &Table, leaders: &BTreeSet<LocalDot>) -> Result<bool, Error> {
        // What the files had in common as copies is one whatever its keys say by now.
        if self.s.last && self.match_same_ids(t, table, leaders, true)? {
            return Ok(true);
        }
        let mut lists: Vec<Vec<usize>> = table.identity.clone();
        if table.key == Key::Content {
            lists = vec![(0..table.columns.len()).collect()];
        }
        let mut found = false;
        // A row that matches different rows by different keys is for a person: it is never aliased here.
        let mut first_match: BTreeMap<LocalDot, LocalDot> = BTreeMap::new();
        let mut torn: HashSet<LocalDot> = HashSet::new();
        let mut groups: Vec<(AliasKind, Vec<LocalDot>)> = Vec::new();
        for places in &lists {
            let fall = places.iter().all(|p| table.references.iter().any(|r| r.column == *p));
            if !fall && !self.s.last {
                continue;
            }
            let mut by_key: BTreeMap<ClassKey, BTreeSet<LocalDot>> = BTreeMap::new();
            for &l in leaders {
                let class = self.class(t, l)?;
                if class.leader != l || !self.class_lives(&class)? {
                    continue;
                }
                let sources = self.sources(&class)?;
                if sources.is_empty() {
                    continue;
                }
                let Some(key) = self.class_key(t, table, &sources, places)? else { continue };
                let group = by_key.entry(key).or_default();
                group.insert(l);
                let shown = !self.anchors(&class)?.is_empty();
                if (!shown || fall && !self.new_edges.is_empty())
                    && let Some(values) = self.local_key_values(t, &sources, places)?
                {
                    for i in self.shown_with(t, table, places, &values)? {
                        let b = self.births[i].b;
                        let other = self.class(t, b)?.leader;
                        if other != l {
                            group.insert(other);
                            if *first_match.entry(l).or_insert(other) != other && table.key != Key::Content {
                                torn.insert(l);
                            }
                        }
                    }
                }
            }
            let kind = if fall { AliasKind::Fall } else { AliasKind::Key };
            groups.extend(by_key.into_values().filter(|g| g.len() > 1).map(|g| (kind, g.into_iter().collect())));
        }
        for (kind, mut group) in groups {
            group.retain(|l| !torn.contains(l));
            group.sort_by_key(|l| self.id_of(*l));
            found |= match (kind, &table.key) {
                (_, Key::Content) => self.pair_up(t, &group)?,
                (AliasKind::Fall, _) => self.join_all(t, &group, AliasKind::Fall)?,
                (AliasKind::Key | AliasKind::Hand | AliasKind::Apart, _) => self.join_by_key(t, &group)?,
            };
        }
        if !found && self.s.last {
            found |= self.match_same_ids(t, table, leaders, false)?;
        }
        Ok(found)
    }

    fn join_all(&mut self, t: u32, group: &[LocalDot], kind: AliasKind) -> Result<bool, Error> {
        let mut found = false;
        for l in &group[1..] {
            if !self.kept_apart(t, group[0], *l)? {
                found |= self.make_edge(t, group[0], *l, kind)?;
            }
        }
        Ok(found)
    }

    /// One identity key: an alias only if at most one of them has a row here and no twins result.
    fn join_by_key(&mut self, t: u32, group: &[LocalDot]) -> Result<bool, Error> {
        let classes: Vec<Class> = group.iter().map(|l| self.class(t, *l)).collect::<Result<_, _>>()?;
        let mut shown = 0;
        for c in &classes {
            shown += usize::from(!self.anchors(c)?.is_empty());
        }
        if shown > 1 || shown == classes.len() || classes.len() < 2 {
            return Ok(false);
        }
        for (i, x) in classes.iter().enumerate() {
            for y in &classes[..i] {
                let twins = self.housemates(t, &x.members, &y.members)? && applies(Rule::TwinsStayTwo);
                if twins || self.kept_apart(t, x.leader, y.leader)? {
                    return Ok(false);
                }
            }
        }
        Ok(applies(Rule::KeyJoins) && self.join_all(t, group, AliasKind::Key)?)
    }

    /// Equal rows of a table without a key are counted: each new one takes one that has no birth of its replica yet.
    fn pair_up(&mut self, t: u32, group: &[LocalDot]) -> Result<bool, Error> {
        let mut found = false;
        for (i, a) in group.iter().enumerate() {
            let x = self.class(t, *a)?;
            if !self.anchors(&x)?.is_empty() {
                continue;
            }
            for b in group.iter().take(i).chain(&group[i + 1..]) {
                let (x, y) = (self.class(t, *a)?, self.class(t, *b)?);
                if x.leader == y.leader || self.housemates(t, &x.members, &y.members)? || self.kept_apart(t, *a, *b)? {
                    continue;
                }
                if self.make_edge(t, *a, *b, AliasKind::Key)? {
                    found = true;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Did a person say that these two are not one row?
    fn kept_apart(&mut self, t: u32, a: LocalDot, b: LocalDot) -> Result<bool, Error> {
        let (x, y) = (self.class(t, a)?, self.class(t, b)?);
        for m in &x.members {
            for e in self.edges_at(t, *m)?.clone() {
                let other = if e.a == *m { e.b } else { e.a };
                if e.kind == AliasKind::Apart && y.members.contains(&other) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Design §6.3: rows that were there before the nodes met, with the same id and the same content; or the files
    /// began as copies.
    fn match_same_ids(
        &mut self,
        t: u32,
        table: &Table,
        leaders: &BTreeSet<LocalDot>,
        as_copies: bool,
    ) -> Result<bool, Error> {
        // A natural key tells rows apart by itself, but for copies of which one changed it.
        let is_natural = table.surrogate().is_none();
        if is_natural && (!as_copies || table.key == Key::Content || !self.s.began.contains(&Began::Copies)) {
            return Ok(false);
        }
        let mut found = false;
        'classes: for &l in leaders {
            let class = self.class(t, l)?;
            if class.leader != l || !self.class_lives(&class)? || !self.anchors(&class)?.is_empty() {
                continue;
            }
            let sources = self.sources(&class)?;
            for &s in &sources {
                let rec = &self.births[s].rec;
                let (Some(id), true) = (rec.origin, rec.alone) else { continue };
                let (began, copies) = self.began_as(s);
                for b in self.began_alike(t, table, id, copies)? {
                    let mine = self.class(t, b)?;
                    let members = self.members(&mine)?;
                    let there = |rec: &Record| rec.alone && rec.origin == Some(id);
                    let alone = members.iter().any(|&m| there(&self.births[m].rec));
                    let copies = copies
                        && members.iter().map(|&m| &self.births[m].rec).any(|r| there(r) && r.is_older_than_capture());
                    if mine.leader == class.leader || !alone || self.twins(t, &class.members, &mine.members)? {
                        continue;
                    }
                    let one = match began {
                        Began::Copies if copies => true,
                        Began::Separate => false,
                        Began::Copies | Began::AsFound => !as_copies && self.same_content(t, &sources, &mine)?,
                    };
                    if one && !self.kept_apart(t, l, mine.leader)? && applies(Rule::SameIdJoins) {
                        found |= self.make_edge(t, l, mine.leader, AliasKind::Key)?;
                        continue 'classes;
                    }
                }
            }
        }
        Ok(found)
    }

    /// How the file of a birth began, and whether it is one of the rows that copies have in common: what was there before
    /// capture. What came after is another row.
    fn began_as(&self, i: usize) -> (Began, bool) {
        let began = self.s.began[self.births[i].b.replica() as usize];
        (began, began == Began::Copies && self.births[i].rec.is_older_than_capture())
    }

    /// Births that may be a row that was there under this id: of copies those that began as it did, whatever id they have
    /// by now and whoever has theirs; else the one whose row has the id here.
    fn began_alike(&mut self, t: u32, table: &Table, id: i64, copies: bool) -> Result<Vec<LocalDot>, Error> {
        if copies {
            return self.rows_of_origin(t, id);
        }
        let has_it = if table.surrogate().is_some() { self.by_key(t, &LocalKey::Id(id))? } else { None };
        Ok(has_it.map(|i| self.births[i].b).into_iter().collect())
    }

    fn rows_of_origin(&mut self, t: u32, origin: i64) -> Result<Vec<LocalDot>, Error> {
        if self.s.is_copy {
            let mut q = self.c.prepare_cached("SELECT b FROM _lockstep_origin WHERE t = ?1 AND o = ?2 ORDER BY b")?;
            let births = q.query_map(params![t, origin], |r| Ok(LocalDot(r.get(0)?)))?;
            return Ok(births.collect::<Result<_, _>>()?);
        }
        // Only looked at as if it were one.
        if !self.origins.contains_key(&t) {
            let mut stored: Map<i64, Vec<LocalDot>> = Map::default();
            self.each_origin(t, |id, b| {
                stored.entry(id).or_default().push(b);
                Ok(())
            })?;
            self.origins.insert(t, stored);
        }
        Ok(self.origins[&t].get(&origin).cloned().unwrap_or_default())
    }

    fn each_origin(&self, t: u32, mut f: impl FnMut(i64, LocalDot) -> Result<(), Error>) -> Result<(), Error> {
        let mut q = self.c.prepare_cached(&format!("SELECT b, rec FROM _lockstep_row_{t} ORDER BY b"))?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            let rec = Record::decode(&r.get::<_, Vec<u8>>(1)?).ok_or_else(|| crate::store::damaged("a record"))?;
            if let Some(id) = rec.copied_origin() {
                f(id, LocalDot(r.get(0)?))?;
            }
        }
        Ok(())
    }

    /// Notes the rows that copies may have in common, by what they are known again by. Once for a file; what comes later is
    /// noted as it is stored.
    pub fn note_origins(&self) -> Result<(), Error> {
        for t in self.s.tables.iter().filter(|t| t.database.is_none()) {
            self.each_origin(t.n, |id, b| self.note_origin(t.n, id, b))?;
        }
        Ok(())
    }

    pub fn note_origin(&self, t: u32, origin: i64, b: LocalDot) -> Result<(), Error> {
        self.c
            .prepare_cached("INSERT OR IGNORE INTO _lockstep_origin (t, o, b) VALUES (?1, ?2, ?3)")?
            .execute(params![t, origin, b.0])?;
        Ok(())
    }

    fn same_content(&mut self, t: u32, sources: &[usize], other: &Class) -> Result<bool, Error> {
        let theirs = self.sources(other)?;
        let cols: Vec<Col> = self.s.t(t).col_at.iter().flatten().copied().collect();
        for col in cols {
            let a = self.class_cell(sources, col)?.map(|x| x.2);
            let b = self.class_cell(&theirs, col)?.map(|x| x.2);
            let same = match (&a, &b) {
                (Some(Cell::Row(x)), Some(Cell::Row(y))) => {
                    let pt = self.s.t(t).refs.get(&col).map_or(t, |(n, _)| *n);
                    self.leader(pt, *x)? == self.leader(pt, *y)?
                }
                _ => a == b,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Living rows without a row here whose key is that of another: before the last batch they wait (merge-rules 15).
    pub fn waits_for_identity(&mut self, t: u32, class: &Class, sources: &[usize]) -> Result<bool, Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(false) };
        let lists: Vec<Vec<usize>> =
            if table.key == Key::Content { vec![(0..table.columns.len()).collect()] } else { table.identity.clone() };
        for places in &lists {
            if let Some(values) = self.local_key_values(t, sources, places)?
                && values.iter().all(|v| !v.is_null() || table.key == Key::Content)
            {
                for i in self.shown_with(t, &table, places, &values)? {
                    let b = self.births[i].b;
                    if self.class(t, b)?.leader != class.leader {
                        return Ok(true);
                    }
                }
            }
        }
        // The same id, for rows that were there before.
        for &s in sources {
            let (Some(id), true) = (self.births[s].rec.origin, self.births[s].rec.alone) else { continue };
            let copies = self.began_as(s).1;
            for b in self.began_alike(t, &table, id, copies)? {
                if let Some(i) = self.find(t, b)?
                    && self.births[i].rec.alone
                    && self.class(t, b)?.leader != class.leader
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
