//! `restored`
use super::sync;
use crate::Context;
use crate::outcome::{Failure, Outcome};
use crate::text;
use lockstep_node::lineage::Meaning;

/// Says what a restored file is to mean.
pub async fn restored(context: &Context, name: &str, authoritative: bool) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let meaning = if authoritative { Meaning::Authoritative } else { Meaning::Rejoin };
    let report = node.restored(name, meaning).await?;
    let mut told = format!("{name} is replica {} from now on.", &report.replica[..8]);
    if let Some(copy) = &report.copy {
        told.push_str(&format!("\nAs it was found it is kept in {}.", text::plain(copy)));
    }
    if let Some(n) = &report.imposed {
        told.push_str(&format!(
            "\nThe restored state won: {} brought back, {} changed, {} deleted.",
            text::count(n.inserts, "row", "rows"),
            n.updates,
            n.deletes
        ));
    }
    told.push_str("\n\n");
    told.push_str(&match report.run.is_empty() {
        true => "No peer can be called; they sync when they come.".to_owned(),
        false => sync::told(&report.run),
    });
    let exit = sync::exit(&node, &report.run)?;
    Ok(Outcome::new(report, told).ends(exit))
}
