//! Random schemas out of the kinds of tables that applications have.
use super::prng::Prng;

/// What a column is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// INTEGER PRIMARY KEY that the application gives out.
    Id,
    /// Written once with the row, never again; says which row this is.
    Tag,
    /// Anything.
    Value,
    /// From a small set, so that rows meet.
    Key,
    /// 0 to 3.
    Number,
    /// Names a row of that table by that column's value.
    Ref { to: usize, target: usize, declared: bool, not_null: bool },
    /// A copy of the tag of the row that the column at that place names, with a number that is never the same.
    CopyOf(usize),
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub role: Role,
    /// Compares without case.
    pub nocase: bool,
    /// A later version of the application added it.
    pub late: bool,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub db: usize,
    pub name: String,
    pub columns: Vec<Column>,
    /// Places of the primary key; empty: none.
    pub key: Vec<usize>,
    pub without_rowid: bool,
    /// Columns by which two rows may be found to be one.
    pub identity: Vec<Vec<usize>>,
    /// Places that a person may change to end a clash.
    pub unique: Vec<usize>,
    pub review: Vec<usize>,
    pub history: bool,
    /// Judged as a whole.
    pub whole: bool,
    /// A later version of the application added it.
    pub late: bool,
    pub sql: String,
    identity_names: Option<Vec<String>>,
    policies: Vec<String>,
    references: Vec<String>,
}

impl Table {
    pub fn place(&self, role: &Role) -> Option<usize> {
        self.columns.iter().position(|c| c.role == *role)
    }
    pub fn all(&self, role: &Role) -> Vec<usize> {
        (0..self.columns.len()).filter(|&p| self.columns[p].role == *role).collect()
    }
    pub fn tag(&self) -> Option<usize> {
        self.place(&Role::Tag)
    }
    pub fn id(&self) -> Option<usize> {
        self.place(&Role::Id)
    }
    pub fn refs(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|&p| matches!(self.columns[p].role, Role::Ref { .. })).collect()
    }
    /// One of its numbers may not be above the other.
    pub fn is_bounded(&self) -> bool {
        self.sql.contains("CHECK (lo <= hi)")
    }
    pub fn copy_of(&self, place: usize) -> Option<usize> {
        self.place(&Role::CopyOf(place))
    }

    /// What a superadmin says of it.
    fn config(&self) -> String {
        let mut c = format!("[tables.'{}']\n", self.name);
        if !self.history {
            c += "history = false\n";
        }
        if self.whole {
            c += "merge = 'row'\n";
        }
        if let Some(i) = &self.identity_names {
            c += &format!("identity = [{}]\n", i.iter().map(|x| format!("'{x}'")).collect::<Vec<_>>().join(", "));
        }
        if !self.references.is_empty() {
            c += &format!("references = {{ {} }}\n", self.references.join(", "));
        }
        if !self.policies.is_empty() {
            c += &format!("columns = {{ {} }}\n", self.policies.join(", "));
        }
        c
    }

    /// Another policy for a column that has none.
    pub fn prefer(&mut self, place: usize, node: &str) {
        if !self.review.contains(&place) {
            self.policies.push(format!("{} = 'prefer:{node}'", self.columns[place].name));
        }
    }
}

#[derive(Clone, Debug)]
pub struct Schema {
    pub tables: Vec<Table>,
}

pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Logical names; the later are referred to by the earlier.
pub const DATABASES: [&str; 3] = ["main", "other", "third"];

const ODD: [&str; 8] = ["order items", "select", "tëam", "a\"b", "from", "x.y", "new", "Group"];

pub struct Builder {
    pub table: Table,
    pub lines: Vec<String>,
    indexes: Vec<String>,
}

impl Builder {
    pub fn new(db: usize, name: String) -> Builder {
        Builder {
            table: Table {
                db,
                name,
                columns: Vec::new(),
                key: Vec::new(),
                without_rowid: false,
                identity: Vec::new(),
                unique: Vec::new(),
                review: Vec::new(),
                history: true,
                whole: false,
                late: false,
                sql: String::new(),
                identity_names: None,
                policies: Vec::new(),
                references: Vec::new(),
            },
            lines: Vec::new(),
            indexes: Vec::new(),
        }
    }

    pub fn col(&mut self, name: &str, rest: &str, role: Role) -> usize {
        self.lines.push(format!("{} {rest}", quote(name)));
        self.table.columns.push(Column { name: name.into(), role, nocase: rest.ends_with("NOCASE"), late: false });
        self.table.columns.len() - 1
    }

    /// A surrogate id.
    pub fn id(&mut self, r: &mut Prng) {
        let rest =
            ["INTEGER PRIMARY KEY", "INTEGER NOT NULL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"][r.below(3)];
        let p = self.col("id", rest, Role::Id);
        self.table.key = vec![p];
    }

    pub fn tag(&mut self) {
        self.col("tag", "TEXT", Role::Tag);
    }

    pub fn value(&mut self, name: &str, r: &mut Prng) {
        let p = self.col(name, "", Role::Value);
        if r.chance(15) {
            self.table.review.push(p);
            self.table.policies.push(format!("{name} = 'review'"));
        }
    }

    pub fn reference(
        &mut self,
        name: &str,
        tables: &[Table],
        to: usize,
        target: usize,
        how: &str,
        not_null: bool,
    ) -> usize {
        let parent = &tables[to];
        let declared = !how.is_empty();
        let kind = if parent.columns[target].role == Role::Key { "TEXT" } else { "INTEGER" };
        let rest = if declared {
            format!(
                "{kind}{} REFERENCES {} ({}) {how}",
                if not_null { " NOT NULL" } else { "" },
                quote(&parent.name),
                quote(&parent.columns[target].name)
            )
        } else {
            self.table.references.push(format!("{name} = '{}.{}'", DATABASES[parent.db], parent.name));
            kind.to_owned()
        };
        let p = self.col(name, &rest, Role::Ref { to, target, declared, not_null });
        self.col(&format!("{name}_tag"), "TEXT", Role::CopyOf(p));
        p
    }

    pub fn build(mut self, r: &mut Prng) -> Table {
        let t = &mut self.table;
        t.history = !r.chance(15);
        t.sql = format!(
            "CREATE TABLE {} ({}){};{}",
            quote(&t.name),
            self.lines.join(", "),
            if t.without_rowid { " WITHOUT ROWID" } else { "" },
            self.indexes.join("")
        );
        self.table
    }
}

fn name(r: &mut Prng, plain: &str, used: &[Table]) -> String {
    let odd = ODD[r.below(ODD.len())];
    if r.chance(20) && used.iter().all(|t| t.name != odd) { odd.into() } else { format!("{plain}{}", used.len()) }
}

const ACTIONS: [&str; 5] =
    [" ", "ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE", "ON DELETE CASCADE ON UPDATE CASCADE"];

/// Rows with an id, perhaps a declared identity.
pub fn parent(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, name(r, "p", tables));
    b.id(r);
    let k = b.col("k", "TEXT", Role::Key);
    b.tag();
    b.value("x", r);
    b.value("y", r);
    if r.chance(50) {
        b.table.identity_names = Some(vec!["k".into()]);
        b.table.identity.push(vec![k]);
    }
    b.build(r)
}

/// Rows with an id and a unique name.
pub fn named(r: &mut Prng, tables: &[Table], db: usize) -> Table {
    let mut b = Builder::new(db, name(r, "n", tables));
    b.id(r);
    let collate = ["", " COLLATE NOCASE"][r.below(2)];
    let k = b.col("k", &format!("TEXT NOT NULL UNIQUE{collate}"), Role::Key);
    b.tag();
    b.value("v", r);
    b.table.identity.push(vec![k]);
    b.table.unique.push(k);
    b.build(r)
}

/// Rows with an id that refer to another, by its id or its name.
pub fn child(r: &mut Prng, tables: &[Table], to: usize, db: usize) -> Table {
    let parent = &tables[to];
    let target = match (parent.id(), parent.place(&Role::Key)) {
        (Some(_), Some(k))
            if parent.db == db && parent.unique.contains(&k) && parent.identity.contains(&vec![k]) && r.chance(25) =>
        {
            k
        }
        (Some(id), _) => id,
        (None, _) => parent.key[0],
    };
    let mut b = Builder::new(db, name(r, "c", tables));
    b.id(r);
    let how =
        if parent.db != db || (r.chance(20) && parent.key == [target]) { "" } else { ACTIONS[r.below(ACTIONS.len())] };
    b.reference("up", tables, to, target, how, !how.contains("NULL") && r.chance(50));
    b.tag();
    if r.chance(40) {
        let u = b.col("u", "TEXT UNIQUE", Role::Key);
        b.table.identity.push(vec![u]);
        b.table.unique.push(u);
    }
    b.value("z", r);
    b.build(r)
}

/// Rows that refer to rows of the same table.
fn tree(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, name(r, "s", tables));
    b.id(r);
    let own = b.table.clone();
    let mut all = tables.to_vec();
    all.push(own);
    let how = ACTIONS[r.below(3)];
    b.reference("up", &all, tables.len(), 0, how, false);
    b.tag();
    b.value("v", r);
    b.build(r)
}

/// Association tables: with a key of references, of a reference and a number, or without any.
fn association(r: &mut Prng, tables: &[Table], p: usize, n: usize) -> Table {
    let mut b = Builder::new(0, name(r, "a", tables));
    let (x, y) = (tables[p].id().unwrap_or(tables[p].key[0]), tables[n].id().unwrap_or(tables[n].key[0]));
    let how = ACTIONS[r.below(2)];
    let first = b.reference("left", tables, p, x, how, true);
    match r.below(3) {
        0 => {
            let second = b.reference("right", tables, n, y, how, true);
            b.table.key = vec![first, second];
            b.tag();
        }
        1 => {
            let second = b.col("event", "INTEGER NOT NULL", Role::Number);
            b.table.key = vec![first, second];
            b.table.unique.push(second);
            b.tag();
        }
        _ => {
            b.reference("right", tables, n, y, how, false);
            b.tag();
        }
    }
    if r.chance(40) {
        b.value("w", r);
    }
    if !b.table.key.is_empty() {
        let names: Vec<String> = b.table.key.iter().map(|&k| quote(&b.table.columns[k].name)).collect();
        b.lines.push(format!("PRIMARY KEY ({})", names.join(", ")));
        b.table.identity.push(b.table.key.clone());
        b.table.without_rowid = r.chance(40);
    }
    b.build(r)
}

/// A key that means something: a text, or several columns.
fn natural(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, name(r, "t", tables));
    let collate = ["", "", " COLLATE NOCASE"][r.below(3)];
    let k = b.col("code", &format!("TEXT NOT NULL{collate}"), Role::Key);
    b.table.key = vec![k];
    b.table.unique.push(k);
    if r.chance(40) {
        let n = b.col("part", "INTEGER NOT NULL", Role::Number);
        b.table.key.push(n);
    }
    b.tag();
    b.value("v", r);
    let names: Vec<String> = b.table.key.iter().map(|&k| quote(&b.table.columns[k].name)).collect();
    b.lines.push(format!("PRIMARY KEY ({})", names.join(", ")));
    b.table.identity.push(b.table.key.clone());
    b.table.without_rowid = r.chance(50);
    b.build(r)
}

/// Rows that are nothing but their content, perhaps several times the same.
fn keyless(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, name(r, "l", tables));
    b.col("what", "TEXT", Role::Key);
    b.col("n", "", Role::Number);
    b.build(r)
}

/// Unique over an expression, or over some of the rows.
fn partial(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, name(r, "q", tables));
    b.id(r);
    let u = b.col("u", "TEXT", Role::Key);
    b.col("flag", "INTEGER", Role::Number);
    b.tag();
    b.value("v", r);
    b.table.unique.push(u);
    let t = quote(&b.table.name);
    b.indexes.push(match r.below(3) {
        0 => format!("CREATE UNIQUE INDEX ux{} ON {t} (lower(u)) WHERE flag = 1;", tables.len()),
        1 => format!("CREATE UNIQUE INDEX ux{} ON {t} (u) WHERE flag > 1;", tables.len()),
        _ => format!("CREATE UNIQUE INDEX ux{} ON {t} (u || '-' || flag);", tables.len()),
    });
    b.build(r)
}

/// One row for a row of another table, under the same id.
fn profile(r: &mut Prng, tables: &[Table], to: usize) -> Table {
    let mut b = Builder::new(0, name(r, "f", tables));
    let target = tables[to].id().expect("a table with ids");
    let p = b.reference("up", tables, to, target, ACTIONS[r.below(2)], true);
    b.tag();
    b.value("v", r);
    b.lines.push("PRIMARY KEY (up)".into());
    b.table.key = vec![p];
    b.table.identity.push(vec![p]);
    b.build(r)
}

impl Schema {
    pub fn random(r: &mut Prng) -> Schema {
        let mut tables = vec![parent(r, &[])];
        let two = r.chance(25);
        if two {
            let t = named(r, &tables, 1);
            tables.push(t);
        }
        let n = 2 + r.below(4);
        for _ in 0..n {
            let in_main: Vec<usize> = (0..tables.len()).filter(|&i| tables[i].db == 0).collect();
            let with_id: Vec<usize> = in_main.iter().copied().filter(|&i| tables[i].id().is_some()).collect();
            let single: Vec<usize> = in_main.iter().copied().filter(|&i| tables[i].key.len() == 1).collect();
            let t = match r.below(12) {
                0 => parent(r, &tables),
                1 => named(r, &tables, 0),
                2..=4 => {
                    let to = if two && r.chance(40) { 1 } else { single[r.below(single.len())] };
                    child(r, &tables, to, 0)
                }
                5 => tree(r, &tables),
                6 | 7 => {
                    let (a, b) = (single[r.below(single.len())], single[r.below(single.len())]);
                    association(r, &tables, a, b)
                }
                8 => natural(r, &tables),
                9 => keyless(r, &tables),
                10 => partial(r, &tables),
                _ => {
                    let to = with_id[r.below(with_id.len())];
                    profile(r, &tables, to)
                }
            };
            tables.push(t);
        }
        Schema { tables }
    }

    pub fn databases(&self) -> usize {
        self.tables.iter().map(|t| t.db + 1).max().unwrap_or(1)
    }

    pub fn sql(&self, db: usize) -> String {
        self.tables.iter().filter(|t| t.db == db && !t.late).map(|t| t.sql.as_str()).collect::<Vec<_>>().join("\n")
    }

    pub fn config(&self, db: usize) -> String {
        self.tables.iter().filter(|t| t.db == db && !t.late).map(Table::config).collect()
    }
}
