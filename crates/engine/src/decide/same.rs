//! A person says that two rows are one, or that one row is several.
//!
//! Always true here: what is said is an alias edge for each pair of births, a write that travels; per pair the later
//! word counts, and a word that births are apart stands above any rule (merge-rules 9, 17).
use super::{Error, Settled};
use crate::change::AliasKind;
use crate::class::Class;
use crate::database::Database;
use crate::error::Error as EngineError;
use crate::id::Millis;
use crate::record::LocalDot;
use crate::transaction::Txn;

/// Births of one row beyond which taking it apart is refused: each pair is a write.
const MOST: usize = 40;

/// What became of two rows that are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The key under which the row goes on, as JSON text.
    pub kept: String,
    /// The key of the row that went. None: they were one already.
    pub archived: Option<String>,
}

impl Database {
    /// Says that two rows of a table, by their keys here, are one: the one with the smaller key stays, rows that refer to
    /// the other follow, and values that lose are kept.
    ///
    /// # Errors
    ///
    /// [`Error::NoRow`] if a key is that of no row here.
    pub fn same(&mut self, table: &str, one: &str, other: &str, now: Millis) -> Result<Joined, EngineError> {
        let (t, birth, new) = self.by_person(now, |txn| {
            let (t, x) = txn.row_here(table, one)?;
            let (_, y) = txn.row_here(table, other)?;
            let new = x.leader != y.leader;
            if new {
                let (a, b) = (txn.anchor_birth(&x)?, txn.anchor_birth(&y)?);
                txn.make_edge(t, a, b, AliasKind::Hand)?;
            }
            Ok(((t, x.leader, new), Vec::<Settled>::new()))
        })?;
        let kept = self.read(now, |txn| txn.shown_key(t, birth))?;
        let kept = kept.ok_or_else(|| Error::NoRow { table: table.to_owned(), key: one.to_owned() })?;
        let normal =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).map_or(text.to_owned(), |v| v.to_string());
        let archived = [one, other].into_iter().map(normal).find(|k| *k != kept);
        Ok(Joined { kept, archived: archived.filter(|_| new) })
    }

    /// Takes a row apart that was made one, by a rule or a person: each of its births is a row again. Gives the keys of
    /// those that are shown, as JSON text, and how many wait.
    ///
    /// # Errors
    ///
    /// [`Error::NoRow`] if the key is that of no row here, [`Error::NotJoined`] if it was never more than one.
    pub fn apart(&mut self, table: &str, key: &str, now: Millis) -> Result<(Vec<String>, u64), EngineError> {
        let (t, births) = self.by_person(now, |txn| {
            let (t, class) = txn.row_here(table, key)?;
            let births: Vec<LocalDot> = class.members.iter().copied().collect();
            if births.len() < 2 || births.len() > MOST {
                return Err(Error::NotJoined { births: births.len() as u64 }.into());
            }
            for (i, a) in births.iter().enumerate() {
                for b in &births[i + 1..] {
                    txn.make_edge(t, *a, *b, AliasKind::Apart)?;
                    txn.touch_children_of(t, *b)?;
                }
                txn.touch_children_of(t, *a)?;
            }
            Ok(((t, births), Vec::<Settled>::new()))
        })?;
        self.read(now, |txn| {
            let (mut keys, mut waiting) = (Vec::new(), 0);
            for b in births {
                let class = txn.class(t, b)?;
                match txn.shown_key(t, b)? {
                    Some(key) => keys.push(key),
                    None if txn.class_lives(&class)? => waiting += 1,
                    None => {}
                }
            }
            Ok((keys, waiting))
        })
    }
}

impl Txn<'_> {
    /// The row that has this key here now.
    fn row_here(&mut self, table: &str, key: &str) -> Result<(u32, Class), EngineError> {
        let none = || Error::NoRow { table: table.to_owned(), key: key.to_owned() };
        let t = self.s.find_table(None, table).filter(|t| self.s.t(*t).table.is_some()).ok_or_else(none)?;
        for leader in self.rows_of_key(t, key)? {
            let class = self.class(t, leader)?;
            if !self.anchors(&class)?.is_empty() {
                return Ok((t, class));
            }
        }
        Err(none().into())
    }

    fn anchor_birth(&mut self, class: &Class) -> Result<LocalDot, EngineError> {
        Ok(self.anchors(class)?.first().map_or(class.leader, |&a| self.births[a].b))
    }

    /// What refers to this very birth is planned anew.
    fn touch_children_of(&mut self, t: u32, b: LocalDot) -> Result<(), EngineError> {
        let children = self.children(t, b)?;
        self.touched.extend(children.into_iter().map(|(ct, c, _)| (ct, c)));
        Ok(())
    }
}
