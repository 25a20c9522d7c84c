//! The triggers of one table, as SQL that SQLite 3.8 parses.
//!
//! Always true here: every name of the application stands in quotes; no expression grows deeper than SQLite allows,
//! however many columns there are; a statement logs the parts of one row next to each other.
use super::layout::{BITS, Kind, Layout, trigger_prefix};
use crate::catalog::{Affinity, Key, Table, Unique, UniqueTerm, quote, sql};
use rusqlite::Connection;

/// The wall time, as the log keeps it.
const NOW: &str = "julianday('now')";

/// One trigger.
pub(super) struct Trigger {
    pub(super) name: String,
    /// CREATE TRIGGER, exactly as SQLite stores it.
    pub(super) sql: String,
}

/// Every trigger that the table should have.
pub(super) fn all(conn: &Connection, layout: &Layout<'_>) -> rusqlite::Result<Vec<Trigger>> {
    let mut probes = Vec::new();
    for unique in &layout.table.uniques {
        let probe = Probe { layout, unique };
        if probe.seeks(conn)? {
            probes.push(probe);
        }
    }
    let mut out = Vec::new();
    let mut add = |name: &str, event: &str, when: Option<String>, body: Vec<String>| {
        let name = format!("{}{name}", trigger_prefix(layout.n));
        let when = when.map(|w| format!(" WHEN {w}")).unwrap_or_default();
        let sql = format!(
            "CREATE TRIGGER {} {event} ON {}{when} BEGIN {}; END",
            quote(&name),
            quote(&layout.table.name),
            body.join("; ")
        );
        out.push(Trigger { name, sql });
    };
    let table = layout.table;
    let nullable = nullable_key(layout);
    let null = |row: &str| any(nullable.iter().map(|c| format!("{row}.{c} IS NULL")).collect());
    let update_whole = || {
        let mut both = rows(layout, Kind::UpdateOld, "OLD", None);
        both.extend(rows(layout, Kind::UpdateNew, "NEW", None));
        both
    };
    let changed = any_changed(layout, 0..table.columns.len());

    if table.key == Key::Content {
        add("insert", "AFTER INSERT", None, rows(layout, Kind::InsertWhole, "NEW", None));
        add("update", "AFTER UPDATE", Some(changed), update_whole());
    } else if nullable.is_empty() {
        add("insert", "AFTER INSERT", None, vec![insert(layout)]);
        add("update", "AFTER UPDATE", Some(changed), update(layout));
    } else {
        let either = format!("({} OR {})", null("OLD"), null("NEW"));
        add("insert", "AFTER INSERT", Some(format!("NOT ({})", null("NEW"))), vec![insert(layout)]);
        add("insert_null", "AFTER INSERT", Some(null("NEW")), rows(layout, Kind::InsertWhole, "NEW", None));
        add("update", "AFTER UPDATE", Some(format!("NOT {either} AND ({changed})")), update(layout));
        add("update_null", "AFTER UPDATE", Some(format!("{either} AND ({changed})")), update_whole());
    }
    add("delete", "AFTER DELETE", None, rows(layout, Kind::Delete, "OLD", None));

    let on_insert: Vec<_> = probes.iter().filter(|p| p.on_insert()).collect();
    if !on_insert.is_empty() {
        // Asking first is cheaper than an INSERT … SELECT that finds nothing, and finds nothing it does nearly always.
        let found = any(on_insert.iter().map(|p| p.found()).collect());
        add("probe_insert", "BEFORE INSERT", Some(found), on_insert.iter().flat_map(|p| p.body(None)).collect());
    }
    for (u, probe) in probes.iter().enumerate() {
        let (event, when) = probe.update_event();
        add(&format!("probe_update_{u}"), &event, when, probe.body(Some(probe.other_row())));
    }
    if let Key::Id { column, .. } = table.key {
        let name = &table.columns[column].name;
        let id = Unique {
            index: None,
            terms: vec![UniqueTerm { column: Some(column), sql: quote(name), collation: "BINARY".to_owned() }],
            condition: None,
            primary: true,
        };
        let probe = Probe { layout, unique: &id };
        let (event, when) = probe.update_event();
        add("probe_update_id", &event, when, probe.body(Some(probe.other_row())));
    }
    Ok(out)
}

/// The unique keys that are not probed, since SQLite could only do it by reading the whole table.
pub(super) fn unseen<'t>(conn: &Connection, layout: &Layout<'t>) -> rusqlite::Result<Vec<&'t Unique>> {
    let mut out = Vec::new();
    for unique in &layout.table.uniques {
        if !(Probe { layout, unique }).seeks(conn)? {
            out.push(unique);
        }
    }
    Ok(out)
}

/// Quoted key columns that may hold NULL.
fn nullable_key(layout: &Layout<'_>) -> Vec<String> {
    match &layout.table.key {
        Key::Id { .. } | Key::Content => Vec::new(),
        Key::Columns(places) => {
            places.iter().map(|&p| &layout.table.columns[p]).filter(|c| !c.not_null).map(|c| quote(&c.name)).collect()
        }
    }
}

/// Is the column another one, bit for bit, after the update?
///
/// `OLD.c IS NOT NEW.c COLLATE BINARY OR typeof(OLD.c)<>typeof(NEW.c)`, less what can't happen: integer and real can
/// only be equal where no affinity turns the one into the other (where one does, it spares nothing but -2^63). What
/// SQL can't tell at all is `0.0` from `-0.0`.
fn changed(table: &Table, place: usize) -> String {
    let column = &table.columns[place];
    let name = quote(&column.name);
    let binary = if column.collation.eq_ignore_ascii_case("BINARY") { "" } else { " COLLATE BINARY" };
    let differs = format!("OLD.{name} IS NOT NEW.{name}{binary}");
    let other_type = format!("typeof(OLD.{name})<>typeof(NEW.{name})");
    match column.affinity() {
        _ if matches!(table.key, Key::Id { column, .. } if column == place) => differs,
        Affinity::Text | Affinity::Real => differs,
        Affinity::Integer | Affinity::Numeric => {
            format!("{differs} OR (OLD.{name}<=-{}{binary} AND {other_type})", i64::MAX)
        }
        Affinity::Blob => format!("{differs} OR {other_type}"),
    }
}

/// Did any of these columns change? Asked in the order that most likely ends soonest: a key hardly ever changes, and
/// what does is rather found among the last columns than the first.
fn any_changed(layout: &Layout<'_>, places: impl DoubleEndedIterator<Item = usize>) -> String {
    let (key, others): (Vec<_>, Vec<_>) = places.rev().partition(|place| layout.key.contains(place));
    any(others.into_iter().chain(key).map(|place| changed(layout.table, place)).collect())
}

/// `a OR b OR …` as a tree that is as flat as can be.
fn any(mut terms: Vec<String>) -> String {
    if terms.is_empty() {
        return "0".to_owned();
    }
    while terms.len() > 1 {
        terms = terms
            .chunks(2)
            .map(|pair| if pair.len() == 1 { pair[0].clone() } else { format!("({} OR {})", pair[0], pair[1]) })
            .collect();
    }
    terms.swap_remove(0)
}

fn key_names(layout: &Layout<'_>) -> String {
    (0..layout.key.len()).map(|k| format!(", k{k}")).collect()
}

fn key_values(layout: &Layout<'_>, row: &str) -> String {
    layout.key.iter().map(|&place| format!(", {row}.{}", quote(&layout.table.columns[place].name))).collect()
}

fn insert(layout: &Layout<'_>) -> String {
    format!(
        "INSERT INTO {}(op, at{}) VALUES ({}, {NOW}{})",
        quote(&layout.log),
        key_names(layout),
        Kind::Insert.op(0),
        key_values(layout, "NEW")
    )
}

/// One statement for each part. The first is written whenever the row changed, so that it begins the event.
fn update(layout: &Layout<'_>) -> Vec<String> {
    let table = layout.table;
    let kind = if table.config.history { Kind::Update } else { Kind::UpdateNames };
    let part = |(p, places): (usize, &Vec<usize>)| {
        let (mut names, mut values) = (key_names(layout), key_values(layout, "OLD"));
        for (m, chunk) in places.chunks(BITS).enumerate() {
            let bits: Vec<_> =
                chunk.iter().enumerate().filter_map(|(bit, &place)| mask_bit(layout, place, bit)).collect();
            if !bits.is_empty() {
                names += &format!(", m{m}");
                values += &format!(", {}", bits.join("+"));
            }
        }
        for (v, &place) in places.iter().enumerate() {
            let in_key = layout.key.contains(&place);
            if table.config.history || in_key {
                let row = if in_key { "NEW" } else { "OLD" };
                names += &format!(", v{v}");
                let name = quote(&table.columns[place].name);
                values += &format!(", CASE WHEN {} THEN {row}.{name} END", changed(table, place));
            }
        }
        let filter =
            if p == 0 { String::new() } else { format!(" WHERE {}", any_changed(layout, places.iter().copied())) };
        format!("INSERT INTO {}(op, at{names}) SELECT {}, {NOW}{values}{filter}", quote(&layout.log), kind.op(p))
    };
    layout.parts.iter().enumerate().map(part).collect()
}

/// What is added to a mask for a column: with the old values kept only whether it was NULL and no longer is, since any
/// other old value says by itself that the column changed.
fn mask_bit(layout: &Layout<'_>, place: usize, bit: usize) -> Option<String> {
    let column = &layout.table.columns[place];
    let name = quote(&column.name);
    let weight = 1_i64 << bit;
    if layout.key.contains(&place) || (layout.table.config.history && column.not_null) {
        None
    } else if layout.table.config.history {
        Some(format!("(OLD.{name} IS NULL AND NEW.{name} IS NOT NULL)*{weight}"))
    } else {
        Some(format!("({})*{weight}", changed(layout.table, place)))
    }
}

/// The whole row, one statement for each part. `from`: what follows the values, to log rows of a query.
fn rows(layout: &Layout<'_>, kind: Kind, row: &str, from: Option<&str>) -> Vec<String> {
    let part = |(p, places): (usize, &Vec<usize>)| {
        let values: Vec<_> = places.iter().enumerate().filter(|(_, place)| !layout.key.contains(place)).collect();
        let names: String = values.iter().map(|(v, _)| format!(", v{v}")).collect();
        let columns: String =
            values.iter().map(|(_, place)| format!(", {row}.{}", quote(&layout.table.columns[**place].name))).collect();
        format!(
            "INSERT INTO {}(op, at{}{names}) SELECT {}, {NOW}{}{columns}{}",
            quote(&layout.log),
            key_names(layout),
            kind.op(p),
            key_values(layout, row),
            from.unwrap_or_default(),
        )
    };
    layout.parts.iter().enumerate().map(part).collect()
}

/// Finds the row that has the unique key which the new row is about to take.
///
/// Bare names in an expression or condition of an index must mean the row found, and for the new row those of NEW. For
/// the latter they are read from a subquery of one row; its first arm, which never yields any, lends it the types of
/// the table, by which expressions compare. The table goes by its own name, since an index may use that too.
struct Probe<'a> {
    layout: &'a Layout<'a>,
    unique: &'a Unique,
}

impl Probe<'_> {
    /// Does SQLite find the row by the index? That is sure of plain columns; else its plan is asked for, with a row
    /// called NEW about which nothing is known.
    fn seeks(&self, conn: &Connection) -> rusqlite::Result<bool> {
        let Some(index) = self.unique.index.as_deref().filter(|_| self.unique.plain_columns().is_none()) else {
            return Ok(true);
        };
        let table = self.layout.table;
        let new: Vec<_> = table
            .columns
            .iter()
            .map(|c| &c.name)
            .chain(&table.generated)
            .map(|n| format!("?1 AS {}", quote(n)))
            .collect();
        let sql = format!("EXPLAIN QUERY PLAN SELECT {} FROM (SELECT {} LIMIT 1) AS NEW", self.found(), new.join(", "));
        let mut plan = conn.prepare(&sql)?;
        let lines = plan
            .query_map([rusqlite::types::Null], |r| r.get::<_, String>(3))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let (plain, covering) = (format!(" USING INDEX {index} ("), format!(" USING COVERING INDEX {index} ("));
        Ok(lines.iter().any(|l| l.starts_with("SEARCH ") && (l.contains(&plain) || l.contains(&covering))))
    }

    /// On INSERT a primary key is probed only if an equal key can be written otherwise: the insert itself says the rest.
    fn on_insert(&self) -> bool {
        !self.unique.primary || self.unique.terms.iter().any(|t| self.loose(t))
    }

    /// Can two values that differ be equal to this term? Columns with an affinity but BLOB's turn `1.0` into `1`.
    fn loose(&self, term: &UniqueTerm) -> bool {
        let untyped = |place: usize| self.layout.table.columns[place].affinity() == Affinity::Blob;
        !term.collation.eq_ignore_ascii_case("BINARY") || term.column.is_none_or(untyped)
    }

    /// What the table is called in the query; `NEW` and `OLD` must stay free.
    fn alias(&self) -> String {
        let name = &self.layout.table.name;
        let taken = name.eq_ignore_ascii_case("new") || name.eq_ignore_ascii_case("old");
        quote(if taken { "_lockstep_row" } else { name })
    }

    /// Statements that log the row found.
    fn body(&self, other: Option<String>) -> Vec<String> {
        rows(self.layout, Kind::Suspect, &self.alias(), Some(&self.from(other)))
    }

    /// Is there such a row?
    fn found(&self) -> String {
        format!("EXISTS (SELECT 1{})", self.from(None))
    }

    fn from(&self, other: Option<String>) -> String {
        let table = self.layout.table;
        let alias = self.alias();
        let mut conditions: Vec<String> = self.unique.terms.iter().map(|t| self.equal(t, &alias)).collect();
        if let Some(condition) = &self.unique.condition {
            conditions.push(format!("({condition}\n)"));
            conditions.push(self.of_new(condition));
        }
        conditions.extend(other);
        format!(" FROM {} AS {alias} WHERE {}", quote(&table.name), conditions.join(" AND "))
    }

    fn equal(&self, term: &UniqueTerm, alias: &str) -> String {
        match term.column {
            Some(place) => {
                let column = &self.layout.table.columns[place];
                let same = term.collation.eq_ignore_ascii_case(&column.collation);
                let collate = if same { String::new() } else { format!(" COLLATE {}", quote(&term.collation)) };
                let name = quote(&column.name);
                format!("{alias}.{name}{collate}=NEW.{name}")
            }
            None => format!("({}\n) COLLATE {}={}", term.sql, quote(&term.collation), self.of_new(&term.sql)),
        }
    }

    /// The expression, worked out for NEW.
    fn of_new(&self, expression: &str) -> String {
        let table = self.layout.table;
        let names: Vec<_> = table.columns.iter().map(|c| &c.name).chain(&table.generated).map(|n| quote(n)).collect();
        format!(
            "(SELECT {expression}\n FROM (SELECT {} FROM {} WHERE 0 UNION ALL SELECT {}) AS {})",
            names.join(", "),
            quote(&table.name),
            names.iter().map(|n| format!("NEW.{n}")).collect::<Vec<_>>().join(", "),
            self.alias(),
        )
    }

    /// Not the row that is updated.
    fn other_row(&self) -> String {
        let table = self.layout.table;
        let alias = self.alias();
        let rowid = ["rowid", "oid", "_rowid_"].into_iter().find(|r| !table.without_rowid && table.column(r).is_none());
        match (&table.key, rowid) {
            (Key::Id { column, .. }, _) => {
                let name = quote(&table.columns[*column].name);
                format!("{alias}.{name}<>OLD.{name}")
            }
            (Key::Columns(_) | Key::Content, Some(rowid)) => format!("{alias}.{rowid}<>OLD.{rowid}"),
            (Key::Columns(places), None) => self.differs(places),
            (Key::Content, None) => self.differs(&(0..table.columns.len()).collect::<Vec<_>>()),
        }
    }

    fn differs(&self, places: &[usize]) -> String {
        let alias = self.alias();
        let terms = places.iter().map(|&p| {
            let name = quote(&self.layout.table.columns[p].name);
            format!("{alias}.{name} IS NOT OLD.{name} COLLATE BINARY")
        });
        any(terms.collect())
    }

    /// The event and condition under which an update may touch the unique key.
    fn update_event(&self) -> (String, Option<String>) {
        let Some(places) = self.columns_used() else { return ("BEFORE UPDATE".to_owned(), None) };
        let table = self.layout.table;
        let mut names: Vec<_> = places.iter().map(|&p| quote(&table.columns[p].name)).collect();
        if let Key::Id { column, .. } = table.key
            && places.contains(&column)
        {
            let aliases = ["rowid", "oid", "_rowid_"].into_iter().filter(|r| table.column(r).is_none());
            names.extend(aliases.map(quote));
        }
        (
            format!("BEFORE UPDATE OF {}", names.join(", ")),
            Some(any(places.iter().map(|&p| changed(table, p)).collect())),
        )
    }

    /// The columns that the key may depend on. None: any, since it names something that is no plain column.
    fn columns_used(&self) -> Option<Vec<usize>> {
        let table = self.layout.table;
        if let Some(places) = self.unique.plain_columns() {
            return Some(places);
        }
        let mut places = Vec::new();
        for term in &self.unique.terms {
            match term.column {
                Some(place) => places.push(place),
                None => places.extend(mentioned(table, &term.sql)?),
            }
        }
        if let Some(condition) = &self.unique.condition {
            places.extend(mentioned(table, condition)?);
        }
        places.sort_unstable();
        places.dedup();
        Some(places)
    }
}

/// Columns whose names occur in an expression. None: it depends on something else, such as a generated column.
fn mentioned(table: &Table, expression: &str) -> Option<Vec<usize>> {
    let names: Vec<String> = sql::tokens(expression).into_iter().filter_map(|t| t.name()).collect();
    if names.iter().any(|n| table.generated.iter().any(|g| g.eq_ignore_ascii_case(n))) {
        return None;
    }
    let places: Vec<usize> = names.iter().filter_map(|n| table.column(n)).collect();
    (!places.is_empty()).then_some(places)
}
