//! `$(NAME)` in a container's `command`, `args` and `env`, as the kubelet expands it
//! (`third_party/forked/golang/expansion` in kubernetes/kubernetes).
//!
//! `$(NAME)` becomes the variable's value, `$$` becomes `$`, and a name that is not known stays as it
//! is written. Only variables of the container's own `env` count: the image's are not expanded by the
//! kubelet, and values that come from elsewhere (`valueFrom`, `envFrom`) cannot be known here.
//! Without this, `command: ["$(SH)"]` would be a way round a rule on the entrypoint.

use std::{borrow::Cow, collections::HashMap};

/// By how many bytes the variables of one container, or its command, or its args may grow: variables
/// that repeat variables grow exponentially, and a Pod may have thousands of containers. What would
/// grow further stays as it is written.
const MAX_GROWTH: usize = 64 * 1024;

/// The known variables of one container.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    values: HashMap<&'a str, Option<Cow<'a, str>>>,
}

impl<'a> Variables<'a> {
    /// Reads `env` in its order: a value may name the variables before it. A later variable of the
    /// same name replaces the earlier one.
    pub(super) fn new(env: &'a [(String, Option<String>)]) -> Self {
        let mut variables = Self::default();
        let mut budget = MAX_GROWTH;
        for (name, value) in env {
            let value = value.as_deref().map(|value| variables.expand(value, &mut budget));
            variables.values.insert(name, value);
        }
        variables
    }

    /// The value of `name`: none where it comes from elsewhere.
    pub(super) fn get(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.values.get(name)?.as_ref()
    }

    /// `texts` with the known variables filled in.
    pub(super) fn expand_all(&self, texts: &[String]) -> Vec<String> {
        let mut budget = MAX_GROWTH;
        texts.iter().map(|text| self.expand(text, &mut budget).into_owned()).collect()
    }

    fn expand<'t>(&self, text: &'t str, budget: &mut usize) -> Cow<'t, str> {
        if !text.contains('$') {
            return Cow::Borrowed(text);
        }
        match self.expand_within(text, text.len().saturating_add(*budget)) {
            Some(expanded) => {
                *budget -= expanded.len().saturating_sub(text.len());
                Cow::Owned(expanded)
            }
            None => Cow::Borrowed(text),
        }
    }

    /// None: it would be longer than `limit` bytes.
    fn expand_within(&self, text: &str, limit: usize) -> Option<String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        // Looked for once: a text of nothing but `$(` would else be read to its end at every `$`.
        let last_close = text.rfind(')').unwrap_or(0);
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let may_close = text.len() - rest.len() < last_close;
            let open = rest.strip_prefix('(').filter(|_| may_close);
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) = open.and_then(|open| open.split_once(')')) {
                match self.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => expanded.extend(["$(", name, ")"]),
                }
                rest = after;
            } else {
                expanded.push('$');
            }
            if expanded.len() > limit {
                return None;
            }
        }
        expanded.push_str(rest);
        (expanded.len() <= limit).then_some(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(entries: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.map(ToOwned::to_owned))).collect()
    }

    #[test]
    fn expands_as_the_kubelet_does() {
        let env = env(&[
            ("A", Some("a")),
            ("NESTED", Some("<$(A)>")),
            ("LATER", Some("$(Z)")),
            ("Z", Some("z")),
            ("SECRET", None),
            ("ESCAPED", Some("$$(A)")),
            ("EMPTY", Some("")),
            ("SELF", Some("1")),
            ("SELF", Some("$(SELF)2")),
        ]);
        let variables = Variables::new(&env);
        for (name, text, expected) in [
            ("a known variable", "x$(A)y", "xay"),
            ("twice", "$(A)$(A)", "aa"),
            ("a variable in a variable", "$(NESTED)", "<a>"),
            ("a variable that is defined later is not known", "$(LATER)", "$(Z)"),
            ("a value from elsewhere stays as written", "$(SECRET)", "$(SECRET)"),
            ("an unknown name stays as written", "$(NO)", "$(NO)"),
            ("an escape", "$$(A)", "$(A)"),
            ("an escape in a variable is not read again", "$(ESCAPED)", "$(A)"),
            ("three dollars", "$$$(A)", "$a"),
            ("an empty value", "[$(EMPTY)]", "[]"),
            ("a variable that extends itself", "$(SELF)", "12"),
            ("a shell variable is none of ours", "$A ${A}", "$A ${A}"),
            ("not closed", "$(A", "$(A"),
            ("a dollar at the end", "5$", "5$"),
            ("beyond ASCII", "é$(A)é", "éaé"),
        ] {
            assert_eq!(variables.expand_all(&[text.to_owned()]), [expected], "{name}");
        }
    }

    #[test]
    fn variables_that_repeat_variables_cannot_grow_without_bound() {
        let names: Vec<String> = (0..64).map(|i| format!("V{i}")).collect();
        let mut entries = vec![("V0".to_owned(), Some("lol".to_owned()))];
        entries.extend(
            names.windows(2).map(|pair| (pair[1].clone(), Some(format!("$({})", pair[0]).repeat(10)))),
        );
        let variables = Variables::new(&entries);
        let total: usize = names.iter().filter_map(|name| variables.get(name)).map(|value| value.len()).sum();
        assert!(total <= 2 * MAX_GROWTH, "{total}");
        assert_eq!(variables.get("V1").map(|value| value.len()), Some(30));
        let args = variables.expand_all(&vec!["$(V3)".to_owned(); 10_000]);
        assert_eq!(args[0].len(), 3000);
        let total: usize = args.iter().map(String::len).sum();
        assert!(total <= 10_000 * "$(V3)".len() + MAX_GROWTH, "{total}");
    }

    #[test]
    fn names_that_never_end_are_read_once() {
        let text = format!("$(A) {}", "$(".repeat(1_000_000));
        let entries = env(&[("A", Some("a"))]);
        let started = tokio::time::Instant::now();
        let expanded = Variables::new(&entries).expand_all(std::slice::from_ref(&text));
        assert_eq!(expanded, [text.replacen("$(A)", "a", 1)]);
        // Reading on at every `$` takes minutes.
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
