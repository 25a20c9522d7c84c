//! What makes a random schema wider: policies, rows judged as a whole, a CHECK over two columns, and columns and tables
//! that a later version of the application brings.
use super::prng::Prng;
use super::schema::{Builder, Column, Role, Schema, Table, child, named, parent, quote};

impl Schema {
    /// Out of numbers of its own, so that what a seed gave before stays.
    pub fn widen(mut self, r: &mut Prng) -> Schema {
        if r.chance(30) {
            self.add_bounded(r);
        }
        for t in self.tables.iter_mut().filter(|t| t.tag().is_some()) {
            t.whole = r.chance(15);
            for p in 0..t.columns.len() {
                if t.columns[p].role == Role::Value && r.chance(15) {
                    t.prefer(p, ["a", "b"][r.below(2)]);
                }
            }
        }
        if r.chance(35) {
            let tagged: Vec<usize> = (0..self.tables.len()).filter(|&t| !self.tables[t].key.is_empty()).collect();
            let t = &mut self.tables[tagged[r.below(tagged.len())]];
            t.columns.push(Column { name: "late".into(), role: Role::Value, nocase: false, late: true });
        }
        if r.chance(25) {
            let mut t = parent(r, &self.tables);
            if t.identity.is_empty() {
                t.late = true;
                t.history = true;
                t.review.clear();
                self.tables.push(t);
            }
        }
        self
    }

    /// A table whose rows two edits can break together. Its number.
    pub fn add_bounded(&mut self, r: &mut Prng) -> usize {
        let t = bounded(r, &self.tables);
        self.tables.push(t);
        self.tables.len() - 1
    }

    /// A table that a later version brings. Its number.
    #[allow(dead_code, reason = "only the simulation puts one on the stage")]
    pub fn add_late(&mut self, r: &mut Prng) -> usize {
        loop {
            let mut t = parent(r, &self.tables);
            if t.identity.is_empty() {
                (t.late, t.history) = (true, true);
                t.review.clear();
                self.tables.push(t);
                return self.tables.len() - 1;
            }
        }
    }

    /// Three files, of which each refers to those after it. Out of numbers of its own, too.
    #[allow(dead_code, reason = "the simulation has two files a node")]
    pub fn spread(mut self, r: &mut Prng) -> Schema {
        if r.chance(15) {
            for db in self.databases()..3 {
                let (t, to) = (named(r, &self.tables, db), self.tables.len());
                self.tables.push(t);
                for from in 0..db {
                    let t = child(r, &self.tables, to, from);
                    self.tables.push(t);
                }
            }
        }
        self
    }

    /// What a later version of the application does to its files.
    pub fn steps(&self, db: usize) -> String {
        let of_db = || self.tables.iter().filter(move |t| t.db == db);
        let columns = of_db().flat_map(|t| {
            t.columns
                .iter()
                .filter(|c| c.late)
                .map(|c| format!("ALTER TABLE {} ADD COLUMN {};", quote(&t.name), quote(&c.name)))
        });
        let tables = of_db().filter(|t| t.late).map(|t| t.sql.clone());
        columns.chain(tables).collect::<Vec<_>>().join("\n")
    }
}

/// Two numbers of which one may not be above the other: two edits that are fine each may break it together.
fn bounded(r: &mut Prng, tables: &[Table]) -> Table {
    let mut b = Builder::new(0, format!("b{}", tables.len()));
    b.id(r);
    b.tag();
    b.col("lo", "INTEGER", Role::Number);
    b.col("hi", "INTEGER", Role::Number);
    b.value("v", r);
    b.lines.push("CHECK (lo <= hi)".into());
    b.build(r)
}
