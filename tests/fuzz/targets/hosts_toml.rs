//! hosts.toml: any text is read or refused with its file and a line, and read alike the second time.
#![no_main]

use hullmark::registry::{Registry, Settings};

libfuzzer_sys::fuzz_target!(|text: &str| {
    // Files that it names would make it depend on this machine.
    if text.contains("ca") || text.contains("client") || text.contains("\\") {
        return;
    }
    let settings = || Settings { hosts: [("reg.io".to_owned(), text.to_owned())].into(), ..Settings::default() };
    let (once, twice) = (Registry::new(settings()), Registry::new(settings()));
    match (once, twice) {
        (Ok(once), Ok(twice)) => assert_eq!(once.notes(), twice.notes()),
        (Err(once), Err(twice)) => {
            assert_eq!(once, twice);
            assert!(once.to_string().starts_with("reg.io/hosts.toml:"), "{once}");
        }
        _ => panic!("read once and refused once"),
    }
});
