//! Numbers as bars, in one line.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// At most so many bars: one for each number, or for the sum of several where there are more; the highest is full.
pub(crate) fn sparkline(numbers: &[u64], bars_max: usize) -> String {
    let each = numbers.len().div_ceil(bars_max.max(1)).max(1);
    let sums: Vec<u64> = numbers.chunks(each).map(|part| part.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0).max(1);
    let bar = |sum: &u64| BARS[(u128::from(*sum) * 7).div_ceil(u128::from(most)) as usize];
    sums.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        assert_eq!(sparkline(&[0, 1, 50, 100], 48), "▁▂▅█");
        assert_eq!(sparkline(&[0, 0], 48), "▁▁");
        assert_eq!(sparkline(&[], 48), "");
        assert_eq!(sparkline(&[u64::MAX / 100; 100], 48).chars().count(), 34);
    }
}
