//! The tray, as the desktop sees it: the real console on a session bus of its own.
#![cfg(target_os = "linux")]
mod desktop;
mod site;

use desktop::{Desktop, Tray};
use lockstep_node::home::Work;
use site::Site;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Only a test that hangs is ended by it: the console looks by itself every half minute.
const PATIENCE: Duration = Duration::from_secs(90);

async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn appears(desktop: &Desktop) -> Tray {
    eventually("the tray icon is there", async || desktop.tray().await.is_some()).await;
    desktop.tray().await.unwrap()
}

/// Waits until the tooltip's line begins so, and gives it. The menu begins with the same line.
async fn says(tray: &Tray, beginning: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let line = tray.tooltip().await.map(|(_, line)| line).unwrap_or_default();
        let first = tray.entries().await.first().map(|(_, text)| text.clone());
        if line.starts_with(beginning) && first.as_deref() == Some(&line) {
            return line;
        }
        assert!(Instant::now() < until, "the tray says `{line}` instead of `{beginning}`");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn texts(tray: &Tray) -> Vec<String> {
    tray.entries().await.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_has_its_picture_and_its_words() {
    let desktop = Desktop::new().await;
    let (school, pit) = (Site::new("school", desktop.dir.path()), Site::new("pit", desktop.dir.path()));
    school.init();
    school.attach().await;
    let mut pictures = BTreeSet::new();
    let mut console = desktop.console(&pit.home(), &["--hidden"]);
    let tray = appears(&desktop).await;
    let mut seen = async |state: &str, line: &str| {
        let line = says(&tray, line).await;
        let picture = tray.picture().await.expect("a picture");
        assert_eq!((picture.0, picture.1), (48, 48));
        assert!(pictures.insert(picture.2), "{state} looks like another state");
        line
    };

    seen("set-up", "Set-up needed: this computer has no node").await;
    assert_eq!(tray.tooltip().await.unwrap().0, "Lockstep");
    assert_eq!(texts(&tray).await[1..], ["Open Lockstep", "Start at login", "Quit"]);

    pit.init();
    says(&tray, "Set-up needed: no database is attached").await;
    pit.attach().await;
    says(&tray, "Set-up needed: no other node is paired").await;

    // The console serves in the background: the school comes to it by itself.
    eventually("the console listens", async || pit.node().agent().unwrap().is_some()).await;
    school.join(&pit).await;
    assert!(school.sync().await.verified);
    seen("fine", "In step, compared ").await;
    assert_eq!(tray.tooltip().await.unwrap().0, "Lockstep on pit");
    let menu = ["Sync now", "Review conflicts (0)", "Pending (0)", "Pause for", "Pause for/30 minutes"];
    assert_eq!(texts(&tray).await[1..6], menu);

    pit.ages();
    seen("stale", "Not compared since ").await;
    school.app("INSERT INTO team (number, name) VALUES (1, 'something to bring')");
    assert!(school.sync().await.verified);
    says(&tray, "In step").await;

    pit.app("INSERT INTO team (number, name) VALUES (254, 'Cheesy Poofs')");
    seen("pending", "1 row is on its way").await;
    assert!(texts(&tray).await.contains(&"Pending (1)".to_owned()));

    let held = pit.node().home().try_lock(Work::Sync).unwrap().expect("nobody syncs");
    pit.node().state().change_setting("name", "pit").unwrap();
    seen("syncing", "Syncing").await;
    drop(held);
    assert!(school.sync().await.verified);
    says(&tray, "In step").await;

    tray.choose("Pause for/30 minutes").await;
    let line = seen("paused", "Paused until ").await;
    assert!(line.trim_start_matches("Paused until ").contains(':'), "{line}");
    tray.choose("Resume").await;
    says(&tray, "In step").await;

    // A peer that can be called, and then can't.
    let mut venue = Site::new("venue", desktop.dir.path());
    venue.init();
    venue.attach().await;
    venue.start().await;
    pit.join(&venue).await;
    eventually("the venue has it by itself", async || venue.team(254).is_some()).await;
    venue.stop().await;
    pit.app("UPDATE team SET name = 'at the pit' WHERE number = 254");
    seen("offline", "venue can't be reached").await;

    school.app("UPDATE team SET name = 'at the school' WHERE number = 254");
    assert!(school.sync().await.conflicts > 0);
    seen("conflict", "1 waits for you").await;
    assert!(texts(&tray).await.contains(&"Review conflicts (1)".to_owned()));
    eventually("a notification counts", async || desktop.notices().iter().any(|n| n.contains("conflict"))).await;
    let told = desktop.notices().join("\n");
    assert!(!told.contains("at the"), "no value of a row is in a notification: {told}");

    std::fs::rename(pit.file(), pit.file().with_extension("away")).unwrap();
    pit.node().state().change_setting("name", "pit").unwrap();
    seen("error", "Error").await;
    assert_eq!(pictures.len(), 9);

    assert!(!desktop.shows_window(), "it was hidden all the while");
    tray.choose("Quit").await;
    eventually("it ends", async || console.ended() == Some(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_now_in_the_menu_syncs_while_the_window_is_hidden() {
    let desktop = Desktop::new().await;
    let (mut school, pit) = (Site::new("school", desktop.dir.path()), Site::new("pit", desktop.dir.path()));
    for site in [&school, &pit] {
        site.init();
        site.attach().await;
    }
    school.start().await;
    pit.join(&school).await;
    let mut console = desktop.console(&pit.home(), &["--hidden"]);
    let tray = appears(&desktop).await;
    says(&tray, "In step").await;
    tray.choose("Pause for/Until resumed").await;
    says(&tray, "Paused until resumed").await;

    school.app("INSERT INTO team (number, name) VALUES (254, 'at the school')");
    tray.choose("Sync now").await;
    eventually("the row is here", async || pit.team(254).is_some()).await;
    assert!(!desktop.shows_window());

    // A left click opens the window, a second start does the same, and closing hides it again.
    tray.click().await;
    eventually("the window is there", async || desktop.shows_window()).await;
    let mut second = desktop.console(&pit.home(), &[]);
    eventually("the second start ends", async || second.ended() == Some(true)).await;
    assert_eq!(console.ended(), None);

    tray.choose("Start at login").await;
    let not = "Do not start at login".to_owned();
    eventually("the menu says it", async || texts(&tray).await.contains(&not)).await;
    let entry = desktop.dir.path().join("user/.config/autostart");
    let entry = std::fs::read_dir(entry).unwrap().next().expect("an entry").unwrap();
    assert!(std::fs::read_to_string(entry.path()).unwrap().contains("--hidden"));
    tray.choose(&not).await;
    eventually("the menu says that too", async || texts(&tray).await.contains(&"Start at login".to_owned())).await;
    assert!(!entry.path().exists());

    tray.choose("Quit").await;
    eventually("it ends", async || console.ended() == Some(true)).await;
    assert_eq!(pit.node().agent().unwrap(), None, "nobody is the agent any more");
    school.stop().await;
}
