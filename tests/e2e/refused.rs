//! Files that can't be worked on are refused with a clear error, and never touched.

use std::path::Path;

use serde_json::json;

use crate::server::{Schema, Server, all_read, sync, two};

const SHOP: Schema<'static> = Schema {
    databases: &[("shop", "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));")],
    config: "",
};

fn bytes(path: &Path) -> Option<Vec<u8>> {
    path.is_file().then(|| std::fs::read(path).expect("it can be read"))
}

/// Runs a command that has to be refused, and looks whether the file is what it was.
fn refused(server: &Server, args: &[&str], file: &Path, code: &str) {
    let before = bytes(file);
    let done = server.lockstep(args);
    assert_eq!((done.status, done.json["error"]["code"].clone()), (1, json!(code)), "{args:?}: {done:?}");
    let said = format!("{} {}", done.json["error"]["message"], done.json["error"]["hint"]);
    assert!(said.len() > 40, "{args:?}: what is wrong, and what to do: {said}");
    assert!(bytes(file) == before, "{args:?}: the file was touched");
    for end in ["-wal", "-shm", "-journal"] {
        let beside = format!("{}{end}", file.display());
        assert!(!Path::new(&beside).exists(), "{args:?}: {beside} was left");
    }
}

#[test]
fn what_is_no_database_of_the_application_is_not_attached() {
    let a = Server::new("alpha", SHOP);
    a.well(&["init", "--name", "alpha"]);
    a.sql("shop", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) INSERT INTO item (tag) SELECT hex(randomblob(40)) FROM n");
    let whole = a.copied("shop", "whole.db");
    let sound = std::fs::read(&whole).expect("it can be read");
    // One page of the table is another's: the schema reads well, and nothing fails until that page is needed.
    let mut crossed = sound.clone();
    let page = 4096 * 5;
    crossed[page..page + 4096].fill(0x5a);
    let file = |name: &str, content: &[u8]| {
        let path = a.home().with_file_name(name);
        std::fs::write(&path, content).expect("it can be written");
        path
    };
    let mut corrupt = sound.clone();
    corrupt[100..140].fill(0xee);
    let cases = [
        (a.home().with_file_name("missing.db"), "file_io"),
        (a.home(), "not_a_database"),
        (file("text.db", b"id,name\n1,one\n"), "not_a_database"),
        // As SQLCipher leaves it: no header, no page that could be read.
        (
            file(
                "encrypted.db",
                &(0..8192u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
            ),
            "not_a_database",
        ),
        (file("corrupt.db", &corrupt), "corrupt"),
        (file("crossed.db", &crossed), "corrupt"),
        (file("cut.db", &sound[..sound.len() / 2 + 100]), "corrupt"),
    ];
    for (path, code) in cases {
        let path_text = path.to_str().expect("a path in UTF-8").to_owned();
        refused(&a, &["attach", "--no-backup", &format!("other={path_text}")], &path, code);
        let known = a.well(&["tables"]);
        assert_eq!(known["databases"], json!([]), "nothing is left of the attempt");
    }
}

#[test]
fn a_file_of_a_newer_lockstep_is_left_alone() {
    let (a, b) = two(SHOP);
    a.sql("shop", "UPDATE _lockstep_meta SET v = 99 WHERE k = 'format'");
    let file = a.copied("shop", "newer.db").with_file_name("shop.db");
    refused(&a, &["doctor", "shop"], &file, "newer_format");
    refused(&a, &["verify"], &file, "newer_format");
    refused(&a, &["attach", "--no-backup", &format!("shop={}", file.display())], &file, "newer_format");
    assert_ne!(b.sync_with_any(&a).status, 0);
    assert!(bytes(&file) == bytes(&file.with_file_name("newer.db")), "a peer's session did not touch it either");
}

/// An attached file that goes bad: work on it fails, the others go on, and nothing is written to it.
#[test]
fn an_attached_file_that_goes_bad_is_set_before_the_superadmin_as_it_is() {
    let (a, b) = two(SHOP);
    a.sql("shop", "INSERT INTO item (tag) VALUES ('one')");
    sync(&b, &a);
    let whole = b.copied("shop", "whole.db");
    let file = b.file("shop");
    let sound = std::fs::read(&whole).expect("it can be read");
    let mut corrupt = sound.clone();
    corrupt[100..140].fill(0xee);
    for (content, code) in [
        (Some(corrupt), "corrupt"),
        (Some(b"not a database at all".to_vec()), "not_a_database"),
        (None, "missing_file"),
    ] {
        match content {
            Some(content) => std::fs::write(&file, content).expect("it can be written"),
            None => std::fs::remove_file(&file).expect("it can be removed"),
        }
        refused(&b, &["doctor", "shop"], &file, code);
        let before = bytes(&file);
        let status = b.lockstep(&["status"]);
        let capture = status.json["databases"][0]["capture"].as_str().expect("what is wrong");
        assert_ne!(capture, "ok", "{status:?}");
        let run = b.lockstep(&["sync", a.name]);
        assert_eq!((run.status, run.json["error"]["code"].clone()), (1, json!(code)), "{run:?}");
        assert!(bytes(&file) == before, "{code}: the file was touched");
    }
    // The file as it was, put back: nothing is missing.
    std::fs::write(&file, sound).expect("it can be written");
    a.sql("shop", "INSERT INTO item (tag) VALUES ('two')");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["one", "two"]);
}
