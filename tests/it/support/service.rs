//! Processes that live as long as this test process and not longer, however it ends.
//!
//! What is kept in a `static` is never dropped, and nothing of ours runs when a process is killed. So
//! each program is the child of a shell that reads from a pipe whose other end this process holds:
//! the kernel closes it for us, whatever happens, and the shell then cleans up.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Runs "$@" until the pipe closes, and ends when that does. Ctrl-C in a terminal reaches the shell too.
const RUN: &str = r#"exec 3<&0
"$@" 3<&- & program=$!
echo $program > "$PID_FILE"
trap 'kill -9 $program' HUP INT TERM
{ read -r _ <&3; kill -9 $program; } & reader=$!
wait $program; code=$?
kill $reader
exit $code"#;

/// Removes the folder $1 when the pipe closes. What writes there is being killed at that moment.
const REMOVE: &str = r#"trap : HUP INT TERM; read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done"#;

/// A program that runs. Dropping this ends it, and so does the end of this process.
pub(super) struct Service {
    /// The shell; its standard input is the pipe.
    keeper: Child,
    log: PathBuf,
    /// Where the shell writes the program's process id.
    pid: PathBuf,
}

impl Service {
    /// Starts `program` in `folder`, which gets its log, with nothing of our environment but PATH.
    pub(super) fn start(program: &Path, arguments: &[String], folder: &Path) -> Self {
        let name = program.file_name().expect("a program has a name");
        let log = folder.join(name).with_extension("log");
        let output = File::create(&log).unwrap();
        let pid = log.with_extension("pid");
        let mut command = shell(RUN, folder);
        command
            .env("PID_FILE", &pid)
            .arg(program)
            .args(arguments)
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        Self { keeper: command.spawn().unwrap(), log, pid }
    }

    /// Asks the program to stop, as the kubelet does, and waits until it has.
    pub(super) fn stop(&mut self) {
        let pid = std::fs::read_to_string(&self.pid).unwrap();
        assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
        // Waiting for the shell would close its pipe first, and that kills.
        while !self.has_ended() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Whether it ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.keeper.try_wait().unwrap().is_some()
    }

    /// What it said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it said, for an error message.
    pub(super) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A folder that is gone soon after this process, or at once when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    pub(super) fn new() -> Self {
        let path = tempfile::tempdir().unwrap().keep();
        let keeper = shell(REMOVE, Path::new("/")).arg(&path).spawn().unwrap();
        Self { path, keeper }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn shell(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").as_deref().unwrap_or(OsStr::new("/usr/bin:/bin")))
        .env("HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
