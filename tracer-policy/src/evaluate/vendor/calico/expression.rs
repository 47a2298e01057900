//! Calico's language of selectors (libcalico-go/lib/selector of Calico 3.30).
//!
//! Rule: `&&` binds before `||`; an expression that is longer or deeper than any that a person writes is refused.

use super::super::truth::{Found, Truth};

/// Bytes of a selector.
const LONGEST: usize = 16 << 10;
/// Brackets in brackets, and negations of negations.
const DEEPEST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression<'a> {
    All,
    /// What is in no namespace.
    Global,
    Has(&'a str),
    /// `==`, `in`; an absent label has none of the values.
    In(&'a str, Vec<&'a str>),
    Contains(&'a str, &'a str),
    StartsWith(&'a str, &'a str),
    EndsWith(&'a str, &'a str),
    /// `!`, `!=`, `not in`.
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl<'a> Expression<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("it is too long");
        }
        let mut parser = Parser { rest: text };
        if parser.is_at_end() {
            return Ok(Self::All);
        }
        let expression = parser.either(0)?;
        if parser.is_at_end() { Ok(expression) } else { Err("it goes on after its end") }
    }

    pub(super) fn holds<'v>(&self, find: &impl Fn(&str) -> Found<'v>) -> Truth {
        match self {
            Self::All => Truth::Yes,
            Self::Global => find("projectcalico.org/namespace").is(true, |_| false),
            Self::Has(key) => find(key).is(false, |_| true),
            Self::In(key, wanted) => find(key).is(false, |value| wanted.contains(&value)),
            Self::Contains(key, part) => find(key).is(false, |value| value.contains(part)),
            Self::StartsWith(key, part) => find(key).is(false, |value| value.starts_with(part)),
            Self::EndsWith(key, part) => find(key).is(false, |value| value.ends_with(part)),
            Self::Not(inner) => inner.holds(find).not(),
            Self::And(parts) => Truth::all(parts.iter().map(|part| part.holds(find))),
            Self::Or(parts) => Truth::any(parts.iter().map(|part| part.holds(find))),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn either(&mut self, depth: usize) -> Result<Expression<'a>, &'static str> {
        let mut parts = vec![self.both(depth)?];
        while self.takes("||") {
            parts.push(self.both(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn both(&mut self, depth: usize) -> Result<Expression<'a>, &'static str> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("&&") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Expression<'a>, &'static str> {
        if depth > DEEPEST {
            return Err("it is too deep");
        }
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.either(depth + 1)?;
            return if self.takes(")") { Ok(inner) } else { Err("a bracket is not closed") };
        }
        let name = self.name().ok_or("a label is missing")?;
        if self.takes("(") {
            return self.call(name);
        }
        self.comparison(name)
    }

    fn call(&mut self, name: &str) -> Result<Expression<'a>, &'static str> {
        let expression = match name {
            "all" => Expression::All,
            "global" => Expression::Global,
            "has" => Expression::Has(self.name().ok_or("has() needs a label")?),
            _ => return Err("it calls what is none of all(), global(), has()"),
        };
        if self.takes(")") { Ok(expression) } else { Err("a bracket is not closed") }
    }

    fn comparison(&mut self, key: &'a str) -> Result<Expression<'a>, &'static str> {
        if self.takes("==") {
            return Ok(Expression::In(key, vec![self.value()?]));
        }
        if self.takes("!=") {
            return Ok(Expression::Not(Box::new(Expression::In(key, vec![self.value()?]))));
        }
        match self.name() {
            Some("in") => Ok(Expression::In(key, self.values()?)),
            Some("not") if self.name() == Some("in") => {
                Ok(Expression::Not(Box::new(Expression::In(key, self.values()?))))
            }
            Some("contains") => Ok(Expression::Contains(key, self.value()?)),
            Some("starts") if self.name() == Some("with") => Ok(Expression::StartsWith(key, self.value()?)),
            Some("ends") if self.name() == Some("with") => Ok(Expression::EndsWith(key, self.value()?)),
            _ => Err("an operator is missing"),
        }
    }

    fn values(&mut self) -> Result<Vec<&'a str>, &'static str> {
        if !self.takes("{") {
            return Err("a set begins with {");
        }
        let mut values = Vec::new();
        loop {
            if self.takes("}") {
                return Ok(values);
            }
            if !values.is_empty() && !self.takes(",") {
                return Err("a set is not closed");
            }
            values.push(self.value()?);
        }
    }

    /// Text in quotes of either kind; nothing in it is escaped.
    fn value(&mut self) -> Result<&'a str, &'static str> {
        let quote = ['"', '\''].into_iter().find(|quote| self.takes(quote.encode_utf8(&mut [0; 4])));
        let quote = quote.ok_or("a value is in quotes")?;
        let (value, rest) = self.rest.split_once(quote).ok_or("a quote is not closed")?;
        self.rest = rest;
        Ok(value)
    }

    /// A label's key, or a word of the language.
    fn name(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '/' | '-');
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn takes(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn is_at_end(&self) -> bool {
        self.rest.trim_start().is_empty()
    }
}
