//! A node's own folder: what lies where in it, and the locks by which processes that share it keep out of each
//! other's way.
//!
//! Always true here: the folder is 0700 and every file in it 0600. A lock belongs to an open file and goes with the
//! process that held it, however that ended.
use crate::platform;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a node lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

/// Why a home can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `init` has not been run.
    #[error("there is no node in {}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// `init` would overwrite a key.
    #[error("there is a node in {} already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Someone else may have read the key, or an invite.
    #[error("{} can be read by other users of this computer", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} can't be used: {source}", path.display())]
    Io {
        /// What was to be used.
        path: PathBuf,
        /// Why it can't.
        source: io::Error,
    },
    /// Another process works, and did not finish in time.
    #[error("another process of this node is at work, and has been for more than {} s", waited.as_secs())]
    Busy {
        /// How long this one waited.
        waited: Duration,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Missing { .. } => "no_node",
            Error::Exists { .. } => "node_exists",
            Error::Exposed { .. } => "key_exposed",
            Error::Io { .. } => "home_io",
            Error::Busy { .. } => "busy",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Missing { .. } => Some("make one with `lockstep init`, or name its folder with --home"),
            Error::Exists { .. } => Some("choose another folder with --home"),
            Error::Exposed { .. } => {
                Some("take the rights away (chmod 600); if others use this computer, make a new node and pair it anew")
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run commands as the user that owns this folder; what root made in it, give back with chown")
            }
            Error::Io { .. } => None,
            Error::Busy { .. } => Some("`lockstep status` says which; try again when it is done"),
        }
    }
}

/// What one process does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Leading a session, attaching, detaching.
    Sync,
    /// Being the agent.
    Agent,
    /// Running a migration of the application.
    Migration,
}

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Home {
    /// The home in that folder, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Home {
        Home(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Key and certificate.
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.pem")
    }

    /// The state database.
    pub fn state(&self) -> PathBuf {
        self.0.join("node.db")
    }

    /// Where `attach` puts its backups.
    pub fn backups(&self) -> PathBuf {
        self.0.join("backups")
    }

    /// Makes the folders. A node that is there already is left alone.
    pub fn create(&self) -> Result<(), Error> {
        if self.identity().exists() {
            return Err(Error::Exists { path: self.0.clone() });
        }
        platform::private_folder(&self.0).map_err(|source| Error::Io { path: self.0.clone(), source })?;
        platform::private_folder(&self.backups()).map_err(|source| Error::Io { path: self.backups(), source })
    }

    /// Checks that a node is there, and that nobody else can read its key or its state, in which open invites stand.
    pub fn check(&self) -> Result<(), Error> {
        let key = self.identity();
        if !key.exists() {
            return Err(Error::Missing { path: self.0.clone() });
        }
        for path in [key, self.state()] {
            match platform::readable_by_others(&path) {
                Ok(false) => {}
                Ok(true) => return Err(Error::Exposed { path }),
                // A state that went is made anew.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Io { path, source }),
            }
        }
        Ok(())
    }

    /// Takes a lock if it is free.
    pub fn try_lock(&self, work: Work) -> Result<Option<Lock>, Error> {
        let path = self.0.join(match work {
            Work::Sync => "sync.lock",
            Work::Agent => "agent.lock",
            Work::Migration => "migration.lock",
        });
        let io = |source| Error::Io { path: path.clone(), source };
        let file = platform::private_file_or_existing(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Waits for a lock.
    pub async fn lock(&self, work: Work, at_most: Duration) -> Result<Lock, Error> {
        let started = tokio::time::Instant::now();
        loop {
            match self.try_lock(work)? {
                Some(lock) => return Ok(lock),
                None if started.elapsed() >= at_most => return Err(Error::Busy { waited: at_most }),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_holds_another_waits_for_and_gets_when_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a/b"));
        assert!(matches!(home.check(), Err(Error::Missing { .. })));
        home.create().unwrap();
        let held = home.try_lock(Work::Sync).unwrap();
        assert!(held.is_some());
        assert!(home.try_lock(Work::Sync).unwrap().is_none());
        assert!(home.try_lock(Work::Agent).unwrap().is_some());
        drop(held);
        assert!(home.try_lock(Work::Sync).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_a_home() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.path()), 0o700);
        assert_eq!(mode(&home.backups()), 0o700);
        drop(platform::private_file(&home.identity()).unwrap());
        assert_eq!(mode(&home.identity()), 0o600);
        home.check().unwrap();
        std::fs::set_permissions(home.identity(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(home.check(), Err(Error::Exposed { .. })));
        std::fs::set_permissions(home.identity(), std::fs::Permissions::from_mode(0o600)).unwrap();
        drop(platform::private_file(&home.state()).unwrap());
        home.check().unwrap();
        std::fs::set_permissions(home.state(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(home.check(), Err(Error::Exposed { path }) if path == home.state()));
    }
}
