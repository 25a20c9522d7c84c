//! The application's own triggers: which of them have to run on what is applied here.
//!
//! A trigger that writes a synced table has run at the author, and what it did arrives by itself: running it again
//! would do it twice. A trigger that feeds only tables that aren't synced (a search index, a log of what was done) has
//! to run wherever rows are written. SQLite fires no trigger of a file on our connections, but those of TEMP: so a
//! copy of each feeder is made there, for as long as the connection is open.
//!
//! Always true here: nothing is written to the application's schema; a trigger that can't be compiled here (it calls a
//! function that only the application has) is left out and said.
use crate::catalog::sql::{Token, tokens};
use crate::catalog::{Catalog, Table, quote};
use crate::error::Error;
use rusqlite::Connection;

/// A trigger of the application on a synced table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trigger {
    name: String,
    table: String,
    /// What follows on its name.
    rest: String,
    /// Tables that it writes, as its text names them.
    writes: Vec<String>,
}

impl Trigger {
    /// Those of the tables that it writes which are synced.
    fn synced<'a>(&'a self, catalog: &'a Catalog) -> Vec<&'a str> {
        self.writes.iter().filter_map(|w| catalog.table(w)).map(|t| t.name.as_str()).collect()
    }

    fn feeds(&self, catalog: &Catalog) -> bool {
        !self.writes.is_empty() && self.synced(catalog).is_empty()
    }
}

/// The application's triggers on synced tables, by name.
fn read(c: &Connection, catalog: &Catalog) -> Result<Vec<Trigger>, Error> {
    let mut q = c.prepare(
        "SELECT name, tbl_name, sql FROM main.sqlite_master
         WHERE type = 'trigger' AND name NOT LIKE '\\_lockstep\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let all = q.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?)))?;
    let mut found = Vec::new();
    for row in all {
        let (name, table, sql) = row?;
        let Some(table) = catalog.table(&table) else { continue };
        let words = tokens(&sql);
        let Some((rest, body)) = cut(&sql, &words) else { continue };
        found.push(Trigger { name, table: table.name.clone(), rest: rest.to_owned(), writes: written(&words[body..]) });
    }
    Ok(found)
}

/// What follows on the name of a trigger, and the place of its BEGIN among the tokens.
fn cut<'a>(sql: &'a str, words: &[Token<'_>]) -> Option<(&'a str, usize)> {
    let mut at = words.iter().position(|t| t.is("TRIGGER"))? + 1;
    if words.get(at)?.is("IF") {
        at += 3;
    }
    if words.get(at + 1)?.text == "." {
        at += 2;
    }
    let rest = words.get(at + 1)?;
    let start = rest.text.as_ptr() as usize - sql.as_ptr() as usize;
    let body = words.iter().position(|t| t.is("BEGIN"))?;
    Some((&sql[start..], body))
}

/// The tables that the statements of a body write.
fn written(body: &[Token<'_>]) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for (n, word) in body.iter().enumerate() {
        let after = |k: usize| body.get(n + k);
        let conflict = if after(1).is_some_and(|t| t.is("OR")) { 2 } else { 0 };
        let target = match () {
            () if word.is("INTO") || word.is("DELETE") && after(1).is_some_and(|t| t.is("FROM")) => {
                after(if word.is("INTO") { 1 } else { 2 })
            }
            // `DO UPDATE SET` of an upsert names no table.
            () if word.is("UPDATE") => after(1 + conflict).filter(|t| !t.is("SET")),
            () => None,
        };
        if let Some(name) = target.and_then(Token::name)
            && !tables.iter().any(|t| t.eq_ignore_ascii_case(&name))
        {
            tables.push(name);
        }
    }
    tables
}

/// What a superadmin should know of the application's triggers, as `table: sentence`.
pub fn described(c: &Connection, catalog: &Catalog) -> Result<Vec<String>, Error> {
    let list = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let one = |t: &Trigger| {
        let synced = t.synced(catalog);
        let others: Vec<&str> = t.writes.iter().map(String::as_str).filter(|w| catalog.table(w).is_none()).collect();
        let said = match (synced.is_empty(), others.is_empty()) {
            (true, true) => return None,
            (true, false) => format!("feeds only {}, not synced: it runs on what is received, too", list(&others)),
            (false, true) => format!(
                "writes {}, synced: it doesn't run on what is received, since what it did arrives by itself",
                list(&synced)
            ),
            (false, false) => format!(
                "writes {}, synced, and {}, not synced: it doesn't run on what is received; cut it in two, or the latter \
                 miss what is received",
                list(&synced),
                list(&others)
            ),
        };
        Some(format!("{}: the trigger `{}` {said}", t.table, t.name))
    };
    Ok(read(c, catalog)?.iter().filter_map(one).collect())
}

/// Makes the feeders fire on this connection. Gives those that can't, in sentences.
pub fn install(c: &Connection, catalog: &Catalog) -> Result<Vec<String>, Error> {
    let mut unfit = Vec::new();
    for (n, t) in read(c, catalog)?.iter().enumerate().filter(|(_, t)| t.feeds(catalog)) {
        let made = c.execute_batch(&format!("CREATE TEMP TRIGGER lockstep_feeder_{n} {}", t.rest));
        let fits = match (&made, catalog.table(&t.table)) {
            (Ok(()), Some(table)) => compiles(c, table),
            (Ok(()), None) => Ok(()),
            (Err(_), _) => made,
        };
        if let Err(e) = fits {
            // One that stayed would make every write to the table fail.
            c.execute_batch(&format!("DROP TRIGGER IF EXISTS temp.lockstep_feeder_{n}"))?;
            unfit.push(format!("the trigger `{}` of `{}` can't run on what is received: {e}", t.name, t.table));
        }
    }
    Ok(unfit)
}

/// Can the table be written with its triggers?
fn compiles(c: &Connection, table: &Table) -> rusqlite::Result<()> {
    let name = quote(&table.name);
    c.prepare(&format!("DELETE FROM main.{name} WHERE 0"))?;
    c.prepare(&format!("INSERT INTO main.{name} DEFAULT VALUES"))?;
    let columns: Vec<String> = table.columns.iter().map(|c| format!("{0} = {0}", quote(&c.name))).collect();
    if !columns.is_empty() {
        c.prepare(&format!("UPDATE main.{name} SET {} WHERE 0", columns.join(", ")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_writes_is_read_from_its_text() {
        let check = |sql: &str, rest: &str, writes: &[&str]| {
            let words = tokens(sql);
            let (found, body) = cut(sql, &words).unwrap();
            assert!(found.starts_with(rest), "{found}");
            assert_eq!(written(&words[body..]), writes, "{sql}");
        };
        check(
            "CREATE TRIGGER IF NOT EXISTS main.\"a b\" AFTER UPDATE OF x ON t BEGIN
               INSERT INTO log(a) VALUES ('UPDATE no SET a'); -- DELETE FROM nothing
               UPDATE OR IGNORE [other] SET a = 1; DELETE FROM \"third\" WHERE 1; END",
            "AFTER UPDATE OF x",
            &["log", "other", "third"],
        );
        check(
            "create trigger t2 before insert on t begin select raise(abort, 'no') where new.a is null; end",
            "before insert",
            &[],
        );
        check(
            "CREATE TRIGGER t3 INSERT ON t BEGIN REPLACE INTO c VALUES (1); INSERT INTO c VALUES (1) ON CONFLICT DO UPDATE SET n = 2; END",
            "INSERT ON t",
            &["c"],
        );
    }
}
