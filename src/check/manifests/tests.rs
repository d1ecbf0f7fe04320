use super::*;

fn read(text: &str) -> Manifests {
    parse(&[File { name: "f.yaml".to_owned(), text: Ok(text.to_owned()) }])
}

#[test]
fn finds_what_carries_pods_and_the_lines_of_its_images() {
    let manifests = read(
        "# Source: chart/templates/ns.yaml\n\
         apiVersion: v1\nkind: Namespace\nmetadata: { name: shop, labels: { tier: gold } }\n\
         ---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: shop }\nspec:\n  template:\n    spec:\n      \
         initContainers:\n      - { name: init, image: nginx }\n      \
         containers:\n      - name: app\n        image: \"nginx:1.2\"\n      - name: side\n        image: nginx\n\
         ---\n\
         {\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\
         \"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"busybox\"}]}},{\"apiVersion\":\"v1\",\"kind\":\"Secret\"}]}\n",
    );
    assert_eq!(manifests.errors, [""; 0]);
    assert_eq!(manifests.passed_over, 2);
    assert_eq!(manifests.namespaces["shop"].labels["tier"], "gold");
    assert_eq!(manifests.namespaces["shop"].labels["kubernetes.io/metadata.name"], "shop");
    let [deployment, pod] = manifests.objects.as_slice() else { panic!("{:?}", manifests.objects) };
    assert_eq!((deployment.workload.kind.as_str(), deployment.line), ("Deployment", 6));
    assert_eq!((pod.workload.name.as_str(), pod.line), ("p", 20));
    let line = |path: &str| deployment.image_lines.get(path).copied();
    assert_eq!(line("spec.template.spec.containers[0].image"), Some(16));
    let nginx =
        ["spec.template.spec.initContainers[0].image", "spec.template.spec.containers[1].image"].map(line);
    assert!(nginx.contains(&Some(13)) && nginx.contains(&Some(18)), "{nginx:?}");
    assert_eq!(pod.image_lines["spec.containers[0].image"], 20);
}

#[test]
fn every_error_is_told_with_its_line() {
    let files = [
        ("gone.yaml", Err("No such file".to_owned())),
        ("chart.yaml", Ok("kind: {{ .Values.kind }}\nmetadata: [".to_owned())),
        ("list.yaml", Ok("apiVersion: v1\nkind: Pod\nmetadata: { name: a }\n---\n\n- 1\n".to_owned())),
        (
            "typed.yaml",
            Ok("apiVersion: v1\nkind: Pod\nspec:\n  containers: [{ name: a, image: 5 }]\n".to_owned()),
        ),
        (
            "item.json",
            Ok(r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","spec":7}]}"#
                .to_owned()),
        ),
    ];
    let files = files.map(|(name, text)| File { name: name.to_owned(), text });
    let manifests = parse(&files);
    for (start, part) in [
        ("gone.yaml: ", "No such file"),
        ("chart.yaml:", "is it a Helm template?"),
        ("list.yaml:6: ", "expected an object"),
        ("typed.yaml:1: ", "image"),
        ("item.json:1: items[0]: ", "spec"),
    ] {
        assert!(
            manifests.errors.iter().any(|error| error.starts_with(start) && error.contains(part)),
            "{start} {part}: {:?}",
            manifests.errors
        );
    }
    assert_eq!(manifests.errors.len(), 5, "{:?}", manifests.errors);
}

#[test]
fn an_image_is_found_by_its_whole_name() {
    for (line, image, found) in [
        ("  image: nginx", "nginx", true),
        ("  image:   'nginx'  # comment", "nginx", true),
        ("- { name: a, image: nginx }", "nginx", true),
        (r#""image":"nginx","#, "nginx", true),
        ("    reference: nginx", "nginx", true),
        ("  image: nginx:1.2", "nginx", false),
        ("  image: my/nginx", "nginx", false),
        ("  name: nginx", "nginx", false),
        ("  # the image nginx", "nginx", false),
        ("  image: ", "", false),
    ] {
        assert_eq!(names_image(line, image), found, "{line}");
    }
}
