//! A headless Chromium that looks at pages as people do: wide or narrow, light or dark.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tests::{
    cluster::{Access, Process, eventually},
    parts,
};

/// How long a browser gets for what takes moments on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Pixels across.
    pub width: u32,
    /// With a dark theme.
    pub dark: bool,
}

impl Look {
    /// Every way to look.
    pub const ALL: [Self; 4] = [
        Self {
            width: 1280,
            dark: false,
        },
        Self {
            width: 1280,
            dark: true,
        },
        Self {
            width: 360,
            dark: false,
        },
        Self {
            width: 360,
            dark: true,
        },
    ];
}

/// A browser with one window.
pub struct Browser {
    client: Client,
    _driver: Process,
    profile: PathBuf,
}

impl Browser {
    /// Starts a browser whose processes and files belong to a cluster's directory.
    pub async fn start(access: &Access) -> Self {
        let chromium = parts::existing(&parts::CHROMIUM).unwrap();
        let driver = parts::existing(&parts::CHROMEDRIVER).unwrap();
        let port = free_port();
        let name = format!("chromedriver-{port}");
        let profile = access.dir().join("browsers").join(&name);
        std::fs::create_dir_all(&profile).unwrap();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}"));
        let driver = Process::start(access.dir(), &name, &command).unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-extensions",
            "--disable-sync",
            "--no-first-run",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({ "binary": chromium, "args": arguments });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        // So that a page's errors are told.
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let address = format!("http://127.0.0.1:{port}");
        let client = eventually("a browser", PATIENCE, async || {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.clone())
                .connect(&address)
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        Self {
            client,
            _driver: driver,
            profile,
        }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Title of the page.
    pub async fn title(&self) -> String {
        self.client.title().await.unwrap()
    }

    /// Runs the body of a function in the page and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        match self.client.execute(script, Vec::new()).await {
            Ok(value) => value,
            Err(error) => panic!("{script}: {error}"),
        }
    }

    /// The text that a person sees in the page.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true in the page.
    pub async fn until(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        eventually(what, PATIENCE, async || {
            let seen = self.client.execute(&script, Vec::new()).await;
            match seen.map_err(|error| error.to_string())? {
                Value::Bool(true) => Ok(()),
                _ => Err(self.text().await),
            }
        })
        .await;
    }

    /// Clicks on what a CSS selector finds first.
    pub async fn click(&self, selector: &str) {
        let found = self.client.find(fantoccini::Locator::Css(selector)).await;
        match found {
            Ok(element) => element.click().await.unwrap(),
            Err(error) => panic!("{selector}: {error}"),
        }
    }

    /// Types into a field.
    pub async fn type_in(&self, selector: &str, text: &str) {
        let found = self.client.find(fantoccini::Locator::Css(selector)).await;
        match found {
            Ok(field) => field.send_keys(text).await.unwrap(),
            Err(error) => panic!("{selector}: {error}"),
        }
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Changes how pages are looked at.
    pub async fn look(&self, look: Look) {
        let metrics =
            json!({ "width": look.width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let scheme = if look.dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await;
    }

    /// Turns scripts of pages on or off.
    pub async fn scripts(&self, on: bool) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !on }),
        )
        .await;
    }

    /// Runs a script in every page from now on, before anything of the page is there.
    pub async fn before_pages(&self, script: &str) {
        let source = json!({ "source": script });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source)
            .await;
    }

    /// What is written on the screen, as a PNG file, where `PRBUILD_SCREENSHOTS` names a directory.
    pub async fn screenshot(&self, name: &str) {
        let Some(dir) = std::env::var_os("PRBUILD_SCREENSHOTS") else {
            return;
        };
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(Path::new(&dir).join(format!("{name}.png")), png).unwrap();
    }

    /// Nothing in the page keeps anybody out, nothing is wider than the window, and no script or
    /// style was refused.
    pub async fn is_sound(&self, page: &str) {
        self.is_open_to_all(page).await;
        let errors = self.errors().await;
        assert!(errors.is_empty(), "{page}: {errors:?}");
    }

    /// Nothing in the page keeps anybody out, and nothing is wider than the window.
    pub async fn is_open_to_all(&self, page: &str) {
        let file = parts::AXE.obtain().unwrap().join("axe.min.js");
        let axe = std::fs::read_to_string(file).unwrap();
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let script = "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] })
            .then(found => done(found.violations.map(one => `${one.id}: ${one.help}: ${one.nodes.map(n => n.html).slice(0, 3)}`)))";
        let violations = self.client.execute_async(script, Vec::new()).await.unwrap();
        assert_eq!(violations, json!([]), "{page}");
        let wide = "const root = document.documentElement; return Math.max(0, root.scrollWidth - root.clientWidth)";
        assert_eq!(
            self.run(wide).await,
            json!(0),
            "{page} is wider than its window"
        );
    }

    /// What the browser complained of since it was asked last.
    pub async fn errors(&self) -> Vec<String> {
        let said = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = said.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        let messages = severe.map(|entry| entry["message"].to_string());
        // That header means something only where there is TLS, and a browser says so.
        messages
            .filter(|message| {
                !message.contains("Cross-Origin-Opener-Policy header has been ignored")
            })
            .collect()
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await;
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        match self.client.issue_cmd(Extension { path, body }).await {
            Ok(answer) => answer,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Ends it.
    pub async fn close(self) {
        self.client.close().await.unwrap();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
