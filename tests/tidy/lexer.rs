//! Rust source as tokens: identifiers and punctuation with their lines, comments and literals left out.
//!
//! Invariant: a word inside a comment or a string is never a token, so a rule about code cannot be tripped by prose.
//! It knows no grammar beyond what ends a literal, and which items stand behind `#[cfg(test)]`.

/// An identifier, or one character of punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Behind `#[cfg(test)]`.
    pub(crate) test: bool,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Cuts source text into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { bytes: source.as_bytes(), at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    mark_tests(&mut lexer.tokens);
    lexer.tokens
}

/// The modules that are declared behind `#[cfg(test)]` without a body here.
pub(crate) fn test_modules(tokens: &[Token]) -> Vec<String> {
    let words = tokens.windows(3).filter(|w| w[0].test && w[0].text == "mod" && w[2].text == ";");
    words.map(|w| w[1].text.clone()).collect()
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == b'\n');
            self.at += 1;
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => self.skip_until(|lexer| lexer.peek(0) == b'\n'),
            (b'/', b'*') => self.block_comment(),
            (b'"', _) => self.string(),
            (b'\'', _) => self.quote(),
            (c, _) if c.is_ascii_alphabetic() || c == b'_' => self.word(),
            (c, _) if c.is_ascii_digit() => {
                self.skip_until(|lexer| !(lexer.peek(0).is_ascii_alphanumeric() || lexer.peek(0) == b'_'));
            }
            (c, _) if c.is_ascii_punctuation() => {
                self.push(char::from(c).to_string());
                self.skip(1);
            }
            _ => self.skip(1),
        }
    }

    fn push(&mut self, text: String) {
        self.tokens.push(Token { text, line: self.line, test: false });
    }

    fn skip_until(&mut self, end: impl Fn(&Self) -> bool) {
        while self.at < self.bytes.len() && !end(self) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                (0, _) => return,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.skip(1);
        while self.at < self.bytes.len() && self.peek(0) != b'"' {
            self.skip(if self.peek(0) == b'\\' { 2 } else { 1 });
        }
        self.skip(1);
    }

    fn raw_string(&mut self, hashes: usize) {
        let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        self.skip(hashes + 1);
        self.skip_until(|lexer| lexer.bytes[lexer.at..].starts_with(&end));
        self.skip(end.len());
    }

    /// A character, or a lifetime (whose name is no identifier of anybody's).
    fn quote(&mut self) {
        if self.peek(1) == b'\\' {
            self.skip(3);
            self.skip_until(|lexer| lexer.peek(0) == b'\'');
            self.skip(1);
        } else if (self.peek(1).is_ascii_alphanumeric() || self.peek(1) == b'_') && self.peek(2) != b'\'' {
            self.skip(1);
            self.skip_until(|lexer| !(lexer.peek(0).is_ascii_alphanumeric() || lexer.peek(0) == b'_'));
        } else {
            self.skip(2);
            self.skip_until(|lexer| lexer.peek(0) == b'\'');
            self.skip(1);
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let mut end = start;
        while self.bytes.get(end).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_') {
            end += 1;
        }
        let text = String::from_utf8_lossy(&self.bytes[start..end]).into_owned();
        let hashes = self.bytes[end..].iter().take_while(|c| **c == b'#').count();
        let quoted = self.bytes.get(end + hashes) == Some(&b'"');
        match text.as_str() {
            "r" | "br" | "cr" if quoted => {
                self.skip(end - start);
                self.raw_string(hashes);
            }
            "b" | "c" if hashes == 0 && quoted => {
                self.skip(1);
                self.string();
            }
            "b" if self.bytes.get(end) == Some(&b'\'') => {
                self.skip(1);
                self.quote();
            }
            _ => {
                self.push(text);
                self.skip(end - start);
            }
        }
    }
}

/// Marks each `#[cfg(test)]` and the item behind it.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            at += 1;
            continue;
        }
        let end = item_end(tokens, at).min(tokens.len());
        for token in &mut tokens[at..end] {
            token.test = true;
        }
        at = end;
    }
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let words: Vec<&str> = tokens.iter().take(5).map(|token| token.text.as_str()).collect();
    words == ["#", "[", "cfg", "(", "test"]
}

/// One past the item that starts at `at` with an attribute.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.text == "#") {
        at = closing(tokens, at + 1);
    }
    let is_use = tokens[at..].iter().take(6).any(|token| token.text == "use");
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "{" if !is_use => return closing(tokens, at),
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// One past the bracket that closes the one at `at`.
fn closing(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

#[test]
fn prose_and_literals_are_no_tokens() {
    let source =
        "// todo!\n/* a /* b */ c */ let x: &'static str = \"f(\\\")\"; r#\"get \"_\"#; b'\\'' '\\n' 'x' '通' y";
    let text: Vec<String> = tokens(source).into_iter().map(|token| token.text).collect();
    assert_eq!(text, ["let", "x", ":", "&", "str", "=", ";", ";", "y"]);
}

#[test]
fn lines_are_counted_through_literals() {
    assert_eq!(tokens("\"a\nb\"\n/*\n*/ here").first().map(|token| token.line), Some(4));
}

#[test]
fn items_behind_a_test_attribute_are_marked() {
    let tokens = tokens("a #[cfg(test)] mod tests { b { c } } d #[cfg(test)] use x::{y}; e #[cfg(test)] mod f;");
    let kept: Vec<&str> = tokens.iter().filter(|token| !token.test).map(|token| token.text.as_str()).collect();
    assert_eq!(kept, ["a", "d", "e"]);
    assert_eq!(test_modules(&tokens), ["f"]);
}
