//! A page of a scan that is open in a browser.

use crate::support::Browser;
use hullmark::survey::page::html;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};

/// A page in a file, open in a browser.
pub(super) struct Open {
    pub(super) browser: Browser,
    pub(super) url: String,
}

impl Open {
    /// The page of this document, written to a file of this name, where a person can look at it later too.
    pub(super) async fn page(name: &str, document: &Value) -> Self {
        let file = folder().join(name).with_extension("html");
        fs::write(&file, html(document)).unwrap();
        let url = format!("file://{}", file.display());
        let browser = Browser::start().await;
        // The page that a browser opens by itself is not ours.
        browser.open("about:blank").await;
        browser.requests().await;
        browser.open(&url).await;
        Self { browser, url }
    }

    pub(super) async fn text(&self, selector: &str) -> String {
        let found =
            self.browser.run(&format!("return document.querySelector({selector:?}).textContent")).await;
        found.as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned()
    }

    /// Waits until the text of this element starts so: what follows a link, the browser does after the click.
    pub(super) async fn comes_to_say(&self, selector: &str, start: &str) {
        for _ in 0..100 {
            if self.text(selector).await.starts_with(start) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} does not come to say {start:?}: {}", self.text(selector).await);
    }

    /// The texts of every element of this selector.
    pub(super) async fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            format!("return [...document.querySelectorAll({selector:?})].map(node => node.textContent)");
        serde_json::from_value(self.browser.run(&script).await).unwrap()
    }

    /// The names in the table of all objects.
    pub(super) async fn names(&self) -> Vec<String> {
        self.texts("#table button.open").await
    }

    /// Nothing was said on the console, and nothing but the page itself was asked for.
    pub(super) async fn was_quiet(&self) {
        assert_eq!(self.browser.console().await, Vec::<Value>::new());
        let requests = self.browser.requests().await;
        assert!(!requests.is_empty(), "the log of requests has not even the page");
        let page =
            |url: &String| url.split('#').next() == Some(self.url.as_str()) || url.starts_with("data:");
        assert!(requests.iter().all(page), "{requests:?}");
    }

    pub(super) async fn picture(&self, name: &str, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
        fs::write(folder().join(name), self.browser.picture().await).unwrap();
    }

    pub(super) async fn prefers(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.browser.devtools("Emulation.setEmulatedMedia", features).await;
    }
}

/// Where the pages and pictures of them are left: `target/tmp/page`.
pub(super) fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).unwrap();
    folder
}
