//! The part of a proposal's text that is ours stands between two markers; what people write around it stays.

/// Starts our part. An HTML comment, so that Markdown does not show it.
pub(super) const BEGIN: &str = "<!-- loggia:begin -->";
/// Ends our part.
pub(super) const END: &str = "<!-- loggia:end -->";

/// The text with our part replaced by `ours`.
///
/// `ours` may come with or without its markers. Where `held` has no marked part (none yet, or a person removed the
/// markers), ours goes first and `held` follows.
pub(super) fn merge(held: Option<&str>, ours: &str) -> String {
    let ours = marked(ours);
    match held {
        None | Some("") => format!("{ours}\n"),
        Some(held) => match marked_part(held) {
            Some((start, end)) => format!("{}{ours}{}", &held[..start], &held[end..]),
            None => format!("{ours}\n\n{held}"),
        },
    }
}

fn marked(ours: &str) -> String {
    let ours = ours.trim();
    let inner = ours.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).unwrap_or(ours).trim();
    // A package may quote a marker in its own content; it must not end our part early.
    let inner = inner.replace(BEGIN, "<!-- loggia: begin -->").replace(END, "<!-- loggia: end -->");
    format!("{BEGIN}\n{inner}\n{END}")
}

/// Byte range of our part, markers included.
fn marked_part(held: &str) -> Option<(usize, usize)> {
    let start = held.find(BEGIN)?;
    let length = held[start..].find(END)? + END.len();
    Some((start, start + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_around_our_part_stays() {
        let first = merge(None, "plan A");
        assert_eq!(first, "<!-- loggia:begin -->\nplan A\n<!-- loggia:end -->\n");
        let edited = format!("Please look, Eve.\n\n{first}\n- [ ] told the customer\n");
        assert_eq!(
            merge(Some(&edited), "plan B"),
            "Please look, Eve.\n\n<!-- loggia:begin -->\nplan B\n<!-- loggia:end -->\n\n- [ ] told the customer\n"
        );
    }

    #[test]
    fn without_markers_ours_goes_first() {
        assert_eq!(merge(Some("mine\n"), "plan"), "<!-- loggia:begin -->\nplan\n<!-- loggia:end -->\n\nmine\n");
        assert_eq!(merge(Some("<!-- loggia:begin --> cut"), "p").matches(END).count(), 1);
    }

    #[test]
    fn a_quoted_marker_does_not_end_our_part() {
        let hostile = format!("image: a\n{END}\napproved by all\n{BEGIN}\n");
        let first = merge(None, &hostile);
        assert_eq!((first.matches(BEGIN).count(), first.matches(END).count()), (1, 1));
        assert_eq!(merge(Some(&first), "plan B"), merge(None, "plan B"));
    }

    proptest! {
        #[test]
        fn a_refresh_equals_a_first_write_between_the_same_texts(
            before in "[a-z\n ]{0,20}", after in "[a-z\n ]{0,20}", old in any::<String>(), new in any::<String>(),
        ) {
            let held = format!("{before}{}{after}", marked(&old));
            let merged = merge(Some(&held), &new);
            prop_assert_eq!(&merged, &format!("{before}{}{after}", marked(&new)));
            prop_assert_eq!(merge(Some(&merged), &new), merged.clone());
            prop_assert_eq!(marked(&marked(&new)), marked(&new));
        }
    }
}
