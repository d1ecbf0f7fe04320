//! Debian's `prometheus` and `promtool`.

use super::{INSTALL, push::trusting};
use reqwest::Url;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A running Prometheus. It stops, and its data goes, when this is dropped.
pub(crate) struct Prometheus {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Prometheus {
    /// That reads these targets (`scrape_configs`) and evaluates these rules (`groups`), both once a second.
    pub(crate) async fn start(targets: &Value, groups: &Value) -> Self {
        // Between the choice of the port and Prometheus' own `listen` another process may take it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = tempfile::tempdir().unwrap();
            let configuration = json!({
                "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
                "rule_files": ["rules.yml"],
                "scrape_configs": targets,
            });
            // JSON is YAML.
            fs::write(folder.path().join("prometheus.yml"), configuration.to_string()).unwrap();
            fs::write(folder.path().join("rules.yml"), json!({ "groups": groups }).to_string()).unwrap();
            let process = Command::new("prometheus")
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(folder.path().join("log")).unwrap())
                .spawn()
                .unwrap_or_else(|error| panic!("prometheus does not start: {error}; {INSTALL}"));
            let mut prometheus = Self { process, folder, port };
            if prometheus.is_up().await {
                return prometheus;
            }
        }
        panic!("prometheus found no free port");
    }

    async fn is_up(&mut self) -> bool {
        for _ in 0..1000 {
            if self.process.try_wait().unwrap().is_some() {
                let log = self.log();
                assert!(log.contains("address already in use"), "{log}");
                return false;
            }
            let ready = trusting(None).get(format!("http://127.0.0.1:{}/-/ready", self.port)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("prometheus is not ready after 20 s:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What its API answers: `data`, or the error that it tells.
    pub(crate) async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = Url::parse(&format!("http://127.0.0.1:{}/api/v1/{path}", self.port)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = trusting(None).get(url).send().await.unwrap().bytes().await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["data"].take()),
        }
    }

    /// The series of an expression over the last `seconds`, one value for each of them.
    pub(crate) async fn range(&self, expression: &str, seconds: i64) -> Result<Vec<Value>, String> {
        let now = hullmark::app::now().as_second();
        let (start, end) = ((now - seconds).to_string(), now.to_string());
        let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", "1")];
        let mut data = self.api("query_range", &parameters).await?;
        Ok(serde_json::from_value(data["result"].take()).unwrap())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs `promtool` in a folder; what it says if it is not content.
pub(crate) fn promtool(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("promtool").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("promtool does not start: {error}; {INSTALL}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}
