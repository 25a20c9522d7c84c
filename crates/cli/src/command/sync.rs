//! `preview`, `sync`
use crate::Context;
use crate::command::rows::key;
use crate::outcome::{Exit, Failure, Outcome};
use crate::progress::Bar;
use crate::text;
use lockstep_node::contact::{Evidence, SuggestionLine};
use lockstep_node::plan::{PlanEntry, PlanSpan};
use lockstep_node::preview::{Changes, Preview};
use lockstep_node::session::SyncEntry;
use lockstep_node::state::{Peer, RunResult, Trigger};
use lockstep_node::{Error, Node};
use serde_json::json;

/// One session with one peer, or with each that can be called.
pub async fn sync(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peers = match name {
        Some(name) => vec![node.state().peer(name).map_err(Error::from)?],
        None => node.state().peers().map_err(Error::from)?,
    };
    if peers.is_empty() {
        return Err(Failure::failed("no_peers", "no node is paired", "`lockstep invite` here, or `lockstep pair`"));
    }
    // Those that come by themselves are no failure of this command, unless there are no others.
    let called: Vec<&Peer> = match peers.iter().filter(|p| p.address.is_some()).collect::<Vec<_>>() {
        called if called.is_empty() => peers.iter().collect(),
        called => called,
    };
    let mut entries = Vec::new();
    for peer in called {
        let bar = Bar::new(context.json);
        let entry = node.sync(peer, Trigger::Person, &|p| bar.session(p)).await;
        bar.done();
        entries.push(entry?);
    }
    let exit = exit(&node, &entries)?;
    Ok(Outcome::new(json!({ "peers": entries }), told(&entries)).ends(exit))
}

/// What sessions mean for the exit status.
pub fn exit(node: &Node, entries: &[SyncEntry]) -> Result<Exit, Failure> {
    let mut exit = if waits(node)? { Exit::Waits } else { Exit::Done };
    for entry in entries {
        exit = exit.max(match entry.result {
            RunResult::Verified => Exit::Done,
            RunResult::Partial => Exit::Differs,
            RunResult::Failed => Exit::Failed,
        });
    }
    Ok(exit)
}

/// Does anything wait for a person on this node?
pub fn waits(node: &Node) -> Result<bool, Failure> {
    Ok(node.waiting()? > 0)
}

/// Sessions, for people.
pub fn told(entries: &[SyncEntry]) -> String {
    let rows = entries.iter().map(|e| {
        vec![
            e.name.clone(),
            e.result.name().to_owned(),
            e.sent.to_string(),
            e.received.to_string(),
            e.conflicts.to_string(),
            e.held.to_string(),
            e.id_moves.to_string(),
            text::span(e.duration_ms),
            text::size(e.bytes_sent + e.bytes_received),
        ]
    });
    let head = ["peer", "result", "sent", "received", "conflicts", "held", "ids moved", "took", "bytes"];
    let mut text = text::table(&head, &head[2..], rows);
    for entry in entries {
        if let Some(error) = &entry.error {
            text.push_str(&format!("\n\n{}: {}", text::plain(&entry.name), text::plain(&error.message)));
            if let Some(hint) = &error.hint {
                text.push_str(&format!("\n  {}", text::plain(hint)));
            }
        }
    }
    if entries.iter().any(|e| e.held > 0) {
        text.push_str("\n\nSomething waits for a person: lockstep quarantine");
    }
    text
}

/// Exactly one plan, or nothing.
pub async fn sync_plan(context: &Context, name: Option<&str>, plan: &str, hold: &[String]) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peer = the_peer(&node, name)?;
    let bar = Bar::new(context.json);
    let entry = node.sync_plan(&peer, plan, hold).await;
    bar.done();
    let entries = [entry?];
    let exit = exit(&node, &entries)?;
    Ok(Outcome::new(json!({ "peers": entries }), told(&entries)).ends(exit))
}

/// The peer of that name, or the only one.
fn the_peer(node: &Node, name: Option<&str>) -> Result<Peer, Failure> {
    if let Some(name) = name {
        return Ok(node.state().peer(name).map_err(Error::from)?);
    }
    match <[Peer; 1]>::try_from(node.state().peers().map_err(Error::from)?) {
        Ok([peer]) => Ok(peer),
        Err(peers) if peers.is_empty() => {
            Err(Failure::failed("no_peers", "no node is paired", "`lockstep invite` here, or `lockstep pair`"))
        }
        Err(peers) => {
            let names: Vec<String> = peers.iter().map(|p| text::plain(&p.name)).collect();
            let hint = format!("name one of: {}", names.join(", "));
            Err(Failure::usage("which_peer", "there are several peers", &hint))
        }
    }
}

/// What a session would do.
pub async fn preview(context: &Context, name: Option<&str>, rows: bool) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peer = the_peer(&node, name)?;
    let preview = node.preview(&peer).await?;
    let waits = waits(&node)?;
    let mut text = previewed(&preview);
    text.push_str(&format!("\n\nplan {}", preview.plan));
    let mut json = json!(preview);
    if rows {
        let span = PlanSpan { limit: usize::MAX, ..PlanSpan::default() };
        let mut page = node.plan_page(&peer, &preview.plan, span).await?;
        for c in page.rows.iter_mut().flat_map(|r| &mut r.columns) {
            c.before = text::masked(&c.name, c.before.take(), context.reveal);
            c.after = text::masked(&c.name, c.after.take(), context.reveal);
        }
        text.push_str(&format!("\n\n{}", plan_rows(&page.rows)));
        json["rows"] = json!(page.rows);
    }
    Ok(Outcome::new(json, text).ends_if(waits, Exit::Waits))
}

/// Rows of a plan, for people: the first of them.
fn plan_rows(rows: &[PlanEntry]) -> String {
    let lines = rows.iter().take(500).map(|r| {
        let column = |c: &lockstep_node::plan::PlanColumn| match r.direction {
            "incoming" => format!("{}: {} -> {}", c.name, key(&c.before), key(&c.after)),
            _ => c.name.clone(),
        };
        vec![
            if r.direction == "incoming" { r.id.chars().take(12).collect() } else { String::new() },
            if r.direction == "incoming" { "here" } else { "there" }.to_owned(),
            format!("{}.{}", r.database, r.table),
            key(&r.key),
            r.operation.to_owned(),
            r.held.unwrap_or(if r.conflict { "conflict" } else { "" }).to_owned(),
            r.columns.iter().map(column).collect::<Vec<_>>().join(", "),
        ]
    });
    text::table(&["id", "where", "table", "key", "what", "", "columns"], &[], lines)
}

/// A preview, for people.
pub fn previewed(preview: &Preview) -> String {
    let side = |title: &str, changes: &Changes| {
        if changes.is_empty() {
            return format!("{title}: nothing");
        }
        let line = |name: String, n: [u64; 6]| {
            let mut row = vec![name];
            row.extend(n.map(|n| if n == 0 { String::new() } else { n.to_string() }));
            row
        };
        let mut rows: Vec<_> = changes
            .tables
            .iter()
            .map(|t| line(t.name.clone(), [t.inserts, t.updates, t.deletes, t.conflicts, t.held, t.id_moves]))
            .collect();
        let c = changes;
        rows.push(line("in all".to_owned(), [c.inserts, c.updates, c.deletes, c.conflicts, c.held, c.id_moves]));
        let head = ["table", "inserts", "updates", "deletes", "conflicts", "held", "ids moved"];
        let note = if changes.estimated { " (counted from what would be sent)" } else { "" };
        format!("{title}{note}:\n{}", text::table(&head, &head[1..], rows))
    };
    let peer = text::plain(&preview.peer);
    let differ = preview.mismatches.iter().map(|m| format!("{}: {}\n", text::plain(&m.table), text::plain(&m.says)));
    let differ: String = differ.collect();
    let met = format!("{}{}", met(preview), if differ.is_empty() { differ } else { format!("{differ}\n") });
    format!(
        "{}{}{}\n\n{}",
        met,
        suggested(preview),
        side(&format!("From {peer} to here"), &preview.incoming),
        side(&format!("From here to {peer}"), &preview.outgoing)
    )
}

/// What both have, where they meet for the first time.
fn met(preview: &Preview) -> String {
    let lines = preview.contact.iter().filter(|c| c.same + c.differing + c.only_here + c.only_there > 0);
    let rows: Vec<_> = lines
        .map(|c| {
            let mut row = vec![c.name.clone()];
            let counts = [c.same, c.differing, c.undatable, c.only_here, c.only_there, c.id_taken];
            row.extend(counts.map(|n| if n == 0 { String::new() } else { n.to_string() }));
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = ["table", "same", "differing", "undatable", "only here", "only there", "id taken"];
    let mut text = format!("Before anything is exchanged:\n{}\n", text::table(&head, &head[1..], rows));
    if preview.contact.iter().any(|c| c.undatable > 0) {
        text.push_str(
            "Undatable: both differ and neither has a time. --prefer here|there|review chooses; else a rule does, and\n\
             the other value is kept as a conflict.\n",
        );
    }
    format!("{text}\n")
}

/// What is not configured, and what rows on both sides say about it.
fn suggested(preview: &Preview) -> String {
    let says = |line: &SuggestionLine| match &line.evidence {
        Evidence::Identity { matching, only_here, only_there, doubled_there: 0 } => {
            format!("{matching} rows of both would be one; only here {only_here}, only there {only_there}")
        }
        Evidence::Identity { doubled_there, .. } => {
            format!("{doubled_there} rows there share it with another one there: it does not tell rows apart")
        }
        Evidence::Reference { here, there } => format!(
            "here {} rows fit and {} do not; there {} and {}",
            here.matching, here.missing, there.matching, there.missing
        ),
    };
    if preview.suggestions.is_empty() {
        return String::new();
    }
    let lines = preview
        .suggestions
        .iter()
        .map(|line| format!("  {}: {}\n    {}", text::plain(&line.name), text::plain(&line.say), says(line)));
    let lines: Vec<String> = lines.collect();
    format!(
        "Not configured, and what the rows of both say:\n{}\n\
         To follow one, say it of its table in lockstep.toml on both nodes, detach and attach again, then pair.\n\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_node::contact::Fits;

    #[test]
    fn what_rows_of_both_say_is_told_in_words() {
        let line = |say: &str, evidence| SuggestionLine { name: "d.team".into(), say: say.into(), evidence };
        let identity = |doubled_there| Evidence::Identity { matching: 7, only_here: 2, only_there: 3, doubled_there };
        let (here, there) = (Fits { matching: 5, missing: 1 }, Fits { matching: 4, missing: 0 });
        let preview = Preview {
            mismatches: Vec::new(),
            peer: "hq".into(),
            incoming: Changes::default(),
            outgoing: Changes::default(),
            contact: Vec::new(),
            suggestions: vec![
                line("identity = [\"number\"]", identity(0)),
                line("identity = [\"name\"]", identity(4)),
                line("references = { by = \"d.user\" }", Evidence::Reference { here, there }),
            ],
            plan: String::new(),
        };
        let told = suggested(&preview);
        for words in [
            "d.team: identity = [\"number\"]\n    7 rows of both would be one; only here 2, only there 3",
            "4 rows there share it with another one there",
            "here 5 rows fit and 1 do not; there 4 and 0",
            "lockstep.toml on both nodes",
        ] {
            assert!(told.contains(words), "{words} in\n{told}");
        }
        assert_eq!(suggested(&Preview { suggestions: Vec::new(), ..preview }), "");
    }
}
