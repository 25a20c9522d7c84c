//! `verify`
use crate::Context;
use crate::outcome::{Exit, Failure, Outcome};
use crate::progress::Bar;
use crate::text;
use lockstep_node::proof::Proof;
use serde_json::Value;

/// So many rows of a table are printed; `--json` has all of them.
const PRINTED: usize = 20;

/// The rows that differ, table by table.
fn differences(proof: &Proof) -> String {
    let mut text = String::new();
    for table in &proof.tables {
        for d in table.differs.iter().filter(|d| d.because.is_some()) {
            let because = d.because.as_deref().unwrap_or_default();
            text.push_str(&format!("\n\n{}, with {}: {}", table.name, text::plain(&d.peer), text::plain(because)));
            let key = |key: &Value| if key.is_null() { "-".to_owned() } else { key.to_string() };
            let rows = d
                .differing
                .iter()
                .take(PRINTED)
                .map(|r| vec![r.kind.replace('_', " "), key(&r.key), key(&r.key_there), r.columns.join(", ")]);
            if !d.differing.is_empty() {
                text.push('\n');
                text.push_str(&text::table(&["", "key here", "key there", "columns"], &[], rows));
                if d.differing.len() > PRINTED {
                    text.push_str(&format!("\n  and {} more; --json names them", d.differing.len() - PRINTED));
                }
            }
        }
    }
    if !text.is_empty() && proof.held > 0 {
        text.push_str("\n\n`lockstep conflicts` shows what is held, `lockstep conflicts resolve` decides it");
    }
    text
}

/// Compares.
pub async fn verify(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let bar = Bar::new(context.json);
    let proof = node.verify(name, &|read| bar.reading(read)).await;
    bar.done();
    let proof = proof?;
    let rows = proof.tables.iter().map(|t| {
        let state = if t.equal {
            "equal".to_owned()
        } else {
            t.differs.iter().map(|d| format!("{} ({})", d.state, d.peer)).collect::<Vec<_>>().join(", ")
        };
        vec![t.name.clone(), t.rows.to_string(), t.digest.chars().take(12).collect(), state]
    });
    let mut text = text::table(&["table", "rows", "digest", "state"], &["rows"], rows);
    for peer in &proof.peers {
        let with = text::plain(&peer.name);
        let when = peer.as_of.map_or_else(|| "never".to_owned(), text::time);
        let state = if peer.equal { "equal" } else { "NOT equal" };
        text.push_str(&format!("\n\n{with}: {state}, as of {when}"));
        if let Some(error) = &peer.error {
            text.push_str(&format!("\n  it could not be asked now: {}", text::plain(&error.message)));
        }
    }
    text.push_str(&differences(&proof));
    for finding in &proof.findings {
        text.push_str(&format!("\n  look at: {}", text::plain(finding)));
    }
    let b = proof.balance;
    text.push_str(&format!(
        "\n\nvalues: {} visible + {} superseded + {} archived + {} deleted + {} held + {} cleaned = {}; \
         lost: {}",
        b.visible,
        b.superseded,
        b.archived,
        b.deleted,
        b.held,
        b.cleaned,
        b.total,
        b.lost()
    ));
    let failed = proof.peers.iter().any(|p| p.as_of.is_none());
    let waits = proof.held + proof.conflicts_unreviewed > 0;
    let equal = proof.equal;
    Ok(Outcome::new(proof, text)
        .ends_if(failed, Exit::Failed)
        .ends_if(waits, Exit::Waits)
        .ends_if(!equal, Exit::Differs))
}
