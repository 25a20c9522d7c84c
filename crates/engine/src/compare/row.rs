//! What one row says on each of two sides, and how they differ.
use crate::change::AliasKind;
use crate::id::{Dot, Vector};
use crate::value::Value;
use sha2::{Digest, Sha256};

/// The value of a column, as it is told to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A plain value.
    Value(Value),
    /// The row that a reference names, by its birth.
    Row(Dot),
    /// A value in a reference column that named no row at its author.
    Raw(Value),
    /// A value too large to be told.
    Large {
        /// Its size.
        bytes: u64,
        /// SHA-256 over its kind and its bytes.
        sha256: [u8; 32],
    },
}

impl Cell {
    /// The same, not longer than so many bytes.
    #[must_use]
    pub fn shortened(self, most: usize) -> Cell {
        match &self {
            Cell::Value(v) | Cell::Raw(v) if v.weight() > most => self.large(),
            Cell::Value(_) | Cell::Raw(_) | Cell::Row(_) | Cell::Large { .. } => self,
        }
    }

    fn large(&self) -> Cell {
        let (tag, bytes): (u8, &[u8]) = match self {
            Cell::Value(Value::Text(b)) => (0, b),
            Cell::Value(Value::Blob(b)) => (1, b),
            Cell::Raw(Value::Text(b)) => (2, b),
            Cell::Raw(Value::Blob(b)) => (3, b),
            Cell::Value(_) | Cell::Raw(_) | Cell::Row(_) | Cell::Large { .. } => return self.clone(),
        };
        let sha256 = Sha256::new().chain_update([tag]).chain_update(bytes).finalize().into();
        Cell::Large { bytes: bytes.len() as u64, sha256 }
    }

    /// Is it the same value, though one side may not have told it whole?
    pub fn is(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Large { .. }, _) | (_, Cell::Large { .. }) => self.large() == other.large(),
            _ => self == other,
        }
    }
}

/// One column of a row, with its current values: what is shown first; under `review` perhaps several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnState {
    /// Name.
    pub name: String,
    /// In no order but that.
    pub cells: Vec<Cell>,
}

/// What a row says on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowState {
    /// The row, by the dot of its insert.
    pub birth: Dot,
    /// Its key there, as JSON text; None: it has none there.
    pub key: Option<String>,
    /// Does it live, and is it there?
    pub lives: bool,
    /// The writes that it consists of, ascending.
    pub dots: Vec<Dot>,
    /// By name; none if it does not live.
    pub columns: Vec<ColumnState>,
    /// The births that it was found to be one row with, or not, and how: only those after it.
    pub aliases: Vec<(Dot, AliasKind)>,
}

/// One side's words about a row.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// None: it knows of no such row.
    pub row: Option<&'a RowState>,
    /// What it has received of the table.
    pub vector: &'a Vector,
}

impl Side<'_> {
    fn knows(&self, dot: Dot) -> bool {
        self.vector.get(&dot.replica).is_some_and(|seq| *seq >= dot.seq)
    }

    fn lives(&self) -> bool {
        self.row.is_some_and(|r| r.lives)
    }
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It lives here only.
    OnlyHere,
    /// It lives there only.
    OnlyThere,
    /// It lives on both sides, and says something else.
    Different,
}

impl Kind {
    /// `only_here`, `only_there`, `different`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OnlyHere => "only_here",
            Kind::OnlyThere => "only_there",
            Kind::Different => "different",
        }
    }
}

/// A row that differs, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The row.
    pub birth: Dot,
    /// How it differs.
    pub kind: Kind,
    /// In which columns.
    pub columns: Vec<String>,
    /// The writes that it consisted of here.
    pub dots: Vec<Dot>,
    /// What it says there.
    pub there: Option<RowState>,
}

/// What came of holding the two sides of a row against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apart {
    /// They say the same.
    Not,
    /// A write to it is known on one side only: compare again when both have it.
    UnderWay,
    /// Both know the same writes, and the row differs.
    Differs {
        /// How.
        kind: Kind,
        /// In which columns, ascending; none: in what it was found to be one row with, or in being there.
        columns: Vec<String>,
    },
}

/// Holds the two sides of a row against each other.
pub fn judge(birth: Dot, here: Side<'_>, there: Side<'_>) -> Apart {
    let unseen = |of: &Side<'_>, by: &Side<'_>| of.row.is_some_and(|r| r.dots.iter().any(|d| !by.knows(*d)));
    let begins = |of: &Side<'_>, by: &Side<'_>| of.row.is_some() && by.row.is_none() && !by.knows(birth);
    if unseen(&here, &there) || unseen(&there, &here) || begins(&here, &there) || begins(&there, &here) {
        return Apart::UnderWay;
    }
    let kind = match (here.lives(), there.lives()) {
        (true, true) => Kind::Different,
        (true, false) => Kind::OnlyHere,
        (false, true) => Kind::OnlyThere,
        (false, false) => return Apart::Not,
    };
    let (Some(mine), Some(theirs)) = (here.row, there.row) else {
        return Apart::Differs { kind, columns: Vec::new() };
    };
    if kind != Kind::Different {
        return Apart::Differs { kind, columns: Vec::new() };
    }
    let columns = different_columns(&mine.columns, &theirs.columns);
    if columns.is_empty() && mine.aliases == theirs.aliases {
        return Apart::Not;
    }
    Apart::Differs { kind, columns }
}

fn different_columns(mine: &[ColumnState], theirs: &[ColumnState]) -> Vec<String> {
    let cells = |of: &'_ [ColumnState], name: &str| {
        of.iter().find(|c| c.name == name).map(|c| c.cells.clone()).unwrap_or_default()
    };
    let covers = |a: &[Cell], b: &[Cell]| a.iter().all(|x| b.iter().any(|y| x.is(y)));
    let mut names: Vec<&String> = mine.iter().chain(theirs).map(|c| &c.name).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&String| {
        let (a, b) = (cells(mine, name), cells(theirs, name));
        a.len() != b.len() || !covers(&a, &b) || !covers(&b, &a)
    };
    names.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ReplicaId, Seq};

    fn dot(replica: u8, seq: u64) -> Dot {
        Dot { replica: ReplicaId([replica; 16]), seq: Seq(seq) }
    }

    fn vector(list: &[(u8, u64)]) -> Vector {
        list.iter().map(|(r, s)| (ReplicaId([*r; 16]), Seq(*s))).collect()
    }

    fn row(lives: bool, dots: &[Dot], columns: &[(&str, Value)]) -> RowState {
        let cells = |(name, value): &(&str, Value)| ColumnState {
            name: (*name).to_owned(),
            cells: vec![Cell::Value(value.clone())],
        };
        RowState {
            birth: dot(1, 1),
            key: None,
            lives,
            dots: dots.to_vec(),
            columns: columns.iter().map(cells).collect(),
            aliases: Vec::new(),
        }
    }

    #[test]
    fn a_row_differs_only_where_both_sides_know_all_its_writes() {
        let (old, new) = (vector(&[(1, 1)]), vector(&[(1, 1), (2, 4)]));
        let a = row(true, &[dot(1, 1)], &[("n", Value::Integer(1)), ("s", Value::text("x"))]);
        let b = row(true, &[dot(1, 1)], &[("n", Value::Integer(2)), ("s", Value::text("x"))]);
        let later = row(true, &[dot(1, 1), dot(2, 4)], &[("n", Value::Integer(2)), ("s", Value::text("x"))]);
        let dead = row(false, &[dot(1, 1)], &[]);
        let differs = |kind, columns: &[&str]| Apart::Differs {
            kind,
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        };
        for (here, v, there, w, expected) in [
            (Some(&a), &old, Some(&a), &new, Apart::Not),
            (Some(&a), &old, Some(&b), &old, differs(Kind::Different, &["n"])),
            (Some(&a), &old, Some(&b), &new, differs(Kind::Different, &["n"])),
            (Some(&a), &old, Some(&later), &new, Apart::UnderWay),
            (Some(&later), &new, Some(&a), &old, Apart::UnderWay),
            (Some(&a), &new, Some(&later), &new, differs(Kind::Different, &["n"])),
            (Some(&a), &old, Some(&dead), &old, differs(Kind::OnlyHere, &[])),
            (Some(&dead), &old, Some(&a), &old, differs(Kind::OnlyThere, &[])),
            (Some(&a), &old, None, &vector(&[]), Apart::UnderWay),
            (Some(&a), &old, None, &old, differs(Kind::OnlyHere, &[])),
            (None, &old, Some(&dead), &old, Apart::Not),
        ] {
            let (x, y) = (Side { row: here, vector: v }, Side { row: there, vector: w });
            assert_eq!(judge(dot(1, 1), x, y), expected, "{here:?} {there:?}");
        }
    }

    #[test]
    fn a_value_that_was_not_told_whole_is_known_by_its_hash() {
        let long = |c: char| Value::text(&c.to_string().repeat(100));
        for (a, b, same) in [
            (Cell::Value(long('a')), Cell::Value(long('a')), true),
            (Cell::Value(long('a')), Cell::Value(long('b')), false),
            (Cell::Value(long('a')), Cell::Raw(long('a')), false),
            (Cell::Value(Value::text("a")), Cell::Value(Value::Blob(b"a".as_slice().into())), false),
        ] {
            for (x, y) in [(10, 10), (10, 1000), (1000, 10), (1000, 1000)] {
                assert_eq!(a.clone().shortened(x).is(&b.clone().shortened(y)), same, "{x} {y}");
            }
        }
        assert_eq!(Cell::Value(Value::Integer(5)).shortened(1), Cell::Value(Value::Integer(5)));
    }
}
