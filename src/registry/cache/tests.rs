use super::{
    Standing::{Aging, Fresh, Old},
    *,
};
use crate::{
    credential::Credentials,
    image::Reference,
    registry::{content::Known, hosts::Hosts},
};

const MINUTE: Duration = Duration::from_mins(1);

fn caches() -> Caches {
    Caches::new(Bounds { bytes: 1 << 20, tag_life: MINUTE, stale_limit: 30 * MINUTE, documents: false }, None)
}

fn source(identities: &Fingerprints, image: &str, password: Option<&str>) -> Source {
    let reference: Reference = image.parse().expect("a reference");
    let credentials =
        password.map(|password| Credentials::Basic { username: "u".into(), password: password.into() });
    let endpoints = Hosts::default().endpoints(reference.domain(), false).expect("endpoints");
    Source::new(endpoints[0].clone(), &reference, credentials.as_ref(), identities)
}

fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}

fn tag() -> Wanted {
    Wanted::Tag("1".to_owned())
}

#[tokio::test]
async fn a_claim_ages() {
    let (caches, identities) = (caches(), Fingerprints::default());
    let source = source(&identities, "reg.io/a:1", None);
    let scarce = RateLimit { limit: 100, remaining: 9 };
    let child =
        Child { digest: digest("a"), size: 1, media_type: crate::image::MediaType::OciManifest, data: None };
    let rows = [
        (tag(), None, MINUTE),
        (tag(), Some(scarce), 10 * MINUTE),
        (Wanted::Digest(digest("a")), None, ACCESS_LIFE),
        (Wanted::Child(child), None, CHILD_LIFE),
    ];
    for (wanted, left, life) in rows {
        caches.note(&source, &wanted, &digest("a"), left);
        let claim = caches.claim(&source, &wanted).expect("it was noted");
        let ages = [Duration::ZERO, life * 9 / 10, life, life * 19 / 10, 2 * life];
        let standings = ages.map(|age| caches.standing(&told_before(&claim, age), &wanted));
        assert_eq!(standings, [Fresh, Fresh, Aging, Aging, Old], "{wanted:?}");
    }
}

fn told_before(claim: &Claim, age: Duration) -> Claim {
    Claim { told: Instant::now() - age, ..claim.clone() }
}

#[tokio::test]
async fn a_stale_claim_has_an_end() {
    let (caches, identities) = (caches(), Fingerprints::default());
    let source = source(&identities, "reg.io/a:1", None);
    caches.note(&source, &tag(), &digest("a"), None);
    let claim = caches.claim(&source, &tag()).expect("it was noted");
    assert!(caches.may_be_stale(&told_before(&claim, 29 * MINUTE)));
    assert!(!caches.may_be_stale(&told_before(&claim, 30 * MINUTE)));
    assert!(caches.allows_stale());
    assert!(
        !Caches::new(
            Bounds { bytes: 1, tag_life: MINUTE, stale_limit: Duration::ZERO, documents: true },
            None
        )
        .allows_stale()
    );
}

#[tokio::test]
async fn claims_belong_to_one_identity_one_repository_and_one_name() {
    let (caches, identities) = (caches(), Fingerprints::default());
    let own = source(&identities, "reg.io/a:1", Some("right"));
    caches.note(&own, &tag(), &digest("a"), None);
    let there = |source: Source, wanted: Wanted| {
        let caches = &caches;
        async move { caches.claim(&source, &wanted).is_some() }
    };
    let same = source(&identities, "reg.io/a:2", Some("right"));
    assert!(there(same, tag()).await, "the reference's own tag does not matter");
    assert!(there(own.clone(), Wanted::Digest(digest("a"))).await, "what the tag points to may be read, too");
    let rows = [
        ("another password", source(&identities, "reg.io/a:1", Some("wrong")), tag()),
        ("nobody", source(&identities, "reg.io/a:1", None), tag()),
        ("another repository", source(&identities, "reg.io/b:1", Some("right")), tag()),
        ("another registry", source(&identities, "other.io/a:1", Some("right")), tag()),
        ("another tag", own.clone(), Wanted::Tag("2".to_owned())),
        ("another digest", own.clone(), Wanted::Digest(digest("b"))),
        ("a tag that looks like the digest", own.clone(), Wanted::Tag(digest("a").to_string())),
    ];
    for (name, source, wanted) in rows {
        assert!(!there(source, wanted).await, "{name}");
    }
    caches.revoke(&own, &tag());
    assert!(!there(own, tag()).await, "it was taken back");
}

#[tokio::test]
async fn a_document_of_another_size_is_not_what_a_descriptor_names() {
    let caches = caches();
    let content = Content { digest: digest("a"), length: 7, known: Known::Artifact("x".to_owned()) };
    caches.keep(&Arc::new(content));
    let child = |size| {
        Wanted::Child(Child {
            digest: digest("a"),
            size,
            media_type: crate::image::MediaType::OciManifest,
            data: None,
        })
    };
    assert!(caches.content(&digest("a"), &child(7)).is_some());
    assert!(caches.content(&digest("a"), &child(8)).is_none());
    assert!(caches.content(&digest("a"), &tag()).is_some());
}

#[tokio::test]
async fn memory_is_bounded_and_the_rest_goes() {
    let caches = caches();
    for nth in 0..5000 {
        let known = Known::Artifact(format!("{nth:1000}"));
        caches.keep(&Arc::new(Content { digest: digest(&nth.to_string()), length: 1, known }));
    }
    let size = caches.size();
    assert!(size.bytes <= 1 << 20 && size.documents > 300, "{size:?}");
    assert_eq!(size.evictions + size.documents, 5000);
}

#[test]
fn failures_are_kept_by_their_kind() {
    let life = |kind| life(&Unresolved { kind, host: None, status: None, detail: String::new() }).as_secs();
    let limited = |seconds| life(UnresolvedKind::RateLimited { retry_after_seconds: seconds });
    assert_eq!((limited(Some(0)), limited(Some(2)), limited(Some(3600)), limited(None)), (0, 1, 10, 5));
    assert_eq!(life(UnresolvedKind::Timeout), 0, "the asker's own lack of time");
    assert!(life(UnresolvedKind::NotFound) < life(UnresolvedKind::Ambiguous));
}
