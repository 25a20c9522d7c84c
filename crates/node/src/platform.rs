//! All that differs between operating systems: where data lies, and who may read it.
//!
//! Always true here: what this module creates can be read by its owner alone. On Windows that follows from the access
//! list of the folder, which names its owner alone and which new files inherit; elsewhere from modes, which are set at
//! creation, so that there is no moment at which others could open it.
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of a node that was given none: `LOCKSTEP_HOME`, else the platform's place for a program's data.
pub fn default_home() -> Option<PathBuf> {
    if let Some(home) = set("LOCKSTEP_HOME") {
        return Some(home);
    }
    if cfg!(windows) {
        return set("LOCALAPPDATA").map(|p| p.join("Lockstep"));
    }
    if cfg!(target_os = "macos") {
        return set("HOME").map(|p| p.join("Library/Application Support/Lockstep"));
    }
    set("XDG_DATA_HOME").or_else(|| set("HOME").map(|p| p.join(".local/share"))).map(|p| p.join("lockstep"))
}

fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// The name of this computer, for a node that was given none.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    match name.trim() {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}

/// Makes a folder that its owner alone can enter, or makes it so.
pub fn private_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    {
        std::fs::create_dir_all(path)?;
        if cfg!(windows) { keep_others_out(path) } else { Ok(()) }
    }
}

/// Gives a folder an access list of its own, with one entry: the user of this process, for all that lies in it.
#[cfg(any(not(unix), test))]
fn keep_others_out(path: &Path) -> io::Result<()> {
    let system = set("SystemRoot").unwrap_or_else(|| PathBuf::from(r"C:\Windows")).join("System32");
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| -> io::Result<String> {
        let done = std::process::Command::new(system.join(program)).args(arguments).output()?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim())))
    };
    let user = run("whoami.exe", &["/user", "/fo", "csv", "/nh"].map(std::ffi::OsStr::new))?;
    let grant = only_for(&user).ok_or_else(|| io::Error::other("whoami.exe did not say who this is"))?;
    let [alone, granted] = ["/inheritance:r", "/grant:r"].map(std::ffi::OsStr::new);
    run("icacls.exe", &[path.as_os_str(), alone, granted, grant.as_ref()]).map(drop)
}

/// The entry of an access list for whom `whoami /user /fo csv /nh` names: everything, also for files and folders within.
#[cfg(any(not(unix), test))]
fn only_for(whoami: &str) -> Option<String> {
    let sid = whoami.trim().rsplit(',').next()?.trim_matches('"');
    sid.starts_with("S-1-").then(|| format!("*{sid}:(OI)(CI)F"))
}

/// Creates a file that its owner alone can read. Fails if it exists.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).read(true).create_new(true);
    private(&mut options);
    options.open(path)
}

/// Opens or creates a file that its owner alone can read.
pub fn private_file_or_existing(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).read(true).create(true).truncate(false);
    private(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Can others than the owner read this file?
pub fn readable_by_others(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(path)?;
        Ok(false)
    }
}

/// Resolves when the operating system asks this process to end.
pub async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// What a person types at a prompt, as a command: the system's own shell reads it.
pub fn typed(line: &str) -> Command {
    let (shell, says) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.arg(says).arg(line);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_list_names_the_user_alone() {
        let said = "\"pit\\anna\",\"S-1-5-21-1004336348-1177238915-682003330-512\"\r\n";
        assert_eq!(only_for(said).as_deref(), Some("*S-1-5-21-1004336348-1177238915-682003330-512:(OI)(CI)F"));
        assert_eq!(only_for("ERROR: not known"), None);
        assert_eq!(only_for(""), None);
    }

    #[test]
    fn a_folder_whose_access_list_can_t_be_set_is_an_error() {
        // There is no icacls here, or it refuses a folder that is not there.
        assert!(keep_others_out(Path::new("no such folder")).is_err());
    }
}
