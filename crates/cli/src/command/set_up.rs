//! `init`, `attach`, `detach`, `tables`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use crate::progress::Bar;
use crate::text;
use lockstep_node::Node;
use lockstep_node::attachment::{Attach, DatabaseReport};
use serde_json::json;
use std::path::PathBuf;

/// Makes the node.
pub fn init(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let node = Node::init(context.home.clone(), name)?;
    let (id, name) = (node.id().to_string(), node.name()?);
    let text = format!(
        "Node `{name}` is in {}.\nIts id is {id}.\n\nNext: lockstep attach NAME=FILE",
        context.home.path().display()
    );
    Ok(Outcome::new(json!({ "node": id, "name": name }), text))
}

/// Attaches databases.
pub async fn attach(
    context: &Context,
    databases: Vec<(String, PathBuf)>,
    config: Option<PathBuf>,
    wal: bool,
    backup: bool,
) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let bar = Bar::new(context.json);
    let before = node.state().databases().map_err(lockstep_node::Error::from)?;
    let attach = Attach { databases, config, wal, backup, ..Attach::default() };
    let attached = node.attach(&attach, &mut |name, done, all| bar.at(name, done, all)).await;
    bar.done();
    let attached = attached?;
    let mut text = attached.iter().map(described).collect::<Vec<_>>().join("\n\n");
    for again in attached.iter().filter(|d| before.iter().any(|b| b.name == d.name)) {
        text.push_str(&format!("\n\n{} was attached already; it was looked over anew.", again.name));
    }
    text.push_str("\n\n");
    text.push_str(match &node.peers()?[..] {
        [] => "Next: lockstep agent, then lockstep invite here or lockstep pair on the other node",
        _ => "What is new is shared with nobody yet. Say on both nodes: lockstep peers share PEER NAME both",
    });
    Ok(Outcome::new(json!({ "databases": attached }), text))
}

fn described(database: &DatabaseReport) -> String {
    let synced = database.tables.iter().filter(|t| t.synced).count() as u64;
    let rows = database.tables.iter().map(|t| t.rows).sum();
    let mut lines = vec![format!(
        "{}: {} synced, {}, {}",
        database.name,
        text::count(synced, "table", "tables"),
        text::count(rows, "row", "rows"),
        text::plain(&database.file)
    )];
    if let Some(backup) = &database.backup {
        lines.push(format!("  backup: {backup}"));
    }
    let known_by = |identity: &[Vec<String>]| {
        let keys: Vec<String> = identity.iter().map(|k| k.join(" + ")).collect();
        if keys.is_empty() { "-".to_owned() } else { keys.join(", ") }
    };
    let rows = database.tables.iter().map(|t| {
        let name = if t.synced { t.name.clone() } else { format!("{} (not synced)", t.name) };
        vec![name, t.rows.to_string(), known_by(&t.identity), t.references.join(", ")]
    });
    lines.push(text::table(&["table", "rows", "known by", "refers to"], &["rows"], rows));
    for left in &database.left_out {
        lines.push(format!("  not synced: {}: {}", text::plain(&left.name), text::plain(&left.reason)));
    }
    for warning in &database.warnings {
        lines.push(format!("  look at: {}", text::plain(warning)));
    }
    for suggestion in &database.suggestions {
        lines.push(format!("  suggestion: {}", text::plain(&suggestion.to_string())));
    }
    lines.join("\n")
}

/// Detaches a database.
pub async fn detach(context: &Context, name: &str) -> Result<Outcome, Failure> {
    context.node()?.detach(name).await?;
    let text = format!("Nothing of Lockstep is left in {name}. Its schema and rows are as they were.");
    Ok(Outcome::new(json!({ "name": name, "removed": true }), text))
}

/// Says what is synced.
pub fn tables(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let databases = context.node()?.tables(name)?;
    let text = match &databases[..] {
        [] => "No database is attached. Next: lockstep attach NAME=FILE".to_owned(),
        databases => databases.iter().map(described).collect::<Vec<_>>().join("\n\n"),
    };
    Ok(Outcome::new(json!({ "databases": databases }), text))
}
