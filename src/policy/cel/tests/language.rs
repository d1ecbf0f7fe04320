//! What expressions mean: the language of cel-spec, the macros and functions of Kubernetes.

use super::{World, assert_true, compiled, run};
use crate::policy::cel::{Evaluation, Wanted, value::Value};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn true_things() {
    for (name, source) in [
        ("precedence", "1 + 2 * 3 == 7 && !(1 > 2) || false"),
        ("left to right", "10 - 3 - 2 == 5 && 12 / 3 / 2 == 2"),
        ("division truncates", "-7 / 2 == -3 && -7 % 2 == -1"),
        ("conditional", "(1 < 2 ? 'a' : 'b') == 'a'"),
        ("conditional to the right", "(false ? 1 : false ? 2 : 3) == 3"),
        ("double negation", "!!true && !!!false && - -1 == 1"),
        ("smallest int", "-9223372036854775808 < 0"),
        ("hex, uint, double", "0x1F == 31 && 3u == 3 && 1.5e1 == 15.0 && .5 == 0.5"),
        ("numbers across types", "1 < 1.5 && 2u > 1 && 1 == dyn(1.0)"),
        ("escapes", r#"'\n\t\'\x41\u00e9\101' == "\n\t'A\u00e9A""#),
        ("raw strings", r"r'\d+' == '\\d+'"),
        ("triple quotes", "'''a'b\nc''' == \"a'b\\nc\""),
        ("bytes", r"b'\xff\x00' != b'a' && bytes('a') == b'a'"),
        ("comments and lines", "true // a comment\n && 1 == 1"),
        ("in a list", "2 in [1, 2] && !(3 in [1, 2])"),
        ("in a map", "'a' in {'a': 1} && !('b' in {'a': 1})"),
        ("index", "[1, 2][1] == 2 && {'a': 1}['a'] == 1 && {1: 'x'}[1u] == 'x'"),
        ("trailing commas", "[1, 2,] == [1, 2] && {'a': 1,} == {'a': 1}"),
        ("equality is deep", "{'a': [1, {'b': null}]} == {'a': [1, {'b': null}]}"),
        ("true hides an error", "1 / 0 == 1 || true"),
        ("false hides an error", "!(1 / 0 == 1 && false)"),
        ("many terms are not deep", &vec!["true"; 900].join(" && ")),
        ("all, exists", "[1, 2].all(x, x > 0) && [1, 2].exists(x, x == 2) && ![].exists(x, true)"),
        ("exists hides an error", "[0, 1].exists(x, 1 / x == 1)"),
        ("exists_one", "[1, 2, 2].exists_one(x, x == 1) && ![2, 2].existsOne(x, x == 2)"),
        ("map, filter", "[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [1, 2, 3].filter(x, x > 1) == [2, 3]"),
        ("map with a filter", "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]"),
        ("nested loops, shadowing", "[[1], [2]].map(x, x.map(x, x + 1)) == [[2], [3]]"),
        ("loops over keys, in order", "{'b': 1, 'a': 2}.map(k, k) == ['a', 'b']"),
        ("two variables", "{'a': 1}.all(k, v, k == 'a' && v == 1) && [5, 6].exists(i, v, i == 1 && v == 6)"),
        ("transformList", "{'a': 1, 'b': 2}.transformList(k, v, v > 1, k + string(v)) == ['b2']"),
        ("transformMap", "{'a': 1, 'b': 2}.transformMap(k, v, v * 10) == {'a': 10, 'b': 20}"),
        ("cel.bind", "cel.bind(x, 21, x + x) == 42"),
        ("optional select", "{'a': 1}.?a.orValue(2) == 1 && {'a': 1}.?b.orValue(2) == 2"),
        ("optional index", "{'a': 1}[?'b'].orValue(2) == 2 && [1][?3].orValue(9) == 9"),
        ("optional chains", "{'a': {'b': 1}}.?a.b.orValue(0) == 1 && {'a': {'b': 1}}.?x.b.orValue(0) == 0"),
        (
            "optional functions",
            "optional.of(1).hasValue() && !optional.none().hasValue() && optional.of(1).value() == 1",
        ),
        (
            "or",
            "optional.none().or(optional.of(2)).value() == 2 && optional.of(1).or(optional.of(2)).value() == 1",
        ),
        (
            "ofNonZeroValue",
            "!optional.ofNonZeroValue('').hasValue() && optional.ofNonZeroValue('a').hasValue()",
        ),
        (
            "optMap",
            "{'a': 1}[?'a'].optMap(x, x + 1).orValue(0) == 2 && !{'a': 1}[?'b'].optMap(x, x + 1).hasValue()",
        ),
        ("optFlatMap", "{'a': {'b': 1}}[?'a'].optFlatMap(x, x[?'b']).orValue(0) == 1"),
        ("optional elements", "[?optional.none(), ?optional.of(1)] == [1] && {?'a': optional.none()} == {}"),
        ("optionals survive copies", "[optional.of(1)].map(x, x.orValue(2)) == [1]"),
        (
            "size counts characters",
            "size('h\u{e9}') == 2 && 'ab'.size() == 2 && [1].size() == 1 && {'a': 1}.size() == 1",
        ),
        (
            "text",
            "'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'Ab'.lowerAscii() == 'ab'",
        ),
        (
            "patterns",
            "'abc'.matches('^a.c$') && matches('abc', 'b') && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
        ),
        (
            "find",
            "'a1b22'.find('[0-9]+') == '1' && 'x'.find('[0-9]') == '' && 'a1b2'.findAll('[0-9]', 1) == ['1']",
        ),
        ("patterns made at run time", "'abc'.matches(['^a', 'c$'].join('.'))"),
        (
            "split and join",
            "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && ['a', 'b'].join('-') == 'a-b'",
        ),
        (
            "split into characters",
            "'h\u{e9}y'.split('') == ['h', '\u{e9}', 'y'] && 'abc'.split('', 2) == ['a', 'bc'] && 'a'.split('a', 0) == []",
        ),
        ("replace", "'aaa'.replace('a', 'b') == 'bbb' && 'aaa'.replace('a', 'b', 2) == 'bba'"),
        (
            "substring",
            "'abcd'.substring(1, 3) == 'bc' && 'abcd'.substring(2) == 'cd' && 'abc'.charAt(1) == 'b'",
        ),
        ("indexOf", "'abcb'.indexOf('b') == 1 && 'abcb'.lastIndexOf('b') == 3 && [1, 2].indexOf(2) == 1"),
        (
            "trim, reverse, quote",
            "' a '.trim() == 'a' && 'ab'.reverse() == 'ba' && strings.quote('a') == '\"a\"'",
        ),
        ("format", "'%s is %d and %.2f'.format(['a', 1, 1.5]) == 'a is 1 and 1.50'"),
        (
            "conversions",
            "int('12') == 12 && string(12) == '12' && double('1.5') == 1.5 && uint(3) == 3u && bool('true')",
        ),
        (
            "times",
            "timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026 && timestamp('2026-01-02T03:04:05Z').getMonth() == 0",
        ),
        (
            "more of times",
            "timestamp('2026-01-04T00:00:00Z').getDayOfWeek() == 0 && duration('90m').getHours() == 1",
        ),
        (
            "arithmetic of times",
            "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
        ),
        (
            "durations",
            "duration('1h30m') == duration('5400s') && string(duration('90s')) == '1m30s' && duration('1.5s') > duration('-2ms')",
        ),
        (
            "lists",
            "[3, 1, 2].sort() == [1, 2, 3] && [1, 2].sum() == 3 && [1, 2].max() == 2 && [1, 2].min() == 1 && [1, 2].isSorted()",
        ),
        (
            "more lists",
            "[1, 1].distinct() == [1] && [[1], [2]].flatten() == [1, 2] && [1, 2].first().value() == 1 && lists.range(3) == [0, 1, 2]",
        ),
        (
            "slice and reverse",
            "[1, 2, 3].slice(1, 2) == [2] && [1, 2].reverse() == [2, 1] && !([].last().hasValue())",
        ),
        (
            "sets",
            "sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])",
        ),
        (
            "math",
            "math.greatest(1, 2) == 2 && math.least([3, 1]) == 1 && math.abs(-1) == 1 && math.ceil(1.2) == 2.0",
        ),
        ("base64", "base64.encode(b'hi') == 'aGk=' && string(base64.decode('aGk=')) == 'hi'"),
        ("json", "json.parse('{\"a\": [1, 2.5, null]}').a[0] == 1"),
        (
            "quantities",
            "quantity('2Gi').isGreaterThan(quantity('1G')) && quantity('1k').asInteger() == 1000 && isQuantity('1Mi')",
        ),
        ("semver", "semver('1.2.3').isLessThan(semver('1.3.0')) && semver('1.2.3').minor() == 2"),
        (
            "addresses",
            "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('x') && ip.isCanonical('::1')",
        ),
        ("urls", "url('https://a.example:8080/p?q=1').getPort() == '8080' && isURL('https://a.example')"),
        ("named formats", "!format.dns1123Label().validate('my-app').hasValue()"),
    ] {
        assert_true(name, source);
    }
}

#[test]
fn errors_while_running() {
    for (name, source, wanted) in [
        ("missing key", "{'a': 1}['b'] == 1", "no such key: \"b\""),
        ("missing field", "object.spec.nodeName == ''", "no such key: \"nodeName\""),
        ("field of null", "object.spec.hostNetwork.x == 1", "null has no \"x\""),
        ("field of text", "object.kind.x == 1", "string has no \"x\""),
        ("has() on text", "has(object.kind.x)", "string has no \"x\""),
        ("past the end", "[1][1] == 1", "the index is out of range: the list has 1 elements"),
        ("negative index", "[1][-1] == 1", "the index is out of range: the list has 1 elements"),
        ("int overflow", "9223372036854775807 + 1 > 0", "`+` overflows"),
        ("negation overflow", "-(-9223372036854775808) > 0", "`-` overflows"),
        ("smallest by -1", "-9223372036854775808 / -1 > 0", "`/` overflows"),
        ("division by zero", "1 / 0 > 0", "division by zero"),
        ("remainder by zero", "1u % 0u > 0u", "division by zero"),
        ("time overflow", "timestamp('9999-12-30T00:00:00Z') + duration('87600h') > now", "`+` overflows"),
        ("huge int of a double", "int(1e300) > 0", "the number does not fit into int"),
        ("no value", "optional.none().value() == 1", "value() of an optional that has none; use orValue()"),
        ("dyn of the wrong type", "object.kind + 1 == 2", "`+` does not take string and int"),
        ("dyn method", "object.kind.sum() == 2", "sum() does not take (string)"),
        ("library", "'abc'.substring(5) == ''", "substring() cannot take these values (string, int)"),
        ("same key twice", "{'a': 1, 'a': 2} == {}", "a map has the same key twice"),
        ("json", "json.parse('{') == 1", "the text is no JSON (line 1, column 1)"),
        (
            "pattern at run time",
            "'a'.matches('(' + '(') ",
            "the pattern is no regular expression: unclosed group",
        ),
        ("empty max", "[].max() == 1", "max() of an empty list"),
        ("unlooked image", "config.user == ''", "the image was not looked at"),
    ] {
        match run(&[], source) {
            Err(why) => assert_eq!(why, wanted, "{name}: {source}"),
            Ok(value) => panic!("{name}: {source} gave {value:?}"),
        }
    }
}

#[test]
fn variables_build_on_each_other() {
    let chain = [
        ("a", "object.metadata.labels"),
        ("b", "variables.a.team + '!'"),
        ("c", "[variables.b, variables.b]"),
    ];
    let value = run(&chain, "variables.c.join('') == 'blue!blue!'");
    assert!(matches!(value, Ok(Value::Bool(true))), "{value:?}");
    let value = run(&[("a", "1 / 0")], "variables.a == 1 || true");
    assert!(matches!(value, Ok(Value::Bool(true))), "an unused failure is hidden: {value:?}");
    let value = run(&[("a", "1 / 0")], "variables.a == 1");
    assert_eq!(value.unwrap_err(), "variables.a: division by zero");
}

#[test]
fn what_an_expression_reads_is_known_through_variables() {
    for (name, variables, source, needs_image, reads_object) in [
        ("nothing", &[][..], "true", false, false),
        (
            "reference parts",
            &[],
            "image.tag == 'latest' && image.registry == 'x' && image.digest == ''",
            false,
            false,
        ),
        ("config", &[], "config.user == ''", true, false),
        ("has() of config", &[], "has(config.user)", true, false),
        ("the image's size", &[], "image.size > 1", true, false),
        ("the document", &[("a", "image.document")], "has(variables.a.x)", true, false),
        (
            "a variable",
            &[("a", "config.labels"), ("b", "variables.a.size()")],
            "variables.b > 1",
            true,
            false,
        ),
        ("an unread variable", &[("a", "config.labels")], "true", false, false),
        ("the object", &[("a", "object.metadata")], "has(variables.a.name)", false, true),
        ("the old object", &[], "oldObject == null", false, true),
        ("the container", &[], "has(container.ports)", false, true),
    ] {
        let (_, expression) = compiled(variables, source, Wanted::Bool).unwrap();
        assert_eq!(expression.needs_image(), needs_image, "{name}: image");
        assert_eq!(expression.reads_object(), reads_object, "{name}: object");
        assert_eq!(expression.reads_document(), name == "the document", "{name}: document");
        assert_eq!(expression.source(), source, "{name}");
    }
}

#[test]
fn strings_may_be_null() {
    let world = World::new();
    let subject = world.subject();
    let evaluation = Evaluation::validations(&subject, &world.usage, None, &[]);
    for (source, wanted) in [
        ("'a' + 'b'", Ok(Some("ab".to_owned()))),
        ("null", Ok(None)),
        ("1 < 2 ? 'yes' : null", Ok(Some("yes".to_owned()))),
    ] {
        let (_, expression) = compiled(&[], source, Wanted::String).unwrap();
        assert_eq!(evaluation.string(&expression), wanted, "{source}");
    }
    let (_, expression) = compiled(&[], "object.metadata", Wanted::String).unwrap();
    assert_eq!(evaluation.string(&expression), Err("gave map, not a string".to_owned()));
    let (_, expression) = compiled(&[], "object.metadata", Wanted::Bool).unwrap();
    assert_eq!(evaluation.bool(&expression), Err("gave map, not a bool".to_owned()));
}
