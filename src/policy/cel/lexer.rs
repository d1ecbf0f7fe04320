//! Source text to tokens (cel-spec, `doc/langdef.md`, Syntax).

use super::syntax::SyntaxError;

/// A token and where it begins, as a byte offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Identifier(String),
    /// A name in backticks: a field only.
    Quoted(String),
    /// Without its sign.
    Int(u64),
    UInt(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// An operator or a bracket.
    Mark(&'static str),
    End,
}

/// Longer ones first, so that `<=` is not read as `<`.
const MARKS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ",", ".", "?", ":", "+", "-", "*", "/",
    "%", "!", "<", ">", "=",
];

impl TokenKind {
    /// What the token is called in messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Identifier(name) | Self::Quoted(name) => format!("`{name}`"),
            Self::Int(_) | Self::UInt(_) | Self::Double(_) => "a number".to_owned(),
            Self::String(_) => "a string".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Splits `source` into tokens; the last one is `End`.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == TokenKind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    /// Takes what comes as long as `holds`.
    fn take(&mut self, holds: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !holds(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn skip_blank(&mut self) {
        loop {
            self.take(char::is_whitespace);
            if !self.rest().starts_with("//") {
                return;
            }
            self.take(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<Token, SyntaxError> {
        self.skip_blank();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(Token { at, kind: TokenKind::End }) };
        let second = self.rest()[first.len_utf8()..].chars().next();
        let kind = if let Some(kind) = self.text()? {
            kind
        } else if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' {
            TokenKind::Identifier(self.take(|c| c.is_ascii_alphanumeric() || c == '_'))
        } else if first == '`' {
            self.at += 1;
            let name = self.take(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c));
            if name.is_empty() || !self.rest().starts_with('`') {
                return Err(SyntaxError::new(at, "a name in backticks holds letters, digits and _.-/ only"));
            }
            self.at += 1;
            TokenKind::Quoted(name)
        } else if let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
            self.at += mark.len();
            TokenKind::Mark(mark)
        } else {
            return Err(SyntaxError::new(at, format!("unexpected character {first:?}")));
        };
        Ok(Token { at, kind })
    }

    fn number(&mut self) -> Result<TokenKind, SyntaxError> {
        let at = self.at;
        let refuse = |why: &str| SyntaxError::new(at, why);
        if let Some(hex) = self.rest().strip_prefix("0x").or_else(|| self.rest().strip_prefix("0X")) {
            let digits: String = hex.chars().take_while(char::is_ascii_hexdigit).collect();
            self.at += 2 + digits.len();
            let value = u64::from_str_radix(&digits, 16).map_err(|_| refuse("the number is too large"))?;
            return Ok(self.integer(value));
        }
        let mut text = self.take(|c| c.is_ascii_digit());
        let mut is_double = false;
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            text = format!("{text}.{}", self.take(|c| c.is_ascii_digit()));
            is_double = true;
        }
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            let sign = self.take(|c| c == '+' || c == '-');
            let digits = self.take(|c| c.is_ascii_digit());
            text = format!("{text}e{sign}{digits}");
            is_double = true;
        }
        if is_double {
            return text.parse().map(TokenKind::Double).map_err(|_| refuse("not a number"));
        }
        let value = text.parse().map_err(|_| refuse("the number is too large"))?;
        Ok(self.integer(value))
    }

    fn integer(&mut self, value: u64) -> TokenKind {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            TokenKind::UInt(value)
        } else {
            TokenKind::Int(value)
        }
    }

    /// A string or bytes, if one begins here: prefixes `r` and `b`, one or three quotes.
    fn text(&mut self) -> Result<Option<TokenKind>, SyntaxError> {
        let at = self.at;
        let prefix: String = self.rest().chars().take_while(|c| "rRbB".contains(*c)).take(3).collect();
        let opening = &self.rest()[prefix.len()..];
        let Some(quote) = opening.chars().next().filter(|c| prefix.len() <= 2 && matches!(c, '\'' | '"'))
        else {
            return Ok(None);
        };
        let triple = quote.to_string().repeat(3);
        let fence = if opening.starts_with(&triple) { triple } else { quote.to_string() };
        let has = |letter: char| prefix.to_ascii_lowercase().contains(letter);
        let (is_raw, is_bytes) = (has('r'), has('b'));
        self.at += prefix.len() + fence.len();
        let mut bytes = Vec::new();
        loop {
            if self.rest().starts_with(&fence) {
                self.at += fence.len();
                break;
            }
            let Some(next) = self.rest().chars().next() else {
                return Err(SyntaxError::new(at, "the string does not end"));
            };
            if next == '\n' && fence.len() == 1 {
                return Err(SyntaxError::new(at, "the string does not end on its line"));
            }
            if next == '\\' && !is_raw {
                self.escape(is_bytes, &mut bytes)?;
            } else {
                self.at += next.len_utf8();
                bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if is_bytes {
            return Ok(Some(TokenKind::Bytes(bytes)));
        }
        let text = String::from_utf8(bytes).map_err(|_| SyntaxError::new(at, "the string is not UTF-8"))?;
        Ok(Some(TokenKind::String(text)))
    }

    fn escape(&mut self, is_bytes: bool, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let at = self.at;
        let refuse = |why: &str| SyntaxError::new(at, why);
        self.at += 1;
        let letter = self.rest().chars().next().ok_or_else(|| refuse("the string does not end"))?;
        self.at += letter.len_utf8();
        let plain = match letter {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '?' => b'?',
            '"' => b'"',
            '\'' => b'\'',
            '`' => b'`',
            _ => 0,
        };
        if plain != 0 {
            out.push(plain);
            return Ok(());
        }
        let (digits, radix) = match letter {
            'x' | 'X' => (2, 16),
            'u' if !is_bytes => (4, 16),
            'U' if !is_bytes => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => {
                return Err(refuse(
                    "unknown escape in a string; write r'...' to take backslashes as they are",
                ));
            }
        };
        let code = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        let code = code.ok_or_else(|| refuse("the escape has too few digits"))?;
        self.at += digits;
        if is_bytes {
            out.push(u8::try_from(code).map_err(|_| refuse("the escape is not a byte"))?);
            return Ok(());
        }
        let letter = char::from_u32(code).ok_or_else(|| refuse("the escape is not a character"))?;
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}
