//! The name that was perhaps meant.

use strsim::{damerau_levenshtein, jaro_winkler};

/// The most similar of the names, if one is similar enough to be what was meant.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let close = |name: &str| {
        let name = name.to_lowercase();
        let slips = damerau_levenshtein(&wanted, &name);
        let likeness = jaro_winkler(&wanted, &name);
        (slips <= 1 + wanted.chars().count() / 4 || likeness > 0.9).then_some((slips, likeness))
    };
    let scored = names
        .into_iter()
        .filter_map(|name| Some((close(name)?, name)));
    scored
        .min_by(|((a, x), _), ((b, y), _)| a.cmp(b).then(y.total_cmp(x)))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let names = ["mail", "billing", "reports"];
        assert_eq!(nearest("mial", names).as_deref(), Some("mail"));
        assert_eq!(nearest("Billings", names).as_deref(), Some("billing"));
        assert_eq!(nearest("report", names).as_deref(), Some("reports"));
        assert_eq!(nearest("payments", names), None);
        assert_eq!(nearest("x", []), None);
    }
}
