//! Proof: rows held against metadata, digests and balance counted anew.
//!
//! Always true here: what is counted anew comes from the rows and records themselves, never from the running figures.
use crate::catalog::{Table, quote};
use crate::digest::Hash;
use crate::error::Error;
use crate::key::LocalKey;
use crate::listing::balance_of;
use crate::record::{Cell, LocalDot, Record};
use crate::report::{Balance, Verification, VerifiedTable};
use crate::store::damaged;
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::params;
use std::collections::BTreeSet;

/// Births looked at before memory is given back.
const SLICE: i64 = 2000;

/// Reads everything again.
pub fn verify(txn: &mut Txn<'_>) -> Result<Verification, Error> {
    let balance = balance_of(&txn.s);
    let mut recounted = Balance { superseded: balance.superseded, cleaned: balance.cleaned, ..Balance::default() };
    let mut tables = Vec::new();
    let lost: i64 = txn.c.query_row("SELECT count(*) FROM _lockstep_archive WHERE why <> 0", [], |r| r.get(0))?;
    let mut lost_in_class = 0;
    for n in 0..txn.s.tables.len() {
        if txn.s.tables[n].database.is_some() || txn.s.tables[n].new {
            continue;
        }
        let t = txn.s.tables[n].n;
        let mut found = VerifiedTable {
            name: txn.s.tables[n].name.clone(),
            rows: 0,
            digest: txn.s.tables[n].digest,
            recounted: 0,
            findings: Vec::new(),
        };
        let mut shown: BTreeSet<LocalKey> = BTreeSet::new();
        let mut shown_rows = 0u64;
        txn.each_birth(t, |txn, i| {
            let b = txn.births[i].b.0;
            if let Some(k) = txn.births[i].key.clone() {
                shown_rows += 1;
                shown.insert(k);
                match txn.stored_row(i)? {
                    Some(row) => check_references(txn, i, &row, &mut found)?,
                    None => found.findings.push(format!("the row of birth {b} is not there")),
                }
            }
            txn.read(i)?;
            let hash = txn.hash_of(i);
            if hash != txn.births[i].rec.hash {
                found.findings.push(format!("the row of birth {b} is not what its record says"));
            }
            found.recounted = found.recounted.wrapping_add(hash);
            let a = txn.accounts_of(i);
            recounted.visible += u64::from(a[0]);
            lost_in_class += u64::from(a[1]);
            recounted.deleted += u64::from(a[2]);
            recounted.held += u64::from(a[3]);
            Ok(())
        })?;
        found.recounted = found.recounted.wrapping_add(txn.hash_of_edges(t)?);
        if let Some(table) = txn.s.tables[n].table.clone() {
            found.rows = count_rows(txn, &table)?;
            if found.rows != shown_rows {
                found.findings.push(format!("{} rows in the table, {shown_rows} in the metadata", found.rows));
            }
        }
        tables.push(found);
    }
    recounted.archived = lost as u64 + lost_in_class;
    recounted.held += futures(txn)?;
    recounted.total = balance.total;
    Ok(Verification { tables, balance, recounted })
}

/// Registers that lie beside their places for their stamps.
fn futures(txn: &Txn<'_>) -> Result<u64, Error> {
    let all: Vec<(u32, i64)> = txn
        .c
        .prepare_cached("SELECT DISTINCT t, d FROM _lockstep_future")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut n = 0;
    for (t, d) in all {
        n += txn.futures_of(t, LocalDot(d))?.iter().map(|f| f.registers().unsigned_abs()).sum::<u64>();
    }
    Ok(n)
}

fn count_rows(txn: &Txn<'_>, table: &Table) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM main.{}", quote(&table.name));
    Ok(txn.c.query_row(&sql, [], |r| r.get(0))?)
}

/// A reference shows the key of the row that it names.
fn check_references(txn: &mut Txn<'_>, i: usize, row: &[Value], found: &mut VerifiedTable) -> Result<(), Error> {
    txn.read(i)?;
    let (t, b) = (txn.births[i].t, txn.births[i].b);
    let named: Vec<_> = txn.births[i]
        .rec
        .entries
        .iter()
        .flat_map(|e| &e.fields)
        .filter(|f| f.shown)
        .filter_map(|f| if let Cell::Row(to) = f.cell { Some((f.col, to)) } else { None })
        .collect();
    for (col, to) in named {
        let Some(p) = txn.s.t(t).place[usize::from(col.0)] else { continue };
        if let Some(v) = txn.local_value(t, col, to)?
            && v != row[p]
            && !txn.births[i].rec.held
        {
            let name = txn.s.t(t).cols[usize::from(col.0)].clone();
            found.findings.push(format!("`{name}` of the row of birth {} names another row", b.0));
        }
    }
    Ok(())
}

impl Txn<'_> {
    /// Does something with every birth of a table, in the order of their numbers. Memory is given back in between.
    pub fn each_birth(
        &mut self,
        t: u32,
        mut f: impl FnMut(&mut Txn<'_>, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after = i64::MIN;
        loop {
            let births: Vec<(i64, Option<LocalKey>, Vec<u8>)> = self
                .c
                .prepare_cached(&format!("SELECT b, k, rec FROM _lockstep_row_{t} WHERE b > ?1 ORDER BY b LIMIT ?2"))?
                .query_map(params![after, SLICE], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let Some((last, ..)) = births.last() else { return Ok(()) };
            after = *last;
            if let Some(reading) = self.reading {
                reading.read(births.len())?;
            }
            for (b, key, rec) in births {
                let i = match self.find_loaded(t, LocalDot(b)) {
                    Some(i) => i,
                    None => {
                        let rec = Record::decode(&rec).ok_or_else(|| damaged("a record"))?;
                        self.enter(t, LocalDot(b), rec, key)?
                    }
                };
                f(self, i)?;
            }
            self.forget();
        }
    }

    /// What the aliases of a table add to its digest.
    pub fn hash_of_edges(&self, t: u32) -> Result<u128, Error> {
        let mut q = self.c.prepare_cached("SELECT a, b, kind FROM _lockstep_alias WHERE t = ?1")?;
        let mut rows = q.query([t])?;
        let mut sum = 0u128;
        while let Some(r) = rows.next()? {
            let (a, b) = (LocalDot(r.get(0)?), LocalDot(r.get(1)?));
            sum = sum.wrapping_add(self.hash.edge(a, b, r.get(2)?, &self.s.replicas));
        }
        Ok(sum)
    }

    /// Takes all digests anew under another key.
    pub fn rehash(&mut self, key: [u8; 16]) -> Result<(), Error> {
        self.hash = Hash::new(key);
        let own: Vec<u32> = self.s.tables.iter().filter(|t| t.database.is_none()).map(|t| t.n).collect();
        for t in own {
            self.rehash_table(t)?;
        }
        self.s.store(self.c)
    }

    /// Takes the digest of a table anew, from its rows as they are.
    pub fn rehash_table(&mut self, t: u32) -> Result<(), Error> {
        let mut digest = 0u128;
        self.each_birth(t, |txn, i| {
            txn.read(i)?;
            let hash = txn.hash_of(i);
            digest = digest.wrapping_add(hash);
            if txn.births[i].rec.hash != hash {
                txn.births[i].rec.hash = hash;
                let (b, bytes) = (txn.births[i].b, txn.births[i].rec.encode());
                txn.c
                    .prepare_cached(&format!("UPDATE _lockstep_row_{t} SET rec = ?2 WHERE b = ?1"))?
                    .execute(params![b.0, bytes])?;
            }
            Ok(())
        })?;
        let digest = digest.wrapping_add(self.hash_of_edges(t)?);
        let state = self.s.t_mut(t);
        state.changed |= state.digest != digest;
        state.digest = digest;
        Ok(())
    }
}
