//! Label selectors as they are typed for kubectl (`labels.Parse`, k8s.io/apimachinery pkg/labels).
//!
//! Rule: what kubectl takes means the same here, and what it refuses is refused; only `>` and `<`, which compare numbers, are not
//! taken.

use std::collections::BTreeSet;

use tracer_policy::model::{Operator, Requirement, Selector, Text};

use super::syntax;
use crate::settings::shortened;

/// One symbol or word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    End,
}

/// The longest first.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'a> Token<'a> {
    /// Takes the first one off the text.
    fn next(text: &mut &'a str) -> Self {
        *text = text.trim_start_matches(WHITESPACE);
        if text.is_empty() {
            return Self::End;
        }
        for symbol in SYMBOLS {
            if let Some(rest) = text.strip_prefix(symbol) {
                *text = rest;
                return Self::Symbol(symbol);
            }
        }
        let ends = |c: char| WHITESPACE.contains(&c) || "=!(),<>".contains(c);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        *text = rest;
        Self::Word(word)
    }

    fn shown(self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", shortened(word)),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// What is left of the text.
struct Parser<'a> {
    rest: &'a str,
}

/// The selector; or what is wrong with it.
pub(super) fn selector(text: &str) -> Result<Selector, String> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    if parser.peek() == Token::End {
        return Ok(Selector::default());
    }
    loop {
        requirements.push(parser.requirement()?);
        match parser.next() {
            Token::End => return Ok(Selector { requirements: requirements.into() }),
            Token::Symbol(",") => {}
            other => return Err(expected("a comma or the end", other)),
        }
    }
}

fn expected(wanted: &str, found: Token<'_>) -> String {
    format!("{} stands where {wanted} should", found.shown())
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token<'a> {
        Token::next(&mut self.rest)
    }

    fn peek(&self) -> Token<'a> {
        Token::next(&mut { self.rest })
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let is_absent = self.peek() == Token::Symbol("!");
        if is_absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(expected("a label's key", other)),
        };
        syntax::key(key)?;
        let is_alone = matches!(self.peek(), Token::End | Token::Symbol(","));
        let (operator, values) = match (is_absent, is_alone) {
            (true, _) => (Operator::DoesNotExist, BTreeSet::new()),
            (false, true) => (Operator::Exists, BTreeSet::new()),
            (false, false) => self.condition()?,
        };
        values.iter().try_for_each(|value| syntax::value(key, value))?;
        Ok(Requirement { key: key.into(), operator, values: values.into_iter().map(Text::from).collect() })
    }

    /// What follows a key that is not alone.
    fn condition(&mut self) -> Result<(Operator, BTreeSet<&'a str>), String> {
        Ok(match self.next() {
            Token::Symbol("=" | "==") => (Operator::In, BTreeSet::from([self.value()?])),
            Token::Symbol("!=") => (Operator::NotIn, BTreeSet::from([self.value()?])),
            Token::Word("in") => (Operator::In, self.values()?),
            Token::Word("notin") => (Operator::NotIn, self.values()?),
            Token::Symbol(sign @ (">" | "<")) => return Err(format!("`{sign}` is not taken here, only by kubectl")),
            other => return Err(expected("=, ==, !=, in or notin", other)),
        })
    }

    /// A value; nothing is the empty one.
    fn value(&mut self) -> Result<&'a str, String> {
        match self.peek() {
            Token::Word(value) => {
                self.next();
                Ok(value)
            }
            Token::End | Token::Symbol(",") => Ok(""),
            other @ Token::Symbol(_) => Err(expected("a value", other)),
        }
    }

    /// `(a,b)`; nothing beside a comma is the empty value.
    fn values(&mut self) -> Result<BTreeSet<&'a str>, String> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return Err(expected("(", other)),
        }
        if self.peek() == Token::Symbol(")") {
            return Err("`in` and `notin` need a value".to_owned());
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(match self.peek() {
                Token::Word(value) => {
                    self.next();
                    value
                }
                Token::Symbol("," | ")") => "",
                other => return Err(expected("a value", other)),
            });
            match self.next() {
                Token::Symbol(",") => {}
                Token::Symbol(")") => return Ok(values),
                other => return Err(expected("a comma or )", other)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each requirement as `key operator values`.
    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let of = |requirement: &Requirement| {
            format!("{} {:?} {}", requirement.key, requirement.operator, requirement.values.join("|"))
        };
        Ok(selector(text)?.requirements.iter().map(of).collect())
    }

    /// As `TestSelectorParse` and `TestSetSelectorParser` of kubectl's parser have it.
    #[test]
    fn what_kubectl_takes_means_the_same() {
        for (text, wanted) in [
            ("", &[][..]),
            ("  ", &[]),
            ("x=a,y=b,z=c", &["x In a", "y In b", "z In c"]),
            ("x==a", &["x In a"]),
            ("x!=a,y=b", &["x NotIn a", "y In b"]),
            ("x=", &["x In "]),
            ("x= ", &["x In "]),
            ("x=,z= ", &["x In ", "z In "]),
            ("x= ,z= ", &["x In ", "z In "]),
            ("x = a , y", &["x In a", "y Exists "]),
            ("!x", &["x DoesNotExist "]),
            ("! x ,!y", &["x DoesNotExist ", "y DoesNotExist "]),
            ("x in (a)", &["x In a"]),
            ("x in(b,a)", &["x In a|b"]),
            ("x\nin\n(a,b)", &["x In a|b"]),
            ("x in (abc,)", &["x In |abc"]),
            ("x in (,a)", &["x In |a"]),
            ("x in (a,,b)", &["x In |a|b"]),
            ("x in (,)", &["x In "]),
            ("x notin (a,b),!y,z", &["x NotIn a|b", "y DoesNotExist ", "z Exists "]),
            ("a=in,b=notin", &["a In in", "b In notin"]),
            ("in,notin=x", &["in Exists ", "notin In x"]),
            ("app.kubernetes.io/name=my_App.1-b", &["app.kubernetes.io/name In my_App.1-b"]),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
            assert_eq!(parsed(text), Ok(wanted), "{text:?}");
        }
    }

    #[test]
    fn what_kubectl_refuses_is_refused_by_name() {
        for (text, because) in [
            ("x=a||y=b", "label x can't have the value `a||y`"),
            ("x=a==", "`==` stands where a comma or the end should"),
            ("x==a==b", "`==` stands where a comma or the end should"),
            ("!x=a", "`=` stands where a comma or the end should"),
            ("x<a", "`<` is not taken here"),
            ("x>1", "`>` is not taken here"),
            ("x,", "the end stands where a label's key should"),
            (",x", "`,` stands where a label's key should"),
            ("x,,y", "`,` stands where a label's key should"),
            ("=a", "`=` stands where a label's key should"),
            ("x a", "`a` stands where =, ==, !=, in or notin should"),
            ("x=a b", "`b` stands where a comma or the end should"),
            ("x in a", "`a` stands where ( should"),
            ("x in ()", "`in` and `notin` need a value"),
            ("x in (a", "the end stands where a comma or ) should"),
            ("x in (a b)", "`b` stands where a comma or ) should"),
            ("x notin (a,", "the end stands where a value should"),
            ("x=(a)", "`(` stands where a value should"),
            ("x=!a", "`!` stands where a value should"),
            ("!", "the end stands where a label's key should"),
            ("!!x", "`!` stands where a label's key should"),
            ("-x=a", "`-x` is no label's key"),
            ("a/b/c=d", "`a/b/c` is no label's key"),
            ("/x=a", "`/x` is no label's key"),
            ("Upper.case/x=a", "`Upper.case/x` is no label's key"),
            ("x=a-", "label x can't have the value `a-`"),
            ("x in (a,ä)", "label x can't have the value `ä`"),
        ] {
            let said = parsed(text).unwrap_err();
            assert!(said.starts_with(because), "{text:?}: {said}");
        }
    }

    #[test]
    fn nothing_panics_whatever_is_typed() {
        const SIGNS: [&str; 14] = ["=", "!", "(", ")", ",", "in", "notin", " ", "a", "x/y", "ä", "<", "\0", "\n"];
        let mut state = 3u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..10 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(SIGNS[(state >> 33) as usize % SIGNS.len()]);
            }
            drop(selector(&text));
        }
    }
}
