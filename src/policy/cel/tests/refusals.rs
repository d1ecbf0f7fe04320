//! What is refused when a policy is loaded, and how that is said.

use super::refusal;
use crate::policy::cel::{Expression, Scope, Wanted};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn refused_with_the_place_and_the_reason() {
    for (name, source, wanted) in [
        ("empty", "", "line 1, column 1: expected a value, found the end"),
        ("unclosed", "(1 + 2", "line 1, column 7: expected `)`, found the end"),
        ("second line", "true &&\n  )", "line 2, column 3: expected a value, found `)`"),
        ("two values", "1 2", "line 1, column 3: expected an operator or the end, found a number"),
        ("assignment", "a = 1", "line 1, column 3: expected an operator or the end, found `=`"),
        ("open string", "'abc", "line 1, column 1: the string does not end"),
        ("string over a line", "'a\nb'", "line 1, column 1: the string does not end on its line"),
        (
            "bad escape",
            r"'\d'",
            "line 1, column 2: unknown escape in a string; write r'...' to take backslashes as they are",
        ),
        ("surrogate", r"'\ud800'", "line 1, column 2: the escape is not a character"),
        ("odd character", "1 # 2", "line 1, column 3: unexpected character '#'"),
        ("large int", "9223372036854775808 > 0", "line 1, column 1: the number is too large"),
        ("reserved", "for == 1", "line 1, column 1: `for` is a reserved word"),
        ("message", "Pod{name: 'a'}", "line 1, column 4: messages (`Type{field: value}`) are not supported"),
        (
            "variable",
            "confg.user == ''",
            "line 1, column 1: unknown variable `confg`; did you mean `config`?",
        ),
        (
            "params",
            "params.x",
            "line 1, column 1: `params` is known only where the policy has a paramKind and a paramRef",
        ),
        (
            "Go's spelling",
            "config.User == ''",
            "line 1, column 8: `config` has no `User`; did you mean `config.user`?",
        ),
        (
            "a peer's sample",
            "!has(config.Volumes)",
            "line 1, column 13: `config` has no `Volumes`; did you mean `config.volumes`?",
        ),
        (
            "Go's longer spelling",
            "config.ExposedPorts.size() > 0",
            "line 1, column 8: `config` has no `ExposedPorts`; did you mean `config.exposedPorts`?",
        ),
        (
            "the whole config file",
            "config.config.User == ''",
            "line 1, column 8: `config` has no `config`; the fields of the OCI config object are directly below `config`: `config.user`",
        ),
        (
            "typo",
            "effective.runAsRoot == 'yes'",
            "line 1, column 11: `effective` has no `runAsRoot`; did you mean `effective.runsAsRoot`?",
        ),
        (
            "as a key",
            "config['lables'].size() == 0",
            "line 1, column 8: `config` has no `lables`; did you mean `config.labels`?",
        ),
        (
            "behind a question mark",
            "config.?usr.orValue('') == ''",
            "line 1, column 9: `config` has no `usr`; did you mean `config.user`?",
        ),
        (
            "request",
            "request.userInfo.group == ''",
            "line 1, column 18: `request.userInfo` has no `group`; did you mean `request.userInfo.groups`?",
        ),
        (
            "namespace",
            "namespaceObject.metadata.label == {}",
            "line 1, column 26: `namespaceObject.metadata` has no `label`; did you mean `namespaceObject.metadata.labels`?",
        ),
        (
            "variables",
            "variables.a == 1",
            "line 1, column 11: `variables` has no `a`; none is declared before this expression",
        ),
        (
            "a group of fields",
            "image.platform == 'linux'",
            "line 1, column 7: `image.platform` is no value by itself; read one of its fields: os, architecture, variant, osVersion",
        ),
        (
            "function",
            "config.user.startWith('a')",
            "line 1, column 13: unknown function `startWith()`; did you mean `startsWith()`?",
        ),
        (
            "Kubernetes' only",
            "type(1) == int",
            "line 1, column 1: unknown function `type()` (Kubernetes has it; Hullmark does not)",
        ),
        (
            "argument type",
            "config.user.startsWith(1)",
            "line 1, column 13: there is no `string.startsWith(int)`; there is string.startsWith(string) bool",
        ),
        (
            "argument count",
            "config.user.startsWith()",
            "line 1, column 13: there is no `string.startsWith()`; there is string.startsWith(string) bool",
        ),
        (
            "not a method",
            "'1'.int() == 1",
            "line 1, column 5: there is no `string.int()`; there is int(double) int, int(int) int, int(string) int, int(timestamp) int, int(uint) int",
        ),
        ("compare types", "config.user == 0", "line 1, column 13: string and int can never be equal"),
        (
            "null",
            "config.user == null",
            "line 1, column 13: string and null can never be equal; declared fields are never null, ask has()",
        ),
        (
            "map and text",
            "config.labels == 'x'",
            "line 1, column 15: map<string, string> and string can never be equal",
        ),
        (
            "order",
            "config.labels < {}",
            "line 1, column 15: `<` does not take map<string, string> and map<dyn, dyn>",
        ),
        (
            "quantities",
            "quantity('1') < quantity('2')",
            "line 1, column 15: `<` does not take Quantity and Quantity; use isLessThan(), isGreaterThan() or compareTo()",
        ),
        ("and", "config.user && true", "line 1, column 8: `&&` takes a bool, not string"),
        ("not", "!image.size", "line 1, column 8: `!` takes a bool, not int"),
        (
            "list by text",
            "config.env['PATH'] == ''",
            "line 1, column 11: a list is indexed by int, not string",
        ),
        ("map by int", "config.labels[0] == ''", "line 1, column 14: this map's keys are string, not int"),
        (
            "in text",
            "'a' in config.user",
            "line 1, column 5: `in` takes a list or a map; for text use contains()",
        ),
        ("in another type", "1 in config.env", "line 1, column 3: int can never be in list<string>"),
        (
            "add",
            "'a' + image.size == 'a'",
            "line 1, column 5: `+` does not take string and int; make text of the number with string()",
        ),
        (
            "mixed numbers",
            "1 + 1.0 == 2.0",
            "line 1, column 3: `+` does not take int and double; convert one with int(), uint() or double()",
        ),
        (
            "optional used as a value",
            "config.labels[?'a'] == 'x'",
            "line 1, column 21: optional<string> and string can never be equal; take the optional's value with orValue()",
        ),
        (
            "orValue of another type",
            "config.labels[?'a'].orValue(1) == 1",
            "line 1, column 21: there is no `optional<string>.orValue(int)`; there is optional<A>.orValue(A) A",
        ),
        ("field of text", "config.user.name == ''", "line 1, column 13: string has no fields, so no `name`"),
        (
            "has() of no field",
            "has(config)",
            "line 1, column 5: has() takes a field (`has(a.b)`); for a key write `'key' in map`",
        ),
        (
            "has() of an index",
            "has(config.labels['a'])",
            "line 1, column 18: has() takes a field (`has(a.b)`); for a key write `'key' in map`",
        ),
        (
            "loop over text",
            "config.user.all(c, c == 'a')",
            "line 1, column 8: all() takes a list or a map, not string",
        ),
        (
            "loop's variable",
            "[1].all(a.b, true)",
            "line 1, column 11: a macro's variable must be a simple name",
        ),
        ("loop's predicate", "[1].all(x, x)", "line 1, column 12: all() takes a bool, not int"),
        (
            "loop variable is gone",
            "[1].all(x, x > 0) && x == 1",
            "line 1, column 22: unknown variable `x`; known are ",
        ),
        (
            "pattern",
            "'a'.matches('(')",
            "line 1, column 5: the pattern is no regular expression: unclosed group",
        ),
        ("duration", "now - image.created < duration('90d')", "line 1, column 23: \"90d\" is no duration"),
        ("time", "now < timestamp('2026')", "line 1, column 7: \"2026\" is no timestamp"),
        ("quantity", "quantity('2Gb').sign() == 1", "line 1, column 1: \"2Gb\" is no quantity"),
        (
            "branches",
            "(true ? 1 : 'a') == 1",
            "line 1, column 7: the two results of `?:` differ: int and string",
        ),
    ] {
        let why = refusal(source);
        assert!(why.starts_with(wanted), "{name}: {source}\n  is: {why}\n want: {wanted}");
        assert!(!why.contains('\n'), "{name}: {why}");
    }
}

#[test]
fn the_result_must_be_what_is_wanted() {
    let compile = |source, wanted| Expression::compile(source, &Scope::validations(), wanted).map(|_| ());
    for (source, wanted, why) in [
        ("config.user", Wanted::Bool, "line 1, column 1: the expression must give a bool, not string"),
        (
            "config.user == ''",
            Wanted::String,
            "line 1, column 1: the expression must give a string or null, not bool",
        ),
        ("image", Wanted::Any, "line 1, column 1: `image` is no value by itself; read one of its fields: "),
    ] {
        let found = compile(source, wanted).unwrap_err();
        assert!(found.starts_with(why), "{source}: {found}");
    }
    assert_eq!(compile("object.x", Wanted::Bool), Ok(()));
    assert_eq!(compile("object.x", Wanted::String), Ok(()));
}

#[test]
fn match_conditions_do_not_see_the_image() {
    let why = Expression::compile("config.user == ''", &Scope::conditions(), Wanted::Bool).unwrap_err();
    let wanted = "line 1, column 1: `config` is not known here; match conditions see only object, oldObject, now, request, namespaceObject";
    assert_eq!(why, wanted);
    let seen =
        "!('system:nodes' in request.userInfo.groups) && object.kind == 'Pod' && namespaceObject != null";
    assert!(Expression::compile(seen, &Scope::conditions(), Wanted::Bool).is_ok());
}

#[test]
fn variables_have_names_of_their_own() {
    let mut scope = Scope::validations();
    let expression = Expression::compile("1", &scope, Wanted::Any).unwrap();
    assert_eq!(scope.declare_variable("team_1", &expression), Ok(()));
    for (name, why) in [
        ("team_1", "there is a variable \"team_1\" already"),
        ("a-b", "\"a-b\" is no name for a variable: letters, digits and _ only"),
        ("", "\"\" is no name for a variable: letters, digits and _ only"),
        ("1a", "\"1a\" is no name for a variable: letters, digits and _ only"),
    ] {
        assert_eq!(scope.declare_variable(name, &expression), Err(why.to_owned()), "{name}");
    }
    let typo = Expression::compile("variables.tem_1 == 1", &scope, Wanted::Any).unwrap_err();
    assert_eq!(typo, "line 1, column 11: `variables` has no `tem_1`; did you mean `variables.team_1`?");
    let mismatch = Expression::compile("variables.team_1 == 'a'", &scope, Wanted::Any).unwrap_err();
    assert_eq!(mismatch, "line 1, column 18: int and string can never be equal");
}
