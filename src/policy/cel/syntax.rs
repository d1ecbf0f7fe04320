//! Tokens to a syntax tree (cel-spec, `doc/langdef.md`, Syntax). Macros are calls here; `check`
//! knows them.
//!
//! Depth is bounded while the tree is built, so that nothing that walks it can exhaust the stack.

use super::lexer::{Token, TokenKind, tokens};

/// Bytes of the longest source.
pub(super) const SOURCE_BYTES: usize = 16 * 1024;
/// How deep the tree may be: brackets, and chains of operators and fields.
pub(super) const DEPTH: u16 = 100;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    /// Byte offset in the source.
    pub(super) at: usize,
    /// Levels below.
    depth: u16,
    pub(super) kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExprKind {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    Ident(String),
    /// `operand.field`, or `operand.?field`.
    Select {
        operand: Box<Expr>,
        field: String,
        optional: bool,
    },
    /// `operand[index]`, or `operand[?index]`.
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    Call {
        target: Option<Box<Expr>>,
        name: String,
        args: Vec<Expr>,
    },
    /// Elements; those with `?` are left out when they are `optional.none()`.
    List(Vec<(Expr, bool)>),
    Map(Vec<(Expr, Expr, bool)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Conditional(Box<[Expr; 3]>),
    Binary(&'static str, Box<[Expr; 2]>),
}

/// What is wrong with a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) why: String,
}

impl SyntaxError {
    pub(super) fn new(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }

    /// `line 1, column 8: …`
    pub(super) fn in_source(&self, source: &str) -> String {
        let before = &source[..self.at.min(source.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
        format!("line {line}, column {column}: {}", self.why)
    }
}

type Parsed = Result<Expr, SyntaxError>;

/// Reads a whole source.
pub(super) fn parse(source: &str) -> Parsed {
    if source.len() > SOURCE_BYTES {
        return Err(SyntaxError::new(0, format!("longer than {SOURCE_BYTES} bytes")));
    }
    let mut parser = Parser { tokens: tokens(source)?, next: 0, level: 0 };
    let expr = parser.expression()?;
    match parser.peek() {
        TokenKind::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// How deep the calls of `expression` are.
    level: u16,
}

/// Binary operators that nest to the left, loosest first. `&&`, `||` and `?:` are apart.
const LEVELS: [&[&str]; 3] = [&["==", "!=", "<=", ">=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];

/// Names that the grammar keeps for itself.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];

impl Parser {
    fn token(&self) -> &Token {
        // The last token is `End`, and nothing steps over it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn at(&self) -> usize {
        self.token().at
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        SyntaxError::new(self.at(), format!("expected {wanted}, found {}", self.peek().describe()))
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.peek(), TokenKind::Mark(found) if *found == mark)
    }

    fn accept(&mut self, mark: &str) -> bool {
        let found = self.is(mark);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), SyntaxError> {
        if self.accept(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn node(at: usize, below: u16, kind: ExprKind) -> Parsed {
        if below >= DEPTH {
            return Err(SyntaxError::new(at, format!("nested more than {DEPTH} levels deep")));
        }
        Ok(Expr { at, depth: below + 1, kind })
    }

    fn expression(&mut self) -> Parsed {
        self.level += 1;
        if self.level > DEPTH {
            return Err(SyntaxError::new(self.at(), format!("nested more than {DEPTH} levels deep")));
        }
        let condition = self.logical("||")?;
        let at = self.at();
        let expr = if self.accept("?") {
            let then = self.logical("||")?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            let below = condition.depth.max(then.depth).max(otherwise.depth);
            Self::node(at, below, ExprKind::Conditional(Box::new([condition, then, otherwise])))?
        } else {
            condition
        };
        self.level -= 1;
        Ok(expr)
    }

    /// `a || b || c` is one node, however many there are: long lists of conditions are not deep.
    fn logical(&mut self, mark: &'static str) -> Parsed {
        let operand = |parser: &mut Self| if mark == "||" { parser.logical("&&") } else { parser.binary(0) };
        let first = operand(self)?;
        if !self.is(mark) {
            return Ok(first);
        }
        let at = self.at();
        let mut terms = vec![first];
        while self.accept(mark) {
            terms.push(operand(self)?);
        }
        let below = terms.iter().map(|term| term.depth).max().unwrap_or(0);
        Self::node(at, below, if mark == "||" { ExprKind::Or(terms) } else { ExprKind::And(terms) })
    }

    fn binary(&mut self, level: usize) -> Parsed {
        let Some(marks) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let found = match self.peek() {
                TokenKind::Mark(mark) => marks.iter().find(|known| *known == mark),
                TokenKind::Identifier(name) if name == "in" => marks.iter().find(|known| **known == "in"),
                _ => None,
            };
            let Some(mark) = found else { return Ok(left) };
            let at = self.at();
            self.next += 1;
            let right = self.binary(level + 1)?;
            let below = left.depth.max(right.depth);
            left = Self::node(at, below, ExprKind::Binary(mark, Box::new([left, right])))?;
        }
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        for mark in ["!", "-"] {
            let mut count = 0_usize;
            while self.accept(mark) {
                count += 1;
            }
            if count == 0 {
                continue;
            }
            if mark == "-"
                && count == 1
                && let Some(number) = self.negative_number()?
            {
                return self.members(number);
            }
            let operand = self.primary().and_then(|primary| self.members(primary))?;
            let wrap = |operand: Expr| {
                let below = operand.depth;
                let kind = if mark == "!" { ExprKind::Not } else { ExprKind::Negate };
                Self::node(at, below, kind(Box::new(operand)))
            };
            // Pairs cancel out, but the operand's type must still be checked.
            let once = wrap(operand)?;
            return if count % 2 == 1 { Ok(once) } else { wrap(once) };
        }
        let primary = self.primary()?;
        self.members(primary)
    }

    /// A number behind a `-`: read as one, so that the smallest int can be written.
    fn negative_number(&mut self) -> Result<Option<Expr>, SyntaxError> {
        let at = self.at();
        let kind = match self.peek() {
            TokenKind::Int(value) => ExprKind::Int(
                0_i64
                    .checked_sub_unsigned(*value)
                    .ok_or_else(|| SyntaxError::new(at, "the number is too small"))?,
            ),
            TokenKind::Double(value) => ExprKind::Double(-value),
            _ => return Ok(None),
        };
        self.next += 1;
        Self::node(at, 0, kind).map(Some)
    }

    /// What may follow a primary: `.field`, `.?field`, `.call(…)`, `[index]`, `[?index]`.
    fn members(&mut self, mut operand: Expr) -> Parsed {
        loop {
            let at = self.at();
            if self.accept(".") {
                let optional = self.accept("?");
                let (name, quoted) = match self.peek().clone() {
                    TokenKind::Identifier(name) if name != "in" => (name, false),
                    TokenKind::Quoted(name) => (name, true),
                    _ => return Err(self.unexpected("a field or a function")),
                };
                let name_at = self.at();
                self.next += 1;
                if !optional && !quoted && self.accept("(") {
                    let args = self.arguments()?;
                    let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0).max(operand.depth);
                    let call = ExprKind::Call { target: Some(Box::new(operand)), name, args };
                    operand = Self::node(name_at, below, call)?;
                } else {
                    let below = operand.depth;
                    let select = ExprKind::Select { operand: Box::new(operand), field: name, optional };
                    operand = Self::node(name_at, below, select)?;
                }
            } else if self.accept("[") {
                let optional = self.accept("?");
                let index = self.expression()?;
                self.expect("]")?;
                let below = operand.depth.max(index.depth);
                let (operand_box, index) = (Box::new(operand), Box::new(index));
                operand = Self::node(at, below, ExprKind::Index { operand: operand_box, index, optional })?;
            } else if self.is("{") {
                return Err(SyntaxError::new(at, "messages (`Type{field: value}`) are not supported"));
            } else {
                return Ok(operand);
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, SyntaxError> {
        let mut args = Vec::new();
        if self.accept(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expression()?);
            if self.accept(")") {
                return Ok(args);
            }
            if !self.accept(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let kind = self.peek().clone();
        self.next += 1;
        let leaf = |kind| Self::node(at, 0, kind);
        match kind {
            TokenKind::Int(value) => match i64::try_from(value) {
                Ok(value) => leaf(ExprKind::Int(value)),
                Err(_) => Err(SyntaxError::new(at, "the number is too large")),
            },
            TokenKind::UInt(value) => leaf(ExprKind::UInt(value)),
            TokenKind::Double(value) => leaf(ExprKind::Double(value)),
            TokenKind::String(text) => leaf(ExprKind::String(text)),
            TokenKind::Bytes(bytes) => leaf(ExprKind::Bytes(bytes)),
            TokenKind::Identifier(name) => self.identifier(at, name),
            TokenKind::Mark("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            TokenKind::Mark("[") => self.list(at),
            TokenKind::Mark("{") => self.map(at),
            _ => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn identifier(&mut self, at: usize, name: String) -> Parsed {
        let leaf = |kind| Self::node(at, 0, kind);
        match name.as_str() {
            "true" => leaf(ExprKind::Bool(true)),
            "false" => leaf(ExprKind::Bool(false)),
            "null" => leaf(ExprKind::Null),
            reserved if RESERVED.contains(&reserved) => {
                Err(SyntaxError::new(at, format!("`{reserved}` is a reserved word")))
            }
            _ if self.accept("(") => {
                let args = self.arguments()?;
                let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
                Self::node(at, below, ExprKind::Call { target: None, name, args })
            }
            _ => leaf(ExprKind::Ident(name)),
        }
    }

    fn list(&mut self, at: usize) -> Parsed {
        let mut items = Vec::new();
        while !self.accept("]") {
            let optional = self.accept("?");
            items.push((self.expression()?, optional));
            if !self.accept(",") && !self.is("]") {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
        let below = items.iter().map(|(item, _)| item.depth).max().unwrap_or(0);
        Self::node(at, below, ExprKind::List(items))
    }

    fn map(&mut self, at: usize) -> Parsed {
        let mut entries = Vec::new();
        while !self.accept("}") {
            let optional = self.accept("?");
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?, optional));
            if !self.accept(",") && !self.is("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        let below = entries.iter().map(|(key, value, _)| key.depth.max(value.depth)).max().unwrap_or(0);
        Self::node(at, below, ExprKind::Map(entries))
    }
}
