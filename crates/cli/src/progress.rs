//! Progress bars: on a terminal, for people, and only for what takes longer than a second.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockstep_node::reading::ReadSoFar;
use lockstep_wire::session::Progress;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A bar that appears after a second, or never.
pub struct Bar {
    bar: ProgressBar,
    since: Instant,
    shown: Mutex<bool>,
    wanted: bool,
}

impl Bar {
    /// For people at a terminal.
    pub fn new(json: bool) -> Bar {
        let wanted = !json && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg:28} {bar:30} {pos:>9} of {len} rows  {eta:>5}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Bar { bar, since: Instant::now(), shown: Mutex::new(false), wanted }
    }

    /// It has come so far.
    pub fn at(&self, what: &str, done: u64, all: u64) {
        if !self.wanted {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(|e| e.into_inner());
        if !*shown && self.since.elapsed() > Duration::from_secs(1) {
            *shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(all);
        self.bar.set_position(done);
        self.bar.set_message(what.to_owned());
    }

    /// A session has come so far, and goes on.
    pub fn session(&self, progress: &Progress) -> ControlFlow<()> {
        let what = progress.database.as_deref().unwrap_or("comparing");
        self.at(what, progress.received + progress.sent, progress.to_receive + progress.to_send);
        ControlFlow::Continue(())
    }

    /// So much was read of both sides, and it goes on.
    pub fn reading(&self, read: &ReadSoFar) -> ControlFlow<()> {
        self.at(&read.what, read.rows, read.of);
        ControlFlow::Continue(())
    }

    /// It is done.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
