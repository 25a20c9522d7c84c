//! Two hosts on one wire: each a network namespace of its own, joined by a pair of virtual cards.
//!
//! Always true here: nothing outside of the namespaces is touched, and they are gone with the processes that hold them,
//! which end with the test, or by themselves after ten minutes.
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a test that can't run here says.
const UNABLE: &str = "no network namespaces can be made here, and without them this can't be tested. Run it on Linux with \
     `unshare`, `nsenter` and `ip` (packages util-linux and iproute2), as root or where user namespaces are allowed \
     (sysctl user.max_user_namespaces > 0). Everything else is tested on loopback by `make test`";

/// A namespace, held by a process that sleeps in it.
struct Space(Child);

impl Space {
    fn hold(mut command: Command) -> Space {
        let asleep = command.args(["sleep", "600"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut child = asleep.unwrap_or_else(|e| panic!("{UNABLE}: {e}"));
        let until = Instant::now() + Duration::from_secs(20);
        // It is in its namespace when it has become `sleep`.
        loop {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
            if name.trim() == "sleep" {
                return Space(child);
            }
            let ended = child.try_wait().expect("it was started here");
            assert!(ended.is_none() && Instant::now() < until, "{UNABLE}: {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A command in it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--user", "--net", "--preserve-credentials", program]);
        command
    }

    fn ip(&self, words: &str) {
        let said = self.command("ip").args(words.split(' ')).output().expect("ip runs");
        assert!(said.status.success(), "ip {words}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// One end of the wire.
pub struct Host {
    space: Space,
    /// Without the length of the network.
    pub address: String,
    /// That of its card.
    hardware: &'static str,
}

impl Host {
    /// A command on this host.
    pub fn command(&self, program: &str) -> Command {
        self.space.command(program)
    }

    /// The card is on or off: nothing passes either way.
    pub fn set_card(&self, on: bool) {
        self.space.ip(if on { "link set card up" } else { "link set card down" });
    }

    /// What this host sends to another gets lost on the way, without a word.
    pub fn loses_what_it_sends(&self, to: &Host, loses: bool) {
        let hardware = if loses { "02:00:00:00:00:99" } else { to.hardware };
        self.space.ip(&format!("neigh replace {} lladdr {hardware} dev card nud permanent", to.address));
    }

    /// Another address from now on.
    pub fn moves(&mut self, address: &str) {
        self.space.ip(&format!("addr del {}/24 dev card", self.address));
        self.space.ip(&format!("addr add {address}/24 dev card"));
        self.address = address.to_owned();
    }

    /// So many thousand bits a second leave this host.
    pub fn slows_down(&self, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        let words = ["qdisc", "add", "dev", "card", "root", "tbf", "rate", &rate, "burst", "8k", "latency", "400ms"];
        let said = self.command("tc").args(words).output().expect("tc runs");
        assert!(said.status.success(), "tc: {}", String::from_utf8_lossy(&said.stderr));
    }
}

/// Two hosts and the wire between them.
pub fn wire() -> (Host, Host) {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]);
    let outer = Space::hold(command);
    let host = |address: &str, hardware| {
        let mut command = outer.command("unshare");
        command.arg("--net");
        Host { space: Space::hold(command), address: address.to_owned(), hardware }
    };
    let hosts = (host("10.77.0.1", "02:00:00:00:00:01"), host("10.77.0.2", "02:00:00:00:00:02"));
    outer.ip("link add end1 type veth peer name end2");
    for (end, host) in [("end1", &hosts.0), ("end2", &hosts.1)] {
        outer.ip(&format!("link set {end} netns {}", host.space.0.id()));
        host.space.ip(&format!("link set {end} name card address {}", host.hardware));
        host.space.ip("link set lo up");
        host.space.ip("link set card up");
        host.space.ip(&format!("addr add {}/24 dev card", host.address));
    }
    hosts
}
