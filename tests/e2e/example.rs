//! The example and its demo, as a newcomer runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{binary, bounded};

fn scouting() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scouting")
}

#[test]
fn the_examples_own_tests_pass() {
    let mut command = Command::new("python3");
    command.args(["-B", "-m", "unittest"]).current_dir(scouting());
    let (status, _, said) = bounded(command, "");
    assert_eq!(status, 0, "{said}");
}

#[test]
fn the_demo_ends_well_on_small_databases() {
    let folder = tempfile::tempdir().expect("a folder for the demo");
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(scouting().join("demo.py"))
        .arg("--lockstep")
        .arg(binary())
        .arg("--folder")
        .arg(folder.path().join("demo"))
        .args(["--teams", "24", "--matches", "40", "--rows", "150", "--live-runs", "2"]);
    let (status, said, errors) = bounded(command, "");
    assert_eq!(status, 0, "{said}\n{errors}");
}
