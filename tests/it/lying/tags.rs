//! Tags that were seen before: a HEAD is enough where nothing has changed, and never more than a hint.

use super::{Client, Reply, Seen, Server, Shelf};
use hullmark::image::Digest;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

type Change = fn(Reply) -> Reply;

/// Believes in no tag for longer than it takes to ask again.
fn client(server: &Server) -> Client {
    let toml = format!("server = 'http://{}'", server.authority());
    Client::believing(&[(server.authority(), toml)], &[], Duration::from_millis(1))
}

/// A registry that says digests, as nearly all do; `head` may change what a HEAD gets, once the tag has moved.
async fn moving(head: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> (Server, Arc<AtomicBool>) {
    let (old, mut new) = (Shelf::with_image(), Shelf::with_image());
    let moved = new.add_image("app", "2000");
    new.add_tag("app", "1", &moved);
    let digests = [Digest::sha256(&served(&old)).to_string(), Digest::sha256(&served(&new)).to_string()];
    let has_moved = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&has_moved);
    let server = Server::start(move |seen| {
        let is_new = flag.load(Ordering::SeqCst);
        let reply = if is_new { new.serve(seen) } else { old.serve(seen) };
        let reply = reply.with("docker-content-digest", &*digests[usize::from(is_new)]);
        if seen.method == "HEAD" { head(reply) } else { reply }
    })
    .await;
    (server, has_moved)
}

/// What the shelf serves for the tag.
fn served(shelf: &Shelf) -> Vec<u8> {
    shelf.bytes("app/manifests/1")
}

async fn again(client: &Client, server: &Server) -> (String, Vec<String>) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    server.forget();
    let image = client.resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    let user = image.platforms[0].config.user.raw().to_owned();
    let methods = server.seen().iter().map(|seen: &Seen| seen.method.clone()).collect();
    (user, methods)
}

#[tokio::test]
async fn a_tag_that_stays_costs_a_head_and_one_that_moves_is_read() {
    let (server, has_moved) = moving(|reply| reply).await;
    let client = client(&server);
    assert_eq!(again(&client, &server).await.1, ["GET", "GET"], "manifest and config");
    assert_eq!(again(&client, &server).await.1, ["HEAD"]);
    has_moved.store(true, Ordering::SeqCst);
    let (user, methods) = again(&client, &server).await;
    assert_eq!((user.as_str(), methods), ("2000", ["HEAD", "GET", "GET"].map(str::to_owned).into()));
    assert_eq!(again(&client, &server).await.1, ["HEAD"]);
}

#[tokio::test]
async fn a_head_that_helps_nothing_is_no_obstacle() {
    let rows: [(&str, Change); 5] = [
        ("405", |_| Reply::new(405, "")),
        ("403", |_| Reply::new(403, "")),
        ("404", |_| Reply::new(404, "")),
        ("no digest", |_| Reply::new(200, "")),
        ("a digest that is none", |_| Reply::new(200, "").with("docker-content-digest", "sha256:abc")),
    ];
    for (name, head) in rows {
        let (server, _) = moving(head).await;
        let client = client(&server);
        again(&client, &server).await;
        let (user, methods) = again(&client, &server).await;
        assert_eq!(user, "1000", "{name}");
        assert_eq!(methods, ["HEAD", "GET"], "{name}: the config is known");
    }
}

#[tokio::test]
async fn where_few_requests_are_left_tags_are_believed_for_longer() {
    for (left, expected) in [("9", vec![]), ("50", vec!["HEAD"])] {
        let shelf = Shelf::with_image();
        let digest = Digest::sha256(&served(&shelf)).to_string();
        let server = Server::start(move |seen| {
            let reply = shelf.serve(seen).with("docker-content-digest", &*digest);
            reply
                .with("ratelimit-limit", "100;w=21600")
                .with("ratelimit-remaining", format!("{left};w=21600"))
        })
        .await;
        let toml = format!("server = 'http://{}'", server.authority());
        let client = Client::believing(&[(server.authority(), toml)], &[], Duration::from_millis(500));
        let image = format!("{}/app:1", server.authority());
        client.resolve(&image).await.expect("an image");
        let told = client.exchanges.lock().expect("a lock")[0].rate_limit.expect("a limit");
        assert_eq!((told.limit, told.remaining.to_string().as_str()), (100, left));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        server.forget();
        client.resolve(&image).await.expect("an image");
        let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, expected, "{left} are left");
    }
}
