//! Expressions that mean harm: they end, soon, with an error, and nothing panics.

use super::{compiled, refusal, run};
use crate::policy::cel::{Wanted, budget::Budget, value::Value};

#[test]
fn deep_sources_are_refused() {
    let n = 5_000;
    let long = 100_000;
    for (name, source, wanted) in [
        ("parentheses", format!("{}1{}", "(".repeat(n), ")".repeat(n)), "nested more than"),
        ("lists", format!("{}1{}", "[".repeat(n), "]".repeat(n)), "nested more than"),
        ("maps", "{1:".repeat(n), "nested more than"),
        ("calls", "f(".repeat(n), "nested more than"),
        ("fields", format!("object{}", ".a".repeat(n)), "nested more than"),
        ("indexes", format!("object{}", "[0]".repeat(n)), "nested more than"),
        ("sums", format!("1{}", "+1".repeat(n)), "nested more than"),
        ("conditionals", format!("{}1", "true?1:".repeat(n / 4)), "nested more than"),
        ("comparisons", format!("1{}", "<1".repeat(n)), "nested more than"),
        ("open parentheses", "(".repeat(n), "nested more than"),
        ("too long", "(".repeat(long), "longer than 16384 bytes"),
        ("long text", format!("'{}'", "a".repeat(long)), "longer than 16384 bytes"),
    ] {
        let why = refusal(&source);
        assert!(why.contains(wanted), "{name}: {why}");
    }
    // However many, they are one step.
    assert!(matches!(run(&[], &format!("{}true", "!".repeat(10_000))), Ok(Value::Bool(true))));
    assert!(matches!(run(&[], &format!("{}1 == 1", "- ".repeat(5_000))), Ok(Value::Bool(true))));
    let nested = format!("{}true{}", "[1].all(x, ".repeat(90), ")".repeat(90));
    assert!(matches!(run(&[], &nested), Ok(Value::Bool(true))));
}

#[test]
fn costs_are_bounded() {
    let range = ("r", "lists.range(1000)");
    for (name, variables, source, wanted) in [
        ("two loops", &[range][..], "variables.r.all(a, variables.r.all(b, a + b >= 0))", "costs more than"),
        (
            "five loops",
            &[range],
            "variables.r.map(a, variables.r.map(b, variables.r.map(c, variables.r.map(d, variables.r.map(e, 1))))).size() > 0",
            "costs more than",
        ),
        (
            "errors do not hide it",
            &[range],
            "variables.r.all(a, variables.r.all(b, a >= 0)) || true",
            "costs more than",
        ),
        ("long range", &[], "lists.range(9000000000000000000).size() > 0", "list of more than"),
        (
            "sum of lists",
            &[("a", "lists.range(60000)")],
            "(variables.a + variables.a).size() > 0",
            "list of more than",
        ),
        (
            "replace",
            &[("s", "lists.range(30000).map(x, 'a').join('')")],
            "variables.s.replace('', variables.s).size() > 0",
            "string of more than",
        ),
        (
            "join",
            &[("s", "lists.range(9000).map(x, 'aaaaaaaa').join('')")],
            "lists.range(9000).map(x, 'a').join(variables.s) == ''",
            "string of more than",
        ),
        (
            "patterns at run time",
            &[],
            "lists.range(10000).exists(x, 'a'.matches('^' + string(x)))",
            "costs more than",
        ),
        ("distinct", &[("a", "lists.range(5000)")], "variables.a.distinct().size() > 0", "costs more than"),
        ("sets", &[("a", "lists.range(5000)")], "sets.contains(variables.a, variables.a)", "costs more than"),
        ("precision", &[], "'%.999999999f'.format([1.0]) == ''", "at most 99 digits"),
        ("large pattern", &[], "'a'.matches('(((a{100}){100}){100})' + '')", "too large once compiled"),
    ] {
        let why = run(variables, source).map(|value| format!("{value:?}")).unwrap_err();
        assert!(why.contains(wanted), "{name}: {why}");
    }
}

/// `v1 = v0 + v0`, `v2 = v1 + v1`, …
fn doubling(first: &'static str, step: impl Fn(&str) -> String, times: usize) -> Vec<(String, String)> {
    let mut chain = vec![("v0".to_owned(), first.to_owned())];
    for i in 1..=times {
        chain.push((format!("v{i}"), step(&format!("variables.v{}", i - 1))));
    }
    chain
}

#[test]
fn doubling_through_variables_ends() {
    for (name, first, step, read) in [
        (
            "strings",
            "'aaaaaaaaaaaaaaaa'",
            &(|v: &str| format!("{v} + {v}")) as &dyn Fn(&str) -> String,
            "variables.v60.size() > 0",
        ),
        ("lists", "[1, 2]", &|v| format!("{v} + {v}"), "variables.v60.size() > 0"),
        ("shared lists", "[1, 2]", &|v| format!("[{v}, {v}]"), "variables.v60 == variables.v59"),
        ("shared maps", "{'a': 1}", &|v| format!("{{'a': {v}, 'b': {v}}}"), "variables.v60 == variables.v59"),
        (
            "deep lists",
            "dyn([1])",
            &|v| format!("{}{v}{}", "dyn([".repeat(10), "])".repeat(10)),
            "variables.v60 == 1",
        ),
    ] {
        let chain = doubling(first, step, 60);
        let chain: Vec<(&str, &str)> =
            chain.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
        let why = run(&chain, read).map(|value| format!("{value:?}")).unwrap_err();
        assert!(["more than", "costs"].iter().any(|part| why.contains(part)), "{name}: {why}");
        assert!(why.chars().count() <= 301, "{name}: the message is short");
    }
}

#[test]
fn deep_variables_do_not_add_up_on_the_stack() {
    for (name, open) in [("conditions", "(1 < 2 && "), ("loops", "[1].all(x, ")] {
        let deep = |v: &str| format!("{}{v}{}", open.repeat(80), ")".repeat(80));
        let chain = doubling("true", deep, 60);
        let chain: Vec<(&str, &str)> =
            chain.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
        let value = run(&chain, "variables.v60");
        assert!(matches!(value, Ok(Value::Bool(true))), "{name}: {value:?}");
    }
}

#[test]
fn libraries_do_not_panic() {
    let numbers = ["0", "1", "-1", "9223372036854775807", "-9223372036854775808"];
    let texts = [
        "''",
        "'a'",
        "'\u{e9}\u{1f600}'",
        "'1e2147483647'",
        "'-'",
        "'9999999999999999999999Ei'",
        "'%'",
        "'%.'",
        "'%s%d'",
        "'::ffff:1.2.3.4'",
        "'1.2.3-'",
    ];
    let mut ran = 0;
    for text in texts {
        for call in [
            "charAt(N)",
            "substring(N)",
            "substring(N, N)",
            "split('', N)",
            "replace('', 'b', N)",
            "indexOf('a', N)",
            "lastIndexOf('\u{e9}', N)",
            "findAll('', N)",
        ] {
            for number in numbers {
                // Errors are fine; a panic would be reported as a failed function.
                let source = format!("dyn({text}.{}) == 1", call.replace('N', number));
                assert_ne!(
                    run(&[], &source).err().as_deref(),
                    Some("a function failed on these values"),
                    "{source}"
                );
                ran += 1;
            }
        }
        for function in [
            "quantity",
            "semver",
            "ip",
            "cidr",
            "url",
            "timestamp",
            "duration",
            "int",
            "uint",
            "double",
            "json.parse",
            "base64.decode",
            "isQuantity",
            "isSemver",
            "isIP",
            "isCIDR",
            "isURL",
        ] {
            let source = format!("dyn({function}(['', {text}].join(''))) == 1");
            assert_ne!(
                run(&[], &source).err().as_deref(),
                Some("a function failed on these values"),
                "{source}"
            );
            ran += 1;
        }
        let source = format!("{text}.format([1, 'a']) == ''");
        assert_ne!(run(&[], &source).err().as_deref(), Some("a function failed on these values"), "{source}");
    }
    for call in ["slice(N, 1)", "slice(0, N)", "flatten(N)"] {
        for number in numbers {
            let source = format!("dyn([1, [2]].{}) == 1", call.replace('N', number));
            assert_ne!(
                run(&[], &source).err().as_deref(),
                Some("a function failed on these values"),
                "{source}"
            );
        }
    }
    for call in [
        "math.abs(N)",
        "math.bitShiftLeft(N, N)",
        "math.bitShiftRight(1, N)",
        "timestamp(N)",
        "[N, N].sum()",
        "math.greatest(N, 1)",
        "N / N",
        "N % -1",
    ] {
        for number in numbers {
            let source = format!("dyn({}) == 1", call.replace('N', number));
            assert_ne!(
                run(&[], &source).err().as_deref(),
                Some("a function failed on these values"),
                "{source}"
            );
        }
    }
    assert!(ran > 500);
}

#[test]
fn errors_do_not_quote_values() {
    for source in [
        "quantity(dyn('hunter2') + '').sign() == 1",
        "dyn('hunter2') + 1 == 1",
        "int(dyn('hunter2')) == 1",
        "dyn({'hunter2': 1}).x == 1",
        "dyn(['hunter2']).join(1)",
        "json.parse('hunter2' + '') == 1",
        "semver('hunter2' + '').major() == 1",
        "timestamp('hunter2' + '') == now",
    ] {
        let why = run(&[], source).map(|value| format!("{value:?}")).unwrap_err();
        assert!(!why.contains("hunter2"), "{source}: {why}");
    }
}

#[test]
fn an_everyday_expression_is_cheap() {
    let (_, expression) =
        compiled(&[], "['a', 'b', 'c'].exists(k, k == 'c') && 'x' != ''", Wanted::Bool).unwrap();
    let world = super::World::new();
    let subject = world.subject();
    let evaluation = crate::policy::cel::Evaluation::conditions(&subject);
    assert_eq!(evaluation.bool(&expression), Ok(true));
    let spent = crate::policy::cel::budget::EXPRESSION_UNITS - evaluation.budget.left();
    assert!(spent < 100, "{spent} units");
    assert!(Budget::new().spend(u64::MAX).is_err());
}
