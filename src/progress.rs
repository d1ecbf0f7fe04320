//! How far a command is, on a terminal that can be written over.

use crate::text::count;
use std::io::Write;

/// With fewer things a command ends before anyone wonders.
const MANY: usize = 10;

/// A line that is written over. Nothing is written where there is no terminal, or little to wait for.
pub(crate) struct Progress<'a> {
    terminal: Option<&'a mut (dyn Write + Send)>,
    done: usize,
    of: usize,
    /// What is counted: `image`.
    thing: &'static str,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: Option<&'a mut (dyn Write + Send)>, of: usize, thing: &'static str) -> Self {
        let mut progress = Self { terminal, done: 0, of, thing };
        progress.add(0);
        progress
    }

    /// So many more than was known.
    pub(crate) fn expect(&mut self, more: usize) {
        self.of += more;
    }

    pub(crate) fn add(&mut self, more: usize) {
        self.done += more;
        let line = format!("{} of {} looked at", self.done, count(self.of, self.thing));
        if self.of >= MANY {
            self.write(&line);
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.of >= MANY {
            self.write("");
        }
    }

    /// Back to the start, clear the line, write. Losing it is no reason to fail.
    fn write(&mut self, line: &str) {
        if let Some(terminal) = &mut self.terminal {
            let _ = write!(terminal, "\r\u{1b}[K{line}").and_then(|()| terminal.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(images: usize) -> String {
        let mut terminal = Vec::new();
        let mut progress = Progress::new(Some(&mut terminal), images, "image");
        progress.add(images);
        progress.clear();
        String::from_utf8(terminal).unwrap()
    }

    #[test]
    fn many_images_have_a_line_that_is_gone_at_the_end() {
        let text = shown(12);
        assert!(text.contains("0 of 12 images") && text.contains("12 of 12 images"), "{text:?}");
        assert!(text.ends_with("\r\u{1b}[K"), "{text:?}");
        assert_eq!(shown(9), "");
    }
}
