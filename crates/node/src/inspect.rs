//! What attaching files would find, without touching them.
//!
//! Always true here: what is looked at are copies in the node's own folder, made as a backup is made and gone when this
//! is done; the application's files are only read.
use crate::Result;
use crate::attachment::{Attach, DatabaseReport};
use crate::engine::Sibling;
use crate::node::Node;
use crate::state::AttachedDatabase;
use std::path::PathBuf;

/// A copy, until it is dropped.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(ending);
            match std::fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(file = %self.0.display(), error = %e, "a copy could not be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

impl Node {
    /// What [`Node::attach`] would report of these files. Nothing is changed, and nothing is attached.
    pub fn inspect(&self, attach: &Attach) -> Result<Vec<DatabaseReport>> {
        let wanted = self.wanted(attach)?;
        let mut copies = Vec::new();
        for database in &wanted {
            let copy = Copy(self.free_backup(&database.name, "inspected"));
            self.copy(database, &copy.0, true)?;
            copies.push(copy);
        }
        let copied =
            |database: &AttachedDatabase, copy: &Copy| AttachedDatabase { file: copy.0.clone(), ..database.clone() };
        let mut reports = Vec::new();
        for (database, copy) in wanted.iter().zip(&copies) {
            let others = wanted.iter().zip(&copies).filter(|(other, _)| other.name != database.name);
            let siblings: Vec<_> = others.map(|(d, c)| Sibling { name: d.name.clone(), path: c.0.clone() }).collect();
            let report = self.attach_file(&copied(database, copy), &siblings, false, &mut |_, _, _| {})?;
            let (file, wal) = (database.file.display().to_string(), self.is_wal(database)?);
            reports.push(DatabaseReport { file, wal, ..report });
        }
        Ok(reports)
    }
}
