//! What was probably meant by a misspelt name.
//!
//! Takes a name and the names that would be valid in its place; gives the one that is fewest
//! edits away, if it is near enough to be worth saying.

/// The candidate nearest to `name`: at most a third of its characters edited (one at least);
/// letter case does not count. Of equally near ones, the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = best.map_or(most, |(found, _)| found.saturating_sub(1));
        if let Some(edits) = distance(name, candidate, limit) {
            best = Some((edits, candidate));
            if edits == 0 {
                break;
            }
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, without
/// regard to ASCII case; `None` if there are more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit.saturating_mul(4) {
        return None;
    }
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    // Three rows of the usual table: the one before last is for swaps.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX);
            let replaced = cell(&last, j).saturating_add(usize::from(x != y));
            let stepped = cell(&last, j + 1).min(cell(&row, j)).saturating_add(1);
            let mut edits = replaced.min(stepped);
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if is_swap {
                edits = edits.min(cell(&before, j - 1).saturating_add(1));
            }
            row.push(edits);
        }
        if row.iter().min().is_none_or(|least| *least > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_wins_and_far_ones_are_not_said() {
        let names = ["pid", "tgid", "comm", "real_parent", "start_time"];
        assert_eq!(nearest("real_parnet", names), Some("real_parent"));
        assert_eq!(nearest("PID", names), Some("pid"));
        assert_eq!(nearest("com", names), Some("comm"));
        assert_eq!(nearest("zzzz", names), None);
        assert_eq!(nearest("startime", names), Some("start_time"));
        assert_eq!(nearest("", names), None);
    }
}
