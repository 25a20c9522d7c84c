//! `invite`, `pair`, `peers`
use super::sync;
use crate::Context;
use crate::outcome::{Exit, Failure, Outcome};
use crate::progress::Bar;
use crate::text;
use jiff::Timestamp;
use lockstep_node::contact::Prefer;
use lockstep_node::invite::Invite;
use lockstep_node::pair::{Joining, Wanted};
use lockstep_node::preview::Preview;
use lockstep_node::session::Progress;
use lockstep_node::share::SharedTable;
use lockstep_node::state::Rate;
use lockstep_node::status::{Direction, PeerStatus};
use lockstep_node::{Node, platform};
use serde_json::json;
use std::io::{IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Makes an invite.
pub fn invite(context: &Context, expires: Duration, share: &[String], without: &[String]) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let invitation = node.invite(expires, share, without)?;
    let sharing = node.shared_tables(&invitation.share)?;
    let line = invitation.invite.to_string();
    let mut notes = format!(
        "Give this line to `lockstep pair` on the other node. It is good once, until {}.\n\
         It holds a secret: carry it by a way that others can't read.\n",
        text::time(invitation.expires_at)
    );
    if node.agent()?.is_none() {
        notes.push_str("No agent runs on this node yet; start it, or nobody answers: lockstep agent\n");
    }
    let address = &invitation.invite.address;
    if address.starts_with("localhost:") || address.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback()) {
        notes.push_str(&format!(
            "It leads to {address}, which no other computer reaches: lockstep agent --listen 0.0.0.0:7467\n"
        ));
    }
    notes.push_str(&format!("\n{}\n", shared(&sharing)));
    let text = if std::io::stdout().is_terminal() {
        format!("{line}\n\n{}\n{notes}", picture(&line))
    } else {
        // The line alone goes where it was sent; people still read the rest.
        if !context.json {
            eprint!("{notes}");
        }
        format!("{line}\n")
    };
    Ok(Outcome::new(json!({ "invite": line, "expires_at": invitation.expires_at, "sharing": sharing }), text))
}

/// The line as a picture for a camera.
fn picture(line: &str) -> String {
    use qrcode::render::unicode::Dense1x2;
    match qrcode::QrCode::with_error_correction_level(line, qrcode::EcLevel::L) {
        Ok(code) => {
            code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build()
        }
        Err(_) => "(too long for a picture)".to_owned(),
    }
}

/// Pairs.
pub async fn pair(
    context: &Context,
    from_input: bool,
    wanted: &Wanted,
    prefer: Option<Prefer>,
    yes: bool,
) -> Result<Outcome, Failure> {
    let can_ask = !context.json && !from_input && std::io::stdin().is_terminal();
    if !yes && !can_ask {
        return Err(Failure::usage(
            "needs_yes",
            "nobody can be asked here",
            "say --yes if you agree to what `pair` does",
        ));
    }
    let node = context.node()?;
    let invite: Invite = read_invite(from_input)?.parse().map_err(lockstep_node::Error::from)?;
    let joining = node.join(&invite, wanted).await?;
    let sharing = node.sharing(&joining)?;
    let looked = tokio::select! {
        looked = shown(&node, &joining, &sharing, yes) => looked,
        asked = platform::asked_to_end() => Err(interrupted(asked, "nothing was paired and nothing was exchanged", "")),
    };
    let preview = match looked {
        Ok(preview) => preview,
        Err(failure) => {
            node.decline(&joining).await?;
            return Err(failure);
        }
    };
    let peer = node.confirm(&joining)?;
    let bar = Bar::new(context.json);
    let watcher = |p: &Progress| bar.session(p);
    let run = tokio::select! {
        run = node.first_sync(&peer, prefer, &watcher) => run.map_err(Failure::from),
        asked = platform::asked_to_end() => {
            let paired = format!("paired with {}; the first sync was interrupted", text::plain(&peer.name));
            Err(interrupted(asked, &paired, "`lockstep sync` goes on from there"))
        }
    };
    bar.done();
    let run = run?;
    let text = format!("Paired with {}.\n\n{}", text::plain(&peer.name), sync::told(std::slice::from_ref(&run)));
    let exit = sync::exit(&node, std::slice::from_ref(&run))?;
    // A peer that failed in its first sync is paired all the same; its entry says what happened.
    Ok(Outcome::new(
        json!({ "peer": peer.name, "node": peer.node, "sharing": sharing, "preview": preview, "run": run }),
        text,
    )
    .ends(exit))
}

/// The person pressed Ctrl-C, or the process was asked to end.
fn interrupted(asked: std::io::Result<()>, what: &str, hint: &str) -> Failure {
    match asked {
        Ok(()) => Failure::failed("interrupted", what, hint),
        Err(e) => Failure::failed("no_signals", format!("signals can't be heard: {e}"), ""),
    }
}

fn read_invite(from_input: bool) -> Result<String, Failure> {
    let unread = |e: std::io::Error| Failure::usage("no_invite", format!("the invite can't be read: {e}"), "");
    if from_input {
        let mut text = String::new();
        std::io::stdin().take(16 << 10).read_to_string(&mut text).map_err(unread)?;
        return Ok(text);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "no_invite",
            "no invite was given",
            "say `lockstep pair -` to read it from standard input",
        ));
    }
    rpassword::prompt_password("Invite: ").map_err(unread)
}

/// What the first sync would do; asks whether that shall be, unless the answer was given before.
async fn shown(node: &Arc<Node>, joining: &Joining, sharing: &[SharedTable], yes: bool) -> Result<Preview, Failure> {
    let preview = node.preview_with(&joining.peer, &joining.shares, joining.origin).await?;
    let unread = |e: std::io::Error| Failure::failed("no_answer", format!("the answer can't be read: {e}"), "");
    if yes || agreed(joining, sharing, &preview).await.map_err(unread)? {
        return Ok(preview);
    }
    Err(Failure::failed("declined", "nothing was paired and nothing was exchanged", ""))
}

async fn agreed(joining: &Joining, sharing: &[SharedTable], preview: &Preview) -> std::io::Result<bool> {
    let mut out = std::io::stderr();
    let name = text::plain(&joining.peer.name);
    writeln!(out, "With {name} this node would share:\n\n{}\n\n{}\n", shared(sharing), sync::previewed(preview))?;
    write!(out, "Pair and sync? [y/N] ")?;
    out.flush()?;
    // A thread of its own: nothing waits for it when the question is given up.
    let (answered, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // With the asker gone nobody wants to know.
        let _ = answered.send(std::io::stdin().read_line(&mut line).map(|_| line));
    });
    let line = answer.await.map_err(std::io::Error::other)??;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// What would be shared, and what of it looks sensitive.
fn shared(sharing: &[SharedTable]) -> String {
    let rows = sharing
        .iter()
        .map(|t| vec![t.name.clone(), t.direction.name().to_owned(), t.without.join(", "), t.sensitive.join(", ")]);
    let mut text = text::table(&["table", "direction", "without", "looks sensitive"], &[], rows);
    let mut sensitive = sharing.iter().flat_map(|t| t.sensitive.iter().map(move |c| format!("{}.{c}", t.name)));
    if let Some(first) = sensitive.next() {
        text.push_str(&format!(
            "\n\nColumns that look as if they held secrets would go to the other node. To keep one here: --without {}",
            text::plain(&first)
        ));
    }
    text
}

/// Lists peers.
pub fn peers(context: &Context) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peers = node.status()?.peers;
    let text = match &peers[..] {
        [] => "No node is paired. Next: lockstep invite here, or lockstep pair with the invite of another".to_owned(),
        peers => format!("{}\n\n{}", listed(peers, &week(&node)?), sharing(peers)),
    };
    Ok(Outcome::new(json!({ "peers": peers }), text))
}

/// The sessions of the last seven days, for the success rates.
pub fn week(node: &Node) -> Result<Vec<Rate>, Failure> {
    let from = node.before(Duration::from_secs(7 * 86_400));
    Ok(node.state().rates(from).map_err(lockstep_node::Error::from)?)
}

/// A line for each peer, and below why the last session of one was not verified.
pub fn listed(peers: &[PeerStatus], week: &[Rate]) -> String {
    let now = Timestamp::now();
    let rows = peers.iter().map(|p| {
        let reach = match (&p.address, p.reachable) {
            (None, _) => "comes by itself".to_owned(),
            (Some(address), true) => address.clone(),
            (Some(address), false) => format!("{address} (no answer)"),
        };
        let (runs, verified) = week
            .iter()
            .filter(|r| r.peer == p.name)
            .fold((0, 0), |(runs, verified), r| (runs + r.runs, verified + r.verified));
        vec![
            p.name.clone(),
            reach,
            p.last_result.clone().unwrap_or_else(|| "-".to_owned()),
            p.last_verified_at.map_or_else(|| "never".to_owned(), |at| text::ago(at, now)),
            (verified * 100).checked_div(runs).map_or_else(|| "-".to_owned(), |share| format!("{share} %")),
            p.lag_ms.map_or_else(|| "-".to_owned(), text::span),
            p.clock_offset_ms.map_or_else(|| "-".to_owned(), text::span),
            p.pending.to_string(),
            p.held.to_string(),
        ]
    });
    let head = ["peer", "reached at", "last", "verified", "7 days", "lag", "clock", "pending", "held there"];
    let mut text = text::table(&head, &["7 days", "pending", "held there"], rows);
    for peer in peers {
        let name = text::plain(&peer.name);
        if let Some(error) = &peer.error {
            text.push_str(&format!("\n\n{name}: {}", text::plain(&error.message)));
            if let Some(hint) = &error.hint {
                text.push_str(&format!("\n  {}", text::plain(hint)));
            }
        }
        if !matches!(peer.capture.as_str(), "ok" | "unknown") {
            text.push_str(&format!("\n\n{name}: capture there: {}", text::plain(&peer.capture)));
        }
    }
    text
}

/// What is shared with each.
fn sharing(peers: &[PeerStatus]) -> String {
    let rows = peers.iter().flat_map(|p| {
        p.shares
            .iter()
            .map(|s| vec![p.name.clone(), s.what.clone(), s.direction.name().to_owned(), s.without.join(", ")])
    });
    text::table(&["peer", "shared", "direction", "without"], &[], rows)
}

/// Ends a pairing.
pub fn retire(context: &Context, name: &str) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peer = node.retire(name)?;
    let text = format!(
        "{} is cut off. What it had not sent yet stays with it; what it lacks is not kept for it any more.\n\
         To pair it again: lockstep invite here, lockstep pair there.",
        text::plain(&peer.name)
    );
    Ok(Outcome::new(json!({ "name": peer.name, "node": peer.node, "retired": true }), text))
}

/// Changes what is shared.
pub fn share(
    context: &Context,
    name: &str,
    what: &str,
    direction: &str,
    without: &[String],
) -> Result<Outcome, Failure> {
    let Some(direction) = Direction::from_name(direction) else {
        return Err(Failure::usage("usage", "say send, receive, both or none", ""));
    };
    let node = context.node()?;
    let (shares, warnings) = node.share(name, what, direction, without)?;
    let rows = shares.iter().map(|s| vec![s.what.clone(), s.direction.name().to_owned(), s.without.join(", ")]);
    let mut text = text::table(&["shared", "direction", "without"], &[], rows);
    for warning in &warnings {
        text.push_str(&format!("\n\nLook at: {}", text::plain(warning)));
    }
    let done = json!({ "name": name, "shares": shares, "warnings": warnings });
    Ok(Outcome::new(done, text).ends(Exit::Done))
}

/// Whether everything of a peer is put aside until a person lets it through.
pub fn review(context: &Context, name: &str, review: bool) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let peer = node.state().peer(name).map_err(lockstep_node::Error::from)?;
    node.set_review(&peer, review)?;
    let text = if review {
        format!("What {} sends waits for you from now on: `lockstep quarantine`.", text::plain(name))
    } else {
        format!("What {} sends is applied; what waits already goes on waiting.", text::plain(name))
    };
    Ok(Outcome::new(serde_json::json!({ "peer": name, "review": review }), text))
}
