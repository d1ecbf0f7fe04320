//! Debian's `nginx`, in front of registries.

use super::INSTALL;
use std::{
    fs::{self, File},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A running nginx. It stops when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    /// Its files; its configuration names them relative to this.
    pub(crate) folder: TempDir,
    ports: Vec<u16>,
}

impl Nginx {
    /// Started with these `server` blocks (and what else stands in `http`), in a folder with these files. `PORT0`,
    /// `PORT1`, … become free ports of 127.0.0.1.
    pub(crate) async fn start(servers: &str, files: &[(&str, &[u8])]) -> Self {
        // Between the choice of the ports and nginx's own `listen` another process may take one.
        for _ in 0..5 {
            if let Some(nginx) = Self::try_start(servers, files).await {
                return nginx;
            }
        }
        panic!("nginx found no free port");
    }

    async fn try_start(servers: &str, files: &[(&str, &[u8])]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let taken: Vec<_> = (0..10)
            .take_while(|nth| servers.contains(&format!("PORT{nth}")))
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<_> = taken.iter().map(|port| port.local_addr().unwrap().port()).collect();
        let servers = ports.iter().enumerate().fold(servers.to_owned(), |text, (nth, port)| {
            text.replace(&format!("PORT{nth}"), &port.to_string())
        });
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("  {name}_temp_path {name};\n"))
            .concat();
        let log = if servers.contains("access_log") { "" } else { "  access_log access.log;\n" };
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\n{temporary}{log}{servers}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        drop(taken);
        let mut process = Command::new("nginx")
            .args(["-p", ".", "-c", "nginx.conf", "-e", "error.log"])
            .current_dir(folder.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("stderr.log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not start: {error}; {INSTALL}"));
        for _ in 0..500 {
            if let Some(status) = process.try_wait().unwrap() {
                let log = fs::read_to_string(folder.path().join("stderr.log")).unwrap_or_default();
                assert!(log.contains("Address already in use"), "nginx ended with {status}:\n{log}");
                return None;
            }
            let open = ports.iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok());
            if open {
                return Some(Self { process, folder, ports });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nginx did not listen within 5 s");
    }

    /// Host and port of the `nth` port.
    pub(crate) fn host(&self, nth: usize) -> String {
        format!("127.0.0.1:{}", self.ports[nth])
    }

    /// The access log so far: one line a request, in nginx's `combined` form or the one that was configured.
    pub(crate) fn log(&self) -> String {
        let read = || fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        let mut log = read();
        // nginx writes the line of a request after its answer is sent, and a busy machine lets it wait.
        loop {
            std::thread::sleep(Duration::from_millis(250));
            let next = read();
            if next == log {
                return log;
            }
            log = next;
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
