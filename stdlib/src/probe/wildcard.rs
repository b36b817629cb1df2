//! Wildcards in attach points: `*` stands for any run of characters.

use rbt_compiler::vocabulary::ProbeSpec;

/// Whether a part of an attach point is a pattern. Quoted parts never are.
pub(super) fn is_pattern(spec: &ProbeSpec<'_>, index: usize) -> bool {
    spec.parts
        .get(index)
        .is_some_and(|part| !part.node.is_quoted && part.node.text.contains('*'))
}

/// Whether any part is a pattern.
pub(super) fn has_pattern(spec: &ProbeSpec<'_>) -> bool {
    (0..spec.parts.len()).any(|index| is_pattern(spec, index))
}

/// Whether `text` is what `pattern` describes.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or(""),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        assert!(matches("*", ""));
        assert!(matches("sched_*", "sched_switch"));
        assert!(matches("*_wak*", "sched_waking"));
        assert!(matches("a*b*c", "aXbYbZc"));
        assert!(matches("same", "same"));
        assert!(!matches("same", "samesame"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("sched_*", "sys_enter"));
        assert!(!matches("*switch", "sched_switched"));
    }
}
