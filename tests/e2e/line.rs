//! A line between two nodes that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Bytes that pass in each direction of a connection before it is cut.
pub const ALL: i64 = i64::MAX;

/// See the module. Its threads end with the test's process.
pub struct Line {
    pub address: String,
    to: Arc<Mutex<Option<String>>>,
    passes: Arc<AtomicI64>,
}

impl Line {
    pub fn new() -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        let address = listener.local_addr().expect("it listens").to_string();
        let (to, passes) = (Arc::new(Mutex::new(None)), Arc::new(AtomicI64::new(ALL)));
        let (target, limit) = (to.clone(), passes.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Some(target) = target.lock().expect("no thread panics").clone() else { continue };
                let most = limit.load(Ordering::SeqCst);
                if most == 0 {
                    continue;
                }
                let Ok(far) = TcpStream::connect::<String>(target) else { continue };
                let (near2, far2) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
                std::thread::spawn(move || pass(near, far, most));
                std::thread::spawn(move || pass(far2, near2, most));
            }
        });
        Line { address, to, passes }
    }

    /// Where it leads.
    pub fn leads_to(&self, address: String) {
        *self.to.lock().expect("no thread panics") = Some(address);
    }

    /// From now on connections are cut after so many bytes either way; 0: none comes about.
    pub fn passes(&self, bytes: i64) {
        self.passes.store(bytes, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut most: i64) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let n = n.min(usize::try_from(most).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        most -= i64::try_from(n).unwrap_or(most);
        if most <= 0 {
            break;
        }
    }
    // Both ways, whatever is still on its way.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
