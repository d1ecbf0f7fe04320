//! The page of a scan, in Debian's Chromium: what it shows, that it can be used, and that it asks for nothing.

mod open;
mod scan;

use crate::support::Browser;
use hullmark::survey::page::html;
use open::{Open, folder};
use serde_json::{Value, json};
use std::fs;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// Every contrast of a text with what is behind it that is too little, and the colour of the page.
const TOO_FAINT: &str = include_str!("page/too_faint.js");

/// The objects of a document that are as wanted.
fn those(document: &Value, wanted: impl Fn(&Value) -> bool) -> usize {
    document["objects"].as_array().unwrap().iter().filter(|object| wanted(object)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_the_numbers_of_the_document() {
    let document = scan::realistic(150);
    let page = Open::page("numbers", &document).await;
    let summary = &document["summary"];
    for key in ["compliant", "violating", "notChecked", "denied", "drifted", "neverJudged", "exempt"] {
        assert_eq!(page.text(&format!("#count-{key}")).await, summary[key].to_string(), "{key}");
    }
    assert_eq!(page.text("h1").await, format!("{} of {} Pods comply", summary["compliant"], summary["pods"]));
    let policies = document["policies"].as_array().unwrap();
    let rows = page.texts("#policies tbody tr").await;
    assert_eq!(rows.len(), policies.len());
    for policy in policies {
        let pods = &policy["pods"];
        let end = format!("{}{}{}", pods["compliant"], pods["violating"], pods["notChecked"]);
        let start = format!("{}{}", policy["name"].as_str().unwrap(), policy["actions"][0].as_str().unwrap());
        assert!(
            rows.iter().any(|row| row.starts_with(&start) && row.ends_with(&end)),
            "{policy} in {rows:?}"
        );
    }
    // By namespace, what the script adds up comes to what the scan said.
    let sum = "return [3, 4, 5].map(at => [...document.querySelectorAll('#namespaces tbody tr')]\
               .reduce((sum, row) => sum + Number(row.cells[at].textContent), 0))";
    let wanted = json!([summary["compliant"], summary["violating"], summary["notChecked"]]);
    assert_eq!(page.browser.run(sum).await, wanted);
    let drifted =
        "return new Set([...document.querySelectorAll('#drift tbody th')].map(th => th.textContent)).size";
    assert_eq!(page.browser.run(drifted).await, summary["drifted"]);
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_filters_and_keeps_it_in_the_url() {
    let document = scan::realistic(150);
    let page = Open::page("filters", &document).await;
    let all = document["objects"].as_array().unwrap().len();
    let everything = format!("{all} of {all} objects: 150 Pods and 17 templates, of which 1 to 50 are shown");
    assert_eq!(page.text("#status").await, everything);

    page.browser.write("#q", "BILLING-batch").await;
    let billing = those(&document, |object| object.to_string().contains("billing-batch"));
    let pods = billing - 1;
    assert_eq!(page.text("#status").await, format!("{billing} of {all} objects: {pods} Pods and 1 template"));
    assert_eq!(page.names().await.len(), billing);
    page.browser.click("#by-state option[value=templates]").await;
    assert_eq!(page.names().await, ["billing"]);
    assert_eq!(page.browser.run("return location.hash").await, "#q=BILLING-batch&state=templates");

    // The link shows the same to somebody else, and going on from there starts with it.
    page.browser.open("about:blank").await;
    page.browser.open(&format!("{}#q=BILLING-batch&state=templates", page.url)).await;
    page.picture("filtered.png", 1280, 900).await;
    assert_eq!(page.names().await, ["billing"]);
    page.browser.click(".filters > button").await;
    assert_eq!(page.text("#status").await, everything);

    for (select, value, wanted) in [
        ("#by-namespace", "shop", those(&document, |object| object["namespace"] == "shop")),
        ("#by-kind", "DaemonSet", those(&document, |object| object["kind"] == "DaemonSet")),
        ("#by-compliance", "notChecked", those(&document, |object| object["compliance"] == "notChecked")),
        ("#by-policy", "pinned", all),
        ("#by-state", "never-judged", those(&document, |object| object["neverJudged"] == true)),
        ("#by-state", "excepted", those(&document, |object| object["excepted"] != json!([]))),
    ] {
        page.browser.click(&format!("{select} option[value={value}]")).await;
        let status = page.text("#status").await;
        assert!(status.starts_with(&format!("{wanted} of {all} objects")), "{value}: {status}");
        page.browser.click(".filters > button").await;
    }

    // A number of the headline leads to its rows; what finds nothing says so.
    page.browser.click("#count-violating").await;
    let violating = &document["summary"]["violating"];
    page.comes_to_say("#status", &format!("{violating} of {all} objects: {violating} Pods")).await;
    for policy in document["policies"].as_array().unwrap() {
        let (name, violating) = (policy["name"].as_str().unwrap(), &policy["pods"]["violating"]);
        page.browser.click(&format!("#policies a[href='#policy={name}&state=violating']")).await;
        page.comes_to_say("#status", &format!("{violating} of {all} objects: {violating} Pods")).await;
    }
    page.browser.write("#q", "no such thing").await;
    assert_eq!(page.text("#status").await, format!("0 of {all} objects: nothing matches."));
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sorts_turns_pages_and_opens_details() {
    let document = scan::realistic(150);
    let page = Open::page("sorts", &document).await;
    let sorted = |selector: &'static str| format!("return document.querySelector({selector:?}).ariaSort");
    assert_eq!(page.browser.run(&sorted("#table th:nth-child(1)")).await, "ascending");
    page.browser.click("#table th:nth-child(3) button").await;
    assert_eq!(page.browser.run(&sorted("#table th:nth-child(3)")).await, "ascending");
    assert_eq!(page.browser.run(&sorted("#table th:nth-child(1)")).await, Value::Null);
    let ascending = page.names().await;
    assert!(ascending.len() == 50 && ascending[0].starts_with("api"), "{ascending:?}");
    page.browser.click("#table th:nth-child(3) button").await;
    assert_eq!(page.browser.run(&sorted("#table th:nth-child(3)")).await, "descending");
    let descending = page.names().await;
    assert!(descending[0].starts_with("worker"), "{descending:?}");

    page.browser.click("#objects .pages button:last-child").await;
    let next = page.names().await;
    assert!(next.iter().all(|name| !descending.contains(name)), "{next:?}");
    assert!(page.text(".pages").await.contains("Page 2 of 4"));

    page.browser.click("#namespaces thead th:nth-child(1) button").await;
    let names = page.texts("#namespaces tbody th").await;
    assert!(names.is_sorted() && names.len() == 9, "{names:?}");

    page.browser.write("#q", "ingress edge").await;
    page.browser.click("#table button.open").await;
    let details = page.text(".details").await;
    for said in
        ["runs as root (USER is empty)", "Wanted", "set USER in the image", "hullmark inspect nginx:1.27"]
    {
        assert!(details.contains(said), "{said} in {details}");
    }
    assert!(details.contains("kubectl -n ingress edit daemonset/edge"), "{details}");
    page.browser.click(".command button").await;
    page.comes_to_say(".command button", "Copied").await;
    page.picture("details.png", 1280, 900).await;
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn can_be_read_in_light_dark_and_small() {
    let document = scan::realistic(150);
    let page = Open::page("looks", &document).await;
    for (scheme, bright) in [("light", true), ("dark", false)] {
        page.prefers(scheme).await;
        page.picture(&format!("{scheme}.png"), 1280, 2600).await;
        page.browser.run("document.querySelector('#table button.open').click()").await;
        let contrast = page.browser.run(TOO_FAINT).await;
        assert_eq!(contrast["faint"], json!([]), "{scheme}");
        assert!(contrast["seen"].as_u64().unwrap() > 300, "{contrast}");
        assert_eq!(contrast["page"][0].as_u64().unwrap() > 128, bright, "{scheme}: {contrast}");
        page.browser.run("document.querySelector('#table button.open').click()").await;
    }
    // The button overrules the system.
    page.browser.click("#theme").await;
    assert!(page.browser.run(TOO_FAINT).await["page"][0].as_u64().unwrap() > 128);
    page.prefers("light").await;
    page.picture("narrow.png", 390, 2600).await;
    let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(page.browser.run(wider).await, 0, "the page scrolls sideways");
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_the_keyboard_and_has_a_name() {
    let document = scan::realistic(12);
    let page = Open::page("keyboard", &document).await;
    let wanted = page
        .browser
        .run("return [...document.querySelectorAll('a[href], button, input, select')].filter(n => n.checkVisibility() && !n.disabled).length")
        .await;
    let focus = "const at = document.activeElement, style = getComputedStyle(at);\
                 const label = at.labels?.[0]?.textContent ?? at.ariaLabel ?? at.textContent;\
                 at.dataset.seen = 'yes';\
                 return at === document.body ? null : [label.trim(), style.outlineStyle, parseFloat(style.outlineWidth) >= 2]";
    page.browser.press(TAB).await;
    assert_eq!(page.browser.run(focus).await[0], "Skip to all Pods and templates");
    for _ in 0..400 {
        page.browser.press(TAB).await;
        let at = page.browser.run(focus).await;
        if at.is_null() {
            break;
        }
        assert!(at[0] != "" && at[1] != "none" && at[2] == true, "without a name or an outline: {at}");
    }
    let seen = "return document.querySelectorAll(':is(a[href], button, input, select)[data-seen]').length";
    assert_eq!(page.browser.run(seen).await, wanted);

    page.browser.run("document.querySelector('#table button.open').focus()").await;
    page.browser.press(ENTER).await;
    assert_eq!(page.browser.run("return document.activeElement.ariaExpanded").await, "true");
    let structure = "return [document.querySelectorAll('main, header, footer').length,\
        [...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('thead th[scope=col]') && t.querySelector('tbody th[scope=row]')),\
        [...document.querySelectorAll('section[aria-labelledby]')].every(s => document.getElementById(s.getAttribute('aria-labelledby'))?.textContent),\
        document.documentElement.lang, new Set([...document.querySelectorAll('[id]')].map(n => n.id)).size === document.querySelectorAll('[id]').length]";
    assert_eq!(page.browser.run(structure).await, json!([3, true, true, "en", true]));
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_images_say_is_text_and_nothing_else() {
    let document = scan::odd();
    let page = Open::page("odd", &document).await;
    page.browser
        .run("document.querySelectorAll('#table button.open').forEach(button => button.click())")
        .await;
    page.picture("odd.png", 1280, 3000).await;
    let inert = "return [document.title.includes('owned\\'') && document.title !== 'owned', document.images.length,\
        document.scripts.length, [...document.querySelectorAll('*')].some(n => [...n.attributes].some(a => a.name.startsWith('on'))),\
        [...document.links].every(link => link.getAttribute('href').startsWith('#'))]";
    assert_eq!(page.browser.run(inert).await, json!([true, 0, 2, false, true]));
    assert!(page.texts("#table .details b").await.contains(&scan::HOSTILE.to_owned()));
    // The document is in the page as it was.
    let carried = page.browser.run("return document.getElementById('document').textContent").await;
    assert_eq!(serde_json::from_str::<Value>(carried.as_str().unwrap()).unwrap(), document);
    page.browser.click("#count-violating").await;
    page.browser.run("document.querySelectorAll('main a[href*=\"=\"]').forEach(link => link.click())").await;
    assert_ne!(page.browser.run("return document.title").await, "owned");
    page.picture("odd-narrow.png", 390, 3000).await;
    let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(page.browser.run(wider).await, 0, "the page scrolls sideways");
    page.was_quiet().await;

    // The policy is in force: markup does not get in, not even by our own hand.
    for forbidden in [
        "document.body.innerHTML = 'x'",
        "document.body.setAttribute('onclick', 'x')",
        "document.createElement('script').textContent = 'x'",
    ] {
        let tried = format!("try {{ {forbidden}; return 'done' }} catch (error) {{ return error.name }}");
        assert_eq!(page.browser.run(&tried).await, "TypeError", "{forbidden}");
    }
    page.browser
        .run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/picture'}))")
        .await;
    let said = page.browser.console().await;
    let refused = |line: &Value| {
        let said = line["message"].as_str().unwrap();
        said.contains("127.0.0.1:9") && said.contains("Content Security Policy")
    };
    assert!(said.iter().any(refused), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_on_both_papers() {
    let document = scan::realistic(150);
    let page = Open::page("prints", &document).await;
    page.browser.run("addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('#table button.open').length })").await;
    for (paper, width, height) in [("a4", 8.27, 11.69), ("letter", 8.5, 11.0)] {
        let size = json!({"paperWidth": width, "paperHeight": height, "printBackground": false, "preferCSSPageSize": true});
        let printed = page.browser.devtools("Page.printToPDF", size).await;
        let pdf = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            printed["data"].as_str().unwrap(),
        )
        .unwrap();
        assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{paper}: {} bytes", pdf.len());
        fs::write(folder().join(format!("{paper}.pdf")), pdf).unwrap();
        // On paper nobody turns a page of the table: all of it is there.
        assert_eq!(
            page.browser.run("return window.printed").await,
            document["objects"].as_array().unwrap().len()
        );
    }
    assert_eq!(page.names().await.len(), 50);
    page.was_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_its_numbers_without_javascript() {
    let document = scan::realistic(150);
    let browser = Browser::start().await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    let file = folder().join("still.html");
    fs::write(&file, html(&document)).unwrap();
    browser.open(&format!("file://{}", file.display())).await;
    fs::write(folder().join("still.png"), browser.picture().await).unwrap();
    let seen = browser.run("return document.body.innerText").await;
    let seen = seen.as_str().unwrap();
    for wanted in [
        format!("{} of {} Pods comply", document["summary"]["compliant"], document["summary"]["pods"]),
        "non-root".to_owned(),
        "Without JavaScript".to_owned(),
    ] {
        assert!(seen.contains(&wanted), "{wanted} in {seen}");
    }
    assert!(!seen.contains("All Pods and templates\n"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_quick_with_five_thousand_pods_and_whole_with_few() {
    let document = scan::realistic(5000);
    let page = Open::page("many", &document).await;
    let loaded = page
        .browser
        .run("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        .await;
    // From a key pressed until the rows are laid out, the median of ten: other tests share the processor.
    let typed = page
        .browser
        .run(
            "const field = document.getElementById('q'); const took = [];\
             for (const text of ['b', 'bi', 'bill', 'billing', 'x', 'root', 'nginx', '1.27', 'shop web', '']) {\
               const start = performance.now(); field.value = text;\
               field.dispatchEvent(new Event('input')); document.body.offsetHeight;\
               took.push(performance.now() - start); }\
             return took.sort((a, b) => a - b)[5]",
        )
        .await;
    let figures = format!("5,000 Pods: loaded in {loaded} ms, the median of ten searches took {typed} ms\n");
    fs::write(folder().join("speed.txt"), figures).unwrap();
    assert!(loaded.as_f64().unwrap() < 5000.0, "{loaded} ms");
    assert!(typed.as_f64().unwrap() < 1000.0, "{typed} ms");
    page.was_quiet().await;

    let few = [
        ("none", scan::document("empty", &[]), "No Pods were found"),
        ("one", scan::document("small", &[scan::realistic(1)["objects"][0].clone()]), "1 of 1 Pod complies"),
        ("nothing", Value::Null, "No Pods were found"),
    ];
    for (name, document, headline) in few {
        let page = Open::page(name, &document).await;
        assert_eq!(page.text("h1").await, headline, "{name}");
        page.picture(&format!("{name}.png"), 1280, 1800).await;
        page.was_quiet().await;
    }
}
