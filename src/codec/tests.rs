use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use proptest::prelude::*;
use serde::Deserialize;
use uuid::Uuid;

use super::*;

fn sent<T>(value: &T) -> Result<Vec<u8>, Error>
where
    T: Serialize + DeserializeOwned + 'static,
{
    encode_to_be_read("it", value)
}

fn arrives<T>(value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    let bytes = sent(&value).unwrap();
    let read: T = decode("it", &bytes, Dialect::Readable).unwrap();
    assert_eq!(read, value);
}

fn is_refused<T>(value: &T, words: &[&str])
where
    T: Serialize + DeserializeOwned + 'static,
{
    let error = sent(value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    for word in words {
        assert!(error.to_string().contains(word), "{error}: no {word:?}");
    }
}

/// Values of many shapes, none of which is read as another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Plain {
    Unit,
    Number(i64),
    Large(u128),
    Text(String),
    Letter(char),
    Pair(u8, Box<Plain>),
    Named {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<Box<Plain>>,
        rest: Vec<Plain>,
    },
    Address(IpAddr),
    Id(Uuid),
    Digest([u8; 20]),
    Blob(serde_bytes::ByteBuf),
    ByNumber(BTreeMap<i16, Plain>),
    Perhaps(Option<Option<u8>>),
    Buffered(Box<Tagged>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Ip { ip: IpAddr },
    Id { id: Uuid, digest: [u8; 20] },
    Amount { amount: u128 },
    Inner { inner: Box<Plain> },
    Many { many: Vec<Loose> },
    Flat(Flat),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    Address { of: IpAddr },
    Nothing { nothing: () },
    Deep(Vec<Loose>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Loose>,
}

fn loose() -> impl Strategy<Value = Loose> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Loose::Number),
        ".{0,40}".prop_map(Loose::Text),
        any::<IpAddr>().prop_map(|of| Loose::Address { of }),
        Just(Loose::Nothing { nothing: () }),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Loose::Deep)
    })
}

fn tagged(inner: impl Strategy<Value = Plain>) -> impl Strategy<Value = Tagged> {
    prop_oneof![
        any::<IpAddr>().prop_map(|ip| Tagged::Ip { ip }),
        any::<(u128, [u8; 20])>().prop_map(|(id, digest)| Tagged::Id {
            id: Uuid::from_u128(id),
            digest
        }),
        any::<u128>().prop_map(|amount| Tagged::Amount { amount }),
        inner.prop_map(|inner| Tagged::Inner {
            inner: Box::new(inner)
        }),
        prop::collection::vec(loose(), 0..4).prop_map(|many| Tagged::Many { many }),
        (
            any::<u64>(),
            prop::collection::btree_map("[a-h]", loose(), 0..4)
        )
            .prop_map(|(id, rest)| Tagged::Flat(Flat { id, rest })),
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        Just(Plain::Unit),
        any::<i64>().prop_map(Plain::Number),
        any::<i8>().prop_map(|n| Plain::Number(n.into())),
        any::<u128>().prop_map(Plain::Large),
        ".{0,300}".prop_map(Plain::Text),
        any::<char>().prop_map(Plain::Letter),
        any::<IpAddr>().prop_map(Plain::Address),
        any::<u128>().prop_map(|id| Plain::Id(Uuid::from_u128(id))),
        any::<[u8; 20]>().prop_map(Plain::Digest),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| Plain::Blob(b.into())),
        any::<Option<Option<u8>>>().prop_map(Plain::Perhaps),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..20);
        prop_oneof![
            (any::<u8>(), inner.clone()).prop_map(|(n, p)| Plain::Pair(n, Box::new(p))),
            (prop::option::of(inner.clone().prop_map(Box::new)), many)
                .prop_map(|(first, rest)| Plain::Named { first, rest }),
            prop::collection::btree_map(any::<i16>(), inner.clone(), 0..5)
                .prop_map(Plain::ByNumber),
            tagged(inner).prop_map(|tagged| Plain::Buffered(Box::new(tagged))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_accepted_arrives(value in plain()) {
        if let Ok(bytes) = sent(&value) {
            prop_assert_eq!(decode::<Plain>("it", &bytes, Dialect::Readable).unwrap(), value);
        }
    }

    /// The format is the one that everything else reads.
    #[test]
    fn what_is_written_is_what_rmp_serde_writes(value in plain()) {
        let mut other = rmp_serde::Serializer::new(Vec::new())
            .with_struct_map()
            .with_human_readable();
        value.serialize(&mut other).unwrap();
        if let Ok(written) = write::write(&value) {
            prop_assert_eq!(written.bytes, other.into_inner());
        }
    }

    #[test]
    fn reading_noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for dialect in [Dialect::Binary, Dialect::Readable] {
            let _ = decode::<Plain>("it", &bytes, dialect);
            let _ = decode::<Loose>("it", &bytes, dialect);
        }
    }
}

#[test]
fn what_serde_buffers_arrives_with_addresses_and_ids() {
    for ip in ["10.0.0.1", "::1"] {
        arrives(Tagged::Ip {
            ip: ip.parse().unwrap(),
        });
    }
    arrives(Tagged::Id {
        id: Uuid::from_u128(7),
        digest: [200; 20],
    });
    arrives(Loose::Address {
        of: "10.0.0.1".parse().unwrap(),
    });
}

/// What version 1 wrote; progress does not tell.
#[test]
fn addresses_and_ids_of_version_1_are_read_as_they_were_written() {
    let address: IpAddr = "2001:db8::7".parse().unwrap();
    let id = Uuid::from_u128(7);
    let old = rmp_serde::to_vec_named(&(address, id)).unwrap();
    let new = sent(&(address, id)).unwrap();
    assert!(old.len() < new.len());
    assert!(decode::<(IpAddr, Uuid)>("it", &old, Dialect::Readable).is_err());
    let read: [Result<(IpAddr, Uuid), Error>; 4] = [
        decode("it", &old, Dialect::Binary),
        decode("it", &new, Dialect::Readable),
        decode_either("it", &old),
        decode_either("it", &new),
    ];
    for read in read {
        assert_eq!(read.unwrap(), (address, id));
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_the_type_and_the_place() {
    is_refused(&Tagged::Amount { amount: 7 }, &["Tagged", "64 bits"]);
    arrives(Plain::Large(u128::MAX));

    is_refused(&Plain::Perhaps(Some(None)), &["Plain", "`Perhaps`", "None"]);
    arrives(Plain::Perhaps(Some(Some(1))));
    arrives(Plain::Perhaps(None));
    is_refused(&Some(()), &["None"]);
    let flat = Flat {
        id: 1,
        rest: BTreeMap::from([("a".into(), Loose::Nothing { nothing: () })]),
    };
    arrives(flat);
    #[derive(Serialize, Deserialize)]
    struct Outer {
        lines: Vec<BTreeMap<String, Option<()>>>,
    }
    let line = |value| BTreeMap::from([("end".to_owned(), value)]);
    let outer = Outer {
        lines: vec![line(None), line(Some(()))],
    };
    is_refused(&outer, &["Outer", "`lines[1].end`", "a struct around"]);
}

/// After the first few of a type, only what the writer doubts is tried.
#[test]
fn doubtful_values_are_always_read_back_and_others_at_first() {
    for _ in 0..3 * READ_BACK {
        is_refused(&Tagged::Amount { amount: 7 }, &["Tagged"]);
    }
    /// Reads less than it writes.
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OneWay {
        #[serde(skip_deserializing)]
        id: u64,
    }
    is_refused(&OneWay { id: 1 }, &["OneWay", "unknown field"]);
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bare;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Grown {
    since: Option<u64>,
    #[serde(default)]
    more: u8,
}

#[test]
fn a_struct_without_fields_can_get_some_later() {
    let bare = sent(&Bare).unwrap();
    assert_eq!(bare, b"\x80");
    // Version 1 wrote an empty list.
    for (bytes, dialect) in [
        (&bare[..], Dialect::Readable),
        (b"\x90", Dialect::Binary),
        (b"\x90", Dialect::Readable),
    ] {
        assert_eq!(decode::<Bare>("it", bytes, dialect).unwrap(), Bare);
        let grown: Grown = decode("it", bytes, dialect).unwrap();
        assert_eq!(grown, Grown::default());
    }
    let grown = Grown {
        since: Some(7),
        more: 1,
    };
    let bytes = sent(&grown).unwrap();
    assert_eq!(
        decode::<Bare>("it", &bytes, Dialect::Readable).unwrap(),
        Bare
    );
    for no_struct in [&b"\x01"[..], b"\x91\x01", b"\xa1a"] {
        assert!(decode::<Bare>("it", no_struct, Dialect::Readable).is_err());
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Around(Bare);
    arrives(Around(Bare));
    arrives(vec![Bare, Bare]);
    arrives(Some(Bare));
}

/// In lists, in what serde buffers, and in variants, which `rmp-serde` does not count.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum TaggedChain {
    End,
    Link { next: Box<TaggedChain> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatChain {
    next: Option<Box<FlatChain>>,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

fn list(levels: usize) -> Loose {
    (1..levels).fold(Loose::Deep(Vec::new()), |inner, _| Loose::Deep(vec![inner]))
}

fn chain(levels: usize) -> Chain {
    (0..levels).fold(Chain::End, |next, _| Chain::Link(Box::new(next)))
}

fn tagged_chain(levels: usize) -> TaggedChain {
    (1..levels).fold(TaggedChain::End, |next, _| TaggedChain::Link {
        next: Box::new(next),
    })
}

fn flat_chain(levels: usize) -> FlatChain {
    let link = |next| FlatChain {
        next,
        rest: BTreeMap::new(),
    };
    (1..levels).fold(link(None), |next, _| link(Some(Box::new(next))))
}

/// On a stack as small as that of a worker's thread.
#[test]
fn what_is_nested_as_deep_as_is_allowed_is_read_and_what_is_deeper_is_refused() {
    const STACK_BYTES: usize = 2 << 20;
    let test = || {
        arrives(list(NESTING_MAX));
        arrives(chain(NESTING_MAX));
        arrives(tagged_chain(NESTING_MAX));
        arrives(flat_chain(NESTING_MAX));
        let deeper = NESTING_MAX + 1;
        is_refused(&list(deeper), &["128 deep", "Loose"]);
        is_refused(&chain(deeper), &["128 deep"]);
        is_refused(&tagged_chain(deeper), &["128 deep", "`next.next"]);
        is_refused(&flat_chain(deeper), &["128 deep"]);
        // Somebody else's, much deeper.
        for bytes in [
            [vec![0x91; 100_000], vec![0xc0]].concat(),
            [b"\x81\xa4Link".repeat(100_000), b"\xa3End".to_vec()].concat(),
            [b"\x81\xa4next".repeat(100_000), b"\xc0".to_vec()].concat(),
        ] {
            for dialect in [Dialect::Binary, Dialect::Readable] {
                let says =
                    |error: Error| assert!(error.to_string().contains("128 deep"), "{error}");
                says(decode::<Loose>("it", &bytes, dialect).unwrap_err());
                says(decode::<Chain>("it", &bytes, dialect).unwrap_err());
                says(decode::<TaggedChain>("it", &bytes, dialect).unwrap_err());
                says(decode::<FlatChain>("it", &bytes, dialect).unwrap_err());
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn what_is_wide_is_not_deep() {
    let wide: Vec<BTreeMap<String, Vec<u8>>> =
        vec![BTreeMap::from([("a".repeat(300), vec![7; 70_000])]); 3];
    arrives(wide);
    arrives(
        (0..70_000u32)
            .map(|n| (n, -i64::from(n)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_length_that_does_not_hold_is_refused() {
    struct Wrong;
    impl Serialize for Wrong {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut list = serializer.serialize_seq(Some(2))?;
            list.serialize_element(&1)?;
            list.end()
        }
    }
    let error = encode("it", &Wrong).unwrap_err();
    assert!(error.to_string().contains("2 entries"), "{error}");
}
