//! Little that arrives never takes much memory. Alone in its process, since it looks at what that has used at most.
#![cfg(target_os = "linux")]

use lockstep_wire::{Limits, decode_batch};
use std::io::Write;

fn most_used_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn bomb(lines: &mut dyn Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut packer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    lines.for_each(|l| packer.write_all(&l).unwrap());
    packer.finish().unwrap()
}

const HEADER: &str = concat!(
    r#"{"v":1,"type":"batch","database":"d","tables":[{"name":"t","columns":["a"]}],"#,
    r#""replicas":["01010101010101010101010101010101"],"contexts":[[]],"start":{},"end":{},"clock":9,"last":true,"#,
    r#""count":100000,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    "\n"
);

#[test]
fn bombs_are_refused_in_little_memory() {
    let megabyte = || vec![b' '; 1 << 20];
    let header = || std::iter::once(HEADER.as_bytes().to_vec());
    let piece = format!("[\"text\",0,\"{}\"]\n", "a".repeat(1 << 20)).into_bytes();
    let item = br#"["c",0,[0,1],0,0,0,null,{}]"#;
    let before = most_used_kib();
    let bombs = [
        // No newline.
        bomb(&mut (0..2_000).map(|_| megabyte())),
        // Nothing but newlines.
        bomb(&mut (0..2_000).map(|_| vec![b'\n'; 1 << 20])),
        // A line of the right beginning and no end.
        bomb(&mut header().chain((0..2_000).map(|_| megabyte()))),
        // A long value without end.
        bomb(&mut header().chain((0..2_000).map(|_| piece.clone()))),
        // Small items without end.
        bomb(&mut header().chain((0..3_000_000).map(|_| [item.as_slice(), b"\n"].concat()))),
        // References without end in one item.
        bomb(
            &mut header()
                .chain([b"[\"c\",0,[0,1],0,0,0,[[\"t\",\"a\"".to_vec()])
                .chain((0..2_000).map(|_| b",[0,1]".repeat(100_000))),
        ),
    ];
    let made = most_used_kib();
    for bomb in &bombs {
        assert!(bomb.len() < 4 << 20, "{}", bomb.len());
        assert!(decode_batch(bomb, &Limits::default()).is_err());
    }
    let used = most_used_kib();
    println!("before {before} KiB, bombs made {made} KiB, read {used} KiB");
    assert!(used < 160 << 10, "{used} KiB");
}
