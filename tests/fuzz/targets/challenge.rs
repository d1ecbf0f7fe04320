//! Challenges: any bytes are read, in lines, and what is told of them is short and clean.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let together = hullmark::registry::fuzzing::challenges(&lines);
    let alone: Vec<_> = lines.iter().flat_map(|line| hullmark::registry::fuzzing::challenges(&[line])).collect();
    assert_eq!(together, alone, "lines do not depend on each other");
    assert!(together.len() <= bytes.len(), "{together:?}");
});
