//! Debian's Chromium, driven by its `chromedriver` over the protocols `WebDriver` and `DevTools`.

use super::{
    INSTALL,
    service::{Folder, Service},
    trusting,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// What the browser is started with: no sandbox (tests may run as root), and nothing that it would ask the Internet.
/// By the pipe to its driver it ends when that does, however that ends.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];

/// A browser with one window. It is gone when this is dropped.
pub(crate) struct Browser {
    client: reqwest::Client,
    /// Where commands of the session go.
    session: String,
    _driver: Service,
    _folder: Folder,
}

impl Browser {
    /// A new browser that has seen nothing.
    pub(crate) async fn start() -> Self {
        let folder = Folder::new();
        let mut driver = Service::start(&installed("chromedriver"), &["--port=0".to_owned()], folder.path());
        let port = port(&mut driver).await;
        let client = trusting(None);
        let mut arguments = ARGUMENTS.map(ToOwned::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", folder.path().join("profile").display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": installed("chromium"), "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let driver_at = format!("http://127.0.0.1:{port}/session");
        let made = ask(client.post(&driver_at), &wanted).await;
        let session = format!("{driver_at}/{}", made["sessionId"].as_str().unwrap());
        Self { client, session, _driver: driver, _folder: folder }
    }

    /// Loads a page, and waits until it has.
    pub(crate) async fn open(&self, url: &str) {
        self.tell("url", &json!({"url": url})).await;
    }

    /// What a function body of JavaScript returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Clicks on the first element of this selector, as a person does: it must be in view and not be covered.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.tell(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Types into the first element of this selector.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.tell(&format!("element/{element}/value"), &json!({"text": text})).await;
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: char) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.tell("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]})).await;
    }

    /// A command of the protocol `DevTools`.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.tell("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// What the console was told since this was last asked.
    pub(crate) async fn console(&self) -> Vec<Value> {
        self.tell("se/log", &json!({"type": "browser"})).await.as_array().unwrap().clone()
    }

    /// The URL of every request since this was last asked.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let log = self.tell("se/log", &json!({"type": "performance"})).await;
        let events = log.as_array().unwrap().iter().map(|line| {
            let event: Value = serde_json::from_str(line["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        events
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A picture of what is in view, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let picture = ask(self.client.get(format!("{}/screenshot", self.session)), &Value::Null).await;
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.tell("element", &json!({"using": "css selector", "value": selector})).await;
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    async fn tell(&self, command: &str, body: &Value) -> Value {
        ask(self.client.post(format!("{}/{command}", self.session)), body).await
    }
}

/// The value of the answer; an answer that is an error fails the test.
async fn ask(request: reqwest::RequestBuilder, body: &Value) -> Value {
    let request = if body.is_null() { request } else { request.body(body.to_string()) };
    let response = request.timeout(Duration::from_mins(1)).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "chromedriver says {status}: {text} (for {body})");
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["value"].take()
}

/// The port that it picked, as it says.
async fn port(driver: &mut Service) -> u16 {
    for _ in 0..600 {
        let log = driver.log();
        let said = log.split_once("started successfully on port ");
        if let Some((port, _)) = said.and_then(|(_, said)| said.split_once('.')) {
            return port.parse().unwrap();
        }
        assert!(!driver.has_ended(), "{}", driver.last_words());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("chromedriver does not start\n{}", driver.last_words());
}

fn installed(program: &str) -> std::path::PathBuf {
    let path = Path::new("/usr/bin").join(program);
    assert!(path.exists(), "{} is missing: {INSTALL}", path.display());
    path
}
