//! Several moves at once: registers to registers, no value lost on the way.

/// Orders `moves` (destination, source) so that each source is read before it is written.
/// Destinations are distinct. Cycles go through `spare`, which is no destination and whose
/// value is not needed once the moves that read it are done.
pub(super) fn sequence(moves: &[(u8, u8)], spare: u8) -> Vec<(u8, u8)> {
    let mut pending: Vec<(u8, u8)> = moves.iter().copied().filter(|(d, s)| d != s).collect();
    let mut out = Vec::with_capacity(pending.len() + 1);
    while !pending.is_empty() {
        let is_read = |reg: u8| pending.iter().any(|(_, s)| *s == reg);
        if let Some(i) = pending.iter().position(|(d, _)| !is_read(*d)) {
            out.push(pending.remove(i));
            continue;
        }
        // Every destination is yet to be read: what is left are cycles, each register being
        // read once. Moving one out of the way opens its cycle.
        let (_, first) = pending[0];
        out.push((spare, first));
        for (_, source) in &mut pending {
            if *source == first {
                *source = spare;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::sequence;

    /// Every assignment of sources to three, four and five destinations.
    #[test]
    fn no_value_is_lost() {
        for count in 1..=4u8 {
            let total = 6u32.pow(u32::from(count));
            for code in 0..total {
                let mut rest = code;
                let mut moves = Vec::new();
                for d in 1..=count {
                    moves.push((d, u8::try_from(rest % 6).expect("below 6")));
                    rest /= 6;
                }
                let mut regs: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
                for (d, s) in sequence(&moves, 0) {
                    regs[d as usize] = regs[s as usize];
                }
                for (d, s) in &moves {
                    assert_eq!(regs[*d as usize], *s, "{moves:?}");
                }
            }
        }
    }

    #[test]
    fn a_swap_takes_three_moves_and_a_chain_none_extra() {
        assert_eq!(sequence(&[(1, 2), (2, 1)], 0), [(0, 2), (2, 1), (1, 0)]);
        assert_eq!(sequence(&[(1, 2), (2, 3)], 0), [(1, 2), (2, 3)]);
        assert_eq!(sequence(&[(1, 1)], 0), []);
    }
}
