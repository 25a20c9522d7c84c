//! A disk as a power cut leaves it: what was synced is there, and of the rest whatever chance says.
//!
//! Always true here: the bytes of a file are durable by a sync of that file alone, its name by a sync of the folder
//! alone. Writes that were not synced are kept or lost one by one, some torn in the middle; names change in the order in
//! which they were changed, up to any point. That is the least that a file system promises.
use std::collections::BTreeMap;

/// Of that many bytes a write is whole or not there.
const SECTOR: usize = 512;

/// What a process did.
#[derive(Clone, Debug)]
pub enum Op {
    Create { inode: u64, name: String },
    Write { inode: u64, at: usize, bytes: Vec<u8> },
    Truncate { inode: u64, length: usize },
    Sync { inode: u64 },
    Unlink { name: String },
    SyncFolder,
}

/// Reads a record as `disk.c` writes it.
pub fn read(trace: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut rest = trace;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("a line of text");
        rest = &rest[end + 1..];
        let mut words = line.splitn(4, ' ');
        let what = words.next().expect("a word");
        let mut number = || words.next().and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("no number: {line}"));
        let last = |n| line.splitn(n, ' ').last().expect("a name").to_owned();
        ops.push(match what {
            "create" => Op::Create { inode: number(), name: last(3) },
            "write" => {
                let (inode, at, length) = (number(), number() as usize, number() as usize);
                let bytes = rest[..length].to_vec();
                rest = &rest[length + 1..];
                Op::Write { inode, at, bytes }
            }
            "truncate" => Op::Truncate { inode: number(), length: number() as usize },
            "sync" => Op::Sync { inode: number() },
            "unlink" => Op::Unlink { name: last(2) },
            "folder" => Op::SyncFolder,
            _ => panic!("an unknown call: {line}"),
        });
    }
    ops
}

/// What becomes of a write that was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Kept,
    Lost,
    /// So many of its sectors came to the disk.
    Torn(usize),
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Op>,
}

/// The files of one folder.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<u64, File>,
    names: BTreeMap<String, u64>,
    pending: Vec<Op>,
}

/// Names and contents.
pub type Contents = BTreeMap<String, Vec<u8>>;

impl Disk {
    /// One more call.
    pub fn take(&mut self, op: &Op) {
        match op {
            Op::Create { inode, .. } => {
                self.files.insert(*inode, File::default());
                self.pending.push(op.clone());
            }
            Op::Unlink { .. } => self.pending.push(op.clone()),
            Op::Write { inode, .. } | Op::Truncate { inode, .. } => {
                self.files.entry(*inode).or_default().pending.push(op.clone());
            }
            Op::Sync { inode } => {
                let file = self.files.entry(*inode).or_default();
                let pending = std::mem::take(&mut file.pending);
                pending.iter().for_each(|op| write(&mut file.durable, op, Fate::Kept));
            }
            Op::SyncFolder => {
                let pending = std::mem::take(&mut self.pending);
                pending.iter().for_each(|op| name(&mut self.names, op));
            }
        }
    }

    /// Everything so far is on the disk.
    pub fn settle(&mut self) {
        let inodes: Vec<u64> = self.files.keys().copied().collect();
        inodes.into_iter().for_each(|inode| self.take(&Op::Sync { inode }));
        self.take(&Op::SyncFolder);
    }

    /// What is found after a cut: so many of the changes of names, and of each write what `fate` says.
    pub fn cut(&self, names: impl FnOnce(usize) -> usize, mut fate: impl FnMut() -> Fate) -> Contents {
        let mut found = self.names.clone();
        self.pending.iter().take(names(self.pending.len())).for_each(|op| name(&mut found, op));
        let read = |(name, inode): (String, u64)| {
            let file = self.files.get(&inode).expect("a file that was created");
            let mut bytes = file.durable.clone();
            file.pending.iter().for_each(|op| write(&mut bytes, op, fate()));
            (name, bytes)
        };
        found.into_iter().map(read).collect()
    }
}

fn name(names: &mut BTreeMap<String, u64>, op: &Op) {
    match op {
        Op::Create { inode, name } => _ = names.insert(name.clone(), *inode),
        Op::Unlink { name } => _ = names.remove(name),
        Op::Write { .. } | Op::Truncate { .. } | Op::Sync { .. } | Op::SyncFolder => unreachable!("not of a name"),
    }
}

fn write(file: &mut Vec<u8>, op: &Op, fate: Fate) {
    match (op, fate) {
        (_, Fate::Lost) => {}
        (Op::Write { at, bytes, .. }, Fate::Kept | Fate::Torn(_)) => {
            let length = match fate {
                Fate::Torn(sectors) => bytes.len().min(sectors * SECTOR),
                Fate::Kept | Fate::Lost => bytes.len(),
            };
            file.resize(file.len().max(at + length), 0);
            file[*at..at + length].copy_from_slice(&bytes[..length]);
        }
        (Op::Truncate { length, .. }, Fate::Kept | Fate::Torn(_)) => file.resize(*length, 0),
        (Op::Create { .. } | Op::Sync { .. } | Op::Unlink { .. } | Op::SyncFolder, _) => {
            unreachable!("not of the bytes of a file")
        }
    }
}
