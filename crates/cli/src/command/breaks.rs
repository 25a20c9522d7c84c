//! `doctor`, `migrate`, `restored`
use super::sync;
use crate::Context;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use lockstep_node::lineage::Meaning;
use serde_json::json;
use std::process::{Command, Stdio};

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

/// Looks databases over.
pub async fn doctor(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let reports = context.node()?.doctor(name).await?;
    let repaired = reports.iter().all(|r| r.repaired);
    let mut told = Vec::new();
    for r in &reports {
        match r.findings.is_empty() {
            true => told.push(format!("{}: all is well", text::plain(&r.name))),
            false => told.extend(r.findings.iter().map(|f| format!("{}: {}", text::plain(&r.name), text::plain(f)))),
        }
    }
    told.push(match (repaired, reports.iter().all(|r| r.findings.is_empty())) {
        (true, true) => String::new(),
        (true, false) => "All of it was put right.".to_owned(),
        (false, _) => "Not all of it could be put right: lockstep verify says what does not agree.".to_owned(),
    });
    let findings: Vec<_> =
        reports.iter().flat_map(|r| r.findings.iter().map(|f| json!({ "database": r.name, "finding": f }))).collect();
    let document = json!({ "findings": findings, "repaired": repaired, "databases": reports });
    Ok(Outcome::new(document, told.join("\n")).ends_if(!repaired, Exit::Differs))
}

/// Runs a migration.
pub async fn migrate(context: &Context, name: &str, command: &[String]) -> Result<Outcome, Failure> {
    let (program, arguments) = command.split_first().expect("the command line asks for one");
    let mut command = Command::new(program);
    command.args(arguments);
    if context.json {
        // Standard output has room for one document.
        command.stdout(Stdio::from(std::io::stderr()));
    }
    let report = context.node()?.migrate(name, &mut command).await?;
    let mut told = vec![match report.exit {
        0 => format!("The migration of {name} has run; everything is captured again."),
        n => format!("The migration of {name} ended with status {n}; everything is captured again."),
    }];
    told.extend(report.findings.iter().map(|f| format!("  {}", text::plain(f))));
    told.push(format!("The file as it was before: {}", text::plain(&report.backup)));
    let exit = report.exit;
    Ok(Outcome::new(report, told.join("\n")).with_status(exit))
}
