//! The files of the project as git sees them: what is committed, or would be.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file with text in it.
pub struct Source {
    /// Relative to the root, with slashes.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Written by a tool: nobody reads it line by line.
    pub fn is_generated(&self) -> bool {
        let tools = [".lock", "package-lock.json", "ui/src/host/types.ts"];
        tools.iter().any(|name| self.name.ends_with(name))
    }
}

/// All of them.
pub struct House {
    root: PathBuf,
    sources: Vec<Source>,
}

impl House {
    /// Reads every file that is text.
    pub fn open() -> House {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project").to_owned();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .expect("git can be run");
        assert!(listed.status.success(), "git can list the files of the project");
        let names = String::from_utf8(listed.stdout).expect("names are UTF-8");
        // A file that was deleted but not committed yet is listed, and can't be read; neither can a picture.
        let sources = names.split_terminator('\0').filter_map(|name| {
            let text = std::fs::read_to_string(root.join(name)).ok()?;
            Some(Source { name: name.to_owned(), text })
        });
        let sources: Vec<_> = sources.collect();
        assert!(sources.len() > 50, "the project has more files than {}", sources.len());
        House { root, sources }
    }

    /// Every file with text in it.
    pub fn texts(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The Rust of the crates and of the console.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        let ours = |s: &&Source| s.name.starts_with("crates/") || s.name.starts_with("src-tauri/");
        self.texts().filter(|s| s.name.ends_with(".rs")).filter(ours)
    }

    /// The text of one file.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.sources.iter().find(|s| s.name == name).map(|s| &*s.text)
    }

    /// One file of JSON.
    pub fn json(&self, name: &str) -> serde_json::Value {
        let text = self.text(name).unwrap_or_else(|| panic!("there is no {name}"));
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Is there a file or folder of that name?
    pub fn has(&self, folder: &str, name: &str) -> bool {
        self.root.join(folder).join(name).exists()
    }
}
