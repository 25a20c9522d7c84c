//! What is put on the stage: writes to one row that was just made, so that rare meetings come about.
use super::super::oracle::{Row, Snapshot, text};
use super::super::schema::{Role, Table, quote};
use super::World;
use rusqlite::types::Value;

impl World {
    /// An edit that is fine alone: of the latest row in which there is room between the two numbers.
    pub(super) fn squeeze(&mut self, n: usize, up: bool) {
        let Some(t) = self.schema.tables.iter().position(Table::is_bounded) else { return };
        let table = self.schema.tables[t].clone();
        let numbers = table.all(&Role::Number);
        let number = |row: &Row, k: usize| if let Value::Integer(i) = row.values[numbers[k]] { i } else { 0 };
        let sql = format!("UPDATE {} SET {}", quote(&table.name), if up { "lo = hi" } else { "hi = lo" });
        self.write_latest((n, t), &|row| number(row, 0) < number(row, 1), &sql, Vec::new());
    }

    /// Another value in the latest row of the first table.
    pub(super) fn edit_latest(&mut self, n: usize) {
        let table = self.schema.tables[0].clone();
        let Some(p) = table.place(&Role::Value) else { return };
        let sql = format!("UPDATE {} SET {} = ?1", quote(&table.name), quote(&table.columns[p].name));
        let value = Value::Text(format!("<v{}>", self.number()));
        self.write_latest((n, 0), &|_| true, &sql, vec![value]);
    }

    /// A row that refers to the latest row of the first table, by a declared foreign key.
    pub(super) fn child_of_latest(&mut self, n: usize) {
        let before = self.snapshot(n);
        let Some(at) = self.latest(0, &before, &|_| true) else { return };
        let refers = |t: &Table| {
            t.columns.iter().position(|c| matches!(c.role, Role::Ref { to: 0, declared: true, .. })).filter(|_| !t.late)
        };
        let tables = self.schema.tables.iter().enumerate();
        let Some((t, p)) = tables.filter_map(|(t, table)| Some((t, refers(table)?))).next() else { return };
        // Numbers by which `insert` names that row, and leaves no reference empty.
        let by = (at + 1000 * before[0].len() - p) as u32;
        let full = (1..9).find(|d: &u32| !(d * 31 + p as u32 * 7).is_multiple_of(4)).expect("one of them");
        self.insert(n, t, &before, [by, 1, full], "INSERT");
        let now = self.now(n);
        self.stamp_logs(n, now);
    }

    /// The place of the row that was made last, of those that `which` names.
    fn latest(&self, t: usize, rows: &Snapshot, which: &dyn Fn(&Row) -> bool) -> Option<usize> {
        let tag = self.schema.tables[t].tag().expect("rows that are told apart");
        let made = |row: &Row| text(&row.values[tag]).and_then(|s| s[1..].parse::<u32>().ok());
        let rows = rows[t].iter().enumerate().filter(|(_, row)| which(row));
        rows.max_by_key(|(_, row)| made(row)).map(|(at, _)| at)
    }

    /// A statement on the row that was made last, of those that `which` names.
    pub(super) fn write_latest(
        &mut self,
        (n, t): (usize, usize),
        which: &dyn Fn(&Row) -> bool,
        sql: &str,
        values: Vec<Value>,
    ) {
        let before = self.snapshot(n);
        let Some(at) = self.latest(t, &before, which) else { return };
        self.on_row((n, t), &before, at as u32, sql, values, false);
        let now = self.now(n);
        self.stamp_logs(n, now);
    }
}
