//! What an observer knows who sees every statement of every application, and nothing of the engine.
//!
//! It learns from the rows before and after each statement: which row (by its tag) is new, gone or changed, what each
//! reference means to the application that wrote it. Rows may be one only if an application gave them one identity key.
use super::schema::{Role, Schema, Table};
use rusqlite::types::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row as its application sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub rowid: Option<i64>,
    pub values: Vec<Value>,
}

/// All rows of one node, by table.
pub type Snapshot = Vec<Vec<Row>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Plain(String),
    Row(String),
}

/// What is known of one row.
#[derive(Debug, Default)]
pub struct Fact {
    pub table: usize,
    pub home: usize,
    pub deleted: bool,
    /// A person decided something while it was shown, though an application had deleted it.
    pub kept: bool,
    /// Nodes whose application wrote it.
    pub writers: BTreeSet<usize>,
    pub sealed: Option<usize>,
    /// A reference of it got a meaning that its copy of the tag does not know.
    loose: bool,
    /// An application left a reference of it pointing to nothing.
    pub dangled: bool,
    keys: BTreeSet<(usize, Vec<Part>)>,
    values: BTreeMap<usize, BTreeSet<String>>,
    meant: BTreeMap<usize, BTreeSet<String>>,
    nulled: BTreeSet<usize>,
}

/// A text that was written once, in one place.
#[derive(Debug)]
pub struct Text {
    pub table: usize,
    pub tag: String,
    pub column: usize,
    pub node: usize,
    /// By the clock of that node, in milliseconds.
    pub at: i64,
    /// Replaced by an application that saw it.
    pub replaced: bool,
    /// What it replaced.
    pub over: Option<String>,
    /// Its home need not keep it.
    pub exempt: bool,
    /// It came to other nodes with a copy of the file, or a decision may have written it again: under a dot of its own.
    pub copied: bool,
}

#[derive(Debug, Default)]
pub struct Oracle {
    pub facts: BTreeMap<String, Fact>,
    pub texts: BTreeMap<String, Text>,
    links: Vec<(String, String)>,
    /// The clock of the node that writes, in milliseconds.
    pub now: i64,
    /// Nodes at which the columns of the later version are captured.
    watching: BTreeSet<usize>,
}

pub fn text(v: &Value) -> Option<&str> {
    if let Value::Text(s) = v { Some(s) } else { None }
}

/// The tag inside a copy.
pub fn copied(v: &Value) -> Option<&str> {
    text(v).and_then(|s| s.split('#').next())
}

fn plain(v: &Value) -> String {
    match v {
        Value::Text(s) => s.to_ascii_lowercase(),
        other => format!("{other:?}"),
    }
}

/// Which rows may be one.
pub struct Classes(HashMap<String, String>);

impl Classes {
    pub fn of(&self, tag: &str) -> String {
        let mut t = tag;
        while let Some(up) = self.0.get(t) {
            t = up;
        }
        t.to_owned()
    }
    fn join(&mut self, a: &str, b: &str) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return false;
        }
        self.0.insert(a.clone().max(b.clone()), a.min(b));
        true
    }
    pub fn same(&self, a: &str, b: &str) -> bool {
        self.of(a) == self.of(b)
    }
}

/// The tag of the row that a reference names, in the same snapshot.
pub fn resolve(schema: &Schema, snap: &Snapshot, to: usize, target: usize, v: &Value) -> Option<String> {
    let table = &schema.tables[to];
    let tag = table.tag()?;
    let named = |own: &Value| own == v || table.columns[target].nocase && plain(own) == plain(v);
    let row = snap[to].iter().find(|r| named(&r.values[target]))?;
    text(&row.values[tag]).map(str::to_owned)
}

pub fn by_tag<'a>(table: &Table, rows: &'a [Row]) -> BTreeMap<&'a str, &'a Row> {
    let Some(tag) = table.tag() else { return BTreeMap::new() };
    rows.iter().filter_map(|r| text(&r.values[tag]).map(|t| (t, r))).collect()
}

fn key_of(table: &Table, row: &Row) -> Vec<String> {
    match row.rowid {
        Some(id) if table.key.is_empty() => vec![id.to_string()],
        _ => table.key.iter().map(|&k| plain(&row.values[k])).collect(),
    }
}

impl Oracle {
    /// One statement of the application of a node took the rows from `before` to `after`.
    pub fn learn(&mut self, schema: &Schema, node: usize, before: &Snapshot, after: &Snapshot, replace: bool) {
        for (t, table) in schema.tables.iter().enumerate() {
            if table.tag().is_none() {
                continue;
            }
            let (old, new) = (by_tag(table, &before[t]), by_tag(table, &after[t]));
            let keys: BTreeMap<Vec<String>, &str> = new.iter().map(|(tag, r)| (key_of(table, r), *tag)).collect();
            for (tag, row) in &new {
                match old.get(tag) {
                    None => {
                        let f = self.facts.entry((*tag).to_owned()).or_default();
                        (f.table, f.home) = (t, node);
                        f.writers.insert(node);
                        for (c, v) in row.values.iter().enumerate() {
                            self.wrote(schema, (t, tag, c), v, node, None);
                        }
                    }
                    Some(o) => {
                        for (c, v) in row.values.iter().enumerate().filter(|(c, v)| o.values[*c] != **v) {
                            self.facts.get_mut(*tag).expect("known").writers.insert(node);
                            self.wrote(schema, (t, tag, c), v, node, Some(&o.values[c]));
                        }
                    }
                }
            }
            for (tag, row) in old.iter().filter(|(tag, _)| !new.contains_key(*tag)) {
                let heir = keys.get(&key_of(table, row)).filter(|h| replace && !old.contains_key(*h));
                if let Some(heir) = heir {
                    // The same key written anew: the same row with all its columns written.
                    self.links.push(((*tag).to_owned(), (*heir).to_owned()));
                    for (c, v) in row.values.iter().enumerate() {
                        self.replaced(v, true);
                        if let Some(over) = text(v)
                            && let Some(x) = text(&new[heir].values[c])
                            && let Some(x) = self.texts.get_mut(x)
                        {
                            x.over = Some(over.to_owned());
                        }
                    }
                } else {
                    let f = self.facts.get_mut(*tag).expect("known");
                    f.deleted = true;
                    f.writers.insert(node);
                    f.sealed = Some(node);
                    // A REPLACE may be an update of the same entity, of which a table without history keeps no old values.
                    for (c, v) in row.values.iter().enumerate() {
                        self.replaced(v, replace && !table.history || self.is_unwatched(table, c, node));
                    }
                }
            }
            for (tag, row) in &new {
                for (k, places) in table.identity.iter().enumerate() {
                    let parts: Option<Vec<Part>> = places.iter().map(|&p| part(table, row, p)).collect();
                    if let Some(parts) = parts {
                        self.facts.get_mut(*tag).expect("known").keys.insert((k, parts));
                    }
                }
                self.means(schema, after, t, tag, row);
            }
        }
    }

    fn means(&mut self, schema: &Schema, after: &Snapshot, t: usize, tag: &str, row: &Row) {
        let table = &schema.tables[t];
        for p in table.refs() {
            let Role::Ref { to, target, .. } = table.columns[p].role else { continue };
            let f = self.facts.get_mut(tag).expect("known");
            if row.values[p] == Value::Null {
                f.nulled.insert(p);
                continue;
            }
            let copy = table.copy_of(p).and_then(|c| copied(&row.values[c])).unwrap_or_default().to_owned();
            match resolve(schema, after, to, target, &row.values[p]) {
                Some(parent) => {
                    f.loose |= parent != copy && !f.meant.get(&p).is_some_and(|m| m.contains(&parent));
                    f.meant.entry(p).or_default().insert(parent);
                }
                None => f.dangled = true,
            }
        }
    }

    fn wrote(
        &mut self,
        schema: &Schema,
        (t, tag, c): (usize, &str, usize),
        v: &Value,
        node: usize,
        old: Option<&Value>,
    ) {
        let table = &schema.tables[t];
        if !matches!(table.columns[c].role, Role::Value | Role::Key | Role::Number) {
            return;
        }
        let f = self.facts.get_mut(tag).expect("known");
        f.values.entry(c).or_default().insert(format!("{v:?}"));
        if let Some(old) = old {
            self.replaced(old, !table.history || self.is_unwatched(table, c, node));
        }
        if table.columns[c].role == Role::Value
            && let Some(s) = text(v).filter(|s| s.starts_with('<'))
        {
            let over = old.and_then(text).map(str::to_owned);
            self.texts.insert(
                s.to_owned(),
                Text {
                    table: t,
                    tag: tag.to_owned(),
                    column: c,
                    node,
                    at: self.now,
                    replaced: false,
                    over,
                    exempt: false,
                    copied: false,
                },
            );
        }
    }

    /// A person decided something on a node: rows may be gone or back, and references to what is gone be empty.
    pub fn decided(&mut self, schema: &Schema, before: &Snapshot, after: &Snapshot) {
        for (t, table) in schema.tables.iter().enumerate() {
            let (old, new) = (by_tag(table, &before[t]), by_tag(table, &after[t]));
            for (tag, f) in self.facts.iter_mut().filter(|(_, f)| f.table == t) {
                match new.get(tag.as_str()) {
                    None => f.deleted |= old.contains_key(tag.as_str()),
                    Some(row) => {
                        f.kept |= f.deleted;
                        f.nulled.extend(table.refs().into_iter().filter(|&p| row.values[p] == Value::Null));
                    }
                }
            }
            for (tag, row) in &new {
                for v in &row.values {
                    if let Some(x) = text(v).and_then(|s| self.texts.get_mut(s)) {
                        x.copied = true;
                    }
                }
                // What a version that came back took the place of.
                for v in old.get(tag).iter().flat_map(|o| &o.values).filter(|v| !row.values.contains(v)) {
                    self.replaced(v, !table.history);
                }
            }
        }
    }

    /// Nobody watches a column, or a table, before it is known: no trigger names what a migration has just added, and what
    /// the audit finds after it is a difference, without what was there before (design, capture).
    fn is_unwatched(&self, table: &Table, column: usize, node: usize) -> bool {
        (table.late || table.columns[column].late) && !self.watching.contains(&node)
    }

    fn replaced(&mut self, v: &Value, exempt: bool) {
        if let Some(x) = text(v).and_then(|s| self.texts.get_mut(s)) {
            x.replaced = true;
            x.exempt |= exempt;
        }
    }

    /// Lockstep comes now: what was replaced before, nobody kept, and what is there has the lowest stamp.
    pub fn began(&mut self) {
        for t in self.texts.values_mut() {
            t.exempt |= t.replaced;
            t.at = 0;
        }
    }

    /// The rows came to all nodes with a copy of a file.
    pub fn copied(&mut self, nodes: usize) {
        self.texts.values_mut().for_each(|t| t.copied = true);
        self.facts.values_mut().for_each(|f| f.writers.extend(0..nodes));
    }

    /// Lockstep has looked at the files of a node since the later version came: all columns are captured.
    pub fn watches(&mut self, node: usize) {
        self.watching.insert(node);
    }

    /// Two rows are one, whatever they say.
    pub fn link(&mut self, a: &str, b: &str) {
        if a != b {
            self.links.push((a.to_owned(), b.to_owned()));
        }
    }

    /// Which rows may be one, as the writes stand.
    pub fn classes(&self) -> Classes {
        let mut c = Classes(HashMap::new());
        for (a, b) in &self.links {
            c.join(a, b);
        }
        loop {
            let mut moved = false;
            let mut by_key: BTreeMap<(usize, usize, Vec<Part>), &str> = BTreeMap::new();
            for (tag, f) in &self.facts {
                for (k, parts) in &f.keys {
                    let parts = parts
                        .iter()
                        .map(|p| match p {
                            Part::Row(t) => Part::Row(c.of(t)),
                            Part::Plain(_) => p.clone(),
                        })
                        .collect();
                    let first = by_key.entry((f.table, *k, parts)).or_insert(tag);
                    moved |= c.join(first, tag);
                }
            }
            if !moved {
                return c;
            }
        }
    }

    /// Everything that may not be so on a node, whoever wrote what.
    /// `late`: the later version of the application is there.
    pub fn check(
        &self,
        schema: &Schema,
        snap: &Snapshot,
        late: bool,
        held: &dyn Fn(usize) -> bool,
    ) -> Result<(), String> {
        let classes = self.classes();
        let mut allowed: BTreeMap<(String, usize), BTreeSet<&str>> = BTreeMap::new();
        let mut merged: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
        for (tag, f) in &self.facts {
            let root = classes.of(tag);
            for (c, v) in &f.values {
                allowed.entry((root.clone(), *c)).or_default().extend(v.iter().map(String::as_str));
            }
            merged.entry(root).or_default().push(f);
        }
        for (t, table) in schema.tables.iter().enumerate() {
            let Some(tag_at) = table.tag() else { continue };
            let mut seen = BTreeSet::new();
            for row in &snap[t] {
                let Some(tag) = text(&row.values[tag_at]) else {
                    return Err(format!("{}: a row without a tag", table.name));
                };
                let at = format!("{} {tag}", table.name);
                let Some(f) = self.facts.get(tag) else { return Err(format!("{at}: nobody wrote it")) };
                if f.table != t {
                    return Err(format!("{at}: a row of another table"));
                }
                if !seen.insert(tag) {
                    return Err(format!("{at}: it is there twice"));
                }
                let root = classes.of(tag);
                for (c, v) in row.values.iter().enumerate() {
                    let role = &table.columns[c].role;
                    // A row that is older than the column has NULL in it.
                    if table.columns[c].late && (!late || *v == Value::Null) {
                        continue;
                    }
                    if matches!(role, Role::Value | Role::Key | Role::Number)
                        && !allowed.get(&(root.clone(), c)).is_some_and(|a| a.contains(format!("{v:?}").as_str()))
                    {
                        return Err(format!("{at}: nobody wrote {v:?} to {}", table.columns[c].name));
                    }
                    if let Role::Ref { to, target, declared, .. } = role {
                        let facts = &merged[&root];
                        self.check_reference(
                            schema,
                            snap,
                            facts,
                            (t, c, row),
                            (*to, *target, *declared),
                            &classes,
                            held,
                        )
                        .map_err(|e| format!("{at}: {e}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn check_reference(
        &self,
        schema: &Schema,
        snap: &Snapshot,
        facts: &[&Fact],
        (t, c, row): (usize, usize, &Row),
        (to, target, declared): (usize, usize, bool),
        classes: &Classes,
        held: &dyn Fn(usize) -> bool,
    ) -> Result<(), String> {
        let table = &schema.tables[t];
        let (v, name) = (&row.values[c], &table.columns[c].name);
        if *v == Value::Null {
            return if facts.iter().any(|f| f.nulled.contains(&c)) { Ok(()) } else { Err(format!("{name} is NULL")) };
        }
        let copy = table.copy_of(c).and_then(|k| copied(&row.values[k])).unwrap_or_default();
        match resolve(schema, snap, to, target, v) {
            Some(parent) => {
                // What names nothing in another file names whatever comes there under that key: each file gives out ids by
                // what was used in that file alone (merge-rules 21 and 24), and knows nothing of values in this one. The
                // author sends such a value again as a reference (design, identity).
                if !declared && schema.tables[to].db != table.db && facts.iter().any(|f| f.dangled) {
                    return Ok(());
                }
                let meant = |f: &&Fact| f.meant.get(&c).is_some_and(|m| m.iter().any(|x| classes.same(x, &parent)));
                if !facts.iter().any(meant) {
                    return Err(format!("{name} {v:?} names {parent}, which nobody meant; its copy says {copy}"));
                }
                if !classes.same(&parent, copy) && !facts.iter().any(|f| f.loose) && !held(t) {
                    return Err(format!("{name} {v:?} names {parent}, its copy says {copy}"));
                }
                Ok(())
            }
            None => {
                // Whoever deletes a row deletes all that were found to be it.
                let gone = !self.facts.contains_key(copy)
                    || self.facts.iter().any(|(tag, f)| f.deleted && classes.same(tag, copy));
                if facts.iter().any(|f| f.dangled) || !declared && gone {
                    return Ok(());
                }
                Err(format!("{name} {v:?} names nothing, its copy says {copy}"))
            }
        }
    }
}

fn part(table: &Table, row: &Row, p: usize) -> Option<Part> {
    if row.values[p] == Value::Null {
        return None;
    }
    Some(match table.copy_of(p) {
        Some(c) => Part::Row(copied(&row.values[c]).unwrap_or_default().to_owned()),
        None => Part::Plain(plain(&row.values[p])),
    })
}
