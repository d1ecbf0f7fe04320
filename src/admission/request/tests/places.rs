//! Any value in any place of a review: refused or read, never a panic.

use super::{Request, Value, json, review};

/// Every place in `value`, as a JSON pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            pointers(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_value_in_any_place_panics_or_is_echoed() {
    let pod: Value = serde_json::from_str(include_str!("full_pod.json")).unwrap();
    let whole = review(|review| {
        review["request"]["operation"] = json!("UPDATE");
        review["request"]["object"] = pod.clone();
        review["request"]["oldObject"] = pod;
    });
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let mut places = Vec::new();
    pointers(&whole, "", &mut places);
    assert!(places.len() > 150, "{}", places.len());
    let secret = "hunter2".repeat(100);
    let values =
        json!([null, true, -1, 1.5, 1e300, u64::MAX, "", secret, "\u{0}\n", [], [null], {}, { "a": secret }]);
    for place in places {
        for value in values.as_array().unwrap() {
            let mut review = whole.clone();
            *review.pointer_mut(&place).unwrap() = value.clone();
            if let Err(invalid) = Request::parse(&serde_json::to_vec(&review).unwrap()) {
                let text = invalid.to_string();
                assert!(
                    text.chars().count() <= 300 && !text.chars().any(char::is_control),
                    "{place}: {text:?}"
                );
                let is_header = matches!(place.as_str(), "/kind" | "/apiVersion");
                assert!(is_header || !text.contains("hunter2"), "{place}: {text}");
            }
        }
    }
}
