//! What two nodes must say alike of a table before they merge it, as 32 bytes.
//!
//! Always true here: canonical. Names count without regard to ASCII case, and neither the order of columns nor that of
//! constraints or settings matters, since migrations and tools differ in those. Types, defaults and what concerns one
//! node alone (`exclude`, `modified`, `history`, `guard`) are no part of it.
use super::{Key, Table, Unique};
use crate::config::{MergeUnit, Policy};
use sha2::{Digest, Sha256};

/// Name, columns, key, unique keys, and all that [`rules`] covers.
pub fn fingerprint(table: &Table) -> [u8; 32] {
    let mut parts = rule_parts(table);
    parts.push(list("table", [fold(&table.name)]));
    parts.push(sorted("columns", table.columns.iter().map(|c| fold(&c.name)).collect()));
    parts.push(sorted("uniques", table.uniques.iter().map(|u| unique(table, u)).collect()));
    hash(parts)
}

/// What pairing settles: key, identity, references, policies, merge. A column more on one side does not change it.
pub fn rules(table: &Table) -> [u8; 32] {
    hash(rule_parts(table))
}

fn rule_parts(table: &Table) -> Vec<String> {
    let name = |place: usize| fold(&table.columns[place].name);
    let key = match &table.key {
        Key::Id { column, surrogate } => list(if *surrogate { "surrogate id" } else { "id" }, [name(*column)]),
        Key::Columns(places) => list("key", places.iter().map(|&p| name(p))),
        Key::Content => list("content", []),
    };
    let identity =
        table.identity.iter().map(|places| sorted("by", places.iter().map(|&p| name(p)).collect())).collect();
    let references = table.references.iter().map(|r| {
        let database = r.database.as_deref().unwrap_or_default();
        list("to", [name(r.column), database.to_owned(), fold(&r.table), fold(&r.target_column)])
    });
    let columns = table.config.columns.iter().filter(|(_, p)| **p != table.config.policy);
    vec![
        key,
        sorted("identity", identity),
        sorted("references", references.collect()),
        list("policy", [policy(&table.config.policy)]),
        sorted("policies", columns.map(|(c, p)| list("of", [fold(c), policy(p)])).collect()),
        list(
            "merge",
            [match table.config.merge {
                MergeUnit::Column => "column".to_owned(),
                MergeUnit::Row => "row".to_owned(),
            }],
        ),
    ]
}

fn unique(table: &Table, unique: &Unique) -> String {
    let terms = unique.terms.iter().map(|t| match t.column {
        Some(place) => list("column", [fold(&table.columns[place].name), fold(&t.collation)]),
        None => list("expression", [t.sql.clone(), fold(&t.collation)]),
    });
    let condition = unique.condition.clone().unwrap_or_default();
    list(if unique.primary { "primary" } else { "unique" }, [sorted("terms", terms.collect()), condition])
}

fn policy(policy: &Policy) -> String {
    String::from(policy.clone())
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Each part with its length before it, so that no two lists read alike.
fn list(label: &str, parts: impl IntoIterator<Item = String>) -> String {
    let mut out = format!("{label}(");
    for part in parts {
        out.push_str(&format!("{}:{part}", part.len()));
    }
    out.push(')');
    out
}

fn sorted(label: &str, mut parts: Vec<String>) -> String {
    parts.sort();
    list(label, parts)
}

fn hash(parts: Vec<String>) -> [u8; 32] {
    Sha256::digest(sorted("lockstep table 1", parts)).into()
}
