//! The other databases of this node, to which this one refers: read in this transaction, never written.
//!
//! Always true here: births of another file are named by this file's own replica numbers; a sibling that is not there
//! or not attached resolves nothing, and what refers to it waits.
use crate::catalog::{Catalog, Key, Table, quote};
use crate::error::Error;
use crate::id::ReplicaId;
use crate::key::LocalKey;
use crate::lineage::parting::Parting;
use crate::record::{LocalDot, Record};
use crate::rule::{Rule, applies};
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// Another database of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Its logical name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

/// Those of them that are attached, on one connection.
#[derive(Debug, Default)]
pub struct Siblings {
    list: Vec<Attached>,
}

#[derive(Debug)]
struct Attached {
    name: String,
    /// The schema name on the connection.
    schema: String,
    catalog: Catalog,
    /// An earlier version may have written it last.
    format: i64,
}

/// What a file wrote alone under a name that is another file's, too, and that has a name of its own since.
#[derive(Debug)]
pub struct Parted {
    /// The file's logical name.
    pub database: String,
    pub old: ReplicaId,
    pub new: ReplicaId,
    /// By table: what was written after this seq.
    pub after: Vec<(String, u64)>,
}

/// How a row of another file stands there.
#[derive(Clone, Debug, PartialEq)]
pub enum Foreign {
    /// Shown; the value that a reference has here.
    Here(Value),
    /// Known there, but not shown yet.
    Waiting,
    /// Deleted there.
    Dead,
    /// Not known there.
    Unknown,
    /// The file or table is not on this node: nothing will come.
    Nowhere,
}

impl Siblings {
    pub fn attach(c: &Connection, list: &[Sibling], own: &str, wanted: &[String]) -> Result<Siblings, Error> {
        let mut out = Siblings::default();
        for s in list.iter().filter(|s| s.name != own && wanted.contains(&s.name)) {
            let other = crate::guest::open(&s.path)?;
            if !crate::store::is_attached(&other)? {
                continue;
            }
            crate::upgrade::check(&other, &s.path)?;
            let config = crate::database::stored_config(&other)?;
            let catalog = crate::catalog::read(&other, &s.name, &config)?;
            let format = crate::store::format(&other)?;
            drop(other);
            let schema = format!("lockstep_{}", out.list.len());
            c.execute(&format!("ATTACH ?1 AS {schema}"), [s.path.to_string_lossy()])?;
            out.list.push(Attached { name: s.name.clone(), schema, catalog, format });
        }
        Ok(out)
    }

    fn get(&self, name: &str) -> Option<&Attached> {
        self.list.iter().find(|s| s.name == name)
    }
}

/// What a transaction knows of one foreign table.
#[derive(Clone, Debug)]
pub struct ForeignTable {
    schema: String,
    n: u32,
    table: Table,
    /// Their replica numbers to ours, and back.
    ours: Vec<u32>,
    theirs: HashMap<u32, u32>,
}

impl Txn<'_> {
    fn foreign(&mut self, t: u32) -> Result<Option<std::rc::Rc<ForeignTable>>, Error> {
        if let Some(f) = self.foreign_tables.get(&t) {
            return Ok(f.clone());
        }
        let (database, name) = (self.s.t(t).database.clone().unwrap_or_default(), self.s.t(t).name.clone());
        let found = match self.siblings.get(&database) {
            Some(a) => {
                let table = a.catalog.tables.iter().find(|x| x.name.eq_ignore_ascii_case(&name)).cloned();
                let n: Option<u32> = self
                    .c
                    .query_row(
                        &format!(
                            "SELECT n FROM {}._lockstep_table WHERE database IS NULL AND synced AND name = ?1",
                            a.schema
                        ),
                        [table.as_ref().map_or(&name, |t| &t.name)],
                        |r| r.get(0),
                    )
                    .optional()?;
                match (table, n) {
                    (Some(table), Some(n)) => {
                        let schema = a.schema.clone();
                        let ids: Vec<Vec<u8>> = self
                            .c
                            .prepare(&format!("SELECT id FROM {schema}._lockstep_replica ORDER BY n"))?
                            .query_map([], |r| r.get(0))?
                            .collect::<Result<_, _>>()?;
                        let mut ours = vec![0];
                        let mut theirs = HashMap::new();
                        for (k, id) in ids.into_iter().enumerate() {
                            let id: [u8; 16] = id.try_into().map_err(|_| crate::store::damaged("replica id"))?;
                            let no = self.s.replica_no(ReplicaId(id));
                            ours.push(no);
                            theirs.insert(no, k as u32 + 1);
                        }
                        Some(std::rc::Rc::new(ForeignTable { schema, n, table, ours, theirs }))
                    }
                    _ => None,
                }
            }
            None => None,
        };
        self.foreign_tables.insert(t, found.clone());
        Ok(found)
    }

    fn theirs(f: &ForeignTable, b: LocalDot) -> Option<LocalDot> {
        f.theirs.get(&b.replica()).map(|r| LocalDot::new(*r, b.seq()))
    }

    fn ours(f: &ForeignTable, b: i64) -> LocalDot {
        let b = LocalDot(b);
        LocalDot::new(f.ours[b.replica() as usize], b.seq())
    }

    /// The leader of a class in another file; the birth itself where nothing is known.
    pub fn foreign_leader(&mut self, t: u32, b: LocalDot) -> Result<LocalDot, Error> {
        let Some(f) = self.foreign(t)? else { return Ok(b) };
        let Some(x) = Self::theirs(&f, b) else { return Ok(b) };
        let leader: Option<i64> = self
            .c
            .prepare_cached(&format!("SELECT leader FROM {}._lockstep_class WHERE t = ?1 AND b = ?2", f.schema))?
            .query_row(params![f.n, x.0], |r| r.get(0))
            .optional()?;
        Ok(leader.map_or(b, |l| Self::ours(&f, l)))
    }

    /// How a row of another file stands, and the value by which a reference names it here.
    pub fn foreign_row(&mut self, t: u32, b: LocalDot, target: &str) -> Result<Foreign, Error> {
        let Some(f) = self.foreign(t)? else { return Ok(Foreign::Nowhere) };
        let Some(x) = Self::theirs(&f, b) else { return Ok(Foreign::Unknown) };
        let anchor: Option<Option<i64>> = self
            .c
            .prepare_cached(&format!("SELECT anchor FROM {}._lockstep_class WHERE t = ?1 AND b = ?2", f.schema))?
            .query_row(params![f.n, x.0], |r| r.get(0))
            .optional()?;
        let at = anchor.flatten().unwrap_or(x.0);
        let row: Option<Option<LocalKey>> = self
            .c
            .prepare_cached(&format!("SELECT k FROM {}._lockstep_row_{} WHERE b = ?1", f.schema, f.n))?
            .query_row([at], |r| r.get(0))
            .optional()?;
        let Some(key) = row else { return Ok(Foreign::Unknown) };
        let Some(key) = key else {
            let lives = self.foreign_class(&f, at)?.iter().any(|(_, rec)| self.rec_lives(rec));
            return Ok(if lives { Foreign::Waiting } else { Foreign::Dead });
        };
        Ok(match self.target_value(&f, &key, target)? {
            Some(v) => Foreign::Here(v),
            None => Foreign::Waiting,
        })
    }

    fn target_value(&self, f: &ForeignTable, key: &LocalKey, target: &str) -> Result<Option<Value>, Error> {
        let Some(p) = target_place(&f.table, target) else { return Ok(None) };
        if let (Key::Id { column, .. }, Some(id)) = (&f.table.key, key.id())
            && *column == p
        {
            return Ok(Some(Value::Integer(id)));
        }
        let (Some(values), Some(places)) = (key.values(), key_places(&f.table)) else { return Ok(None) };
        let locate: Vec<String> = places
            .iter()
            .enumerate()
            .map(|(i, &k)| format!("{} = ?{}", quote(&f.table.columns[k].name), i + 1))
            .collect();
        let sql = format!(
            "SELECT {} FROM {}.{} WHERE {}",
            quote(&f.table.columns[p].name),
            f.schema,
            quote(&f.table.name),
            locate.join(" AND ")
        );
        Ok(self
            .c
            .prepare_cached(&sql)?
            .query_row(rusqlite::params_from_iter(values), |r| Ok(Value::from(r.get_ref(0)?)))
            .optional()?)
    }

    /// The birth of the row of another file that a value names: the smallest living birth of its class.
    pub fn foreign_birth(&mut self, t: u32, target: &str, value: &Value) -> Result<Option<LocalDot>, Error> {
        let Some(f) = self.foreign(t)? else { return Ok(None) };
        let Some(key) = key_by_target(self.c, &f.schema, &f.table, target, value)? else { return Ok(None) };
        let b: Option<i64> = self
            .c
            .prepare_cached(&format!("SELECT b FROM {}._lockstep_row_{} WHERE k = ?1", f.schema, f.n))?
            .query_row([key], |r| r.get(0))
            .optional()?;
        let Some(b) = b else { return Ok(None) };
        let complete: Vec<(LocalDot, Record)> =
            self.foreign_class(&f, b)?.into_iter().filter(|(_, rec)| rec.complete()).collect();
        let mut living: Vec<LocalDot> =
            complete.iter().filter(|(_, rec)| self.rec_lives(rec)).map(|(b, _)| *b).collect();
        if living.is_empty() {
            living = complete.into_iter().map(|(b, _)| b).collect();
        }
        Ok(Some(living.into_iter().min_by_key(|b| self.id_of(*b)).unwrap_or_else(|| Self::ours(&f, b))))
    }

    /// The births of the class of a birth there, with what is known of each, by our numbers of the replicas.
    fn foreign_class(&self, f: &ForeignTable, b: i64) -> Result<Vec<(LocalDot, Record)>, Error> {
        let members: Vec<(i64, Vec<u8>)> = self
            .c
            .prepare_cached(&format!(
                "SELECT b, rec FROM {s}._lockstep_row_{n} WHERE b = ?2 UNION
                 SELECT r.b, r.rec FROM {s}._lockstep_class AS c
                 JOIN {s}._lockstep_class AS o ON o.t = c.t AND o.leader = c.leader
                 JOIN {s}._lockstep_row_{n} AS r ON r.b = o.b WHERE c.t = ?1 AND c.b = ?2",
                s = f.schema,
                n = f.n
            ))?
            .query_map(params![f.n, b], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let known = members.into_iter().map(|(b, rec)| {
            let mut rec = Record::decode(&rec).ok_or_else(|| crate::store::damaged("a record of a sibling"))?;
            rec.entries.iter_mut().for_each(|e| e.write.dot = Self::ours(f, e.write.dot.0));
            Ok((Self::ours(f, b), rec))
        });
        known.collect()
    }
}

impl Siblings {
    /// Files that have moved on since this one last looked: (place, seen moves, their clock).
    pub fn news(&self, c: &Connection) -> Result<Vec<(usize, i64, i64)>, Error> {
        let mut out = Vec::new();
        for (at, a) in self.list.iter().enumerate() {
            let (seen, known): (i64, i64) = c
                .prepare_cached("SELECT n, clock FROM _lockstep_followed WHERE database = ?1")?
                .query_row([&a.name], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?
                .unwrap_or((0, -1));
            let clock: i64 = c
                .prepare_cached(&format!("SELECT v FROM {}._lockstep_meta WHERE k = 'clock'", a.schema))?
                .query_row([], |r| r.get(0))?;
            if clock != known {
                out.push((at, seen, clock));
            }
        }
        Ok(out)
    }
}

/// Which writes of other files have got another name, as far as this file has followed.
const FOLLOWED: &str = "followed_partings";

impl Siblings {
    /// Writes of other files that have got another name and are still known here by the old one; the earliest first.
    pub fn parted(&self, c: &Connection) -> Result<Vec<Parted>, Error> {
        let mut out: Vec<Parted> = Vec::new();
        let followed = if self.list.is_empty() { Vec::new() } else { followed_partings(c)? };
        for a in self.list.iter().filter(|a| a.format >= crate::upgrade::FORMAT) {
            let sql = format!(
                "SELECT o.id, h.id, t.name, p.seq FROM {s}._lockstep_past AS p
                 JOIN {s}._lockstep_replica AS o ON o.n = p.r JOIN {s}._lockstep_replica AS h ON h.n = p.heir
                 JOIN {s}._lockstep_table AS t ON t.n = p.t ORDER BY p.heir, p.t",
                s = a.schema
            );
            let mut q = c.prepare_cached(&sql)?;
            let mut rows = q.query([])?;
            while let Some(r) = rows.next()? {
                let id =
                    |bytes: Vec<u8>| bytes.try_into().map(ReplicaId).map_err(|_| crate::store::damaged("replica id"));
                let (old, new) = (id(r.get(0)?)?, id(r.get(1)?)?);
                if followed.contains(&new.0) {
                    continue;
                }
                let after = (r.get(2)?, r.get(3)?);
                match out.last_mut().filter(|p| p.new == new) {
                    Some(p) => p.after.push(after),
                    None => out.push(Parted { database: a.name.clone(), old, new, after: vec![after] }),
                }
            }
        }
        Ok(out)
    }
}

fn followed_partings(c: &Connection) -> Result<Vec<[u8; 16]>, Error> {
    let bytes: Option<Vec<u8>> = c
        .prepare_cached("SELECT v FROM _lockstep_meta WHERE k = ?1")?
        .query_row([FOLLOWED], |r| r.get(0))
        .optional()?;
    Ok(bytes.unwrap_or_default().as_chunks().0.to_vec())
}

impl Txn<'_> {
    /// Names rows of other files as they are named now. To be done before anything is read.
    pub fn follow_parted(&mut self, parted: &[Parted]) -> Result<(), Error> {
        let mut followed = followed_partings(self.c)?;
        let mut moved = BTreeSet::new();
        for p in parted {
            if followed.contains(&p.new.0) {
                continue;
            }
            let (old, new) = (self.s.replica_no(p.old), self.s.replica_no(p.new));
            let mut after = BTreeMap::new();
            for (table, seq) in &p.after {
                let t = self.s.find_table(Some(&p.database), table);
                after.extend(t.map(|t| (t, *seq)));
            }
            moved.extend(self.part(&Parting { old, new, after })?);
            followed.push(p.new.0);
        }
        crate::store::set_meta(self.c, FOLLOWED, followed.concat())?;
        self.s.store(self.c)?;
        crate::database::catch_up(self)?;
        self.take_anew(&moved)?;
        crate::database::settle_after_harvest(self)
    }

    /// Looks at what happened in the files that this one refers to: rows that got another key are followed, values that
    /// named nothing may name a row now, and what waits for a row there is tried again.
    pub fn follow_siblings(&mut self) -> Result<bool, Error> {
        let siblings = self.siblings;
        let news = siblings.news(self.c)?;
        let mut of_moved = Vec::new();
        for &(at, seen, clock) in &news {
            let a = &siblings.list[at];
            let moved: Vec<(i64, u32, i64)> = self
                .c
                .prepare_cached(&format!("SELECT n, t, b FROM {}._lockstep_moved WHERE n > ?1 ORDER BY n", a.schema))?
                .query_map([seen], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let foreign: Vec<u32> =
                self.s.tables.iter().filter(|t| t.database.as_deref() == Some(&a.name)).map(|t| t.n).collect();
            for pt in foreign {
                let Some(f) = self.foreign(pt)? else { continue };
                if moved.iter().any(|(_, t, _)| *t == 0) {
                    // Its history broke.
                    let all: Vec<(u32, i64)> = self
                        .c
                        .prepare_cached("SELECT DISTINCT ct, c FROM _lockstep_link WHERE pt = ?1")?
                        .query_map([pt], |r| Ok((r.get(0)?, r.get(1)?)))?
                        .collect::<Result<_, _>>()?;
                    self.touched.extend(all.into_iter().map(|(ct, c)| (ct, LocalDot(c))));
                }
                for (_, _, b) in moved.iter().filter(|(_, t, _)| *t == f.n && applies(Rule::SiblingsFollowed)) {
                    let b = Self::ours(&f, *b);
                    for child in self.children(pt, b)? {
                        self.touched.insert((child.0, child.1));
                        of_moved.push(child);
                    }
                }
            }
            self.followed.push((a.name.clone(), moved.last().map_or(seen, |m| m.0), clock));
        }
        if !news.is_empty() {
            self.adopt_foreign(of_moved)?;
        }
        Ok(!news.is_empty())
    }
}

pub fn key_places(table: &Table) -> Option<Vec<usize>> {
    match &table.key {
        Key::Id { column, .. } => Some(vec![*column]),
        Key::Columns(places) => Some(places.clone()),
        Key::Content => None,
    }
}

/// The column that a reference names; none given (as for other files): the key, if that is a single column.
fn target_place(table: &Table, target: &str) -> Option<usize> {
    if target.is_empty() {
        return key_places(table).filter(|p| p.len() == 1).map(|p| p[0]);
    }
    table.column(target)
}

/// The key of the row whose `target` column has this value.
pub fn key_by_target(
    c: &Connection,
    schema: &str,
    table: &Table,
    target: &str,
    value: &Value,
) -> Result<Option<LocalKey>, Error> {
    let Some(p) = target_place(table, target) else { return Ok(None) };
    if let Key::Id { column, .. } = table.key
        && column == p
        && let Some(id) = value.as_integer()
    {
        return Ok(Some(LocalKey::Id(id)));
    }
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {list} FROM {schema}.{} WHERE {} = ?1 LIMIT 1",
        quote(&table.name),
        quote(&table.columns[p].name)
    );
    let n = table.columns.len();
    let row: Option<Vec<Value>> = c
        .prepare_cached(&sql)?
        .query_row([value], |r| (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect())
        .optional()?;
    Ok(row.map(|r| LocalKey::of_row(table, &r)))
}
