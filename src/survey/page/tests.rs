use super::*;
use serde_json::json;

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>&\u{2028}'\"{{style}}";

#[test]
fn only_all_is_a_hundred_per_cent_and_only_none_is_nought() {
    for (part, whole, expected) in [
        (0, 0, None),
        (0, 7, Some("0%")),
        (7, 7, Some("100%")),
        (1, 3, Some("33%")),
        (2, 3, Some("67%")),
        (1, 5000, Some("0.1%")),
        (3, 1000, Some("0.3%")),
        (4999, 5000, Some("99.9%")),
        (995, 1000, Some("99.5%")),
        (107, 150, Some("71%")),
        (u64::MAX - 1, u64::MAX, Some("99.9%")),
    ] {
        assert_eq!(percent(part, whole).as_deref(), expected, "{part} of {whole}");
    }
}

#[test]
fn a_headline_for_every_size() {
    for (counts, headlined, told) in [
        ([0, 0, 0, 0], "No Pods were found", "No Pods were found"),
        ([0, 0, 0, 4], "No policy applies to any Pod", "No policy applies to any Pod"),
        ([1, 0, 0, 0], "1 of 1 Pod complies", "100% of Pods comply"),
        ([0, 1, 0, 9], "0 of 1 Pod complies", "0% of Pods comply"),
        ([110, 40, 2, 3], "110 of 152 Pods comply", "72% of Pods comply"),
    ] {
        let counts = Counts(counts);
        assert_eq!(headline(&counts), headlined);
        assert_eq!(said(&counts), told);
    }
}

#[test]
fn the_document_is_carried_as_it_is_and_cannot_end_its_element() {
    let document = json!({ HOSTILE: [HOSTILE, 1.5, null, { "a": "\\u003c\u{0}" }] });
    let data = data(&document);
    assert!(!data.contains(['<', '>', '&', '\u{2028}']), "{data}");
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), document);
}

#[test]
fn what_is_put_in_is_text() {
    let document = json!({
        "cluster": HOSTILE, "policySource": HOSTILE, "generatedAt": HOSTILE, "hullmarkVersion": HOSTILE,
        "policies": [{ "name": HOSTILE, "actions": [HOSTILE], "pods": { "violating": 3 } }],
    });
    let page = html(&document);
    assert_eq!(page.matches("<img").count(), 0);
    assert_eq!(page.matches("</script").count(), 2);
    // A name in braces is not a place to fill: it stands in the page as it was written.
    assert!(page.contains("{{style}}"));
    assert_eq!(page.matches(STYLE).count(), 1);
    assert!(page.contains("href=\"#policy=%3C%2Fscript%3E"));
}

#[test]
fn every_place_of_the_template_is_filled_and_nothing_is_asked_for() {
    let page = html(&json!({ "cluster": "here" }));
    assert!(!page.contains("{{"), "a place is not filled");
    assert!(page.contains(&format!("script-src '{}'", hash(SCRIPT))));
    assert!(page.contains(&format!("style-src '{}'", hash(STYLE))));
    for forbidden in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "import("]
    {
        assert!(!SCRIPT.contains(forbidden), "{forbidden}");
    }
    for address in ["src=", "@import", "http://", "https://"] {
        let without_names = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_names.contains(address), "{address}");
    }
    assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    assert!(!STYLE.contains("</"));
}

#[test]
fn a_ring_is_whole_and_in_order() {
    let arcs = donut(&Counts([1, 2, 1, 0]));
    let classes: Vec<_> = arcs.split("class=\"").skip(1).map(|arc| arc.split('"').next().unwrap()).collect();
    assert_eq!(classes, ["compliant", "violating", "notChecked"]);
    assert!(donut(&Counts([5, 0, 0, 0])).contains("stroke-dasharray=\"100.000 100\""));
    assert_eq!(donut(&Counts([0; 4])), "");
}

#[test]
fn policies_that_are_not_installed_would_only_refuse() {
    let summary = json!({ "denied": 3 });
    assert!(notes(&summary, true).contains("as the policies stand"));
    assert!(notes(&summary, false).contains("if these policies were installed"));
    assert!(notes(&summary, true).contains("href=\"#state=denied\""));
    assert!(!notes(&json!({}), true).contains("href"), "nothing to show");
}
