//! Past sessions. Counts, names and reasons; never a row's value.
use super::{Error, Result, State};
use crate::identity::NodeId;
use crate::status::Problem;
use jiff::Timestamp;
use lockstep_engine::id::Millis;
use serde::{Deserialize, Serialize};

/// Who started a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// A person.
    Person,
    /// The pairing.
    Pair,
    /// A local commit.
    Change,
    /// A peer that has news.
    News,
    /// A retry after a failure.
    Retry,
    /// The start of the agent.
    Start,
    /// The day: nothing was compared for that long.
    Daily,
    /// The peer: it led the session.
    Peer,
}

impl Trigger {
    const ALL: [Trigger; 8] = [
        Trigger::Person,
        Trigger::Pair,
        Trigger::Change,
        Trigger::News,
        Trigger::Retry,
        Trigger::Start,
        Trigger::Daily,
        Trigger::Peer,
    ];

    /// `person`, …
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Person => "person",
            Trigger::Pair => "pair",
            Trigger::Change => "change",
            Trigger::News => "news",
            Trigger::Retry => "retry",
            Trigger::Start => "start",
            Trigger::Daily => "daily",
            Trigger::Peer => "peer",
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// The digests of both sides agree.
    Verified,
    /// All was exchanged that could be, but not all was compared, or not all agreed.
    Partial,
    /// It broke off.
    Failed,
}

impl RunResult {
    const ALL: [RunResult; 3] = [RunResult::Verified, RunResult::Partial, RunResult::Failed];

    /// `verified`, `partial`, `failed`.
    pub fn name(self) -> &'static str {
        match self {
            RunResult::Verified => "verified",
            RunResult::Partial => "partial",
            RunResult::Failed => "failed",
        }
    }
}

/// What a session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rounds until neither side had news.
    pub rounds: u64,
    /// Changes sent.
    pub sent: u64,
    /// Changes received.
    pub received: u64,
    /// Rows that were written here.
    pub applied: u64,
    /// Conflicts recorded here.
    pub conflicts: u64,
    /// Changes held here, in all, when it ended.
    pub held: u64,
    /// Rows that got another id here.
    pub id_moves: u64,
    /// Bytes of bodies sent.
    pub bytes_sent: u64,
    /// Bytes of bodies received.
    pub bytes_received: u64,
}

/// One past session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number here.
    pub id: i64,
    /// What this node calls the peer; its id if it is unknown by now.
    pub peer: String,
    /// Who started it.
    pub trigger: Trigger,
    /// When.
    pub started_at: Timestamp,
    /// For how long.
    pub duration_ms: i64,
    /// What it moved.
    #[serde(flatten)]
    pub tally: Tally,
    /// How it ended.
    pub result: RunResult,
    /// Why it was not verified.
    pub error: Option<Problem>,
    /// Tables that were not found equal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableEntry>,
}

/// A table that a session did not find equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// `DB.TABLE`
    pub name: String,
    /// `differs`, `moved` (written to all the while), `one_way`, `config_differs`, `missing_here`, `missing_there`.
    pub state: String,
}

/// How reliable the sync with one peer was on one day (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What this node calls it.
    pub peer: String,
    /// `2026-03-01`
    pub day: String,
    /// All runs.
    pub runs: u64,
    /// Those that succeeded.
    pub verified: u64,
    /// Those that broke off.
    pub failed: u64,
}

impl State {
    /// Records a session, and what follows from it about the peer.
    pub fn add_run(
        &self,
        node: NodeId,
        trigger: Trigger,
        (started, ended): (Millis, Millis),
        tally: &Tally,
        (result, tables): (RunResult, &[TableEntry]),
        error: Option<&Problem>,
    ) -> Result<i64> {
        let tables = serde_json::to_string(tables).expect("plain data");
        self.change(|db| {
            db.execute(
                "INSERT INTO run(node, cause, started_at, duration, rounds, sent, received, applied, conflicts, held,
                   id_moves, bytes_sent, bytes_received, result, code, message, hint, tables)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
                rusqlite::params![
                    &node.0[..],
                    trigger.name(),
                    started.0,
                    (ended.0 - started.0).max(0),
                    tally.rounds,
                    tally.sent,
                    tally.received,
                    tally.applied,
                    tally.conflicts,
                    tally.held,
                    tally.id_moves,
                    tally.bytes_sent,
                    tally.bytes_received,
                    result.name(),
                    error.map(|e| &e.code),
                    error.map(|e| &e.message),
                    error.and_then(|e| e.hint.as_ref()),
                    tables,
                ],
            )?;
            let id = db.last_insert_rowid();
            match result {
                RunResult::Verified => db.execute(
                    "UPDATE peer SET failures = 0, verified_at = ?2 WHERE node = ?1",
                    (&node.0[..], ended.0),
                )?,
                RunResult::Partial => db.execute("UPDATE peer SET failures = 0 WHERE node = ?1", [&node.0[..]])?,
                RunResult::Failed => {
                    db.execute("UPDATE peer SET failures = failures + 1 WHERE node = ?1", [&node.0[..]])?
                }
            };
            Ok(id)
        })
    }

    /// One more failure that is like the one before.
    pub fn failed_again(&self, node: NodeId) -> Result<()> {
        self.db().execute("UPDATE peer SET failures = failures + 1 WHERE node = ?1", [&node.0[..]])?;
        Ok(())
    }

    /// Removes sessions that began before a moment, but never the last with a node; or counts them.
    pub fn clean_runs(&self, before: Millis, dry_run: bool) -> Result<u64> {
        const OLD: &str = "FROM run WHERE started_at < ?1
             AND id NOT IN (SELECT last FROM (SELECT max(started_at), id AS last FROM run GROUP BY node))";
        if dry_run {
            return Ok(self.db().query_row(&format!("SELECT count(*) {OLD}"), [before.0], |r| r.get(0))?);
        }
        Ok(self.db().execute(&format!("DELETE {OLD}"), [before.0])? as u64)
    }

    /// Sessions since a moment, the latest first.
    pub fn runs(&self, since: Millis, at_most: u32) -> Result<Vec<Run>> {
        self.query_runs(
            "WHERE run.started_at >= ?1 ORDER BY run.started_at DESC, run.id DESC LIMIT ?2",
            (since.0, at_most),
        )
    }

    /// The session of that number.
    pub fn run(&self, id: i64) -> Result<Run> {
        let found = self.query_runs("WHERE run.id = ?1", [id])?.into_iter().next();
        found.ok_or_else(|| Error::Unknown { what: "run", name: id.to_string() })
    }

    /// The last session with a peer.
    pub fn last_run(&self, node: NodeId) -> Result<Option<Run>> {
        let found =
            self.query_runs("WHERE run.node = ?1 ORDER BY run.started_at DESC, run.id DESC LIMIT 1", [&node.0[..]])?;
        Ok(found.into_iter().next())
    }

    fn query_runs(&self, rest: &str, params: impl rusqlite::Params) -> Result<Vec<Run>> {
        let db = self.db();
        let mut st = db.prepare_cached(&format!(
            "SELECT run.id, coalesce(peer.name, lower(hex(run.node))), cause, started_at, duration, rounds, sent,
               received, applied, conflicts, run.held, id_moves, bytes_sent, bytes_received, result, code, message, hint,
               tables
             FROM run LEFT JOIN peer ON peer.node = run.node {rest}"
        ))?;
        let mut rows = st.query(params)?;
        let mut found = Vec::new();
        while let Some(r) = rows.next()? {
            found.push(read(r)?);
        }
        Ok(found)
    }

    /// How reliable the sync was, per peer and day since a moment.
    pub fn rates(&self, since: Millis) -> Result<Vec<Rate>> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT coalesce(peer.name, lower(hex(run.node))) AS p, date(started_at / 1000, 'unixepoch') AS d,
               count(*), sum(result = 'verified'), sum(result = 'failed')
             FROM run LEFT JOIN peer ON peer.node = run.node WHERE started_at >= ?1
             GROUP BY run.node, d ORDER BY d DESC, p",
        )?;
        let rows = st.query_map([since.0], |r| {
            Ok(Rate { peer: r.get(0)?, day: r.get(1)?, runs: r.get(2)?, verified: r.get(3)?, failed: r.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn read(r: &rusqlite::Row<'_>) -> Result<Run> {
    let damaged = |what: String| Error::Damaged { what };
    let (cause, result): (String, String) = (r.get(2)?, r.get(14)?);
    let code: Option<String> = r.get(15)?;
    let message: Option<String> = r.get(16)?;
    Ok(Run {
        id: r.get(0)?,
        peer: r.get(1)?,
        trigger: Trigger::ALL
            .into_iter()
            .find(|t| t.name() == cause)
            .ok_or_else(|| damaged(format!("`{cause}` is no trigger")))?,
        started_at: Timestamp::from_millisecond(r.get(3)?).map_err(|e| damaged(e.to_string()))?,
        duration_ms: r.get(4)?,
        tally: Tally {
            rounds: r.get(5)?,
            sent: r.get(6)?,
            received: r.get(7)?,
            applied: r.get(8)?,
            conflicts: r.get(9)?,
            held: r.get(10)?,
            id_moves: r.get(11)?,
            bytes_sent: r.get(12)?,
            bytes_received: r.get(13)?,
        },
        result: RunResult::ALL
            .into_iter()
            .find(|k| k.name() == result)
            .ok_or_else(|| damaged(format!("`{result}` is no result")))?,
        error: match (code, message) {
            (Some(code), Some(message)) => Some(Problem { code, message, hint: r.get(17)? }),
            _ => None,
        },
        tables: serde_json::from_str(&r.get::<_, String>(18)?).map_err(|e| damaged(format!("a run's tables: {e}")))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn only_verified_runs_count_as_success() {
        let (_dir, _home, state) = fresh();
        let a = NodeId([1; 32]);
        state.add_peer(a, ("pit", false), None, &[], Millis(1)).unwrap();
        let problem = Problem { code: "unreachable".into(), message: "no answer".into(), hint: None };
        let day = 86_400_000;
        let tables = [TableEntry { name: "scouting.team".into(), state: "moved".into() }];
        for (at, result, error) in [
            (day, RunResult::Verified, None),
            (day + 1, RunResult::Partial, Some(&problem)),
            (day + 2, RunResult::Failed, Some(&problem)),
        ] {
            let tally = Tally { sent: 3, ..Tally::default() };
            state.add_run(a, Trigger::Change, (Millis(at), Millis(at + 40)), &tally, (result, &tables), error).unwrap();
        }
        let runs = state.runs(Millis(0), 10).unwrap();
        assert_eq!((&runs[0].tables[..], state.run(runs[0].id).unwrap()), (&tables[..], runs[0].clone()));
        assert!(matches!(state.run(99), Err(Error::Unknown { what: "run", .. })));
        assert_eq!(runs.iter().map(|r| r.result.name()).collect::<Vec<_>>(), ["failed", "partial", "verified"]);
        assert_eq!((runs[0].tally.sent, runs[0].duration_ms, &runs[0].error), (3, 40, &Some(problem)));
        assert_eq!(state.last_run(a).unwrap().unwrap().id, runs[0].id);
        assert_eq!(
            state.rates(Millis(0)).unwrap(),
            [Rate { peer: "pit".into(), day: "1970-01-02".into(), runs: 3, verified: 1, failed: 1 }]
        );
        assert_eq!(state.clean_runs(Millis(2 * day), true).unwrap(), 2, "the last one stays");
        assert_eq!(state.clean_runs(Millis(day), false).unwrap(), 0);
        assert_eq!(state.clean_runs(Millis(2 * day), false).unwrap(), 2);
        assert_eq!(state.last_run(a).unwrap().unwrap().result, RunResult::Failed);
        let peer = state.peer("pit").unwrap();
        assert_eq!((peer.failures, peer.verified_at), (1, Some(Millis(day + 40))));
    }
}
