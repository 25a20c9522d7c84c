//! What can be said on the command line. The texts here are the command's help.
use clap::{Parser, Subcommand};
use lockstep_node::conflicts::Kept;
use lockstep_node::engine::Policy;
use lockstep_node::pause::Pause;
use std::path::PathBuf;
use std::time::Duration;

/// Keeps the SQLite databases of two or more servers the same, in both directions.
#[derive(Debug, Parser)]
#[command(
    name = "lockstep",
    version,
    max_term_width = 100,
    after_help = "\
Two servers, from nothing to the same:

  on one:   lockstep init --name hq
            lockstep attach users=/srv/app/users.db scouting=/srv/app/scouting.db
            lockstep agent --listen 0.0.0.0:7467 --advertise hq.example:7467
            lockstep invite                        (in another terminal)

  on the other:
            lockstep init --name pit
            lockstep attach users=/srv/app/users.db scouting=/srv/app/scouting.db
            lockstep pair                          (asks for the invite)
            lockstep agent

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but something waits for a person,
4 the sides do not agree."
)]
pub struct Arguments {
    /// The node's own folder: key, settings, state database, backups
    #[arg(long, global = true, env = "LOCKSTEP_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Print exactly one JSON document, also on failure
    #[arg(long, global = true)]
    pub json: bool,

    /// Show values of columns that look secret (password, hash, token)
    #[arg(long, global = true)]
    pub reveal: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the node: its key, certificate and state database
    #[command(after_help = "Example: lockstep init --name hq")]
    Init {
        /// What it calls itself towards others [default: the name of this computer]
        #[arg(long)]
        name: Option<String>,
    },

    /// Install capture in databases and enter their rows; a backup of each is written first
    #[command(after_help = "\
Examples:
  lockstep attach users=users.db scouting=scouting.db
  lockstep attach scouting=/srv/app/scouting.db --config /etc/lockstep.toml --wal

lockstep.toml, beside the first database or given with --config:

  [databases.scouting]
  exclude = [\"sync_*\"]                       # tables that belong to one server only

  [databases.scouting.tables.team]
  identity = [\"team_number\"]                 # the columns by which people know a row

  [databases.scouting.tables.scouting_data]
  references = { scout_id = \"users.user\" }   # what no foreign key declares
  policy = \"review\"                          # newest | review | prefer:<node>")]
    Attach {
        /// Logical name and file; the same names on all nodes
        #[arg(required = true, value_name = "NAME=FILE", value_parser = database)]
        databases: Vec<(String, PathBuf)>,
        /// Read this instead of the lockstep.toml beside the first database
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Switch the files to write-ahead logging, in which readers and writers don't wait for each other
        #[arg(long)]
        wal: bool,
        /// Write no backup
        #[arg(long)]
        no_backup: bool,
    },

    /// Remove every trace of Lockstep from a database; its schema and rows stay
    #[command(after_help = "Example: lockstep detach scouting")]
    Detach {
        /// Logical name
        name: String,
    },

    /// Show what is synced, and how
    #[command(after_help = "Example: lockstep tables scouting")]
    Tables {
        /// Logical name [default: all]
        name: Option<String>,
    },

    /// Say how one table is synced from now on; both nodes have to say the same of its policies
    #[command(after_help = "\
What says which row is which (identity, references) is settled by `attach`. A table that `exclude` left out is synced
when it is attached again without that.

Examples:
  lockstep configure scouting.team --policy review
  lockstep configure users.user --column password_hash=review --column role=review
  lockstep configure scouting.match --guard 50:0.1")]
    Configure {
        /// DB.TABLE
        table: String,
        /// newest | review | prefer:<node>
        #[arg(long, value_name = "POLICY", value_parser = policy)]
        policy: Option<Policy>,
        /// A policy for one column; `COLUMN=table` takes the table's
        #[arg(long, value_name = "COLUMN=POLICY")]
        column: Vec<String>,
        /// Judge column by column, or the row as a whole
        #[arg(long, value_name = "UNIT", value_parser = ["column", "row"])]
        merge: Option<String>,
        /// Keep the old values of updates?
        #[arg(long, value_parser = ["on", "off"])]
        history: Option<String>,
        /// From how many deletes on, and which share of the table, a person is asked; `node`: as the settings say
        #[arg(long, value_name = "ROWS:SHARE")]
        guard: Option<String>,
    },

    /// Serve peers and sync in the background until SIGTERM or SIGINT
    #[command(after_help = "\
Examples:
  lockstep agent
  lockstep agent --listen 0.0.0.0:7467 --advertise hq.example:7467
  lockstep agent --advertise none               (a laptop behind a router)
  lockstep agent --metrics 127.0.0.1:9467")]
    Agent {
        /// Where to listen; port 0 takes any [default: as last time, at first 127.0.0.1:7467]
        #[arg(long, value_name = "ADDR", value_parser = listen)]
        listen: Option<String>,
        /// Where others are to look for this node, or `none` if they can't reach it, so that it has to ask them for
        /// news [default: as last time, at first where it listens]
        #[arg(long, value_name = "ADDR")]
        advertise: Option<String>,
        /// Answer monitoring on this address of this computer: /health, and /metrics for Prometheus
        #[arg(long, value_name = "ADDR", value_parser = local)]
        metrics: Option<String>,
    },

    /// Make an invite that lets one other node pair with this one
    #[command(after_help = "\
The invite holds a secret. Carry it to the other node by a way that others can't read.

Examples:
  lockstep invite
  lockstep invite --expires 1h --share users --share scouting.team
  lockstep invite --without users.user.password_hash")]
    Invite {
        /// How long it is good
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
        expires: Duration,
        /// Share this only [default: all that is attached]
        #[arg(long, value_name = "DB[.TABLE]")]
        share: Vec<String>,
        /// A column that never leaves this node, nor comes to it
        #[arg(long, value_name = "DB.TABLE.COLUMN")]
        without: Vec<String>,
    },

    /// Pair with the node that made an invite, and sync with it for the first time
    #[command(after_help = "\
The invite is asked for, or read from standard input with `-`; never give it on the command line.

Examples:
  lockstep pair
  lockstep pair - --as hq --yes < invite.txt
  lockstep pair --copies --prefer there         (this server began as an older copy of the other)")]
    Pair {
        /// `-`: read the invite from standard input
        #[arg(value_name = "-", value_parser = ["-"])]
        input: Option<String>,
        /// What this node is to call the other [default: what that calls itself]
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        /// Share this only, of that which the invite shares
        #[arg(long, value_name = "DB[.TABLE]")]
        share: Vec<String>,
        /// A column that never leaves this node, nor comes to it
        #[arg(long, value_name = "DB.TABLE.COLUMN")]
        without: Vec<String>,
        /// The files of both began as copies of one: rows with the same id are one
        #[arg(long, conflicts_with = "separate")]
        copies: bool,
        /// The files began separately: an id says nothing about which row is the same
        #[arg(long)]
        separate: bool,
        /// Which side stands where two rows differ and neither has a time: here, there, or review (decide row by row)
        #[arg(long, value_name = "SIDE", value_parser = ["here", "there", "review"])]
        prefer: Option<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },

    /// List the paired nodes, or change what is between them and this one
    #[command(after_help = "\
Examples:
  lockstep peers
  lockstep peers retire pit
  lockstep peers share pit users.user receive
  lockstep peers share pit users.user both --without password_hash

One of the two nodes says so; the other is told. A table of which a node gets a part only, one way or without some
columns, goes from there to no third node.")]
    Peers {
        #[command(subcommand)]
        action: Option<PeersAction>,
    },

    /// Show what a sync would do now, both ways; changes no row
    #[command(after_help = "\
Examples:
  lockstep preview hq
  lockstep preview hq --rows                    (row by row, with what is and what would be)")]
    Preview {
        /// What this node calls the peer [default: the only one]
        peer: Option<String>,
        /// Row by row
        #[arg(long)]
        rows: bool,
    },

    /// Exchange changes until neither side has news, and compare
    #[command(after_help = "\
Examples:
  lockstep sync
  lockstep sync hq --json
  lockstep sync hq --plan 41c0ffee --hold 9a1b22")]
    Sync {
        /// What this node calls the peer [default: all that have an address]
        peer: Option<String>,
        /// Apply exactly the plan that `preview` showed under this hash, or nothing
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        /// Put these rows of the plan aside, to be looked at later
        #[arg(long, value_name = "ID", num_args = 1.., requires = "plan")]
        hold: Vec<String>,
    },

    /// Everything at a glance
    #[command(after_help = "Example: lockstep status --json")]
    Status,

    /// List the rows that are not yet at every peer
    #[command(after_help = "Example: lockstep pending --table users.user")]
    Pending {
        /// These only
        #[arg(long, value_name = "DB[.TABLE]")]
        table: Option<String>,
    },

    /// List conflicts, show both sides of one, decide
    #[command(after_help = "\
Examples:
  lockstep conflicts
  lockstep conflicts --all
  lockstep conflicts show 3f9c2a
  lockstep conflicts resolve 3f9c2a --keep loser
  lockstep conflicts resolve 3f9c2a --keep name=winner note=loser
  lockstep conflicts reviewed --all")]
    Conflicts {
        /// Also those that somebody has looked at
        #[arg(long)]
        all: bool,
        #[command(subcommand)]
        action: Option<ConflictsAction>,
    },

    /// List what is held and why, try it again, or let it through
    #[command(after_help = "\
What waits for something to come is tried by itself when it comes.

Examples:
  lockstep quarantine
  lockstep quarantine retry
  lockstep quarantine allow 9b31c0")]
    Quarantine {
        #[command(subcommand)]
        action: Option<QuarantineAction>,
    },

    /// List the deletes that the guard holds, and say what is to become of them
    #[command(after_help = "\
A run that would delete more than 100 rows and more than a fifth of a table holds these deletes; a table's
`guard = { rows = 100, share = 0.2 }` in lockstep.toml says other numbers.

Examples:
  lockstep deletes
  lockstep deletes allow 41d7e2
  lockstep deletes keep 41d7e2")]
    Deletes {
        #[command(subcommand)]
        action: Option<DeletesAction>,
    },

    /// Say that two rows are one: they are merged on every node, and rows that refer to them follow
    #[command(after_help = "Example: lockstep same scouting.team 17 23")]
    Same {
        /// The table
        #[arg(value_name = "DB.TABLE")]
        table: String,
        /// The key of one on this server; a composite key is a JSON array
        #[arg(value_name = "KEY")]
        one: String,
        /// The key of the other
        #[arg(value_name = "KEY")]
        other: String,
    },

    /// Take a row apart that was made one of several, on every node
    #[command(after_help = "Example: lockstep apart scouting.team 17")]
    Apart {
        /// The table
        #[arg(value_name = "DB.TABLE")]
        table: String,
        /// The row's key on this server; a composite key is a JSON array
        key: String,
    },

    /// Show every known version of one row, or bring one back
    #[command(after_help = "\
Examples:
  lockstep history scouting.team 17
  lockstep history scouting.team_event '[17,3]'
  lockstep history scouting.team 17 --restore 5d02c1 --children")]
    History {
        /// The table
        #[arg(value_name = "DB.TABLE")]
        table: String,
        /// The row's key on this server; a composite key is a JSON array
        key: String,
        /// Write this version again: its id, or the beginning of it; a deleted row lives again
        #[arg(long, value_name = "VERSION")]
        restore: Option<String>,
        /// With the rows that refer to it and were deleted with it
        #[arg(long, requires = "restore")]
        children: bool,
    },

    /// Compare every table, read all rows again on both sides, name the rows that differ, and print where every value is
    ///
    /// A row that differs though both sides have the same writes is held until you decide (`lockstep conflicts`).
    #[command(after_help = "\
Examples:
  lockstep verify
  lockstep verify hq")]
    Verify {
        /// What this node calls the peer [default: all]
        peer: Option<String>,
    },

    /// Print the digests of a database, comparable between nodes
    #[command(after_help = "Example: lockstep digest users --table user")]
    Digest {
        /// Logical name
        name: String,
        /// This table only
        #[arg(long)]
        table: Option<String>,
    },

    /// List past sessions, and how reliable they were per peer and day
    #[command(after_help = "Example: lockstep runs --since 7d")]
    Runs {
        /// How far back
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
        since: Duration,
    },

    /// Let background sync rest; writes are still captured, and `sync` still works
    #[command(after_help = "\
Examples:
  lockstep pause 30m
  lockstep pause tomorrow
  lockstep pause                             (until `lockstep resume`)")]
    Pause {
        /// A time, or `tomorrow` [default: until `lockstep resume`]
        #[arg(value_name = "TIME", value_parser = pause)]
        long: Option<Pause>,
    },

    /// Let background sync go on
    #[command(after_help = "Example: lockstep resume")]
    Resume,

    /// Remove what was kept long enough: traces of deleted rows, old conflicts, replaced values, past sessions
    #[command(after_help = "\
How long each kind is kept: `lockstep settings`. Nothing goes that a paired node may still need, and no conflict that
nobody has looked at. The agent does this once a day.

Examples:
  lockstep cleanup --dry-run
  lockstep cleanup --older-than 30d")]
    Cleanup {
        /// Of all kinds, what is older than this
        #[arg(long, value_name = "TIME", value_parser = duration)]
        older_than: Option<Duration>,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },

    /// Look databases over and put right what is wrong: triggers, logs, every row against what is known of it
    #[command(after_help = "\
Examples:
  lockstep doctor
  lockstep doctor scouting")]
    Doctor {
        /// Logical name [default: all]
        name: Option<String>,
    },

    /// Run a migration of the application's schema, without Lockstep in its way
    #[command(after_help = "\
Writes a backup, takes the triggers out of the file, runs the command, puts them back and compares every row.
Ends with the command's own exit status. Safe if it is interrupted: the next look goes on.

Example: lockstep migrate scouting -- flask db upgrade")]
    Migrate {
        /// Logical name
        name: String,
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },

    /// Say what a database that was restored from a backup is to mean
    #[command(after_help = "\
A restored file is noticed by itself and begins a new incarnation: peers bring back what it lacks.
Say --rejoin when you have seen that; also on a machine that was restored or copied as a whole: it asks
the peers that can be called which of its writes they know, and takes a new name for the rest.
With --authoritative the restored state wins: what peers have had since is taken in, kept in the
history, and replaced by new writes. Both sync with every peer that can be called.

Examples:
  lockstep restored scouting --rejoin
  lockstep restored scouting --authoritative")]
    Restored {
        /// Logical name
        name: String,
        /// Peers bring back what the restored file lacks
        #[arg(long, required_unless_present = "authoritative", conflicts_with = "authoritative")]
        rejoin: bool,
        /// The restored state wins
        #[arg(long)]
        authoritative: bool,
    },

    /// Write a consistent copy of a live database
    #[command(after_help = "Example: lockstep backup users users-copy.db --clean")]
    Backup {
        /// Logical name
        name: String,
        /// The file to write; it must not exist
        file: PathBuf,
        /// Without the tables of Lockstep
        #[arg(long)]
        clean: bool,
    },

    /// Show settings, or change one
    #[command(after_help = "\
Examples:
  lockstep settings
  lockstep settings schedule.interval 60s")]
    Settings {
        /// Its name
        key: Option<String>,
        /// Its new value
        #[arg(allow_negative_numbers = true)]
        value: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum PeersAction {
    /// End a pairing: the node is cut off at once
    Retire {
        /// What this node calls the peer
        name: String,
    },
    /// Put everything that a peer sends from now on aside until you let it through
    Review {
        /// What this node calls the peer
        name: String,
        /// on, off
        #[arg(value_parser = ["on", "off"])]
        review: String,
    },
    /// Change what is shared with a peer, and which way
    Share {
        /// What this node calls the peer
        name: String,
        /// A database, or one table of it
        #[arg(value_name = "DB[.TABLE]")]
        what: String,
        /// send, receive, both, none
        #[arg(value_parser = ["send", "receive", "both", "none"])]
        direction: String,
        /// Columns of the table that go neither way
        #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
        without: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum QuarantineAction {
    /// Try to apply what waits
    Retry {
        /// This one, by its id or the beginning of it [default: all]
        id: Option<String>,
    },
    /// Let one through: a write from a clock far ahead gets today's stamp
    Allow {
        /// Its id, or the beginning of it
        #[arg(required_unless_present = "reviewed")]
        id: Option<String>,
        /// Also if other rows go with it
        #[arg(long)]
        anyway: bool,
        /// Everything that was put aside for review
        #[arg(long, conflicts_with = "id")]
        reviewed: bool,
        /// Only what this peer wrote
        #[arg(long, value_name = "PEER", requires = "reviewed")]
        from: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum DeletesAction {
    /// Let exactly these through, on this node
    Allow {
        /// Their id, or the beginning of it; it names another set when others have joined
        id: String,
    },
    /// Let their rows live, on every node
    Keep {
        /// Their id, or the beginning of it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConflictsAction {
    /// Both sides column by column, and what they had in common
    Show {
        /// The conflict's id, or the beginning of it
        id: String,
    },
    /// Decide: a new write that settles it on every node
    Resolve {
        /// The conflict's id, or the beginning of it; `quarantine` lists what is held under such ids too
        id: String,
        /// `winner`, `loser`, or a side for each column; a column that is not named keeps the winner's
        #[arg(long, required = true, num_args = 1.., value_name = "SIDE|COLUMN=SIDE", value_parser = kept)]
        keep: Vec<(Option<String>, Kept)>,
        /// Also if the row has changed since, or other rows go with it
        #[arg(long)]
        anyway: bool,
    },
    /// Say that you have looked at conflicts that a rule has settled
    Reviewed {
        /// Their ids, or the beginnings of them
        #[arg(required_unless_present = "every", conflicts_with = "every")]
        ids: Vec<String>,
        /// All of them
        #[arg(long = "all", id = "every")]
        all: bool,
    },
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::try_from(text.to_owned())
}

fn database(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("say NAME=FILE, for example users=/srv/app/users.db".to_owned()),
    }
}

/// `winner`, `loser`, `COLUMN=winner`
fn kept(text: &str) -> Result<(Option<String>, Kept), String> {
    let (column, side) = match text.rsplit_once('=') {
        Some((column, side)) if !column.is_empty() => (Some(column.to_owned()), side),
        Some(_) | None => (None, text),
    };
    match side {
        "winner" => Ok((column, Kept::Winner)),
        "loser" => Ok((column, Kept::Loser)),
        _ => Err("say winner or loser, or COLUMN=winner, COLUMN=loser".to_owned()),
    }
}

/// A time, or `tomorrow`
fn pause(text: &str) -> Result<Pause, String> {
    match text {
        "tomorrow" => Ok(Pause::Tomorrow),
        text => duration(text).map(Pause::For).map_err(|e| format!("{e}, or tomorrow")),
    }
}

/// `host:port`, also port 0.
fn listen(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    parts.map(|_| text.to_owned()).ok_or_else(|| "say host:port, for example 0.0.0.0:7467".to_owned())
}

/// `host:port` of this computer alone.
fn local(text: &str) -> Result<String, String> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(text),
        Ok(_) | Err(_) => Err("say host:port of this computer alone, for example 127.0.0.1:9467".to_owned()),
    }
}

/// `90`, `90s`, `10m`, `2h`, `30d`
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "say a number and s, m, h or d, for example 10m".to_owned();
    let (number, unit) = match text.char_indices().last() {
        Some((i, unit)) if !unit.is_ascii_digit() => (&text[..i], unit),
        _ => (text, 's'),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    match number.checked_mul(factor) {
        Some(seconds) if (1..=36_500 * 86_400).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_in_order() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(command.get_name() == "status" || help.contains("xample"), "{}", command.get_name());
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200), ("30d", 2_592_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "-1m", "1x", "0", "99999999999d", "1 m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
