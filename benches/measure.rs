//! Clocks, repetition and the table that is printed.
//!
//! Always true here: floor and subject are measured in turns in one process, and a figure is the median of its rounds.
//! CPU time is that of the threads which did the work, from the kernel's scheduler (Linux); elsewhere wall time stands
//! in for it, and the output says so. The kernel brings it up to date a few hundred times a second, so it says nothing of
//! work that takes less than some milliseconds.
use std::time::{Duration, Instant};

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// On the wall.
    pub wall: Duration,
    /// Of the processor, system time included.
    pub cpu: Duration,
}

impl std::ops::Add for Took {
    type Output = Took;
    fn add(self, other: Took) -> Took {
        Took { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Took) {
        *self = *self + other;
    }
}

/// A running stopwatch of this thread.
pub struct Watch {
    wall: Instant,
    cpu: Duration,
}

impl Watch {
    /// Starts now.
    pub fn start() -> Watch {
        Watch { wall: Instant::now(), cpu: thread_cpu().unwrap_or_default() }
    }

    /// What went by since the start.
    pub fn took(&self) -> Took {
        let wall = self.wall.elapsed();
        Took { wall, cpu: thread_cpu().map_or(wall, |now| now.saturating_sub(self.cpu)) }
    }
}

/// Runs a piece of work under a watch.
pub fn time<T>(work: impl FnOnce() -> T) -> (Took, T) {
    let watch = Watch::start();
    let done = work();
    (watch.took(), done)
}

/// The CPU time of this thread so far. None: this system doesn't tell.
fn thread_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Can CPU time be told from wall time here?
pub fn has_cpu_time() -> bool {
    thread_cpu().is_some()
}

/// The most memory that this process ever had resident, in bytes. None: this system doesn't tell.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb * 1024)
}

/// The middle one.
pub fn median(mut all: Vec<f64>) -> f64 {
    assert!(!all.is_empty(), "a figure has at least one round");
    all.sort_by(f64::total_cmp);
    let half = all.len() / 2;
    if all.len() % 2 == 1 { all[half] } else { (all[half - 1] + all[half]) / 2.0 }
}

/// The median of one side of several rounds.
pub fn median_of(rounds: &[Took]) -> Took {
    let of =
        |f: fn(&Took) -> Duration| Duration::from_secs_f64(median(rounds.iter().map(|t| f(t).as_secs_f64()).collect()));
    Took { wall: of(|t| t.wall), cpu: of(|t| t.cpu) }
}

/// The median of the rounds' own ratios: what a noisy neighbour does to one round, it does to both sides of it.
pub fn ratio(over: &[Took], under: &[Took], side: fn(&Took) -> Duration) -> f64 {
    median(over.iter().zip(under).map(|(o, u)| side(o).as_secs_f64() / side(u).as_secs_f64()).collect())
}

/// Which way a goal points.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// What a figure counts.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// A plain number.
    Ratio,
    /// Bytes.
    Bytes,
    /// Mebibytes.
    Mebibytes,
    /// Per second.
    PerSecond,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Figure {
    name: String,
    value: f64,
    unit: Unit,
    goal: Option<Goal>,
}

/// Everything measured in one run.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure and prints it at once.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: Unit, goal: Option<Goal>) {
        let figure = Figure { name: name.into(), value, unit, goal };
        println!("  {}", figure.line());
        self.figures.push(figure);
    }

    /// How many goals were met, and how many there were.
    pub fn goals(&self) -> (usize, usize) {
        let with: Vec<bool> = self.figures.iter().filter_map(Figure::met).collect();
        (with.iter().filter(|m| **m).count(), with.len())
    }

    /// The same as JSON, for comparing runs.
    pub fn json(&self) -> serde_json::Value {
        let list = self.figures.iter().map(|f| {
            let goal = f.goal.map(|g| match g {
                Goal::AtMost(n) => serde_json::json!({ "at_most": n }),
                Goal::AtLeast(n) => serde_json::json!({ "at_least": n }),
            });
            serde_json::json!({ "name": f.name, "value": f.value, "unit": format!("{:?}", f.unit), "goal": goal, "met": f.met() })
        });
        list.collect()
    }
}

impl Figure {
    fn met(&self) -> Option<bool> {
        self.goal.map(|g| match g {
            Goal::AtMost(n) => self.value <= n,
            Goal::AtLeast(n) => self.value >= n,
        })
    }

    fn line(&self) -> String {
        let show = |v: f64| match self.unit {
            Unit::Ratio => format!("{v:.2}"),
            Unit::Bytes => format!("{v:.1} B"),
            Unit::Mebibytes => format!("{v:.1} MiB"),
            Unit::PerSecond => format!("{v:.0} /s"),
            Unit::Millis => format!("{v:.2} ms"),
            Unit::Micros => format!("{v:.2} us"),
        };
        let goal = match self.goal {
            None => String::new(),
            Some(Goal::AtMost(n)) => format!("goal: at most {}", show(n)),
            Some(Goal::AtLeast(n)) => format!("goal: at least {}", show(n)),
        };
        let met = match self.met() {
            None => "",
            Some(true) => " - met",
            Some(false) => " - MISSED",
        };
        format!("{:<58} {:>12}   {goal}{met}", self.name, show(self.value)).trim_end().to_owned()
    }
}
