//! Files to measure on: a table as applications have it, filled from a seed.
//!
//! `report` has eleven columns, a surrogate id, integers, short texts, a time as text and one longer text, about 400
//! bytes a row; two of its columns refer to other tables by declared foreign keys. `note` is the same without
//! references. Values come from a generator of our own, so that a run is a function of its seed.
use lockstep_engine::config::{DatabaseConfig, TableConfig};
use lockstep_engine::database::{AttachOptions, attach};
use lockstep_engine::id::Millis;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::Path;

/// The logical name of every database here.
pub const NAME: &str = "bench";

/// The rows of `place` and `team`, to which `report` refers.
const PARENTS: i64 = 100;

/// The columns of both tables, `{}` being what refers to other tables.
const COLUMNS: &str = "(id INTEGER NOT NULL PRIMARY KEY, place_id INTEGER NOT NULL, team_id INTEGER NOT NULL, owner INTEGER,
 author VARCHAR(50), author_id INTEGER, station INTEGER, timestamp DATETIME, side VARCHAR(10), local_id VARCHAR(36), data TEXT NOT NULL";

/// Which table a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without references.
    Plain,
    /// With two declared foreign keys.
    Children,
}

impl Kind {
    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            Kind::Plain => "note",
            Kind::Children => "report",
        }
    }
}

/// A small generator (xorshift64*): the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed other than 0.
    pub fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Fills a buffer: the entropy that `attach` asks for.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|b| *b = self.next() as u8);
    }
}

/// A row of either table.
pub struct Row {
    pub place: i64,
    pub team: i64,
    pub owner: i64,
    pub author: String,
    pub author_id: i64,
    pub station: i64,
    pub timestamp: String,
    pub side: &'static str,
    pub local_id: String,
    pub data: String,
}

/// What people write into such a table.
pub fn row(r: &mut Random, data_bytes: usize) -> Row {
    const NAMES: [&str; 8] = ["amber", "birch", "cedar", "dahlia", "elder", "fern", "ginkgo", "hazel"];
    const KEYS: [&str; 8] =
        ["auto_high", "auto_low", "teleop_high", "teleop_low", "climb", "fouls", "defence", "notes"];
    let mut data = String::with_capacity(data_bytes + 32);
    data.push('{');
    while data.len() < data_bytes {
        let key = KEYS[r.below(8) as usize];
        if key == "notes" {
            data += &format!("\"notes\":\"{} {:x}\",", NAMES[r.below(8) as usize], r.below(1 << 24));
        } else {
            data += &format!("\"{key}\":{},", r.below(60));
        }
    }
    data.pop();
    data.push('}');
    let (a, b) = (r.next(), r.next());
    Row {
        place: 1 + r.below(PARENTS as u64) as i64,
        team: 1 + r.below(PARENTS as u64) as i64,
        owner: 100 + r.below(20) as i64,
        author: format!("{} {}", NAMES[r.below(8) as usize], r.below(40)),
        author_id: 1 + r.below(40) as i64,
        station: 1 + r.below(3) as i64,
        timestamp: timestamp(r),
        side: if r.below(2) == 0 { "red" } else { "blue" },
        local_id: format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        ),
        data,
    }
}

/// A time as applications write it.
pub fn timestamp(r: &mut Random) -> String {
    format!(
        "2026-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
        1 + r.below(12),
        1 + r.below(28),
        r.below(24),
        r.below(60),
        r.below(60),
        r.below(1_000_000)
    )
}

/// A connection as the application has it: WAL and `synchronous = NORMAL`.
pub fn application(path: &Path) -> rusqlite::Result<Connection> {
    let c = Connection::open(path)?;
    c.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    c.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")?;
    Ok(c)
}

/// Makes a file with both tables, empty, and the rows that `report` refers to if `parents`.
pub fn empty(path: &Path, parents: bool) -> rusqlite::Result<Connection> {
    let c = application(path)?;
    c.execute_batch(&format!(
        "CREATE TABLE place (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE note {COLUMNS});
         CREATE TABLE report {COLUMNS}, FOREIGN KEY (place_id) REFERENCES place (id), FOREIGN KEY (team_id) REFERENCES team (id));"
    ))?;
    if parents {
        let tx = c.unchecked_transaction()?;
        for table in ["place", "team"] {
            for i in 1..=PARENTS {
                tx.execute(&format!("INSERT INTO {table} VALUES (?1, ?2)"), params![i, format!("{table} {i}")])?;
            }
        }
        tx.commit()?;
    }
    Ok(c)
}

/// The statement that writes one row.
pub fn insert(kind: Kind) -> String {
    format!(
        "INSERT INTO {} (place_id, team_id, owner, author, author_id, station, timestamp, side, local_id, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        kind.table()
    )
}

/// Its parameters.
pub fn values(x: &Row) -> [&dyn rusqlite::ToSql; 10] {
    [&x.place, &x.team, &x.owner, &x.author, &x.author_id, &x.station, &x.timestamp, &x.side, &x.local_id, &x.data]
}

/// Adds rows in one transaction.
pub fn fill(c: &Connection, kind: Kind, rows: usize, data_bytes: usize, seed: u64) -> rusqlite::Result<()> {
    let mut r = Random::new(seed);
    let tx = c.unchecked_transaction()?;
    {
        let mut q = tx.prepare(&insert(kind))?;
        for _ in 0..rows {
            q.execute(values(&row(&mut r, data_bytes)).as_slice())?;
        }
    }
    tx.commit()
}

/// Attaches a file without asking anything more.
pub fn attached(path: &Path, history: bool, seed: u64) -> Result<(), lockstep_engine::Error> {
    let table = TableConfig { history, ..TableConfig::default() };
    let tables = [Kind::Plain, Kind::Children].map(|k| (k.table().to_owned(), table.clone()));
    let config = DatabaseConfig { tables: BTreeMap::from(tables), ..DatabaseConfig::default() };
    let mut random = Random::new(seed);
    attach(path, NAME, &config, &[], &AttachOptions::default(), now(), &mut |b| random.fill(b), &mut |_, _| {})?;
    Ok(())
}

/// The time of this computer.
pub fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(since.map_or(0, |d| d.as_millis() as i64))
}

/// Bytes of a file and its log.
pub fn size(path: &Path) -> u64 {
    let of = |p: std::path::PathBuf| std::fs::metadata(p).map_or(0, |m| m.len());
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    of(path.to_owned()) + of(wal.into())
}
