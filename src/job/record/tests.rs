use super::*;
use crate::job::head::PRIORITY_STEP;

/// What the enqueue script makes of a record.
fn stored(encoded: &EncodedRecord, at: u64, place: i64) -> Vec<u8> {
    let external = encoded.external_payload.is_some();
    let version = if external {
        VERSION | EXTERNAL_PAYLOAD
    } else {
        VERSION
    };
    let mut bytes = vec![version, 0xcf];
    bytes.extend_from_slice(&at.to_be_bytes());
    bytes.extend_from_slice(format!("{place} ").as_bytes());
    bytes.extend_from_slice(&encoded.record);
    bytes
}

#[test]
fn golden_bytes_of_a_default_record() {
    let encoded = EncodedRecord::new("hi", vec![0xc0], &JobOptions::new(), Vec::new());
    assert_eq!(encoded.record, b"\x82\xa4type\xa2hi\xa7payload\xc4\x01\xc0");
}

/// As version 1 stored them: in jobs, and in schedules that any later version may fire.
#[test]
fn records_of_version_1_are_read_as_they_were_written() {
    const MAP: &[u8] = b"\x82\xa4name\xa2hi\xa7payload\xc4\x01\xc0";
    for version in [1, VERSION] {
        let bytes = [&[version, 0xcf, 0, 0, 0, 0, 0, 0, 0, 5][..], b"1 ", MAP].concat();
        let record = Record::decode(&bytes, None).unwrap();
        assert_eq!(
            (record.name.as_str(), &record.payload[..]),
            ("hi", &[0xc0][..])
        );
        assert_eq!(record.dialect, Dialect::Binary);
    }
    let apart = b"\x81\xcf\0\0\0\0\0\0\0\x051 \x81\xa4name\xa2hi";
    let record = Record::decode(apart, Some(vec![7])).unwrap();
    assert_eq!(
        (&record.payload[..], record.dialect),
        (&[7][..], Dialect::Binary)
    );
}

#[test]
fn all_options_survive_the_round_trip() {
    let options = JobOptions::new()
        .attempts(3)
        .priority(7)
        .backoff(Backoff::fixed(Duration::from_secs(2)))
        .timeout(Duration::from_secs(9))
        .keep(Retention::Nothing);
    let headers = vec![("trace".to_owned(), "abc".to_owned())];
    let encoded = EncodedRecord::new("hi", vec![1, 2, 3], &options, headers.clone());
    let record = Record::decode(&stored(&encoded, 12_345, -493 * PRIORITY_STEP + 3), None).unwrap();
    assert_eq!(record.enqueued_at.as_millis(), 12_345);
    assert_eq!(record.payload, [1, 2, 3]);
    assert_eq!(record.dialect, Dialect::Readable);
    assert_eq!((record.attempts, record.priority), (3, 7));
    assert_eq!(record.backoff, options.backoff);
    assert_eq!(record.timeout, options.timeout);
    assert_eq!(record.keep, Some(Retention::Nothing));
    assert_eq!(record.headers, headers);
}

#[test]
fn fields_stand_in_the_head_and_those_that_are_not_known_are_passed_over() {
    let options = JobOptions::new().keep(Retention::For(Duration::from_millis(1_500)));
    let encoded = EncodedRecord::new("hi", vec![0xc0], &options, Vec::new());
    assert!(encoded.record.starts_with(b"keep_ms=1500 \x82\xa4type"));
    let bytes = stored(&encoded, 5, 3);
    assert_eq!(retention_of(&bytes), options.keep);
    let newer = [&bytes[..12], b"new=~!x keep_ms_too=1 ", &bytes[12..]].concat();
    let record = Record::decode(&newer, None).unwrap();
    assert_eq!((record.keep, record.name.as_str()), (options.keep, "hi"));
    let plain = EncodedRecord::new("hi", vec![0xc0], &JobOptions::new(), Vec::new());
    assert_eq!(retention_of(&stored(&plain, 5, 3)), None);
}

#[test]
fn an_edited_record_differs_in_nothing_but_what_was_edited() {
    let keep = JobOptions::new().keep(Retention::For(Duration::from_millis(1_500)));
    let headers = vec![("trace".to_owned(), "abc".to_owned())];
    let encoded = EncodedRecord::new("hi", vec![0xc0], &keep, headers.clone());
    let bytes = stored(&encoded, 5, 3);
    let large = vec![7; INLINE_PAYLOAD_MAX + 1];
    for (payload, attempts) in [
        (Some(&[0x2a][..]), None),
        (None, Some(3)),
        (Some(&large), Some(1)),
    ] {
        let new = payload.map(|bytes| other("hi", bytes, None));
        let (rest, new) = edited(&bytes, new, attempts).unwrap();
        let mut bytes = [&bytes[..12], &rest].concat();
        let apart = match new {
            NewPayload::Apart(payload) => Some(payload),
            _ => None,
        };
        bytes[0] |= if apart.is_some() { EXTERNAL_PAYLOAD } else { 0 };
        let record = Record::decode(&bytes, apart).unwrap();
        assert_eq!(record.payload, payload.unwrap_or(&[0xc0]));
        assert_eq!(record.attempts, attempts.unwrap_or(ATTEMPTS_DEFAULT));
        assert_eq!((record.keep, &record.headers), (keep.keep, &headers));
    }
    let error = edited(&bytes, Some(other("other", &[0xc0], None)), None).unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("`hi`"),
        "{error}"
    );
    assert!(edited(&bytes[..20], None, Some(3)).is_err());
    let newer = [&[9], &bytes[1..]].concat();
    assert!(edited(&newer, None, Some(3)).is_err());
}

#[test]
fn a_header_that_is_set_later_is_as_one_that_was_there() {
    let options = JobOptions::new().keep(Retention::Nothing).attempts(3);
    let header = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let before = vec![header("tenant", "a"), header("trace", "b")];
    for payload in [vec![0xc0], vec![7; INLINE_PAYLOAD_MAX + 1]] {
        let encoded = EncodedRecord::new("hi", payload.clone(), &options, before.clone());
        let later = encoded.with_header("tenant", "c").unwrap();
        let after = vec![header("trace", "b"), header("tenant", "c")];
        assert_eq!(later, EncodedRecord::new("hi", payload, &options, after));
        let error = later.with_header("large", &"x".repeat(1_100)).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(later.with_header("", "c").unwrap_err().is_invalid());
    }
}

#[test]
fn large_payloads_lie_apart() {
    let large = vec![7; INLINE_PAYLOAD_MAX + 1];
    let encoded = EncodedRecord::new("hi", large.clone(), &JobOptions::new(), Vec::new());
    assert!(encoded.record.len() < 32);
    let bytes = stored(&encoded, 0, 1);
    let record = Record::decode(&bytes, encoded.external_payload).unwrap();
    assert_eq!(record.payload, large);
    assert!(Record::decode(&bytes, None).is_err());
}

#[test]
fn the_priority_is_read_from_the_place() {
    let priority = |place: &str| split_place(format!("{place} rest").as_bytes()).map(|p| p.0);
    assert_eq!(priority("1"), Some(500));
    assert_eq!(priority("-1"), Some(500), "at the front");
    assert_eq!(priority(&(-500 * PRIORITY_STEP).to_string()), Some(0));
    assert_eq!(priority(&(523 * PRIORITY_STEP - 9).to_string()), Some(1023));
    assert_eq!(priority("1e9"), None);
    assert_eq!(priority(&i64::MAX.to_string()), None);
}

#[test]
fn whatever_redis_holds_decoding_never_panics() {
    let encoded = EncodedRecord::new("hi", vec![1; 40], &JobOptions::new(), Vec::new());
    let good = stored(&encoded, 1, 1);
    for cut in 0..good.len() {
        assert!(Record::decode(&good[..cut], None).is_err());
    }
    for position in 0..good.len() {
        for byte in [0x00, 0x7f, 0x82, 0xc1, 0xdf, 0xff] {
            let mut bad = good.clone();
            bad[position] = byte;
            let _ = Record::decode(&bad, None);
        }
    }
    let newer = Record::decode(&[4, 0], None).unwrap_err();
    assert!(newer.to_string().contains("newer version"), "{newer}");
}

fn other<'a>(name: &'a str, bytes: &'a [u8], version: Option<u32>) -> OtherPayload<'a> {
    OtherPayload {
        name,
        bytes,
        version,
        is_ticket: false,
    }
}

#[test]
fn the_version_of_a_payload_is_stored_unless_it_is_the_first() {
    let encoded = |version| {
        let mut options = JobOptions::new().keep(Retention::Nothing);
        options.version = version;
        EncodedRecord::new("hi", vec![0xc0], &options, Vec::new())
    };
    assert_eq!(encoded(None), encoded(Some(1)));
    assert_eq!(
        encoded(Some(12)).bytes(),
        encoded(None).bytes() + "version=12 ".len()
    );
    let version = |encoded: &EncodedRecord| encoded.read().unwrap().version;
    assert_eq!(version(&encoded(None)), 1);
    let record = encoded(Some(12));
    assert_eq!(version(&record), 12);
    assert_eq!(version(&record.clone().ordered_by("k")), 12);
    assert_eq!(version(&record.with_header("k", "v").unwrap()), 12);
    let mut garbled = encoded(None).record;
    garbled.splice(0..0, *b"version=x ");
    assert_eq!(
        version(&EncodedRecord::kept(garbled, None)),
        u32::MAX,
        "nobody knows it"
    );
}

#[test]
fn another_payload_brings_its_version_along() {
    let mut options = JobOptions::new().weight(3);
    options.version = Some(12);
    let bytes = stored(
        &EncodedRecord::new("hi", vec![0xc0], &options, Vec::new()),
        5,
        3,
    );
    for (version, then) in [(None, 12), (Some(1), 1), (Some(13), 13)] {
        let (rest, _) = edited(&bytes, Some(other("hi", &[1], version)), None).unwrap();
        let record = Record::decode(&[&bytes[..12], &rest].concat(), None).unwrap();
        assert_eq!((record.version, record.weight), (then, 3));
    }
    let (rest, _) = edited(&bytes, None, Some(2)).unwrap();
    let record = Record::decode(&[&bytes[..12], &rest].concat(), None).unwrap();
    assert_eq!(record.version, 12);
}
