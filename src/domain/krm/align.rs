//! Which entries of two rows are the same ones: a longest common subsequence, without a table where none is needed.

use std::ops::Range;

/// What a way through two rows does next.
#[derive(Clone, Copy)]
enum Step {
    Pair,
    SkipOld,
    SkipNew,
}

/// Pairs entries of an old row of `old_len` with those of a new one of `new_len`, both counted from 0: as many pairs
/// `(old, new)` as there can be, increasing on both sides, each of entries that are `alike`.
///
/// What the rows begin and end with is paired first. What is between stays without pairs when holding all of it against
/// all of it takes more than `most` comparisons; time and memory are bounded by that, and linear otherwise. Among
/// pairings of the same size, earlier entries of the middle are paired rather than later ones.
#[must_use]
pub fn align(old_len: usize, new_len: usize, alike: impl Fn(usize, usize) -> bool, most: usize) -> Vec<(usize, usize)> {
    let least = old_len.min(new_len);
    let head = (0..least).take_while(|at| alike(*at, *at)).count();
    let tail = (1..=least - head).take_while(|back| alike(old_len - back, new_len - back)).count();
    let (old_end, new_end) = (old_len - tail, new_len - tail);
    let few = (old_end - head).saturating_mul(new_end - head) <= most;
    let middle = if few { common(head..old_end, head..new_end, alike) } else { Vec::new() };
    let ends = (0..tail).map(|at| (old_end + at, new_end + at));
    (0..head).map(|at| (at, at)).chain(middle).chain(ends).collect()
}

/// A longest common part of two ranges: the best next step from every place, found from the end, and then walked.
fn common(old: Range<usize>, new: Range<usize>, alike: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let width = new.len();
    let mut steps = vec![Step::SkipNew; old.len() * width];
    // How many pairs there are behind each place of the new row, for one entry of the old row and for the next.
    let (mut here, mut below) = (vec![0_usize; width + 1], vec![0_usize; width + 1]);
    for i in (0..old.len()).rev() {
        for j in (0..width).rev() {
            let (step, pairs) = if alike(old.start + i, new.start + j) {
                (Step::Pair, below[j + 1] + 1)
            } else if below[j] >= here[j + 1] {
                (Step::SkipOld, below[j])
            } else {
                (Step::SkipNew, here[j + 1])
            };
            (steps[i * width + j], here[j]) = (step, pairs);
        }
        std::mem::swap(&mut here, &mut below);
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() && j < width {
        match steps[i * width + j] {
            Step::Pair => {
                pairs.push((old.start + i, new.start + j));
                (i, j) = (i + 1, j + 1);
            }
            Step::SkipOld => i += 1,
            Step::SkipNew => j += 1,
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// How long a longest common part is, by trying everything.
    fn longest(old: &[u8], new: &[u8]) -> usize {
        let ([first, old_rest @ ..], [second, new_rest @ ..]) = (old, new) else { return 0 };
        let paired = if first == second { longest(old_rest, new_rest) + 1 } else { 0 };
        paired.max(longest(old_rest, new)).max(longest(old, new_rest))
    }

    fn aligned(old: &[u8], new: &[u8], most: usize) -> Vec<(usize, usize)> {
        align(old.len(), new.len(), |i, j| old[i] == new[j], most)
    }

    fn increases(pairs: &[(usize, usize)]) -> bool {
        pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1)
    }

    fn row() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..4_u8, 0..7)
    }

    proptest! {
        #[test]
        fn pairs_are_as_many_as_there_can_be(old in row(), new in row()) {
            let pairs = aligned(&old, &new, usize::MAX);
            prop_assert!(increases(&pairs), "{pairs:?}");
            prop_assert!(pairs.iter().all(|(i, j)| old[*i] == new[*j]), "{pairs:?}");
            prop_assert_eq!(pairs.len(), longest(&old, &new));
        }

        #[test]
        fn likeness_need_not_be_equality(table in prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 0..6)) {
            fn most(table: &[Vec<bool>], from: usize) -> usize {
                let Some((row, rest)) = table.split_first() else { return 0 };
                let with = (from..5).filter(|at| row[*at]).map(|at| most(rest, at + 1) + 1);
                with.chain([most(rest, from)]).max().unwrap()
            }
            let pairs = align(table.len(), 5, |i, j| table[i][j], usize::MAX);
            prop_assert!(increases(&pairs) && pairs.iter().all(|(i, j)| table[*i][*j]), "{pairs:?}");
            prop_assert_eq!(pairs.len(), most(&table, 0));
        }

        #[test]
        fn beyond_the_limit_the_ends_are_paired(
            head in row(), tail in row(), old in row(), new in row(), most in 0..30_usize,
        ) {
            let whole = |middle: &[u8]| [head.as_slice(), middle, tail.as_slice()].concat();
            let (old, new) = (whole(&old), whole(&new));
            let asked = Cell::new(0);
            let alike = |i: usize, j: usize| {
                asked.set(asked.get() + 1);
                old[i] == new[j]
            };
            let pairs = align(old.len(), new.len(), alike, most);
            prop_assert!(increases(&pairs) && pairs.iter().all(|(i, j)| old[*i] == new[*j]), "{pairs:?}");
            for at in 0..head.len() {
                prop_assert!(pairs.contains(&(at, at)), "{pairs:?}");
            }
            prop_assert!(pairs.len() >= head.len() + tail.len(), "{pairs:?}");
            prop_assert!(asked.get() <= most + old.len() + new.len(), "{} comparisons", asked.get());
        }
    }

    /// Two rows and their pairs.
    type Row<'r> = (&'r [u8], &'r [u8], &'r [(usize, usize)]);

    #[test]
    fn earlier_entries_are_paired_first() {
        let table: [Row<'_>; 5] = [
            (&[], &[1], &[]),
            (&[1, 2, 3], &[1, 2, 3], &[(0, 0), (1, 1), (2, 2)]),
            (&[1, 2, 9], &[0, 1, 2, 1, 2, 8], &[(0, 1), (1, 2)]),
            (&[1, 7, 2], &[1, 8, 9, 2], &[(0, 0), (2, 3)]),
            (&[1, 2], &[2, 1], &[(1, 0)]),
        ];
        for (old, new, expected) in table {
            assert_eq!(aligned(old, new, 100), expected, "{old:?} {new:?}");
        }
        assert_eq!(aligned(&[1, 5, 6, 2], &[1, 6, 5, 2], 3), [(0, 0), (3, 3)]);
    }
}
