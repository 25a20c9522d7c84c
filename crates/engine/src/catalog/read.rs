//! Reads the schema of an open file into [`Catalog`].
//!
//! Always true here: every table of the file is either in `tables` or in `left_out` with its reason (but for SQLite's
//! and our own). Names go to SQLite as values of table-valued pragmas, so no name needs quoting to be read.
use super::composite;
use super::sql::{has_keyword, index_terms};
use super::{Column, Key, LeftOut, Reference, Table, Unique, UniqueTerm, quote};
use crate::config::DatabaseConfig;
use rusqlite::{Connection, OptionalExtension};

/// The tables of one file, as far as they can be synced, and what is to be said of the others.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Sorted by name.
    pub tables: Vec<Table>,
    /// Sorted by name.
    pub left_out: Vec<LeftOut>,
    /// For the superadmin; none of them keeps the table from being synced.
    pub warnings: Vec<Warning>,
}

impl Catalog {
    /// The table of this name, in any case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name))
    }
}

/// Something about a table that a superadmin should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Table name.
    pub table: String,
    /// A sentence.
    pub text: String,
}

/// Why a schema could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration names a table that is not there.
    #[error("the configuration of database `{database}` names a table `{table}` that the file does not have")]
    NoTable {
        /// Logical database name.
        database: String,
        /// As the configuration spells it.
        table: String,
    },
    /// The configuration names a column that is not there.
    #[error(
        "the configuration of `{database}.{table}` names a column `{column}` under `{setting}` that the table does not have"
    )]
    NoColumn {
        /// Logical database name.
        database: String,
        /// Table.
        table: String,
        /// As the configuration spells it.
        column: String,
        /// Which setting.
        setting: &'static str,
    },
    /// A configured reference names a table of the same database that is not there.
    #[error(
        "the configuration of `{database}.{table}` lets `{column}` refer to `{target}`, which the file does not have"
    )]
    NoTarget {
        /// Logical database name.
        database: String,
        /// Table.
        table: String,
        /// The column that refers.
        column: String,
        /// As the configuration spells it.
        target: String,
    },
    /// SQLite refused.
    #[error("the schema can't be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Reads the schema. `database` is the logical name, by which references of the configuration mean this same file.
pub fn read(conn: &Connection, database: &str, config: &DatabaseConfig) -> Result<Catalog, Error> {
    let reader = Reader { conn, database, config };
    let listed = reader.listed()?;
    let mut catalog = Catalog::default();
    for entry in &listed {
        let name = || entry.name.clone();
        let out = |reason| LeftOut { name: name(), reason, excluded: false, columns: Vec::new() };
        if let Some(reason) = reader.reason_to_leave_out(entry, &listed)? {
            catalog.left_out.push(out(reason));
        } else if let Some(pattern) = excluding(config, &entry.name) {
            let reason = format!("excluded by the configuration (`{pattern}`)");
            let columns = reader.info(&entry.name)?.into_iter().filter(|i| i.hidden == 0).map(|i| i.name).collect();
            catalog.left_out.push(LeftOut { name: name(), reason, excluded: true, columns });
        } else {
            match reader.table(entry, &listed, &mut catalog.warnings)? {
                Ok(table) => catalog.tables.push(table),
                Err(reason) => catalog.left_out.push(out(reason)),
            }
        }
    }
    reader.settle_keys(&mut catalog)?;
    reader.check_names(&listed, &mut catalog)?;
    Ok(catalog)
}

/// One line of `pragma table_list`.
struct Listed {
    name: String,
    kind: String,
    without_rowid: bool,
    strict: bool,
    sql: String,
}

/// One line of `pragma table_xinfo`.
struct Info {
    place: i64,
    name: String,
    declared_type: String,
    not_null: bool,
    default: Option<String>,
    primary: i64,
    hidden: i64,
}

/// One line of `pragma index_list`, unique ones only.
struct Index {
    name: String,
    origin: String,
}

struct Reader<'a> {
    conn: &'a Connection,
    database: &'a str,
    config: &'a DatabaseConfig,
}

/// Either a table, or the reason why it is left out.
type OrReason<T> = Result<T, String>;

impl Reader<'_> {
    fn listed(&self) -> Result<Vec<Listed>, Error> {
        let sql = "SELECT l.name, l.type, l.wr, l.strict, coalesce(m.sql, '') FROM pragma_table_list AS l
                   LEFT JOIN main.sqlite_master AS m ON m.name = l.name AND m.type IN ('table', 'view')
                   WHERE l.schema = 'main' ORDER BY l.name";
        let mut statement = self.conn.prepare(sql)?;
        let rows = statement.query_map([], |r| {
            Ok(Listed { name: r.get(0)?, kind: r.get(1)?, without_rowid: r.get(2)?, strict: r.get(3)?, sql: r.get(4)? })
        })?;
        let all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(all.into_iter().filter(|l| !is_internal(&l.name)).collect())
    }

    fn reason_to_leave_out(&self, entry: &Listed, all: &[Listed]) -> Result<Option<String>, Error> {
        Ok(match entry.kind.as_str() {
            "view" => Some("a view: it shows rows of other tables".to_owned()),
            "virtual" => Some("a virtual table: its module keeps the rows, and triggers don't see them".to_owned()),
            "shadow" => Some("the inside of a virtual table: only its module may write it".to_owned()),
            // What Alembic and Django name a table that is made anew, until it takes the place of the old one.
            _ if entry.name.starts_with("_alembic_tmp_") || entry.name.starts_with("new__") => {
                Some("a migration's temporary table".to_owned())
            }
            _ => self.unknown_module_of(entry, all)?.map(|owner| {
                format!("it looks like the inside of the virtual table `{owner}`, whose module is not known here")
            }),
        })
    }

    /// The virtual table whose inside this seems to be; SQLite itself tells for the modules that it knows.
    fn unknown_module_of(&self, entry: &Listed, all: &[Listed]) -> Result<Option<String>, Error> {
        let mut known = self.conn.prepare_cached("SELECT 1 FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE")?;
        for owner in all.iter().filter(|o| o.kind == "virtual") {
            let prefix = format!("{}_", owner.name);
            let inside = entry.name.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(&prefix));
            if inside && !known.exists([module(&owner.sql)])? {
                return Ok(Some(owner.name.clone()));
            }
        }
        Ok(None)
    }

    fn table(&self, entry: &Listed, all: &[Listed], warnings: &mut Vec<Warning>) -> Result<OrReason<Table>, Error> {
        let name = entry.name.as_str();
        let info = self.info(name)?;
        let writable: Vec<&Info> = info.iter().filter(|i| i.hidden == 0).collect();
        let columns = match self.columns(entry, &writable)? {
            Ok(columns) => columns,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(reason) = self.reason_not_to_write(name, &columns) {
            return Ok(Err(reason));
        }
        let mut table = self.bare(entry, columns, &info)?;
        self.check_columns(&table)?;
        self.declared_references(&mut table, all, warnings)?;
        self.configured_references(&mut table, all, warnings)?;
        Ok(Ok(table))
    }

    /// What follows from the references of all tables: those of foreign keys of several columns, and what tells rows
    /// apart.
    fn settle_keys(&self, catalog: &mut Catalog) -> Result<(), Error> {
        let keys = composite::read(self.conn, &catalog.tables)?;
        composite::refer(&mut catalog.tables, &keys);
        for key in &keys {
            let found = key.whole(&catalog.tables);
            catalog.tables[key.child].composites.extend(found);
        }
        for table in &mut catalog.tables {
            if let Key::Id { column, surrogate } = &mut table.key {
                *surrogate = !table.references.iter().any(|r| r.column == *column);
            }
            table.identity = self.identity(table, &mut catalog.warnings)?;
        }
        Ok(())
    }

    /// The table as SQLite itself describes it: no references and no identity yet.
    fn bare(&self, entry: &Listed, columns: Vec<Column>, info: &[Info]) -> Result<Table, Error> {
        let writable: Vec<&Info> = info.iter().filter(|i| i.hidden == 0).collect();
        let indexes = self.unique_indexes(&entry.name)?;
        let mut primary: Vec<_> = writable.iter().enumerate().filter(|(_, i)| i.primary > 0).collect();
        primary.sort_by_key(|(_, i)| i.primary);
        let has_index = entry.without_rowid || indexes.iter().any(|i| i.origin == "pk");
        let key = match primary.as_slice() {
            [] => Key::Content,
            [(column, _)] if !has_index => Key::Id { column: *column, surrogate: true },
            places => Key::Columns(places.iter().map(|(p, _)| *p).collect()),
        };
        let settings = self.config.tables.iter().find(|(t, _)| t.eq_ignore_ascii_case(&entry.name));
        Ok(Table {
            name: entry.name.clone(),
            generated: info.iter().filter(|i| i.hidden != 0).map(|i| i.name.clone()).collect(),
            uniques: self.uniques(&indexes, &writable)?,
            references: Vec::new(),
            composites: Vec::new(),
            identity: Vec::new(),
            checked: entry.strict
                || has_keyword(&entry.sql, "CHECK")
                || writable.iter().any(|i| i.not_null && i.primary == 0),
            without_rowid: entry.without_rowid,
            config: settings.map(|(_, config)| config.clone()).unwrap_or_default(),
            sql: entry.sql.clone(),
            columns,
            key,
        })
    }

    fn info(&self, table: &str) -> Result<Vec<Info>, Error> {
        let sql = "SELECT cid, name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([table], |r| {
            Ok(Info {
                place: r.get(0)?,
                name: r.get(1)?,
                declared_type: r.get(2)?,
                not_null: r.get(3)?,
                default: r.get(4)?,
                primary: r.get(5)?,
                hidden: r.get(6)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn columns(&self, entry: &Listed, writable: &[&Info]) -> Result<OrReason<Vec<Column>>, Error> {
        let mut columns = Vec::with_capacity(writable.len());
        for i in writable {
            let (_, collation, ..) = self.conn.column_metadata(Some("main"), entry.name.as_str(), i.name.as_str())?;
            let collation = collation.map_or("BINARY".into(), |c| c.to_string_lossy().into_owned());
            // Names that only the schema knows are listed too; whether there is a function behind one, using it shows.
            let built_in = ["BINARY", "NOCASE", "RTRIM"].iter().any(|c| collation.eq_ignore_ascii_case(c));
            if !built_in && self.conn.prepare(&format!("SELECT '' = '' COLLATE {}", quote(&collation))).is_err() {
                return Ok(Err(format!(
                    "its column `{}` compares by the collation `{collation}`, which only the application knows",
                    i.name
                )));
            }
            columns.push(Column {
                name: i.name.clone(),
                not_null: i.not_null || (entry.without_rowid && i.primary > 0),
                declared_type: i.declared_type.clone(),
                collation,
                has_default: i.default.as_deref().is_some_and(|d| !d.eq_ignore_ascii_case("null")),
            });
        }
        if columns.is_empty() {
            return Ok(Err("all its columns are generated".to_owned()));
        }
        Ok(Ok(columns))
    }

    /// Compiles an insert, an update and a delete without running them: that needs every collation, function and
    /// module which indexes, checks and generated columns of the table name.
    fn reason_not_to_write(&self, table: &str, columns: &[Column]) -> Option<String> {
        let first = quote(&columns[0].name);
        let table = quote(table);
        let attempts = [
            format!("INSERT INTO main.{table} ({first}) VALUES (NULL)"),
            format!("UPDATE main.{table} SET {}", set_all(columns)),
            format!("DELETE FROM main.{table}"),
        ];
        let refusal = attempts.iter().find_map(|sql| self.conn.prepare(sql).err())?;
        Some(format!("it can't be written from outside its application: {refusal}"))
    }

    fn unique_indexes(&self, table: &str) -> Result<Vec<Index>, Error> {
        let sql = "SELECT name, origin FROM pragma_index_list(?1, 'main') WHERE \"unique\" ORDER BY seq DESC";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([table], |r| Ok(Index { name: r.get(0)?, origin: r.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn uniques(&self, indexes: &[Index], writable: &[&Info]) -> Result<Vec<Unique>, Error> {
        let terms = "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno";
        let mut terms = self.conn.prepare_cached(terms)?;
        let mut text =
            self.conn.prepare_cached("SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?1")?;
        let mut uniques = Vec::with_capacity(indexes.len());
        for index in indexes {
            let sql: Option<String> = text.query_row([&index.name], |r| r.get(0)).optional()?.flatten();
            let (written, condition) = sql.as_deref().and_then(index_terms).unwrap_or_default();
            let rows = terms.query_map([&index.name], |r| {
                let (cid, name, collation): (i64, Option<String>, Option<String>) = (r.get(0)?, r.get(1)?, r.get(2)?);
                Ok((cid, name, collation))
            })?;
            let mut found = Vec::new();
            for (place, row) in rows.enumerate() {
                let (cid, name, collation) = row?;
                let expression = || written.get(place).cloned().unwrap_or_default();
                found.push(UniqueTerm {
                    column: writable.iter().position(|i| cid >= 0 && i.place == cid),
                    sql: name.as_deref().map_or_else(expression, quote),
                    collation: collation.unwrap_or_else(|| "BINARY".to_owned()),
                });
            }
            uniques.push(Unique {
                index: Some(index.name.clone()),
                terms: found,
                condition,
                primary: index.origin == "pk",
            });
        }
        Ok(uniques)
    }

    fn declared_references(&self, table: &mut Table, all: &[Listed], warnings: &mut Vec<Warning>) -> Result<(), Error> {
        let sql = "SELECT \"table\", \"from\", \"to\", count(*) OVER (PARTITION BY id)
                   FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([&table.name], |r| {
            let (parent, from): (String, String) = (r.get(0)?, r.get(1)?);
            let (to, size): (Option<String>, i64) = (r.get(2)?, r.get(3)?);
            Ok((parent, from, to, size))
        })?;
        for row in rows {
            let (parent, from, to, size) = row?;
            let mut warn = |text: String| warnings.push(Warning { table: table.name.clone(), text });
            if size > 1 {
                continue;
            }
            let (Some(column), Some(parent)) = (table.column(&from), spelled(all, &parent)) else {
                warn(format!(
                    "its foreign key from `{from}` to `{parent}` names something that can't be synced: left as plain values"
                ));
                continue;
            };
            let Some(target_column) = self.target_column(parent, to.as_deref())? else {
                warn(format!("its foreign key from `{from}` does not fit the key of `{parent}`: left as plain values"));
                continue;
            };
            let new = Reference { column, database: None, table: parent.to_owned(), target_column, declared: true };
            match table.reference(column) {
                None => table.references.push(new),
                Some(old) if *old == new => {}
                Some(old) => warn(format!("`{from}` has several foreign keys: the one to `{}` counts", old.table)),
            }
        }
        Ok(())
    }

    fn configured_references(
        &self,
        table: &mut Table,
        all: &[Listed],
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        for (from, target) in &table.config.references {
            let column = self.column(table, from, "references")?;
            let (database, parent) = match target.split_once('.') {
                Some((database, parent)) if database == self.database => (None, parent),
                Some((database, parent)) => (Some(database.to_owned()), parent),
                None => (None, target.as_str()),
            };
            let missing = || Error::NoTarget {
                database: self.database.to_owned(),
                table: table.name.clone(),
                column: from.clone(),
                target: target.clone(),
            };
            let new = match database {
                Some(database) => Reference {
                    column,
                    database: Some(database),
                    table: parent.to_owned(),
                    target_column: String::new(),
                    declared: false,
                },
                None => {
                    let parent = spelled(all, parent).ok_or_else(missing)?;
                    let target_column = self.target_column(parent, None)?.ok_or_else(missing)?;
                    Reference { column, database: None, table: parent.to_owned(), target_column, declared: false }
                }
            };
            match table.reference(column) {
                None => table.references.push(new),
                Some(old) if old.database == new.database && old.table == new.table => {}
                Some(old) => warnings.push(Warning {
                    table: table.name.clone(),
                    text: format!(
                        "`{from}` has a foreign key to `{}`: the configured reference to `{target}` is left aside",
                        old.table
                    ),
                }),
            }
        }
        Ok(())
    }

    /// The column that a reference names: as declared, else the parent's key if that is a single column.
    fn target_column(&self, parent: &str, declared: Option<&str>) -> Result<Option<String>, Error> {
        let info = self.info(parent)?;
        let visible = info.iter().filter(|i| i.hidden == 0);
        Ok(match declared {
            Some(to) => visible.into_iter().find(|i| i.name.eq_ignore_ascii_case(to)).map(|i| i.name.clone()),
            None => match visible.filter(|i| i.primary > 0).collect::<Vec<_>>().as_slice() {
                [single] => Some(single.name.clone()),
                [] | [_, ..] => None,
            },
        })
    }

    fn identity(&self, table: &Table, warnings: &mut Vec<Warning>) -> Result<Vec<Vec<usize>>, Error> {
        if let Some(names) = &table.config.identity {
            let places = names.iter().map(|n| self.column(table, n, "identity")).collect::<Result<Vec<_>, _>>()?;
            if table.key == Key::Content && !places.is_empty() {
                warnings.push(Warning {
                    table: table.name.clone(),
                    text: "it has no primary key, so its rows are told apart by their whole content: `identity` is left aside"
                        .to_owned(),
                });
                return Ok(Vec::new());
            }
            return Ok(if places.is_empty() { Vec::new() } else { vec![places] });
        }
        let surrogate = table.surrogate();
        let natural = |u: &&Unique| u.plain_columns().filter(|places| !places.iter().any(|p| Some(*p) == surrogate));
        let constraints: Vec<_> = table.uniques.iter().filter(|u| !u.primary).collect();
        let declared: Vec<_> = constraints.iter().filter_map(natural).collect();
        Ok(match &table.key {
            Key::Content => Vec::new(),
            Key::Id { .. } | Key::Columns(_) if !declared.is_empty() => declared,
            Key::Id { surrogate: true, .. } => Vec::new(),
            Key::Id { column, surrogate: false } => vec![vec![*column]],
            Key::Columns(places) => vec![places.clone()],
        })
    }

    fn column(&self, table: &Table, name: &str, setting: &'static str) -> Result<usize, Error> {
        table.column(name).ok_or_else(|| Error::NoColumn {
            database: self.database.to_owned(),
            table: table.name.clone(),
            column: name.to_owned(),
            setting,
        })
    }

    fn check_columns(&self, table: &Table) -> Result<(), Error> {
        for name in table.config.columns.keys() {
            self.column(table, name, "columns")?;
        }
        if let Some(name) = &table.config.modified {
            self.column(table, name, "modified")?;
        }
        Ok(())
    }

    /// Every table that the configuration speaks of is there; one that is left out is worth a warning.
    fn check_names(&self, listed: &[Listed], catalog: &mut Catalog) -> Result<(), Error> {
        for name in self.config.tables.keys() {
            if spelled(listed, name).is_none() {
                return Err(Error::NoTable { database: self.database.to_owned(), table: name.clone() });
            }
            if let Some(out) = catalog.left_out.iter().find(|o| o.name.eq_ignore_ascii_case(name)) {
                catalog.warnings.push(Warning {
                    table: out.name.clone(),
                    text: format!("the configuration speaks of it, but it is not synced: {}", out.reason),
                });
            }
        }
        Ok(())
    }
}

/// SQLite's own tables and ours.
fn is_internal(name: &str) -> bool {
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    starts("sqlite_") || starts("_lockstep_")
}

fn set_all(columns: &[Column]) -> String {
    let all: Vec<_> = columns.iter().map(|c| format!("{0} = {0}", quote(&c.name))).collect();
    all.join(", ")
}

/// The name of a table as the schema spells it.
fn spelled<'a>(all: &'a [Listed], name: &str) -> Option<&'a str> {
    all.iter().find(|l| l.name.eq_ignore_ascii_case(name)).map(|l| l.name.as_str())
}

/// The module of a CREATE VIRTUAL TABLE statement.
fn module(sql: &str) -> String {
    let tokens = super::sql::tokens(sql);
    let using = tokens.iter().position(|t| t.is("USING"));
    using.and_then(|at| tokens.get(at + 1)?.name()).unwrap_or_default()
}

/// What leaves a table out, of that which the configuration says.
pub fn excluding<'c>(config: &'c DatabaseConfig, table: &str) -> Option<&'c String> {
    config.exclude.iter().find(|pattern| glob(pattern, table))
}

/// Does the name match a pattern in which `*` stands for any run of characters? ASCII case does not count.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// What a superadmin may write after `exclude`, tried on one name.
#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name, fits) in [
            ("sync_*", "sync_logs", true),
            ("sync_*", "resync_logs", false),
            ("*sync*", "resync_logs", true),
            ("*_log", "a_log_log", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("team", "team", true),
            ("team", "team_event", false),
            ("TEAM", "team", true),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
