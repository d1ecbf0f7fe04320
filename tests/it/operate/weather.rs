//! A registry behind which the weather changes: a real one, and a proxy before it that can be down, slow,
//! or limit.

use crate::support::Registry;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What callers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sky {
    Clear,
    /// Clear, and the registry says that few requests are left.
    Counted,
    /// 503 from whatever stands before it.
    Down,
    /// 429, and no word of when to come again.
    Limited,
    /// Connections are taken, and nothing is ever said.
    Still,
}

pub(super) struct Weather {
    host: String,
    sky: Arc<Mutex<Sky>>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    behind: String,
    sky: Arc<Mutex<Sky>>,
}

impl Weather {
    /// A proxy before `registry`, which `hosts` then knows too.
    pub(super) async fn before(registry: &Registry, hosts: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        fs::create_dir(hosts.join(&host)).unwrap();
        fs::write(hosts.join(&host).join("hosts.toml"), format!("server = \"http://{host}\"\n")).unwrap();
        let sky = Arc::new(Mutex::new(Sky::Clear));
        let proxy = Proxy {
            client: registry.client(),
            behind: format!("http://{}", registry.host()),
            sky: Arc::clone(&sky),
        };
        let router = Router::new().fallback(pass).with_state(proxy);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, sky, task }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn turns(&self, sky: Sky) {
        *self.sky.lock().unwrap() = sky;
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request<Body>) -> Response {
    let sky = *proxy.sky.lock().unwrap();
    match sky {
        Sky::Clear | Sky::Counted => {}
        Sky::Down => return (StatusCode::SERVICE_UNAVAILABLE, "the registry is down").into_response(),
        Sky::Limited => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        Sky::Still => tokio::time::sleep(Duration::from_mins(1)).await,
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut behind = proxy.client.request(request.method().clone(), format!("{}{path}", proxy.behind));
    for (name, value) in request.headers() {
        if name != "host" {
            behind = behind.header(name, value);
        }
    }
    match behind.send().await {
        Ok(answer) => {
            let mut response = Response::builder().status(answer.status());
            response.headers_mut().unwrap().extend(answer.headers().clone());
            if sky == Sky::Counted {
                response = response
                    .header("ratelimit-limit", "100;w=21600")
                    .header("ratelimit-remaining", "4;w=21600");
            }
            response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
