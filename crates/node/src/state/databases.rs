//! The attached databases.
use super::{Error, Result, State};
use lockstep_engine::config::DatabaseConfig;
use lockstep_engine::id::Millis;
use rusqlite::OptionalExtension;
use std::path::{Path, PathBuf};

/// A database of the application, as this node knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachedDatabase {
    /// Logical name, shared with peers.
    pub name: String,
    /// Its file here, absolute.
    pub file: PathBuf,
    /// What `lockstep.toml` said when it was attached.
    pub config: DatabaseConfig,
}

impl State {
    /// All of them, by name.
    pub fn databases(&self) -> Result<Vec<AttachedDatabase>> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT name, file, config FROM attached ORDER BY name")?;
        let rows = st.query_map([], |r| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?)))?;
        rows.map(|row| {
            let (name, file, config) = row?;
            let config = serde_json::from_str(&config)
                .map_err(|e| Error::Damaged { what: format!("the configuration of {name}: {e}") })?;
            Ok(AttachedDatabase { name, file: file.into(), config })
        })
        .collect()
    }

    /// One of them.
    pub fn database(&self, name: &str) -> Result<AttachedDatabase> {
        let unknown = || Error::Unknown { what: "database", name: name.to_owned() };
        self.databases()?.into_iter().find(|d| d.name == name).ok_or_else(unknown)
    }

    /// Remembers one. The same name and file again is no error: `attach` can be repeated.
    pub fn add_database(&self, database: &AttachedDatabase, now: Millis) -> Result<()> {
        let file = path_text(&database.file)?;
        let config = serde_json::to_string(&database.config).expect("a configuration is plain data");
        self.change(|db| {
            let there: Option<String> =
                db.query_row("SELECT file FROM attached WHERE name = ?1", [&database.name], |r| r.get(0)).optional()?;
            if there.is_some_and(|there| there != file) {
                return Err(Error::NameTaken { what: "database", name: database.name.clone() });
            }
            let other: Option<String> = db
                .query_row("SELECT name FROM attached WHERE file = ?1 AND name <> ?2", [file, &database.name], |r| {
                    r.get(0)
                })
                .optional()?;
            if let Some(name) = other {
                return Err(Error::NameTaken { what: "database", name });
            }
            db.execute(
                "INSERT INTO attached(name, file, config, attached_at) VALUES(?1, ?2, ?3, ?4)
                 ON CONFLICT(name) DO UPDATE SET config = excluded.config",
                (&database.name, file, &config, now.0),
            )?;
            Ok(())
        })
    }

    /// Forgets one, with all that concerned it.
    pub fn remove_database(&self, name: &str) -> Result<()> {
        self.change(|db| {
            db.execute("DELETE FROM acknowledged WHERE name = ?1", [name])?;
            db.execute("DELETE FROM told WHERE name = ?1", [name])?;
            db.execute("DELETE FROM heard WHERE name = ?1", [name])?;
            db.execute("DELETE FROM share WHERE name = ?1", [name])?;
            db.execute("DELETE FROM restriction WHERE name = ?1", [name])?;
            db.execute("DELETE FROM missing WHERE name = ?1", [name])?;
            match db.execute("DELETE FROM attached WHERE name = ?1", [name])? {
                0 => Err(Error::Unknown { what: "database", name: name.to_owned() }),
                _ => Ok(()),
            }
        })
    }
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::Damaged { what: format!("{} is not a name in UTF-8", path.display()) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn a_database_can_be_attached_again_but_neither_its_name_nor_its_file_can_be_taken() {
        let (_dir, _home, state) = fresh();
        let entry = |name: &str, file: &str| AttachedDatabase {
            name: name.into(),
            file: file.into(),
            config: DatabaseConfig { exclude: vec!["sync_*".into()], ..Default::default() },
        };
        state.add_database(&entry("users", "/a"), Millis(1)).unwrap();
        state.add_database(&entry("users", "/a"), Millis(2)).unwrap();
        assert!(matches!(state.add_database(&entry("users", "/b"), Millis(3)), Err(Error::NameTaken { .. })));
        assert!(matches!(state.add_database(&entry("others", "/a"), Millis(3)), Err(Error::NameTaken { .. })));
        assert_eq!(state.databases().unwrap(), [entry("users", "/a")]);
        state.remove_database("users").unwrap();
        assert!(matches!(state.remove_database("users"), Err(Error::Unknown { .. })));
    }
}
