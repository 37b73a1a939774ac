//! Rust as a row of words, without what only looks like code.

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

pub(crate) fn word(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

pub(crate) fn occurrences(tokens: &[Token], patterns: &[&[&str]]) -> Vec<(usize, String)> {
    let starts = |at: usize, pattern: &[&str]| (0..pattern.len()).all(|n| word(tokens, at + n) == pattern[n]);
    (0..tokens.len())
        .flat_map(|at| patterns.iter().filter(move |p| starts(at, p)).map(move |p| (tokens[at].line, p.concat())))
        .collect()
}

/// Words, `::` and single signs; no comments, literals, lifetimes or numbers.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let mut token = None;
        match chars[at] {
            '/' if peek(at + 1) == '/' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '/' if peek(at + 1) == '*' => at = after_comment(&chars, at),
            '"' => at = after_string(&chars, at),
            '\'' if peek(at + 1) == '\\' => {
                at += 3; // the escaped sign may be a quote itself
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if peek(at + 2) == '\'' => at += 3,
            '\'' => {
                at += 1;
                while is_word(peek(at)) {
                    at += 1;
                }
            }
            c if is_word(c) => {
                while is_word(peek(at)) {
                    at += 1;
                }
                let text: String = chars[start..at].iter().collect();
                let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
                let opens = peek(at + hashes) == '"';
                if opens && matches!(text.as_str(), "r" | "br" | "cr") {
                    at = after_raw_string(&chars, at + hashes + 1, hashes);
                } else if text == "r" && hashes == 1 {
                    at += 1; // r#word: the word comes next
                } else if !(c.is_numeric() || opens && hashes == 0 || text == "b" && peek(at) == '\'') {
                    token = Some(text);
                }
            }
            ':' if peek(at + 1) == ':' => {
                at += 2;
                token = Some("::".to_owned());
            }
            c => {
                at += 1;
                token = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        tokens.extend(token.map(|text| Token { text, line }));
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// Comments nest.
fn after_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn after_string(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_raw_string(chars: &[char], mut at: usize, hashes: usize) -> usize {
    let ends = |at: usize| chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    while at < chars.len() && !ends(at) {
        at += 1;
    }
    at + 1 + hashes
}

/// `tokens` without the items under `#[cfg(test)]`, and the names of the modules among them that lie in other files.
pub(crate) fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let inner = usize::from(word(tokens, at + 1) == "!");
        if word(tokens, at) != "#" || !is_cfg_test(&tokens[at + 1 + inner..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        if inner == 1 {
            break; // `#![cfg(test)]`: all that follows
        }
        at = after_brackets(tokens, at + 1);
        while word(tokens, at) == "#" {
            at = after_brackets(tokens, at + 1);
        }
        let item = at;
        at = after_item(tokens, item);
        if let Some(keyword) = (item..at.min(item + 6)).find(|n| word(tokens, *n) == "mod")
            && word(tokens, keyword + 2) == ";"
        {
            modules.push(word(tokens, keyword + 1).to_owned());
        }
    }
    (kept, modules)
}

/// Whether an attribute says `[cfg(test)]` or `[cfg(all(test, ..))]`.
fn is_cfg_test(attribute: &[Token]) -> bool {
    let says = |words: &[&str]| (0..words.len()).all(|n| word(attribute, n) == words[n]);
    says(&["[", "cfg", "(", "test", ")"]) || says(&["[", "cfg", "(", "all", "(", "test"])
}

/// Behind the bracket that closes the one at `at`.
fn after_brackets(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        depth += nesting(word(tokens, at));
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Behind the item, field or arm that begins at `at`.
fn after_item(tokens: &[Token], mut at: usize) -> usize {
    let ends_with_block = ["mod", "fn", "impl", "struct", "enum", "trait", "unsafe", "async", "macro_rules", "extern"];
    let ends_with_semicolon = ["use", "const", "static", "type", "let"];
    let first =
        (at..tokens.len()).map(|n| word(tokens, n)).find(|w| !matches!(*w, "pub" | "(" | ")" | "crate" | "super"));
    let has = |keywords: &[&str]| first.is_some_and(|first| keywords.contains(&first));
    let (block, semicolon) = (has(&ends_with_block), has(&ends_with_semicolon));
    while at < tokens.len() {
        match word(tokens, at) {
            "(" | "[" | "{" => {
                let brace = word(tokens, at) == "{";
                at = after_brackets(tokens, at);
                if brace && !semicolon {
                    return at;
                }
                continue;
            }
            ")" | "]" | "}" => return at,
            ";" => return at + 1,
            "," if !block && !semicolon => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn nesting(word: &str) -> i32 {
    match word {
        "(" | "[" | "{" => 1,
        ")" | "]" | "}" => -1,
        _ => 0,
    }
}
