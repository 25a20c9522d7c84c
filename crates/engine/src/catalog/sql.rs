//! A tokenizer for the few things that only the text of a CREATE statement says.
//!
//! SQLite reports an expression of an index as "some expression": its words, and the WHERE of a partial index, have to
//! be cut from `sqlite_master.sql`. Always true here: a cut is a slice of the original, from the first byte of a token
//! to the last byte of one, so no comment can swallow what is put behind it. Not here: understanding expressions.

/// What a token is, as far as cutting needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare word: keyword, name or number.
    Word,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    Quoted,
    /// A text in `'…'`.
    Text,
    /// Any other single byte.
    Sign(u8),
}

/// One token and where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    start: usize,
    end: usize,
}

impl Token<'_> {
    /// Is it this keyword, bare?
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The name it spells, unquoted; None if it can't be a name.
    pub(crate) fn name(&self) -> Option<String> {
        let inner = || &self.text[1..self.text.len() - 1];
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted if self.text.starts_with('[') => Some(inner().to_owned()),
            Kind::Quoted => {
                let quote = &self.text[..1];
                Some(inner().replace(&quote.repeat(2), quote))
            }
            Kind::Text => Some(inner().replace("''", "'")),
            Kind::Sign(_) => None,
        }
    }
}

/// Cuts SQL into tokens; white space and comments fall away. An unfinished quotation ends with the text.
pub(crate) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let b = sql.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < b.len() {
        let start = at;
        let kind = match b[at] {
            c if c.is_ascii_whitespace() || c == 0x0b => {
                at += 1;
                continue;
            }
            b'-' if b.get(at + 1) == Some(&b'-') => {
                at += b[at..].iter().position(|&c| c == b'\n').unwrap_or(b.len() - at);
                continue;
            }
            b'/' if b.get(at + 1) == Some(&b'*') => {
                at = sql[at + 2..].find("*/").map_or(b.len(), |n| at + 2 + n + 2);
                continue;
            }
            b'\'' => {
                at = closing(b, at, b'\'');
                Kind::Text
            }
            q @ (b'"' | b'`') => {
                at = closing(b, at, q);
                Kind::Quoted
            }
            b'[' => {
                at += b[at..].iter().position(|&c| c == b']').map_or(b.len() - at, |n| n + 1);
                Kind::Quoted
            }
            c if word_byte(c) => {
                at += b[at..].iter().position(|&c| !word_byte(c)).unwrap_or(b.len() - at);
                Kind::Word
            }
            c => {
                at += 1;
                Kind::Sign(c)
            }
        };
        out.push(Token { kind, text: &sql[start..at], start, end: at });
    }
    out
}

/// The place behind the quotation that starts at `at`; a doubled quote belongs to it.
fn closing(b: &[u8], at: usize, quote: u8) -> usize {
    let mut i = at + 1;
    while i < b.len() {
        if b[i] == quote {
            if b.get(i + 1) != Some(&quote) {
                return i + 1;
            }
            i += 1;
        }
        i += 1;
    }
    b.len()
}

fn word_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80
}

/// Does the SQL hold this bare keyword?
pub(crate) fn has_keyword(sql: &str, keyword: &str) -> bool {
    tokens(sql).iter().any(|t| t.is(keyword))
}

/// The terms of a CREATE INDEX statement (without ASC and DESC) and its WHERE. None: it is not one.
pub(crate) fn index_terms(sql: &str) -> Option<(Vec<String>, Option<String>)> {
    let all = tokens(sql);
    let on = all.iter().position(|t| t.is("ON"))?;
    let body = all.get(on + 2..)?;
    if body.first()?.kind != Kind::Sign(b'(') {
        return None;
    }
    let (mut depth, mut first, mut terms) = (0_usize, 1, Vec::new());
    for (i, token) in body.iter().enumerate() {
        match token.kind {
            Kind::Sign(b'(') => depth += 1,
            Kind::Sign(b',') if depth == 1 => {
                terms.push(term(sql, &body[first..i])?);
                first = i + 1;
            }
            Kind::Sign(b')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    terms.push(term(sql, &body[first..i])?);
                    let rest = &body[i + 1..];
                    let condition = match rest.split_first() {
                        Some((word, expression)) if word.is("WHERE") => Some(cut(sql, expression)?),
                        Some(_) | None => None,
                    };
                    return Some((terms, condition));
                }
            }
            Kind::Word | Kind::Quoted | Kind::Text | Kind::Sign(_) => {}
        }
    }
    None
}

fn term(sql: &str, tokens: &[Token<'_>]) -> Option<String> {
    match tokens.split_last() {
        Some((last, rest)) if (last.is("ASC") || last.is("DESC")) && !rest.is_empty() => cut(sql, rest),
        Some(_) | None => cut(sql, tokens),
    }
}

/// The text from the first token to the last, a closing semicolon left out.
fn cut(sql: &str, tokens: &[Token<'_>]) -> Option<String> {
    let tokens = match tokens.split_last() {
        Some((last, rest)) if last.kind == Kind::Sign(b';') => rest,
        Some(_) | None => tokens,
    };
    Some(sql[tokens.first()?.start..tokens.last()?.end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_condition_are_cut_as_they_were_written() {
        let check = |sql: &str, terms: &[&str], condition: Option<&str>| {
            let (t, c) = index_terms(sql).unwrap_or_else(|| panic!("{sql}"));
            assert_eq!((t.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), c.as_deref()), (terms, condition));
        };
        check("CREATE UNIQUE INDEX i ON t(a, b DESC)", &["a", "b"], None);
        check("CREATE UNIQUE INDEX \"on\" ON \"a ( b\" (lower(a), b || ',' ASC)", &["lower(a)", "b || ','"], None);
        check("CREATE UNIQUE INDEX i ON[t)](\"desc\")WHERE a='where)' -- no", &["\"desc\""], Some("a='where)'"));
        check("CREATE UNIQUE INDEX i ON t /* ( */ (a COLLATE nocase /* , */ DESC) ", &["a COLLATE nocase"], None);
        check(
            "CREATE UNIQUE INDEX i ON t(coalesce(a, 'it''s'), \"a\"\"b\") WHERE a IS NOT NULL -- why\n AND b > 1 ; -- end",
            &["coalesce(a, 'it''s')", "\"a\"\"b\""],
            Some("a IS NOT NULL -- why\n AND b > 1"),
        );
        check("CREATE UNIQUE INDEX i ON größe(`straße`)", &["`straße`"], None);
        assert!(index_terms("CREATE UNIQUE INDEX i ON t(a").is_none());
        assert!(index_terms("").is_none());
    }

    #[test]
    fn names_come_out_of_their_quotes() {
        let name = |s| tokens(s)[0].name();
        assert_eq!(name("\"a\"\"b\"").as_deref(), Some("a\"b"));
        assert_eq!(name("[a\"\"b]").as_deref(), Some("a\"\"b"));
        assert_eq!(name("`a``b`").as_deref(), Some("a`b"));
        assert_eq!(name("'a''b'").as_deref(), Some("a'b"));
        assert_eq!(name("+"), None);
    }

    #[test]
    fn keywords_in_quotes_and_comments_are_none() {
        assert!(has_keyword("CREATE TABLE t(a check(a>1))", "CHECK"));
        assert!(!has_keyword("CREATE TABLE t(a /* check */, \"check\" DEFAULT 'check' -- check\n)", "CHECK"));
    }
}
