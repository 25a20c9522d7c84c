//! What may pass between this node and one peer.
//!
//! Always true here: what no line of a share names, does not pass.
use crate::status::{Direction, Share};
use std::collections::BTreeMap;

/// The shares of a peer, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access(BTreeMap<String, Lines>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lines {
    /// For tables that no line names.
    others: Option<Direction>,
    tables: BTreeMap<String, Direction>,
}

impl Access {
    /// Of these lines.
    pub fn new(shares: &[Share]) -> Access {
        let mut access = Access::default();
        for share in shares {
            match share.what.split_once('.') {
                Some((database, table)) => {
                    let lines = access.0.entry(database.to_owned()).or_default();
                    lines.tables.insert(table.to_owned(), share.direction);
                }
                None => access.0.entry(share.what.clone()).or_default().others = Some(share.direction),
            }
        }
        access
    }

    /// May anything of that database pass?
    pub fn names(&self, database: &str) -> bool {
        self.0.get(database).is_some_and(|lines| {
            let mut all = lines.tables.values().chain(&lines.others);
            all.any(|d| *d != Direction::None)
        })
    }

    /// Which way that table may go.
    pub fn of(&self, database: &str, table: &str) -> Direction {
        let lines = self.0.get(database);
        lines.and_then(|l| l.tables.get(table).copied().or(l.others)).unwrap_or(Direction::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_s_own_line_comes_before_that_of_its_database_and_nothing_else_passes() {
        let line = |what: &str, direction| Share { what: what.into(), direction };
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
}
