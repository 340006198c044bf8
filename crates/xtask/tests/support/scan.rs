//! A scanner of Rust, as much as the checks need: it keeps code, blanks comments and the insides of literals, and hands
//! out the string literals.

/// A source, taken apart. Lines of `code` are the lines of the source.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// The source with comments and the insides of literals blanked.
    pub(crate) code: String,
    /// Line (from 1) and content of every string literal.
    pub(crate) literals: Vec<(usize, String)>,
}

/// Takes a source apart.
pub(crate) fn scan(text: &str) -> Scanned {
    let chars: Vec<char> = text.chars().collect();
    let mut scanned = Scanned::default();
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)
            }
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => {
                let end = string_end(&chars, at);
                let content: String = chars[at + 1..(end - 1).max(at + 1)].iter().collect();
                scanned.literals.push((scanned.code.matches('\n').count() + 1, content));
                end
            }
            'r' if !after_word(&chars, at) && raw_hashes(&chars, at).is_some() => {
                let (end, content) = raw_end(&chars, at);
                scanned.literals.push((scanned.code.matches('\n').count() + 1, content));
                end
            }
            '\'' => character_end(&chars, at),
            c => {
                scanned.code.push(c);
                at += 1;
                continue;
            }
        };
        scanned.code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    scanned
}

fn after_word(chars: &[char], at: usize) -> bool {
    // `br"…"` is a literal too.
    let before = |n: usize| at.checked_sub(n).map(|i| chars[i]);
    match before(1) {
        Some('b') => before(2).is_some_and(is_word),
        other => other.is_some_and(is_word),
    }
}

fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_end(chars: &[char], at: usize) -> (usize, String) {
    let hashes = raw_hashes(chars, at).unwrap_or(0);
    let start = at + hashes + 2;
    let closes = |i: &usize| chars[*i] == '"' && chars[i + 1..].iter().take(hashes).all(|c| *c == '#');
    let close = (start..chars.len()).find(closes).unwrap_or(chars.len());
    ((close + 1 + hashes).min(chars.len()), chars[start..close].iter().collect())
}

fn comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of a character literal; of a lifetime, only of its tick.
fn character_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        return chars[at + 3..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| at + n + 4);
    }
    if chars.get(at + 2) == Some(&'\'') { at + 3 } else { at + 1 }
}

/// Whether a character may stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifiers and keywords of a line of code, in order.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// A source without the `mod tests { … }` at its end.
pub(crate) fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

#[test]
fn comments_and_literals_leave_the_code() {
    let text = "a(\"x // y\"); // b\n/* c /* d */ e */ f('\"', 'g, r#\"h\"i\"#, '\\'', br\"j\") k";
    let scanned = scan(text);
    assert_eq!(scanned.literals, [(1, "x // y".into()), (2, "h\"i".into()), (2, "j".into())]);
    let found: Vec<&str> = words(&scanned.code).collect();
    assert_eq!(found, ["a", "f", "g", "b", "k"]);
    assert_eq!(scanned.code.lines().count(), 2);
}

#[test]
fn tests_at_the_end_are_cut() {
    assert_eq!(without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n}"), "fn a() {}\n");
    assert_eq!(
        without_tests("#[cfg(test)]\nmod testing;\nfn a() {}"),
        "#[cfg(test)]\nmod testing;\nfn a() {}"
    );
}
