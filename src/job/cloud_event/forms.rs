//! The forms of attributes of CloudEvents: names, URI references, moments, media types.

/// Lower-case letters and digits.
pub(super) fn is_extension_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(fits)
}

/// Characters that a URI has, and escapes of two digits. What its parts mean is not looked at.
pub(super) fn is_uri_reference(text: &str) -> bool {
    const NEVER: &[u8] = b"\"<>\\^`{|}";
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut is_hex = || bytes.next().is_some_and(|it| it.is_ascii_hexdigit());
        let fits = match byte {
            b'%' => is_hex() && is_hex(),
            _ => byte.is_ascii_graphic() && !NEVER.contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !text.is_empty()
}

/// A type and a subtype, perhaps with parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    let parts = essence.split_once('/');
    parts.is_some_and(|(kind, subkind)| is_token(kind) && is_token(subkind))
        && !text.contains(char::is_control)
}

/// Date, time, perhaps a fraction of a second, and an offset, as RFC 3339 says.
pub(super) fn is_moment(text: &str) -> bool {
    let parts = text.get(..19).zip(text.get(19..));
    parts.is_some_and(|(moment, rest)| is_date_and_time(moment) && is_rest(rest))
}

fn is_date_and_time(moment: &str) -> bool {
    let signs = [(4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")];
    let bytes = moment.as_bytes();
    let has_signs = signs
        .iter()
        .all(|(at, sign)| bytes[*at].eq_ignore_ascii_case(&sign[0]));
    let is_within = |from, to, least, most| {
        number(moment.get(from..to)).is_some_and(|it| (least..=most).contains(&it))
    };
    has_signs
        && number(moment.get(..4)).is_some()
        && is_within(5, 7, 1, 12)
        && is_within(8, 10, 1, days_of(moment))
        && is_within(11, 13, 0, 23)
        && is_within(14, 16, 0, 59)
        // A leap second.
        && is_within(17, 19, 0, 60)
}

/// How many days the month has.
fn days_of(moment: &str) -> u32 {
    let year = number(moment.get(..4)).unwrap_or_default();
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match number(moment.get(5..7)) {
        Some(2) => 28 + u32::from(is_leap),
        Some(4 | 6 | 9 | 11) => 30,
        _ => 31,
    }
}

/// What stands behind the seconds.
fn is_rest(rest: &str) -> bool {
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|it: char| it.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    if offset.eq_ignore_ascii_case("z") {
        return true;
    }
    let Some(time) = offset.strip_prefix(['+', '-']) else {
        return false;
    };
    let Some((hours, minutes)) = time.split_once(':') else {
        return false;
    };
    let is_up_to =
        |text: &str, most| text.len() == 2 && number(Some(text)).is_some_and(|it| it <= most);
    is_up_to(hours, 23) && is_up_to(minutes, 59)
}

/// Digits alone.
fn number(text: Option<&str>) -> Option<u32> {
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is(text), "{text}");
        }
        for text in bad {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn names_of_extensions_have_lower_case_letters_and_digits() {
        let bad = ["", "trace-parent", "Tenant", "a b", "ü", "data_base64"];
        check(is_extension_name, &["traceparent", "1", "a2"], &bad);
    }

    #[test]
    fn uri_references_have_characters_of_uris() {
        let good = [
            "/orders",
            "oxcart:ns/queue",
            "https://a.example/x?y=1#z",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "a%20b",
            "cloudevents/spec/pull/123",
        ];
        let bad = ["", "a b", "ü", "a%2", "a%zz", "<a>", "a\nb", "%"];
        check(is_uri_reference, &good, &bad);
    }

    #[test]
    fn media_types_have_two_parts() {
        let good = [
            "application/json",
            "application/cloudevents+json; charset=UTF-8",
            "text/xml",
        ];
        check(
            is_media_type,
            &good,
            &["", "json", "/json", "a/", "a b/c", "a/b;\n"],
        );
    }

    #[test]
    fn moments_are_as_rfc_3339_says() {
        let good = [
            "2018-04-05T17:31:00Z",
            "2026-11-21T03:00:00.000Z",
            "1990-12-31T15:59:60-08:00",
            "1937-01-01t12:00:27.87+00:20",
            "2024-02-29T00:00:00z",
        ];
        let bad = [
            "",
            "2018-04-05",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31:00",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:00+24:00",
            "2018-04-31T17:31:00Z",
            "2023-02-29T17:31:00Z",
            "2018-13-05T17:31:00Z",
            "2018-04-05T24:31:00Z",
            "2018-04-05T17:61:00Z",
            "+018-04-05T17:31:00Z",
            "2018-04-05T17:31:00ZZ",
            "2018-04-05T17:31:0üZ",
        ];
        check(is_moment, &good, &bad);
    }
}
