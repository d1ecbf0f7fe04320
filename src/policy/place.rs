//! Where in a policy something is wrong: paths of fields, and all that was found wrong with them.

use std::cell::RefCell;

/// What is wrong, and where: field and reason.
pub(super) type Problems = RefCell<Vec<(String, String)>>;

/// A field of the document that is compiled.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    path: String,
    problems: &'a Problems,
}

impl<'a> Place<'a> {
    pub(super) fn root(problems: &'a Problems) -> Self {
        Self { path: String::new(), problems }
    }

    /// The field `name` of this one.
    pub(super) fn field(&self, name: &str) -> Self {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let path = match (plain && !name.is_empty(), self.path.is_empty()) {
            (true, true) => name.to_owned(),
            (true, false) => format!("{}.{name}", self.path),
            (false, _) => format!("{}[{name:?}]", self.path),
        };
        Self { path, problems: self.problems }
    }

    /// The item `index` of this list.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), problems: self.problems }
    }

    /// Notes what is wrong here.
    pub(super) fn refuse(&self, why: impl Into<String>) {
        let path = if self.path.is_empty() { "document".to_owned() } else { self.path.clone() };
        self.problems.borrow_mut().push((path, why.into()));
    }

    /// Whether nothing is wrong anywhere, so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The value, or a note of what is wrong here.
    pub(super) fn accept<T>(&self, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.refuse(why)).ok()
    }

    /// What `parse` makes of each item; items that it refuses are noted and left out.
    pub(super) fn each<S: AsRef<str>, T>(
        &self,
        items: &[S],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let parsed = items.iter().enumerate().map(|(i, item)| self.item(i).accept(parse(item.as_ref())));
        parsed.flatten().collect()
    }
}
