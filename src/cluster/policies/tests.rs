use super::*;
use serde_json::json;

#[test]
fn documents_are_read_as_if_they_stood_in_a_file() {
    // As an item of a list: without apiVersion and kind, with what the API server adds.
    let object: DynamicObject = serde_json::from_value(json!({
        "metadata": {
            "name": "baseline", "uid": "u", "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2026-11-23T00:00:00Z",
            "managedFields": [{ "manager": "kubectl", "operation": "Apply" }],
        },
        "spec": { "validationActions": ["Deny"], "rules": { "user": { "runAsNonRoot": true } } },
        "status": { "observedGeneration": 1, "unknown": true },
    }))
    .unwrap();
    let key = ("ClusterImageConfigPolicy", String::new(), "baseline".to_owned());
    let document = document(&key, &object);
    assert_eq!(document.source, "ClusterImageConfigPolicy baseline");
    let (set, refused) = PolicySet::compile_each(&[document]);
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(set.policies().next().unwrap().name, "baseline");
}

#[test]
fn the_state_says_what_is_not_in_force() {
    assert_eq!(State::default().note(), None);
    let state = State { refused: vec!["a: b".to_owned(), "c: d".to_owned()], ..State::default() };
    assert_eq!(state.note().unwrap(), "2 policy documents not in force, such as a: b");
}
