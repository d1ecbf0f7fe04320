use super::*;
use crate::policy::Defaults;

#[test]
fn selects_by_image_and_use() {
    let select = |matching: &str| set(&format!("{{ match: {matching}, {NON_ROOT} }}"));
    let workload = pod("initContainers: [{ name: init, image: registry.acme.io/init }]\n\
         containers: [{ name: app, image: nginx }, { name: port, image: 'REGISTRY.acme.io:443/a/b' }]");
    for (name, matching, expected) in [
        ("all", "{}", &["init", "app", "port"][..]),
        ("a glob", "{ images: [\"docker.io/library/*\"] }", &["app"]),
        ("another spelling of the registry", "{ images: [\"registry.acme.io/**\"] }", &["init", "port"]),
        ("without some", "{ excludeImages: [\"registry.acme.io/*\"] }", &["app", "port"]),
        ("init containers", "{ uses: [InitContainer] }", &["init"]),
        ("none", "{ images: [\"ghcr.io/**\"] }", &[]),
    ] {
        let set = select(matching);
        let verdict = judge(&set, &workload, &root(), None);
        let mut containers: Vec<&str> = verdict.findings.iter().map(|f| f.container.as_str()).collect();
        containers.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(containers, expected, "{name}");
        assert_eq!(verdict.policies.is_empty(), expected.is_empty(), "{name}");
        let needed = workload.uses.iter().filter(|usage| set.needs_image(&workload, usage, None)).count();
        assert_eq!(needed, expected.len(), "{name}: only what is selected is looked at");
    }
}

#[test]
fn selects_by_labels() {
    let prod = Namespace {
        name: "shop".to_owned(),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        object: serde_json::Value::Null,
    };
    for (name, matching, namespace, expected) in [
        ("namespace", "{ namespaceSelector: { matchLabels: { env: prod } } }", Some(&prod), true),
        ("another", "{ namespaceSelector: { matchLabels: { env: dev } } }", Some(&prod), false),
        ("labels not known", "{ namespaceSelector: { matchLabels: { env: prod } } }", None, false),
        (
            "the name is always known",
            "{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: shop } } }",
            None,
            true,
        ),
        (
            "not in",
            "{ namespaceSelector: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [shop] }] } }",
            None,
            false,
        ),
        ("empty selector", "{ namespaceSelector: {}, objectSelector: {} }", None, true),
        ("object", "{ objectSelector: { matchLabels: { app: web } } }", None, true),
        ("other object", "{ objectSelector: { matchLabels: { app: api } } }", None, false),
        ("exists", "{ objectSelector: { matchExpressions: [{ key: app, operator: Exists }] } }", None, true),
        (
            "does not exist",
            "{ objectSelector: { matchExpressions: [{ key: app, operator: DoesNotExist }] } }",
            None,
            false,
        ),
        (
            "not in, and absent",
            "{ objectSelector: { matchExpressions: [{ key: tier, operator: NotIn, values: [a] }] } }",
            None,
            true,
        ),
    ] {
        let set = set(&format!("{{ match: {matching}, {NON_ROOT} }}"));
        let workload = pod_of("app");
        let verdict = judge(&set, &workload, &root(), namespace);
        assert_eq!(!verdict.findings.is_empty(), expected, "{name}");
        let needs = |namespace| set.needs_image(&workload, &workload.uses[0], namespace);
        assert!(!expected || needs(None), "{name}: what is judged is looked at");
        assert!(namespace.is_none() || needs(namespace) == expected, "{name}: and nothing else");
    }
}

#[test]
fn a_namespaced_policy_holds_in_its_namespace() {
    let set = PolicySet::compile(&[namespaced_policy("shop", "a", NON_ROOT)]).unwrap();
    let here = pod_of("app");
    let there = Workload { namespace: Some("bank".to_owned()), ..here.clone() };
    let bank = Namespace { name: "bank".to_owned(), ..Namespace::default() };
    assert_eq!(judge(&set, &here, &root(), None).findings[0].policy, "shop/a");
    assert!(judge(&set, &there, &root(), None).findings.is_empty());
    assert!(judge(&set, &here, &root(), Some(&bank)).findings.is_empty(), "the request's namespace counts");
    assert!(!set.needs_image(&there, &there.uses[0], None));
}

#[test]
fn an_image_volume_is_judged_by_what_makes_sense() {
    let workload = pod("volumes: [{ name: model, image: { reference: 'acme.io/model' } }]");
    let not_an_image = || Err(unresolved(UnresolvedKind::NotAnImage, "acme.io/model is a helm chart"));
    let uses = "match: { uses: [Container, ImageVolume] }";
    for (name, spec, image, expected) in [
        ("not asked for", "rules: { reference: { digest: true } }".to_owned(), root(), vec![]),
        ("a config rule", format!("{{ {uses}, {NON_ROOT} }}"), root(), vec![]),
        ("a config rule and an artifact", format!("{{ {uses}, {NON_ROOT} }}"), not_an_image(), vec![]),
        (
            "reference and an artifact",
            format!("{{ {uses}, rules: {{ reference: {{ digest: true }} }} }}"),
            not_an_image(),
            vec!["reference"],
        ),
        ("size", format!("{{ {uses}, rules: {{ size: {{ maxLayers: 1 }} }} }}"), root(), vec!["size"]),
        (
            "size and an artifact",
            format!("{{ {uses}, rules: {{ size: {{ maxLayers: 1 }} }} }}"),
            not_an_image(),
            vec!["resolution"],
        ),
    ] {
        let verdict = judge(&set(&spec), &workload, &image, None);
        let rules: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, expected, "{name}");
    }
}

#[test]
fn rules_on_the_name_need_no_image() {
    let workload = pod_of("nginx");
    let needs = |spec: &str| set(spec).needs_image(&workload, &workload.uses[0], None);
    assert!(!needs("rules: { reference: { digest: true } }"));
    assert!(needs(NON_ROOT));
    let invalid = pod_of("UPPER");
    assert!(set("rules: { reference: { digest: true } }").needs_image(&invalid, &invalid.uses[0], None));
}

#[test]
fn an_image_that_no_policy_matches_gets_what_the_operator_says() {
    let policies = [cluster_policy(
        "test",
        "{ match: { images: [\"ghcr.io/**\"] }, rules: { reference: { digest: true } } }",
    )];
    for (name, image, unmatched, rules, decision) in [
        ("allowed", "nginx", Unmatched::Allow, &[][..], Decision::Allow),
        ("warned", "nginx", Unmatched::Warn, &["unmatched"], Decision::Warn),
        ("denied", "nginx", Unmatched::Deny, &["unmatched"], Decision::Deny),
        ("matched", "ghcr.io/a/b", Unmatched::Deny, &["reference"], Decision::Deny),
    ] {
        let defaults = Defaults { unmatched, ..Defaults::default() };
        let set = PolicySet::compile(&policies).unwrap().with_defaults(defaults);
        let verdict = judge(&set, &pod_of(image), &missing(), None);
        let found: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!((found.as_slice(), verdict.decision()), (rules, decision), "{name}");
    }
}

#[test]
fn of_several_documents_the_good_ones_can_be_in_force() {
    let good = cluster_policy("good", "rules: { reference: { digest: true } }");
    let bad = cluster_policy("bad", "rules: { reference: { digests: true } }");
    let twice = cluster_policy("good", "rules: { volumes: { forbidden: true } }");
    let (set, refused) = PolicySet::compile_each(&[bad, good, twice]);
    assert_eq!(set.policies().map(|policy| policy.name).collect::<Vec<_>>(), ["good"]);
    assert_eq!(refused.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2]);
    assert!(refused[1].1[0].why.contains("already there"), "{refused:?}");
}

/// The index leaves out none that would be for a use, whatever is written how.
#[test]
fn the_index_forgets_no_policy() {
    let globs = [
        "",
        "images: ['**']",
        "images: ['*/**']",
        "images: ['docker.io/**', 'GHCR.io/acme/{web,api}']",
        "images: ['registry.acme.io:443/**']",
        "images: ['registry.acme.io/**'], excludeImages: ['registry.acme.io/b/**']",
        "images: ['*.acme.io/**']",
        "images: ['localhost:5000/*']",
    ];
    let mut documents = Vec::new();
    for (nth, glob) in globs.iter().enumerate() {
        let spec = format!("{{ match: {{ {glob} }}, {NON_ROOT} }}");
        documents.push(cluster_policy(&format!("c{nth}"), &spec));
        for namespace in ["shop", "web"] {
            documents.push(namespaced_policy(namespace, &format!("n{nth}"), &spec));
        }
    }
    let set = PolicySet::compile(&documents).unwrap();
    let images = [
        "nginx",
        "ghcr.io/acme/web",
        "ghcr.io:443/acme/api",
        "Registry.acme.io/a",
        "registry.acme.io:443/b/c",
        "localhost:5000/app",
        "quay.io/a/b",
        "NOT-A-NAME",
    ];
    let (mut found, mut left_out) = (0, 0);
    for image in images {
        let mut workload = pod_of(image);
        for namespace in [None, Some("shop"), Some("other")] {
            workload.namespace = namespace.map(ToOwned::to_owned);
            let candidates =
                set.index.candidates(&workload, namespace, workload.uses.iter().map(|usage| &**usage));
            for (at, policy) in set.policies.iter().enumerate() {
                let is_for = policy.selector.may_select(&workload, None)
                    && policy.selector.selects_use(&workload.uses[0]);
                assert!(!is_for || candidates.contains(&at), "{} for {image} in {namespace:?}", policy.name);
                found += usize::from(is_for);
                left_out += usize::from(!candidates.contains(&at));
            }
        }
    }
    assert!(found > 50 && left_out > 50, "{found} {left_out}: both happen");
}
