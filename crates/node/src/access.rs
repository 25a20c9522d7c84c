//! What may pass between this node and one peer: tables, directions, columns.
//!
//! Always true here: what no line of a share names, does not pass. What a peer withholds is not looked for; and a table
//! of which this node got a part only (one way, or without some columns) goes to nobody else from here, since a third
//! node would take the part for the whole. It gets the table from the one that has it.
//! Not here: what a peer says in one message (`wire`); this is what is remembered.
use crate::identity::NodeId;
use crate::status::{Direction, Share};
use lockstep_engine::change::Batch;
use lockstep_engine::withhold;
use lockstep_wire::message::Way;
use std::collections::{BTreeMap, BTreeSet};

/// Columns by name.
pub(crate) type Columns = BTreeSet<String>;

/// How a peer restricts a table, as it last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Which way the peer lets it go, as the peer sees it.
    pub way: Way,
    /// Columns that it lets go neither way.
    pub withheld: Columns,
}

/// A column that a peer has withheld, so that what was received of it is a part for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who withheld it.
    pub node: NodeId,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Column.
    pub column: String,
}

/// What is between this node and one peer, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    lines: Lines,
    others: Vec<Lines>,
    /// Columns of tables of which this node has a part only, and would give it for the whole.
    missing: BTreeMap<(String, String), Columns>,
}

/// The lines between this node and one peer, from both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    databases: BTreeMap<String, Tables>,
    theirs: BTreeMap<(String, String), Restriction>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tables {
    /// For tables that no line names.
    others: Option<Direction>,
    tables: BTreeMap<String, (Direction, Columns)>,
}

fn place(database: &str, table: &str) -> (String, String) {
    (database.to_owned(), table.to_owned())
}

impl Lines {
    /// Of the shares here, and of what the peer restricts.
    pub fn new(shares: &[Share], theirs: Vec<Restriction>) -> Lines {
        let mut databases: BTreeMap<String, Tables> = BTreeMap::new();
        for share in shares {
            match share.what.split_once('.') {
                Some((database, table)) => {
                    let tables = &mut databases.entry(database.to_owned()).or_default().tables;
                    tables.insert(table.to_owned(), (share.direction, share.without.iter().cloned().collect()));
                }
                None => databases.entry(share.what.clone()).or_default().others = Some(share.direction),
            }
        }
        let theirs = theirs.into_iter().map(|r| (place(&r.database, &r.table), r)).collect();
        Lines { databases, theirs }
    }

    /// What is said here.
    fn said(&self, database: &str, table: &str) -> Direction {
        let lines = self.databases.get(database);
        lines.and_then(|l| l.tables.get(table).map(|(d, _)| *d).or(l.others)).unwrap_or(Direction::None)
    }

    /// Is a table got from that peer, and not given to it?
    fn only_receives(&self, database: &str, table: &str) -> bool {
        let theirs = self.theirs.get(&place(database, table)).map_or(Way::Both, |r| r.way);
        self.said(database, table).way().met_by(theirs) == Way::Receive
    }

    fn withheld_there(&self, place: &(String, String)) -> Columns {
        self.theirs.get(place).map(|r| r.withheld.clone()).unwrap_or_default()
    }
}

impl Access {
    /// Of these shares, where nothing else is known.
    pub fn new(shares: &[Share]) -> Access {
        Access { lines: Lines::new(shares, Vec::new()), ..Access::default() }
    }

    /// Towards `peer`: the lines with it, those with other peers, and what is missing here.
    pub fn towards(peer: NodeId, lines: Lines, others: Vec<Lines>, missing: Vec<Missing>) -> Access {
        let mut parts: BTreeMap<(String, String), Columns> = BTreeMap::new();
        let mut closed = BTreeSet::new();
        for m in missing {
            let place = place(&m.database, &m.table);
            // What the peer itself keeps back it does not expect from here.
            if m.node != peer || !lines.withheld_there(&place).contains(&m.column) {
                closed.insert(place.clone());
            }
            parts.entry(place).or_default().insert(m.column);
        }
        parts.retain(|place, _| closed.contains(place));
        Access { lines, others, missing: parts }
    }

    /// May anything of that database pass?
    pub fn names(&self, database: &str) -> bool {
        self.lines.databases.get(database).is_some_and(|lines| {
            let mut all = lines.tables.values().map(|(d, _)| d).chain(&lines.others);
            all.any(|d| *d != Direction::None)
        })
    }

    /// Which way that table may go.
    pub fn of(&self, database: &str, table: &str) -> Direction {
        match self.lines.said(database, table) {
            Direction::Both if self.is_part(database, table) => Direction::Receive,
            Direction::Send if self.is_part(database, table) => Direction::None,
            said => said,
        }
    }

    /// Does the peer get that table from here, by what both sides say?
    pub fn gives(&self, database: &str, table: &str) -> bool {
        let theirs = self.lines.theirs.get(&place(database, table)).map_or(Way::Both, |r| r.way);
        self.of(database, table).way().met_by(theirs).sends()
    }

    fn is_part(&self, database: &str, table: &str) -> bool {
        self.missing.contains_key(&place(database, table))
            || self.others.iter().any(|other| other.only_receives(database, table))
    }

    /// The columns of a table that this node lets go neither way.
    pub fn withheld(&self, database: &str, table: &str) -> Columns {
        let tables = self.lines.databases.get(database).and_then(|l| l.tables.get(table));
        let said = tables.map(|(_, columns)| columns.clone()).unwrap_or_default();
        let missing = self.missing.get(&place(database, table)).cloned().unwrap_or_default();
        &said | &missing
    }

    /// The columns of a table that don't pass, whoever says so.
    pub fn without(&self, database: &str, table: &str) -> Columns {
        &self.withheld(database, table) | &self.lines.withheld_there(&place(database, table))
    }

    /// Takes out of a batch what must not pass.
    pub(crate) fn leave_out(&self, batch: &mut Batch) {
        let withheld: Vec<Columns> = batch.tables.iter().map(|t| self.without(&batch.database, &t.name)).collect();
        if withheld.iter().all(Columns::is_empty) {
            return;
        }
        let by_table: BTreeMap<String, Columns> = batch.tables.iter().map(|t| t.name.clone()).zip(withheld).collect();
        withhold::leave_out_columns(batch, |table, column| by_table.get(table).is_some_and(|c| c.contains(column)));
    }

    /// The first thing in a batch of the peer that it may not write: a table, or a column as `table.column`.
    pub(crate) fn forbidden(&self, batch: &Batch) -> Option<String> {
        let database = &batch.database;
        let written = batch.items.iter().map(|i| batch.tables.get(i.table()).map_or("", |t| t.name.as_str()));
        let said = batch.end.keys().chain(batch.until.keys()).map(String::as_str);
        let tables: BTreeSet<&str> = written.chain(said).collect();
        if let Some(table) = tables.iter().find(|t| !self.of(database, t).receives()) {
            return Some((*table).to_owned());
        }
        let without: BTreeMap<&str, Columns> =
            tables.into_iter().map(|t| (t, self.without(database, t))).filter(|(_, c)| !c.is_empty()).collect();
        let found = withhold::column_in(batch, |t, c| without.get(t).is_some_and(|columns| columns.contains(c)));
        found.map(|(table, column)| format!("{table}.{column}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(what: &str, direction: Direction) -> Share {
        Share { what: what.into(), direction, without: Vec::new() }
    }

    #[test]
    fn a_table_s_own_line_comes_before_that_of_its_database_and_nothing_else_passes() {
        let access = Access::new(&[
            line("users", Direction::Both),
            line("users.user", Direction::Receive),
            line("users.secrets", Direction::None),
            line("scouting.team", Direction::Send),
            line("closed", Direction::None),
        ]);
        for (database, table, expected) in [
            ("users", "role", Direction::Both),
            ("users", "user", Direction::Receive),
            ("users", "secrets", Direction::None),
            ("scouting", "team", Direction::Send),
            ("scouting", "match", Direction::None),
            ("closed", "any", Direction::None),
            ("other", "any", Direction::None),
        ] {
            assert_eq!(access.of(database, table), expected, "{database}.{table}");
        }
        assert!(access.names("users") && access.names("scouting"));
        assert!(!access.names("closed") && !access.names("other"));
    }

    #[test]
    fn a_part_of_a_table_goes_to_nobody_else() {
        let all = [line("d", Direction::Both)];
        let restriction = |table: &str, way, withheld: &[&str]| Restriction {
            database: "d".into(),
            table: table.into(),
            way,
            withheld: withheld.iter().map(|c| (*c).to_owned()).collect(),
        };
        let theirs = vec![
            restriction("columns", Way::Both, &["hash"]),
            restriction("from_it", Way::Send, &[]),
            restriction("to_it", Way::Receive, &["hash"]),
        ];
        let own = [line("d", Direction::Both), line("d.taken", Direction::Receive)];
        let (a, g) = (NodeId([1; 32]), NodeId([2; 32]));
        let missing =
            vec![Missing { node: a, database: "d".into(), table: "columns".into(), column: "hash".to_owned() }];
        let with_a = || Lines::new(&own, theirs.clone());
        let to_g = Access::towards(g, Lines::new(&all, Vec::new()), vec![with_a()], missing.clone());
        for (table, expected) in [
            ("columns", Direction::Receive),
            ("from_it", Direction::Receive),
            ("taken", Direction::Receive),
            ("to_it", Direction::Both),
            ("whole", Direction::Both),
        ] {
            assert_eq!(to_g.of("d", table), expected, "{table}");
        }
        let hash = Columns::from(["hash".to_owned()]);
        assert_eq!(to_g.withheld("d", "columns"), hash);
        // Towards the one that keeps a column back, the others go both ways.
        let to_a = Access::towards(a, with_a(), Vec::new(), missing.clone());
        assert_eq!(to_a.of("d", "columns"), Direction::Both);
        assert_eq!((to_a.withheld("d", "columns"), to_a.without("d", "columns")), (Columns::new(), hash.clone()));
        // If it does not any more, what is here is still a part.
        let to_a = Access::towards(a, Lines::new(&own, Vec::new()), Vec::new(), missing);
        assert_eq!((to_a.of("d", "columns"), to_a.withheld("d", "columns")), (Direction::Receive, hash));
    }
}
