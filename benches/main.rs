//! What is claimed about speed, each figure beside its floor in the same run. `benches/README.md` says how to read it.
mod capture;
mod delta;
mod exchange;
mod first_sync;
mod idle;
mod measure;
mod memory;
mod sample;
mod wait;

use std::path::{Path, PathBuf};

/// What a person can say.
pub struct Options {
    /// Rows of a first sync, and of the table under a delta.
    pub rows: usize,
    /// The largest table of an idle sync.
    pub most: usize,
    /// Rounds of floor and subject.
    pub rounds: usize,
    /// Items of a batch of a first sync.
    pub batch: usize,
    /// Where files are made; None: the system's folder for temporary files.
    dir: Option<PathBuf>,
}

impl Options {
    /// A new folder that goes when it is dropped.
    pub fn folder(&self) -> tempfile::TempDir {
        match &self.dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        }
        .expect("a folder for temporary files")
    }
}

const USAGE: &str = "benches [FIGURE …] [--rows N] [--most N] [--rounds N] [--batch N] [--dir FOLDER] [--json FILE]

FIGURE   capture, first-sync, delta, idle, memory, wait; none: all of them
--rows   rows of a first sync, and of the table under a delta (100000)
--most   the largest table of the idle figure (1000000)
--rounds rounds of floor and subject, of which the median counts (5)
--batch  rows in a batch of a first sync (2500)
--dir    where files are made (the folder for temporary files)
--json   also write the figures there";

type Run = fn(&Options, &mut measure::Report);

const FIGURES: [(&str, Run); 6] = [
    ("capture", capture::run),
    ("first-sync", first_sync::run),
    ("delta", delta::run),
    ("idle", idle::run),
    ("memory", memory::run),
    ("wait", wait::run),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|w| w == "--side") {
        return memory::side(&words[1..]);
    }
    let mut options = Options { rows: 100_000, most: 1_000_000, rounds: 5, batch: first_sync::BULK.items, dir: None };
    let (mut chosen, mut json) = (Vec::new(), None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
        match word.as_str() {
            "--rows" => options.rows = number(&value()),
            "--most" => options.most = number(&value()),
            "--rounds" => options.rounds = number(&value()).max(1),
            "--batch" => options.batch = number(&value()).max(1),
            "--dir" => options.dir = Some(value().into()),
            "--json" => json = Some(value()),
            "--help" | "-h" => {
                println!("{USAGE}");
                return;
            }
            // Cargo says this to every program that it takes for a benchmark.
            "--bench" => {}
            name if FIGURES.iter().any(|(f, _)| *f == name) => chosen.push(word),
            _ => stop(&format!("no figure and no option is called {word}")),
        }
    }
    let mut report = measure::Report::default();
    if cfg!(debug_assertions) {
        println!("This is a debug build: the figures mean nothing.");
    }
    if !measure::has_cpu_time() {
        println!("This system does not tell the CPU time of a thread: wall time stands in for it.");
    }
    for (name, run) in FIGURES {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            run(&options, &mut report);
        }
    }
    let (met, goals) = report.goals();
    println!("\n{met} of {goals} goals met.");
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&report.json()).expect("numbers");
        std::fs::write(&path, text + "\n").unwrap_or_else(|e| stop(&format!("{path}: {e}")));
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| stop(&format!("{text} is no number")))
}

fn stop(why: &str) -> ! {
    eprintln!("{why}\n\n{USAGE}");
    std::process::exit(2);
}

/// Removes a database file and what SQLite puts beside it.
pub fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => panic!("{}: {e}", name.display()),
        }
    }
}

/// Copies a closed database file.
pub fn copy(from: &Path, to: &Path) {
    remove(to);
    std::fs::copy(from, to).expect("a copy");
}
