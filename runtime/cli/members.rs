//! The members of what stands before a `.` or an arrow in a script that is being typed.
//!
//! Takes the text before and behind; has it compiled by whoever asks, with something in the place
//! of what is missing. Gives names and types.

use rbt_compiler::question::{Answer, At};

/// The members of what `before` ends with; `after` is the text behind what is being typed. `ask`
/// compiles a text and says what is at a place of it.
pub(crate) fn of(
    before: &str,
    after: &str,
    ask: &dyn Fn(&str, At) -> Option<Answer>,
) -> Vec<(String, String)> {
    let at = At::End(u32::try_from(before.len()).unwrap_or(u32::MAX));
    // Without what is typed the rest may be whole; or else everything behind it is missing. The
    // comparison keeps parentheses around it from being part of the expression.
    let whole = format!("{before} == 0{after}");
    let closed = format!("{before} == 0{}", closers(before));
    let texts = [whole, closed];
    let mut answers = texts.iter().map(|text| ask(text, at));
    answers
        .find_map(|answer| answer.filter(|a| !a.members.is_empty()))
        .map_or_else(Vec::new, |answer| answer.members)
}

/// What closes the brackets that are open at the end of a text; a predicate gets its action.
fn closers(text: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        let skipped = match first {
            '"' => crate::repl::string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => first.len_utf8(),
        };
        match first {
            '(' => {
                let before = text.get(..at).unwrap_or_default().trim_end();
                let has_block = ["if", "while", "for"].iter().any(|w| before.ends_with(w));
                open.push(if has_block { ") { }" } else { ")" });
            }
            '[' => open.push("]"),
            '{' => open.push("}"),
            ')' | ']' | '}' => {
                open.pop();
            }
            // Only an action can be open where no bracket is.
            '<' if open.is_empty() && !rest.starts_with("<<") && !rest.starts_with("<=") => {
                open.push(";>");
            }
            '>' if open == [";>"] && rest.get(1..).is_none_or(closes) => {
                open.pop();
            }
            _ => {}
        }
        at += skipped.max(1);
    }
    if open.is_empty() {
        return String::from("/ { }");
    }
    open.iter().rev().copied().collect()
}

/// Whether what follows a `>` shows that it closed an action.
fn closes(after: &str) -> bool {
    let after = after.trim_start();
    let word: String = after
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let names = rbt_stdlib::VOCABULARY.provider(&word).is_some();
    after.is_empty() || names || ["macro", "fn", "let"].contains(&word.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_closed() {
        assert_eq!(closers("BEGIN { print(curtask"), ")}");
        assert_eq!(closers("BEGIN < print((curtask"), "));>");
        assert_eq!(closers("BEGIN < $x = 1 > END { a[1"), "]}");
        assert_eq!(closers("BEGIN { \"}\" // }\n"), "}");
        assert_eq!(closers("BEGIN < if ($a > 1) { b"), "};>");
        assert_eq!(closers("BEGIN { if (a[b"), "]) { }}");
        assert_eq!(closers("kprobe:f /curtask"), "/ { }");
    }
}
