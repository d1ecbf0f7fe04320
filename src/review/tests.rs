use super::*;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// A registry that takes one password, and counts how often it is asked.
struct Registry {
    takes: &'static str,
    kind: UnresolvedKind,
    asked: AtomicUsize,
}

impl ResolveImage for Registry {
    async fn resolve(
        &self,
        _: &Reference,
        _: &PlatformFilter,
        access: &Access,
        _: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if access.registry == [basic(self.takes)] {
            return Err(failed(UnresolvedKind::NotAnImage));
        }
        Err(failed(self.kind))
    }
}

/// A plugin whose password is another one once it is asked anew.
struct Plugin {
    now: Mutex<&'static str>,
    then: &'static str,
    kept: AtomicBool,
}

impl FindCredentials for Plugin {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        vec![basic(*self.now.lock().unwrap())]
    }

    async fn renew(&self, _: &Reference) -> bool {
        *self.now.lock().unwrap() = self.then;
        self.kept.load(Ordering::SeqCst)
    }
}

fn basic(password: &str) -> Credentials {
    Credentials::Basic { username: "me".to_owned(), password: password.to_owned() }
}

fn failed(kind: UnresolvedKind) -> Unresolved {
    Unresolved { kind, host: None, status: None, detail: String::new() }
}

#[tokio::test]
async fn what_is_refused_is_asked_for_anew_once() {
    use UnresolvedKind::{Denied, NotAnImage, NotFound};
    // What the plugin has and will have, whether it keeps anything, how a refusal is told; what comes of it, and how
    // often the registry is asked. That something is no image is known only to those who may read it.
    for (name, now, then, kept, kind, expected, asked) in [
        ("good", "new", "new", true, Denied, NotAnImage, 1),
        ("ended before its time", "old", "new", true, Denied, NotAnImage, 2),
        ("ended, and the next is no better", "old", "older", true, Denied, Denied, 2),
        ("the same again", "old", "old", true, Denied, Denied, 1),
        ("nothing that is kept", "old", "new", false, Denied, Denied, 1),
        ("another failure", "old", "new", true, NotFound, NotFound, 1),
    ] {
        let registry = Registry { takes: "new", kind, asked: AtomicUsize::new(0) };
        let plugin = Plugin { now: Mutex::new(now), then, kept: AtomicBool::new(kept) };
        let (reference, platforms) = ("reg.io/app:1".parse().unwrap(), PlatformFilter::default());
        let chain = Chain { first: plugin, then: None::<Plugin> };
        let found = resolve(&registry, &chain, &reference, None, &platforms, Instant::now()).await;
        assert_eq!(found.unwrap_err().kind, expected, "{name}");
        assert_eq!(registry.asked.load(Ordering::SeqCst), asked, "{name}");
    }
}
