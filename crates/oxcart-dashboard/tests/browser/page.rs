//! One page of the browser, with cookies of its own, and what it complains of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::devtools::Devtools;

/// How long a page may take to come to a state, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A screen on which a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Wide,
    Phone,
}

/// What the browser has said of a page.
pub(crate) struct Heard {
    origin: String,
    complaints: Vec<String>,
    /// The status of each document, the last one at the end.
    documents: Vec<u64>,
}

impl Heard {
    pub(crate) fn hear(&mut self, method: &str, params: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match method {
            "Runtime.exceptionThrown" => self.complain("exception", &params["exceptionDetails"]),
            "Runtime.consoleAPICalled"
                if params["type"] == "error" || params["type"] == "warning" =>
            {
                self.complain("console", &params["args"]);
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.complain("log", &params["entry"]);
            }
            "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                self.complain("content security policy", &params["issue"]["details"]);
            }
            "Page.javascriptDialogOpening" => self.complain("dialog", params),
            "Network.requestWillBeSent" => {
                let url = text(&params["request"]["url"]);
                let is_ours = url.strip_prefix(&self.origin);
                let is_ours = is_ours.is_some_and(|rest| rest.starts_with('/'));
                if !is_ours && !url.starts_with("data:") {
                    self.complaints
                        .push(format!("a request to another origin: {url}"));
                }
            }
            "Network.responseReceived" if params["type"] == "Document" => {
                self.documents.extend(params["response"]["status"].as_u64());
            }
            _ => {}
        }
    }

    fn complain(&mut self, what: &str, details: &Value) {
        self.complaints.push(format!("{what}: {details}"));
    }
}

/// A page. Each has a browser context of its own: two pages share no cookies.
pub(crate) struct Page {
    devtools: Devtools,
    origin: String,
    session: String,
    context: String,
    heard: Arc<Mutex<Heard>>,
}

impl Page {
    /// An empty page that will show what is below `origin` (`http://127.0.0.1:7474`).
    pub(crate) async fn open(devtools: &Devtools, origin: &str, screen: Screen) -> Self {
        let call = async |method: &str, params: Value| {
            let answer = devtools.call(None, method, params).await;
            answer.unwrap_or_else(|error| panic!("{error}"))
        };
        let context = call("Target.createBrowserContext", json!({})).await;
        let context = context["browserContextId"].as_str().unwrap().to_owned();
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = call("Target.createTarget", blank).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = call("Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let heard = Heard {
            origin: origin.to_owned(),
            complaints: Vec::new(),
            documents: Vec::new(),
        };
        let heard = Arc::new(Mutex::new(heard));
        devtools.listen(&session, Arc::clone(&heard));
        let page = Self {
            devtools: devtools.clone(),
            origin: origin.to_owned(),
            session,
            context,
            heard,
        };
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.on(screen).await;
        page
    }

    /// Puts the page on another screen.
    pub(crate) async fn on(&self, screen: Screen) {
        match screen {
            Screen::Wide => self.sized(1440, 900).await,
            Screen::Phone => self.sized(390, 844).await,
        }
    }

    /// The same, of another size in pixels.
    pub(crate) async fn sized(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// `light` or `dark`, as if the system was set so.
    pub(crate) async fn in_colours(&self, scheme: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            // What moves has no colour that can be measured.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self
            .devtools
            .call(Some(&self.session), method, params)
            .await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Goes to a path, or to a whole address, waits until it is loaded, and gives its status.
    pub(crate) async fn go(&self, path: &str) -> u64 {
        let url = match path.starts_with('/') {
            true => format!("{}{path}", self.origin),
            false => path.to_owned(),
        };
        let gone = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.until("document.readyState === 'complete'").await;
        self.status().await
    }

    /// The status of the document that is shown.
    pub(crate) async fn status(&self) -> u64 {
        self.with_heard(|heard| heard.documents.last().copied())
            .unwrap_or(0)
    }

    /// What an expression of JavaScript is, in the page; a promise is awaited.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        let value = self.try_eval(expression).await;
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let session = Some(self.session.as_str());
        let answer = self
            .devtools
            .call(session, "Runtime.evaluate", params)
            .await?;
        match answer["exceptionDetails"].is_null() {
            true => Ok(answer["result"]["value"].clone()),
            false => Err(answer["exceptionDetails"].to_string()),
        }
    }

    /// Waits until an expression is true, and says how long that took. While the page goes to another one, it is not.
    pub(crate) async fn until(&self, expression: &str) -> Duration {
        let start = Instant::now();
        loop {
            if self.try_eval(expression).await == Ok(Value::Bool(true)) {
                return start.elapsed();
            }
            if start.elapsed() > PATIENCE {
                let shown = "location.href + '\\n' + document.body.innerText.slice(0, 1000)";
                let shown = self.try_eval(shown).await;
                panic!("never true: {expression}; the page shows\n{shown:?}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the page shows a text.
    pub(crate) async fn until_shown(&self, text: &str) -> Duration {
        let text = Value::from(text);
        self.until(&format!("document.body.innerText.includes({text})"))
            .await
    }

    /// Does something that leads to another document, and waits until that is loaded.
    async fn leave_by(&self, expression: &str) {
        self.eval("window.isOld = true").await;
        self.eval(expression).await;
        self.until("window.isOld === undefined && document.readyState === 'complete'")
            .await;
    }

    /// Presses a button of the form that is sent to `action`: the one with this value, or the first if it is empty. What it is folded in
    /// is unfolded before.
    pub(crate) async fn send_form(&self, action: &str, value: &str) {
        let [action, value] = [action, value].map(Value::from);
        self.press_button(&format!(
            "[...document.querySelectorAll('form[method=post]')]
                .filter((form) => form.getAttribute('action') === {action})
                .flatMap((form) => [...form.querySelectorAll('button')])
                .find((button) => {value} === '' || button.value === {value})"
        ))
        .await;
    }

    /// The same with the first button that a CSS selector finds.
    pub(crate) async fn send_by(&self, selector: &str) {
        let selector = Value::from(selector);
        self.press_button(&format!("document.querySelector({selector})"))
            .await;
    }

    /// Presses the button that an expression finds, which leads to another document.
    async fn press_button(&self, found: &str) {
        self.leave_by(&format!(
            "(() => {{
                const button = {found};
                if (!button) throw new Error('no such button');
                for (let fold = button.closest('details'); fold; fold = fold.parentElement.closest('details')) fold.open = true;
                if (button.getBoundingClientRect().width === 0) throw new Error('the button is not to be seen');
                button.click();
            }})()"
        ))
        .await;
    }

    /// Types into the field that a CSS selector finds, in place of what is there.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let selector = Value::from(selector);
        self.eval(&format!(
            "(() => {{ const field = document.querySelector({selector}); field.focus(); field.select(); }})()"
        ))
        .await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Types a token into the login page, and sends it.
    pub(crate) async fn sign_in(&self, token: &str) {
        let token = Value::from(token);
        self.leave_by(&format!(
            "(() => {{
                const field = document.querySelector('input[name=token]');
                field.value = {token};
                field.form.querySelector('button').click();
            }})()"
        ))
        .await;
    }

    /// Types a key: `/`, `Tab`.
    pub(crate) async fn press(&self, key: &str) {
        let text = match key.chars().count() {
            1 => key,
            _ => "",
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let code = if key == "Tab" { 9 } else { 0 };
            let event =
                json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What the page complained of since it was last asked: errors in the console, what its content security policy forbade, dialogs,
    /// requests to other origins.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.with_heard(|heard| std::mem::take(&mut heard.complaints))
    }

    /// What is seen, as a picture (PNG).
    pub(crate) async fn picture(&self) -> Vec<u8> {
        use base64::Engine;
        let picture = self
            .call("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        let picture = picture["data"].as_str().unwrap().to_owned();
        let decoded = base64::engine::general_purpose::STANDARD.decode(picture);
        decoded.expect("the browser writes base64")
    }

    /// Closes the page, and forgets its cookies.
    pub(crate) async fn close(self) {
        let context = json!({ "browserContextId": self.context });
        let closed = self
            .devtools
            .call(None, "Target.disposeBrowserContext", context);
        closed.await.unwrap_or_else(|error| panic!("{error}"));
    }

    fn with_heard<T>(&self, ask: impl FnOnce(&mut Heard) -> T) -> T {
        ask(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
