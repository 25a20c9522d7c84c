//! Every command, by what it is about.
mod agent;
mod breaks;
mod configure;
mod conflicts;
mod copy;
mod history;
mod look;
mod pairing;
mod pause;
mod quarantine;
mod rows;
mod set_up;
mod sync;
mod verify;

use crate::Context;
use crate::arguments::{Command, ConflictsAction, DeletesAction, PeersAction, QuarantineAction};
use crate::outcome::{Failure, Outcome};
use lockstep_node::agent::AgentOptions;
use lockstep_node::contact::{Origin, Prefer};
use lockstep_node::pair::Wanted;
use lockstep_node::pause::Pause;

/// Runs one.
pub async fn run(context: &Context, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Init { name } => set_up::init(context, name.as_deref()),
        Command::Attach { databases, config, wal, no_backup } => {
            set_up::attach(context, databases, config, wal, !no_backup).await
        }
        Command::Detach { name } => set_up::detach(context, &name).await,
        Command::Tables { name } => set_up::tables(context, name.as_deref()),
        Command::Configure { table, policy, column, merge, history, guard } => {
            configure::configure(context, &table, configure::Said { policy, column, merge, history, guard })
        }
        Command::Agent { listen, advertise, metrics } => {
            agent::agent(context, &AgentOptions { listen, advertise }, metrics.as_deref()).await
        }
        Command::Invite { expires, share, without } => pairing::invite(context, expires, &share, &without),
        Command::Pair { input, name, share, without, copies, separate, prefer, yes } => {
            let origin = match (copies, separate) {
                (true, _) => Some(Origin::Copies),
                (_, true) => Some(Origin::Separate),
                (false, false) => None,
            };
            let prefer = prefer.map(|side| match side.as_str() {
                "here" => Prefer::Here,
                "there" => Prefer::There,
                _ => Prefer::Review,
            });
            let wanted = Wanted { name, share, without, origin };
            pairing::pair(context, input.is_some(), &wanted, prefer, yes).await
        }
        Command::Peers { action: None } => pairing::peers(context),
        Command::Peers { action: Some(PeersAction::Retire { name }) } => pairing::retire(context, &name),
        Command::Peers { action: Some(PeersAction::Review { name, review }) } => {
            pairing::review(context, &name, review == "on")
        }
        Command::Peers { action: Some(PeersAction::Share { name, what, direction, without }) } => {
            pairing::share(context, &name, &what, &direction, &without)
        }
        Command::Preview { peer, rows } => sync::preview(context, peer.as_deref(), rows).await,
        Command::Sync { peer, plan: None, .. } => sync::sync(context, peer.as_deref()).await,
        Command::Sync { peer, plan: Some(plan), hold } => sync::sync_plan(context, peer.as_deref(), &plan, &hold).await,
        Command::Status => look::status(context),
        Command::Pending { table } => rows::pending(context, table.as_deref()),
        Command::Conflicts { all, action: None } => conflicts::list(context, all),
        Command::Conflicts { action: Some(ConflictsAction::Show { id }), .. } => conflicts::show(context, &id),
        Command::Conflicts { action: Some(ConflictsAction::Resolve { id, keep, anyway }), .. } => {
            conflicts::resolve(context, &id, keep, anyway)
        }
        Command::Conflicts { action: Some(ConflictsAction::Reviewed { ids, all }), .. } => {
            conflicts::reviewed(context, &ids, all)
        }
        Command::Same { table, one, other } => history::same(context, &table, &one, &other),
        Command::Apart { table, key } => history::apart(context, &table, &key),
        Command::History { table, key, restore: None, .. } => history::show(context, &table, &key),
        Command::History { table, key, restore: Some(version), children } => {
            history::restore(context, &table, &key, &version, children)
        }
        Command::Quarantine { action: None } => quarantine::list(context),
        Command::Quarantine { action: Some(QuarantineAction::Retry { id }) } => {
            quarantine::retry(context, id.as_deref())
        }
        Command::Quarantine { action: Some(QuarantineAction::Allow { id: Some(id), anyway, .. }) } => {
            quarantine::allow(context, &id, anyway)
        }
        Command::Quarantine { action: Some(QuarantineAction::Allow { id: None, from, .. }) } => {
            quarantine::allow_reviewed(context, from.as_deref())
        }
        Command::Deletes { action: None } => quarantine::deletes(context),
        Command::Deletes { action: Some(DeletesAction::Allow { id }) } => {
            quarantine::decide_deletes(context, &id, false)
        }
        Command::Deletes { action: Some(DeletesAction::Keep { id }) } => quarantine::decide_deletes(context, &id, true),
        Command::Verify { peer } => verify::verify(context, peer.as_deref()).await,
        Command::Digest { name, table } => copy::digest(context, &name, table.as_deref()),
        Command::Runs { since } => look::runs(context, since),
        Command::Pause { long } => pause::pause(context, long.unwrap_or(Pause::UntilResumed)),
        Command::Resume => pause::resume(context),
        Command::Cleanup { older_than, dry_run } => look::cleanup(context, older_than, dry_run),
        Command::Doctor { name } => breaks::doctor(context, name.as_deref()).await,
        Command::Migrate { name, command } => breaks::migrate(context, &name, &command).await,
        Command::Restored { name, rejoin: _, authoritative } => breaks::restored(context, &name, authoritative).await,
        Command::Backup { name, file, clean } => copy::backup(context, &name, &file, clean),
        Command::Settings { key, value } => look::settings(context, key.as_deref(), value.as_deref()),
    }
}
