//! Everything that can go wrong at the node's edge, with a stable code, a sentence and a hint.
use crate::lineage::Whose;
use crate::status::Problem;
use crate::{attachment, call, engine, home, identity, invite, message, metrics, pair, share, state};

/// An error of the node, whichever part it comes from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's folder.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The node's key.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The node's state database.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A database, by its name.
    #[error("{database}: {source}")]
    Engine {
        /// Logical name.
        database: String,
        /// What the engine said.
        source: Box<engine::Error>,
    },
    /// A file of the configuration, or a copy.
    #[error(transparent)]
    Config(#[from] attachment::ConfigError),
    /// A message of a session.
    #[error(transparent)]
    Wire(#[from] lockstep_wire::Error),
    /// TLS.
    #[error("TLS can't be set up: {source}")]
    Tls {
        /// Why not.
        source: rustls::Error,
    },
    /// A call to a peer.
    #[error(transparent)]
    Call(#[from] call::Error),
    /// A pairing.
    #[error(transparent)]
    Pair(#[from] pair::PairError),
    /// Monitoring.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// What is shared with a peer.
    #[error(transparent)]
    Share(#[from] share::ShareError),
    /// An invite.
    #[error(transparent)]
    Invite(#[from] invite::Error),
    /// A message.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The operating system gave no random numbers.
    #[error("no random numbers are to be had: {source}")]
    Random {
        /// Why not.
        source: getrandom::Error,
    },
    /// The address can't be listened on.
    #[error("{address} can't be listened on: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The peer comes by itself.
    #[error("{peer} can't be called: it has told no address")]
    NoAddress {
        /// What this node calls it.
        peer: String,
    },
    /// Refused in the words of the protocol.
    #[error("{message}")]
    Said {
        /// Its code.
        code: String,
        /// A sentence.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Two files write as one replica.
    #[error("the file of `{database}` {} has another history than the other side remembers: it is a copy of another machine's, or the machine was restored as a whole", whose.at(peer))]
    Cloned {
        /// Logical name.
        database: String,
        /// What this node calls the peer.
        peer: String,
        /// Where the file lies.
        whose: Whose,
    },
    /// Peers that could not be reached may have more than the restored state would replace.
    #[error(
        "{peer} could not be synced with; the restored state of `{database}` has to see what it has before it can win"
    )]
    NotReached {
        /// What this node calls the peer.
        peer: String,
        /// Logical name.
        database: String,
    },
    /// Only peers can say what of a file's writes is known elsewhere.
    #[error("{peer} could not be asked which writes of `{database}` it knows, and nobody else could")]
    NotAsked {
        /// What this node calls the peer.
        peer: String,
        /// Logical name.
        database: String,
    },
    /// No copy of the restored state was set aside.
    #[error("no restored state of `{database}` was set aside, so there is nothing that could win")]
    NoRestoredState {
        /// Logical name.
        database: String,
    },
    /// The application's migration runs.
    #[error("a migration of `{database}` is under way")]
    Migrating {
        /// Logical name.
        database: String,
    },
    /// A command could not be run.
    #[error("`{program}` can't be run: {source}")]
    Command {
        /// What was to be run.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// There is an agent already.
    #[error("an agent or a console of this node runs already")]
    AgentRuns,
    /// A person stopped the session.
    #[error("it was stopped; what had been exchanged until then stands")]
    Stopped,
    /// This process is about to end.
    #[error("this node is about to end")]
    Ending,
}

impl Error {
    /// What the engine said about a database.
    pub(crate) fn engine(database: &str, source: engine::Error) -> Error {
        Error::Engine { database: database.to_owned(), source: Box::new(source) }
    }

    /// Stable, for scripts.
    pub fn code(&self) -> &str {
        match self {
            Error::Home(e) => e.code(),
            Error::Identity(e) => e.code(),
            Error::State(e) => e.code(),
            Error::Engine { source, .. } => source.code(),
            Error::Tls { .. } => "tls_setup",
            Error::Config(e) => e.code(),
            Error::Wire(e) => e.code(),
            Error::Call(e) => e.code(),
            Error::Pair(e) => e.code(),
            Error::Share(e) => e.code(),
            Error::Metrics(e) => e.code(),
            Error::Invite(e) => e.code(),
            Error::Message(e) => e.code(),
            Error::Random { .. } => "no_random",
            Error::Listen { .. } => "listen",
            Error::NoAddress { .. } => "no_address",
            Error::Said { code, .. } => code,
            Error::Cloned { .. } => "replica_cloned",
            Error::NotReached { .. } | Error::NotAsked { .. } => "not_reached",
            Error::Migrating { .. } => "migrating",
            Error::Command { .. } => "command",
            Error::NoRestoredState { .. } => "no_restored_state",
            Error::AgentRuns => "agent_runs",
            Error::Stopped => "stopped",
            Error::Ending => "ending",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Home(e) => e.hint().map(str::to_owned),
            Error::Identity(_) => None,
            Error::State(e) => e.hint().map(str::to_owned),
            Error::Engine { source, .. } => Some(source.hint().to_owned()),
            Error::Config(e) => e.hint().map(str::to_owned),
            Error::Wire(e) => Some(e.hint().to_owned()),
            Error::Call(e) => e.hint(),
            Error::Pair(e) => e.hint().map(str::to_owned),
            Error::Share(e) => Some(e.hint().to_owned()),
            Error::Metrics(e) => Some(e.hint().to_owned()),
            Error::Invite(e) => Some(e.hint().to_owned()),
            Error::Listen { source, .. } => Some(match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another program listens there, perhaps another agent: choose another port".to_owned()
                }
                _ => "name an address of this computer, for example 0.0.0.0:7467".to_owned(),
            }),
            Error::Said { hint, .. } => Some(hint.clone()),
            Error::Cloned { database, .. } => Some(format!(
                "on the machine that is the copy, or was restored: `lockstep restored {database} --rejoin`; a copied machine also needs a node of its own (`lockstep init` with another --home)"
            )),
            Error::Migrating { .. } => Some("wait until `lockstep migrate` has ended".to_owned()),
            Error::Command { .. } => Some("say the command as a shell would, after `--`".to_owned()),
            Error::NotReached { .. } => Some("sync with it, then say `lockstep restored` again".to_owned()),
            Error::NotAsked { .. } => Some(
                "nothing was changed: say `lockstep restored` again when a peer that shares the database can be reached"
                    .to_owned(),
            ),
            Error::NoRestoredState { .. } => {
                Some("restore the backup again while no agent runs, then say so".to_owned())
            }
            Error::AgentRuns => Some("`lockstep status` says where it listens".to_owned()),
            Error::NoAddress { .. } => Some(
                "it syncs with this node by itself; run `lockstep sync` there, or give its agent --advertise"
                    .to_owned(),
            ),
            Error::Stopped => Some("the next sync goes on from there".to_owned()),
            Error::Message(_) => Some("use the same version of Lockstep on both nodes".to_owned()),
            Error::Tls { .. } | Error::Random { .. } | Error::Ending => None,
        }
    }

    /// HTTP status and words for a peer. What concerns this computer alone is not told.
    pub(crate) fn told_to_peers(&self) -> (u16, Problem) {
        let status = match self {
            Error::Pair(_) => 403,
            Error::Cloned { .. } => 409,
            Error::Message(_) => 400,
            Error::State(state::Error::Unknown { what: "database", .. }) => 404,
            Error::Ending | Error::Migrating { .. } => 503,
            Error::Home(_)
            | Error::Identity(_)
            | Error::State(_)
            | Error::Engine { .. }
            | Error::Tls { .. }
            | Error::Config(_)
            | Error::Wire(_)
            | Error::Call(_)
            | Error::Invite(_)
            | Error::Share(_)
            | Error::Metrics(_)
            | Error::Random { .. }
            | Error::NoAddress { .. }
            | Error::NotReached { .. }
            | Error::NotAsked { .. }
            | Error::Command { .. }
            | Error::NoRestoredState { .. }
            | Error::AgentRuns
            | Error::Stopped
            | Error::Said { .. }
            | Error::Listen { .. } => 500,
        };
        let told = match status {
            500 => Problem {
                code: self.code().to_owned(),
                message: "it could not do that".to_owned(),
                hint: Some("its log says why".to_owned()),
            },
            _ => self.problem(),
        };
        (status, told)
    }

    /// As it is shown and recorded.
    pub fn problem(&self) -> Problem {
        Problem { code: self.code().to_owned(), message: self.to_string(), hint: self.hint() }
    }
}
