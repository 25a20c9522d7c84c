//! Two agents with a bad line between them: it delays, cuts, resets and truncates while both applications write. In the
//! end everything is on both sides, and verified.
//!
//! `LOCKSTEP_SOAK` says for how many seconds; usually it is 20.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::SockRef;

use crate::scouting::event;
use crate::server::{SCOUTING, Server, all_agree, sound};

/// How long the two get to come to rest on a good line.
const REST: Duration = Duration::from_secs(90);

/// A line to `target` that is bad as long as it is told to be.
struct Line {
    address: String,
    bad: Arc<AtomicBool>,
    troubles: Arc<AtomicU64>,
}

/// Chance, the same in each run.
fn dice(state: &AtomicU64) -> u64 {
    let next = |x: u64| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let before = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(next(x)));
    before.unwrap_or_else(|x| x) >> 33
}

impl Line {
    fn to(target: &str) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (bad, troubles) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let line = Line { address, bad: bad.clone(), troubles: troubles.clone() };
        let (target, seed) = (target.to_owned(), Arc::new(AtomicU64::new(20_260_301)));
        // It ends with the process: nobody calls it any more then.
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(callee) = TcpStream::connect(&target) else { continue };
                let reset = Arc::new(AtomicBool::new(false));
                for (from, to) in [(&caller, &callee), (&callee, &caller)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let (bad, troubles, seed) = (bad.clone(), troubles.clone(), seed.clone());
                    let reset = reset.clone();
                    std::thread::spawn(move || carry([from, to], &bad, &troubles, &seed, &reset));
                }
            }
        });
        line
    }
}

/// Carries bytes one way, well or not. `reset`: both ends are to get a reset in place of an end.
fn carry(
    [mut from, mut to]: [TcpStream; 2],
    bad: &AtomicBool,
    troubles: &AtomicU64,
    seed: &AtomicU64,
    reset: &AtomicBool,
) {
    let mut buffer = [0; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        let mut n = n;
        if n == 0 {
            break;
        }
        if bad.load(Ordering::Relaxed) {
            match dice(seed) % 100 {
                0..=14 => std::thread::sleep(Duration::from_millis(dice(seed) % 120)),
                // Cut in the middle of what was to be sent.
                15..=17 => {
                    n /= 2;
                    let _half = to.write_all(&buffer[..n]);
                    troubles.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                // Gone, with nothing said.
                18 => {
                    troubles.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                19 => {
                    troubles.fetch_add(1, Ordering::Relaxed);
                    reset.store(true, Ordering::Relaxed);
                    break;
                }
                // Bytes that are not those that were sent.
                20 => {
                    troubles.fetch_add(1, Ordering::Relaxed);
                    buffer[n / 2] ^= 0x40;
                }
                _ => {}
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // What closes a connection that does not linger is a reset; the other direction is only woken up before.
    let ends = if reset.load(Ordering::Relaxed) { Shutdown::Read } else { Shutdown::Both };
    for end in [&from, &to] {
        let _closed_already = match ends {
            Shutdown::Read => SockRef::from(end).set_linger(Some(Duration::ZERO)).and_then(|()| end.shutdown(ends)),
            Shutdown::Write | Shutdown::Both => end.shutdown(ends),
        };
    }
}

#[test]
fn on_a_bad_line_nothing_is_lost_and_all_is_verified_in_the_end() {
    let seconds = std::env::var("LOCKSTEP_SOAK").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let (a, b) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING));
    a.attach();
    b.attach();
    a.serve();
    let line = Line::to(&a.listening());
    a.stop();
    a.advertise(&line.address);
    a.serve();
    let invite = a.well(&["invite"]);
    let invite = invite["invite"].as_str().expect("an invite").to_owned();
    b.pair_with(&a, &invite);
    // Beta can't be called, so that all goes over the line.
    b.advertise("none");
    b.serve();

    line.bad.store(true, Ordering::Relaxed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut written = 0;
    while Instant::now() < until {
        for server in [&a, &b] {
            server.sql("scouting", &event(&format!("{}-{written}", server.name), 1));
            // Both write the same row now and then, and take some back.
            if written % 5 == 0 {
                server.sql(
                    "scouting",
                    &format!("UPDATE event SET location = '{} {written}' WHERE code = 'alpha-0'", server.name),
                );
            }
            if written % 7 == 3 {
                server.sql("scouting", &format!("DELETE FROM event WHERE code = '{}-{}'", server.name, written - 2));
            }
        }
        written += 1;
        std::thread::sleep(Duration::from_millis(40));
    }
    line.bad.store(false, Ordering::Relaxed);
    let troubles = line.troubles.load(Ordering::Relaxed);
    println!("{written} rows written on each side; the line failed {troubles} times");
    assert!(troubles > 0, "the line was good all the while");

    let deleted = (0..written).filter(|n| n % 7 == 3).count() as i64;
    let expected = 2 * (written - deleted);
    let rest = Instant::now() + REST;
    let count = |server: &Server| server.number("scouting", "SELECT count(*) FROM event");
    while (count(&a), count(&b)) != (expected, expected) {
        assert!(Instant::now() < rest, "{} and {} of {expected} rows", count(&a), count(&b));
        std::thread::sleep(Duration::from_millis(200));
    }
    loop {
        let run = b.lockstep(&["sync", a.name]);
        if run.json["peers"][0]["verified"] == json!(true) {
            break;
        }
        assert!(Instant::now() < rest, "{run:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    sound(&[&b, &a]);
    let shared = all_agree(&[&a, &b], "scouting", "SELECT location FROM event WHERE code = 'alpha-0'");
    assert_eq!(shared.len(), 1);
    let runs = b.well(&["runs"]);
    let failed = runs["rates"].as_array().expect("rates").iter().any(|r| r["failed"].as_u64() > Some(0));
    println!("runs that failed were recorded as failed: {failed}");
}
