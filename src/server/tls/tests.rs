use super::*;
use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicI64, Ordering},
};

fn names() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

fn fixed() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn pem_pair(at: Timestamp) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(names()).unwrap();
    let time = |at: Timestamp| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_second().try_into().unwrap())
    };
    params.not_before = time(at);
    params.not_after = time(at + jiff::SignedDuration::from_hours(24));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn leaf(certificates: &Certificates) -> Vec<u8> {
    certificates.current().key.cert[0].to_vec()
}

#[test]
fn an_own_leaf_is_renewed_after_two_thirds_of_its_life() {
    static NOW: AtomicI64 = AtomicI64::new(1_800_000_000);
    let clock: Clock = || Timestamp::from_second(NOW.load(Ordering::SeqCst)).unwrap();
    let day = 24 * 3600;
    let certificates = Certificates::own(&names(), clock).unwrap();
    let first = leaf(&certificates);
    assert_eq!(certificates.expires().as_second(), 1_800_000_000 + 7 * day);
    let validity = crate::certificate::Validity::of(&first).unwrap();
    assert_eq!(validity.not_after, certificates.expires());
    assert_eq!(validity.not_before.as_second(), 1_800_000_000 - 300);

    NOW.fetch_add(4 * day, Ordering::SeqCst);
    assert_eq!(certificates.renew(), Ok(false));
    assert_eq!(leaf(&certificates), first);

    NOW.fetch_add(day, Ordering::SeqCst);
    assert_eq!(certificates.renew(), Ok(true));
    assert_ne!(leaf(&certificates), first);
    assert_eq!(certificates.expires().as_second(), 1_800_000_000 + 12 * day);
}

#[test]
fn a_shared_authority_that_changes_signs_anew() {
    let year = SignedDuration::from_hours(365 * 24);
    let authority = || Authority::new(fixed(), year).unwrap().pem().clone();
    let (told, shared) = watch::channel(authority());
    let certificates = Certificates::shared(shared, &names(), fixed).unwrap();
    let first = leaf(&certificates);
    assert_eq!(certificates.renew(), Ok(false));
    told.send_replace(authority());
    assert_eq!(certificates.renew(), Ok(true));
    let second = leaf(&certificates);
    assert_ne!(first, second);
    let broken = AuthorityPem { key: "x".to_owned(), ..authority() };
    told.send_replace(broken);
    assert!(certificates.renew().unwrap_err().to_string().contains("key of the authority"));
    assert_eq!(leaf(&certificates), second, "the last good one stays in use");
}

#[test]
fn the_authority_is_only_a_certificate() {
    let certificates = Certificates::own(&names(), fixed).unwrap();
    let pem = certificates.authority_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert!(!pem.contains("PRIVATE"), "{pem}");
    assert!(!format!("{certificates:?}").contains("PRIVATE"));
}

#[test]
fn an_own_certificate_needs_a_name_that_can_be_in_one() {
    for names in [vec![], vec![String::new()], vec!["größe".to_owned()]] {
        let error = Certificates::own(&names, fixed).unwrap_err();
        assert!(error.to_string().contains("--tls-name"), "{names:?}: {error}");
    }
}

#[test]
fn files_are_checked_whole() {
    let (certificate, key) = pem_pair(fixed());
    let (other_certificate, _) = pem_pair(fixed());
    let (expired, expired_key) = pem_pair(fixed() - jiff::SignedDuration::from_hours(48));
    let (future, future_key) = pem_pair(fixed() + jiff::SignedDuration::from_hours(48));
    let garbled = certificate.replace('M', "*");
    for (name, certificate, key, wanted) in [
        ("empty certificate", "", key.as_str(), "tls.crt: no certificate in it"),
        ("garbled certificate", &garbled, &key, "tls.crt: not PEM"),
        ("key in the place of the certificate", &key, &key, "tls.crt: no certificate in it"),
        ("empty key", &certificate, "", "tls.key: no private key in it"),
        ("certificate in the place of the key", &certificate, &certificate, "tls.key: no private key in it"),
        ("another's key", &other_certificate, &key, "tls.key: this key does not belong to"),
        ("expired", &expired, &expired_key, "tls.crt: the certificate expired at"),
        ("not valid yet", &future, &future_key, "tls.crt: the certificate is not valid before"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (at, key_at) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        fs::write(&at, certificate).unwrap();
        fs::write(&key_at, key).unwrap();
        let error = Certificates::files(at, key_at, fixed).unwrap_err().to_string();
        assert!(error.contains(wanted), "{name}: {error}");
        assert!(!error.contains("BEGIN PRIVATE"), "{name}: {error}");
    }
    let error = Certificates::files("/nowhere/tls.crt".into(), "/nowhere/tls.key".into(), fixed).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/tls.crt: No such file"), "{error}");
}

#[test]
fn a_pair_may_share_one_file() {
    let (certificate, key) = pem_pair(fixed());
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    fs::write(&bundle, format!("{key}{certificate}")).unwrap();
    assert!(Certificates::files(bundle.clone(), bundle, fixed).is_ok());
}

/// As the kubelet does it: `tls.crt -> ..data/tls.crt`, and `..data` points to a new folder.
#[test]
fn a_secret_volume_swaps_a_symlink() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |version: &str, (certificate, key): &(String, String)| {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("tls.crt"), certificate).unwrap();
        fs::write(path(version).join("tls.key"), key).unwrap();
        symlink(version, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
    };
    write("..1", &pem_pair(fixed()));
    symlink("..data/tls.crt", path("tls.crt")).unwrap();
    symlink("..data/tls.key", path("tls.key")).unwrap();
    let certificates = Certificates::files(path("tls.crt"), path("tls.key"), fixed).unwrap();
    let first = leaf(&certificates);
    assert_eq!(certificates.renew(), Ok(false));

    write("..2", &pem_pair(fixed()));
    assert_eq!(certificates.renew(), Ok(true));
    let second = leaf(&certificates);
    assert_ne!(second, first);

    let mismatched = (pem_pair(fixed()).0, pem_pair(fixed()).1);
    write("..3", &mismatched);
    let error = certificates.renew().unwrap_err().to_string();
    assert!(error.contains("this key does not belong"), "{error}");
    assert_eq!(leaf(&certificates), second, "the last good pair stays in use");

    write("..4", &pem_pair(fixed()));
    assert_eq!(certificates.renew(), Ok(true));
}
