//! Notices commits of the application: watches the folders of its files, and looks every 30 seconds in case a watch is
//! deaf.
//!
//! Always true here: a file is opened only to harvest it, and closed again at once. What this process does to a file
//! itself wakes it up once, finds nothing, and ends there.
use crate::Result;
use crate::node::Node;
use crate::routes::blocking;
use crate::server::{Stop, stopped};
use crate::shelf::ordered;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// What a commit changes about a file, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outside([Option<(u64, Option<SystemTime>)>; 2]);

impl Outside {
    fn of(file: &Path) -> Outside {
        let mut wal = file.as_os_str().to_owned();
        wal.push("-wal");
        // An empty log is as good as none: opening a file leaves one.
        let state = |path: &Path| match std::fs::metadata(path) {
            Ok(m) if m.len() > 0 => Some((m.len(), m.modified().ok())),
            Ok(_) | Err(_) => None,
        };
        Outside([state(file), state(Path::new(&wal))])
    }
}

/// Harvests what changes, until it is told to stop.
pub(crate) async fn watch(node: Arc<Node>, mut stop: Stop) -> Result<()> {
    let look = node.state().duration("schedule.interval")?;
    let gather = node.state().duration("schedule.gather")?;
    let (touched, mut touches) = mpsc::unbounded_channel();
    let mut folders = Folders::new(touched);
    // A command may have attached a database.
    folders.follow(std::iter::once(node.home().path()));
    let mut seen: HashMap<String, Outside> = HashMap::new();
    let mut all = true;
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    loop {
        let asked = node.clone();
        let databases = match blocking(move || Ok(ordered(asked.state().databases()?))).await {
            Ok(databases) => databases,
            Err(e) => {
                tracing::error!(error = %e, "the databases could not be read");
                Vec::new()
            }
        };
        folders.follow(databases.iter().filter_map(|d| d.file.parent()));
        let mut again = false;
        for database in &databases {
            let concerned =
                all || !seen.contains_key(&database.name) || names.iter().any(|name| concerns(name, &database.file));
            if !concerned || (!all && seen.get(&database.name) == Some(&Outside::of(&database.file))) {
                continue;
            }
            let before = Outside::of(&database.file);
            let (asked, which) = (node.clone(), database.clone());
            match blocking(move || asked.look(&which)).await {
                Ok(writes) => {
                    tracing::debug!(database = %database.name, writes, "looked");
                    let after = Outside::of(&database.file);
                    // Whoever wrote between the two looks is looked at again; so is what was written here.
                    if writes > 0 || before != after {
                        again = true;
                    } else {
                        seen.insert(database.name.clone(), after);
                    }
                }
                Err(e) => tracing::warn!(database = %database.name, error = %e, "a database could not be harvested"),
            }
        }
        if !again {
            names.clear();
            all = false;
        }
        tokio::select! {
            () = stopped(&mut stop) => return Ok(()),
            () = tokio::time::sleep(gather), if again => {}
            Some(name) = touches.recv(), if !again => {
                names.insert(name);
                tokio::time::sleep(gather).await;
            }
            () = tokio::time::sleep(look), if !again => all = true,
        }
        while let Ok(name) = touches.try_recv() {
            names.insert(name);
        }
    }
}

/// Is this the name of the database, its log or its journal?
fn concerns(name: &OsString, file: &Path) -> bool {
    let (name, file) = (name.as_encoded_bytes(), file.as_os_str().as_encoded_bytes());
    name.strip_prefix(file).is_some_and(|rest| matches!(rest, b"" | b"-wal" | b"-journal"))
}

/// Folders that are watched; what is touched in them is told by its whole name.
#[derive(Debug)]
pub struct Folders {
    watcher: Option<RecommendedWatcher>,
    followed: HashSet<PathBuf>,
}

impl Folders {
    /// Of none; a name is sent for each file that is touched.
    pub fn new(touched: mpsc::UnboundedSender<OsString>) -> Folders {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            // Reading changes nothing.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => {
                for path in event.paths {
                    // Nobody listens any more when the agent ends.
                    let _ = touched.send(path.into_os_string());
                }
            }
            Err(e) => tracing::warn!(error = %e, "a watch reported a fault; files are looked at now and then"),
        });
        let watcher = watcher.inspect_err(|e| {
            tracing::warn!(error = %e, "folders can't be watched; files are looked at now and then");
        });
        Folders { watcher: watcher.ok(), followed: HashSet::new() }
    }

    /// Watches these too.
    pub fn follow<'a>(&mut self, folders: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in folders {
            if self.followed.contains(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.followed.insert(folder.to_owned());
                }
                Err(e) => tracing::warn!(error = %e, "a folder can't be watched; its files are looked at now and then"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_belongs_to_its_database_and_a_backup_beside_it_does_not() {
        let file = Path::new("/srv/users.db");
        for (name, expected) in [
            ("/srv/users.db", true),
            ("/srv/users.db-wal", true),
            ("/srv/users.db-journal", true),
            ("/srv/users.db-shm", false),
            ("/srv/users.db.bak", false),
            ("/srv/other/users.db", false),
        ] {
            assert_eq!(concerns(&OsString::from(name), file), expected, "{name}");
        }
    }

    #[test]
    fn an_empty_log_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.db");
        std::fs::write(&file, b"x").unwrap();
        let before = Outside::of(&file);
        std::fs::write(dir.path().join("a.db-wal"), b"").unwrap();
        assert_eq!(Outside::of(&file), before);
        std::fs::write(dir.path().join("a.db-wal"), b"y").unwrap();
        assert_ne!(Outside::of(&file), before);
    }
}
