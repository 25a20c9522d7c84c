//! One small world: a team and its scouts on two replicas, and what an observer of both knows.
use crate::replicas::{NOW, Replica, pull, settle};
use lockstep_engine::change::ConflictKind;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const SCHEMA: &str = "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT UNIQUE, x TEXT);
    CREATE TABLE scout (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), tag TEXT);";
const START: i64 = 1_900_000_000_000;

/// What a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Another value in the team.
    Edit,
    /// The team and its scouts are deleted.
    Delete,
    /// The team is entered again, where it is not.
    Insert,
    /// One more scout.
    Scout,
    /// The first scout is deleted.
    Fire,
    /// It receives what the other has.
    Pull,
}

impl Act {
    pub const ALL: [Act; 6] = [Act::Edit, Act::Delete, Act::Insert, Act::Scout, Act::Fire, Act::Pull];

    pub fn letter(self) -> char {
        match self {
            Act::Edit => 'e',
            Act::Delete => 'd',
            Act::Insert => 'i',
            Act::Scout => 's',
            Act::Fire => 'f',
            Act::Pull => 'p',
        }
    }

    /// Done on different replicas one after another, they come to the same in either order: no stamp of the one is held
    /// against a stamp of the other.
    pub fn is_independent_of(self, other: Act) -> bool {
        let apart = |a, b| {
            matches!((a, b), (Act::Edit | Act::Insert, Act::Scout | Act::Fire) | (Act::Scout, Act::Scout | Act::Fire))
        };
        apart(self, other) || apart(other, self)
    }
}

/// What an application wrote: a value of the team, a scout, or a delete of either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    Value(String),
    Scout(String),
    Fired(String),
    /// So many-th delete of the team.
    Deleted(usize),
}

/// Both replicas, and what each has seen of what was written.
pub struct World {
    dir: tempfile::TempDir,
    nodes: [Replica; 2],
    /// Each write, with all that its author had seen.
    written: BTreeMap<Fact, BTreeSet<Fact>>,
    seen: [BTreeSet<Fact>; 2],
    /// Values that came with a new team.
    inserted: BTreeSet<String>,
    /// Values that an edit found in the row that it changed.
    replaced: BTreeSet<String>,
    clock: i64,
    fresh: usize,
}

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

impl World {
    /// Both know a team and its scout.
    pub fn begin() -> World {
        let dir = folder();
        let nodes = ["a", "b"].map(|name| {
            let r = Replica::new(dir.path(), name, SCHEMA);
            r.rows("PRAGMA journal_mode = DELETE");
            r.attach("")
        });
        let mut w = World {
            dir,
            nodes,
            written: BTreeMap::new(),
            seen: Default::default(),
            inserted: BTreeSet::new(),
            replaced: BTreeSet::new(),
            clock: START,
            fresh: 0,
        };
        w.nodes[0]
            .sql("INSERT INTO team (name, x) VALUES ('t', '<0>'); INSERT INTO scout (team_id, tag) VALUES (1, 'S0')");
        w.wrote(0, [Fact::Value("<0>".into()), Fact::Scout("S0".into())]);
        w.tick(0);
        settle(&[&w.nodes[0], &w.nodes[1]]);
        w.seen[1] = w.seen[0].clone();
        w
    }

    /// The same once more, in files of its own.
    pub fn copy(&self) -> World {
        let dir = folder();
        let nodes = std::array::from_fn(|n| {
            let from = &self.nodes[n];
            let path = dir.path().join(from.path.file_name().expect("a name"));
            std::fs::copy(&from.path, &path).expect("a file at rest");
            let app = rusqlite::Connection::open(&path).expect("it opens");
            app.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF").expect("pragmas");
            Replica { name: from.name.clone(), database: from.database.clone(), path, siblings: Vec::new(), app }
        });
        let (written, seen) = (self.written.clone(), self.seen.clone());
        let (inserted, replaced) = (self.inserted.clone(), self.replaced.clone());
        World { dir, nodes, written, seen, inserted, replaced, clock: self.clock, fresh: self.fresh }
    }

    fn wrote(&mut self, node: usize, facts: impl IntoIterator<Item = Fact>) {
        let before = self.seen[node].clone();
        for fact in facts {
            self.written.insert(fact.clone(), before.clone());
            self.seen[node].insert(fact);
        }
    }

    /// What was just logged was written now.
    fn tick(&mut self, node: usize) {
        self.clock += 1000;
        NOW.with(|t| t.set(self.clock));
        let day = |ms: i64| ms as f64 / 86_400_000.0 + 2_440_587.5;
        let app = &self.nodes[node].app;
        for log in ["_lockstep_log_1", "_lockstep_log_2"] {
            app.execute(&format!("UPDATE {log} SET at = ?1 WHERE at < ?2"), (day(self.clock), day(START)))
                .expect("a log");
        }
    }

    /// None: nothing came of it.
    pub fn act(mut self, node: usize, act: Act) -> Option<World> {
        self.fresh += 1;
        let (value, tag) = (format!("<{}>", self.fresh), format!("S{}", self.fresh));
        let app = &self.nodes[node].app;
        let run = |sql: &str, with: &[&str]| app.execute(sql, rusqlite::params_from_iter(with)).expect(sql);
        let (rows, facts) = match act {
            Act::Edit => {
                self.replaced.extend(self.nodes[node].rows("SELECT x FROM team"));
                (run("UPDATE team SET x = ?1", &[&value]), vec![Fact::Value(value)])
            }
            Act::Delete => {
                let mut fired = self.nodes[node].rows("SELECT tag FROM scout").into_iter().map(Fact::Fired).collect();
                app.execute_batch("BEGIN; DELETE FROM scout").expect("a delete");
                let rows = run("DELETE FROM team", &[]);
                app.execute_batch("COMMIT").expect("a commit");
                let mut facts = vec![Fact::Deleted(self.fresh)];
                facts.append(&mut fired);
                (rows, facts)
            }
            Act::Insert => {
                (run("INSERT OR IGNORE INTO team (name, x) VALUES ('t', ?1)", &[&value]), vec![Fact::Value(value)])
            }
            Act::Scout => {
                (run("INSERT INTO scout (team_id, tag) SELECT id, ?1 FROM team", &[&tag]), vec![Fact::Scout(tag)])
            }
            Act::Fire => (run("DELETE FROM scout WHERE tag = 'S0'", &[]), vec![Fact::Fired("S0".into())]),
            Act::Pull => {
                let [a, b] = &self.nodes;
                let (to, from) = if node == 0 { (a, b) } else { (b, a) };
                NOW.with(|t| t.set(self.clock));
                if !pull(to, from) {
                    return None;
                }
                let more = self.seen[1 - node].clone();
                self.seen[node].extend(more);
                self.clock = NOW.with(|t| t.get());
                return Some(self);
            }
        };
        if rows == 0 {
            return None;
        }
        if let (Act::Insert, Some(Fact::Value(value))) = (act, facts.first()) {
            self.inserted.insert(value.clone());
        }
        self.wrote(node, facts);
        self.tick(node);
        Some(self)
    }

    /// Brought to rest, it shows on both sides what it has to.
    pub fn judge(self) -> Result<(), String> {
        let clock = self.clock + 1000;
        let done = catch_unwind(AssertUnwindSafe(|| {
            NOW.with(|t| t.set(clock));
            settle(&[&self.nodes[0], &self.nodes[1]]);
            let clashes = self
                .nodes
                .each_ref()
                .map(|n| n.open().held().expect("held").iter().any(|h| h.reason == ConflictKind::Unique));
            match clashes {
                [false, false] => self.look(),
                [true, true] => self.end_clash(),
                _ => Err("only one side says that two teams have one name".into()),
            }
        }));
        drop(self.dir);
        done.unwrap_or_else(|p| {
            let text =
                p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    }

    /// One application had the team twice, one after the other, and the other side wrote to the first: it lives, and so
    /// does the second. A person gives one of them another name, and both are there everywhere.
    fn end_clash(&self) -> Result<(), String> {
        let inserts = self.written.keys().filter(|f| matches!(f, Fact::Value(v) if self.inserted.contains(v))).count();
        if inserts == 0 {
            return Err("a clash of names, and there was only ever one team".into());
        }
        for n in &self.nodes {
            let teams = n.rows("SELECT x FROM team");
            if teams.len() != 1 {
                return Err(format!("{}: {teams:?} under one name", n.name));
            }
        }
        self.nodes[0].sql("UPDATE team SET name = 'other'");
        settle(&[&self.nodes[0], &self.nodes[1]]);
        let teams = self.nodes.each_ref().map(|n| n.rows("SELECT name, x FROM team ORDER BY name"));
        if teams[0].len() < 2 || teams[0] != teams[1] {
            return Err(format!("after a person has ended the clash: {teams:?}"));
        }
        Ok(())
    }

    /// Did the author of `later` know of `earlier`?
    fn saw(&self, later: &Fact, earlier: &Fact) -> bool {
        self.written[later].contains(earlier)
    }

    fn look(&self) -> Result<(), String> {
        let rows = |sql: &str| [self.nodes[0].rows(sql), self.nodes[1].rows(sql)];
        let shown = rows(
            "SELECT t.name, t.x, (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM scout WHERE team_id = t.id ORDER BY tag))
             FROM team t ORDER BY t.name",
        );
        if shown[0] != shown[1] {
            return Err(format!("the rows differ: {shown:?}"));
        }
        let scouts = rows("SELECT tag FROM scout ORDER BY tag");
        if scouts[0] != scouts[1] {
            return Err(format!("the scouts differ: {scouts:?}"));
        }
        for n in &self.nodes {
            let broken = n.rows("PRAGMA foreign_key_check");
            if !broken.is_empty() {
                return Err(format!("{}: foreign keys: {broken:?}", n.name));
            }
        }
        let values: Vec<&Fact> = self.written.keys().filter(|f| matches!(f, Fact::Value(_))).collect();
        let deletes: Vec<&Fact> = self.written.keys().filter(|f| matches!(f, Fact::Deleted(_))).collect();
        let replaced = |f: &Fact| matches!(f, Fact::Value(v) if self.replaced.contains(v));
        let current: Vec<&&Fact> = values.iter().filter(|v| !replaced(v)).collect();
        let x = rows("SELECT x FROM team");
        match x[0].as_slice() {
            [] => {
                if deletes.is_empty() {
                    return Err("the team is gone, and nobody deleted it".into());
                }
                // A delete kills what its author had seen, or what is older; a value that saw every delete lives.
                if let Some(v) = current.iter().find(|v| deletes.iter().all(|d| self.saw(v, d))) {
                    return Err(format!("{v:?} was written after every delete, and the team is gone"));
                }
            }
            [one] => {
                if !current.iter().any(|v| ***v == Fact::Value(one.clone())) {
                    return Err(format!("{one} is shown, and was replaced: {current:?}"));
                }
                // Values are numbered in the order of time.
                let number = |v: &str| v.trim_matches(['<', '>']).parse::<usize>().expect("a number");
                let later = current.iter().any(|v| matches!(v, Fact::Value(v) if number(v) > number(one)));
                if self.inserted.is_empty() && later {
                    return Err(format!("{one} is shown, and there is a later one: {current:?}"));
                }
                let over = |f: &Fact| deletes.iter().any(|d| self.saw(d, f));
                let gone = values.iter().all(|v| over(v));
                let children = self.written.keys().any(|f| matches!(f, Fact::Scout(_)) && !over(f));
                // One that came after a delete is another team, and a delete of the one that is shown is none of it.
                if gone && !children && self.inserted.is_empty() {
                    return Err("it is shown, and deletes had seen all of it".into());
                }
            }
            more => return Err(format!("one team became several: {more:?}")),
        }
        for v in current {
            let Fact::Value(text) = v else { continue };
            let deleted = deletes.iter().any(|d| self.saw(d, v));
            for n in &self.nodes {
                if x[0].first() == Some(text) || deleted {
                    continue;
                }
                let kept = n.rows(&format!(
                    "SELECT (SELECT count(*) FROM _lockstep_conflict WHERE instr(value, CAST('{text}' AS BLOB)) > 0)
                       + (SELECT count(*) FROM _lockstep_unshown_1 WHERE instr(body, CAST('{text}' AS BLOB)) > 0)"
                ));
                if kept == ["0"] {
                    return Err(format!("{}: {text} is neither shown nor replaced nor on record", n.name));
                }
            }
        }
        for f in self.written.keys() {
            let Fact::Scout(tag) = f else { continue };
            let fired = self.written.contains_key(&Fact::Fired(tag.clone()));
            if fired == scouts[0].contains(tag) {
                return Err(format!("{tag} was {}deleted, and is there: {}", if fired { "" } else { "not " }, !fired));
            }
        }
        Ok(())
    }
}
