//! `configure`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use lockstep_node::engine::{Guard, MergeUnit, Policy, TableConfig};
use serde_json::json;

/// What was said of a table; what was not said stands.
pub struct Said {
    /// How a conflict is settled.
    pub policy: Option<Policy>,
    /// `COLUMN=POLICY`
    pub column: Vec<String>,
    /// `column` or `row`.
    pub merge: Option<String>,
    /// `on` or `off`.
    pub history: Option<String>,
    /// `ROWS:SHARE` or `node`.
    pub guard: Option<String>,
}

/// Says how one table is synced from now on.
pub fn configure(context: &Context, table: &str, said: Said) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let mut config = node.configuration(table)?;
    said.over(&mut config)?;
    node.configure(table, &config)?;
    let text = format!("{table} is synced like that from now on. Policies have to be said on the other nodes too.");
    Ok(Outcome::new(json!({ "table": table, "config": config }), text))
}

impl Said {
    fn over(self, config: &mut TableConfig) -> Result<(), Failure> {
        if let Some(policy) = self.policy {
            config.policy = policy;
        }
        for one in self.column {
            let bad = |why: &str| Failure::usage("bad_policy", format!("`{one}`: {why}"), "for example role=review");
            let (column, policy) = one.split_once('=').ok_or_else(|| bad("say COLUMN=POLICY"))?;
            if policy == "table" {
                config.columns.remove(column);
            } else {
                let policy = Policy::try_from(policy.to_owned()).map_err(|why| bad(&why))?;
                config.columns.insert(column.to_owned(), policy);
            }
        }
        match self.merge.as_deref() {
            Some("row") => config.merge = MergeUnit::Row,
            Some(_) => config.merge = MergeUnit::Column,
            None => {}
        }
        if let Some(history) = self.history {
            config.history = history == "on";
        }
        match self.guard.as_deref() {
            Some("node") => config.guard = None,
            Some(text) => config.guard = Some(guard(text)?),
            None => {}
        }
        Ok(())
    }
}

fn guard(text: &str) -> Result<Guard, Failure> {
    let read = || {
        let (rows, share) = text.split_once(':')?;
        Some(Guard { rows: rows.parse().ok()?, share: share.parse().ok()? })
    };
    let bad = || Failure::usage("bad_guard", format!("`{text}` is no guard"), "for example 50:0.1, or node");
    read().ok_or_else(bad)
}
