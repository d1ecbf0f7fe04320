//! References: what is read prints as something that reads the same, and makes no URL but the one that is meant.
#![no_main]

use hullmark::image::Reference;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let printed = reference.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&reference), "{printed}");
    assert!(reference.digest().is_some() || reference.tag().is_some(), "{printed}");
    let parts = [reference.domain(), reference.path(), &reference.manifest_reference()];
    for part in parts {
        assert!(!part.is_empty() && part.is_ascii(), "{part:?}");
        assert!(!part.contains(|c: char| c.is_control() || " %?#\\@".contains(c)), "{part:?}");
    }
    assert!(reference.path().split('/').all(|one| !matches!(one, "" | "." | "..")), "{printed}");
});
