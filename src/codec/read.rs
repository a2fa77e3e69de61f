//! Reads a value from MessagePack that any version of the library, or another program, wrote.

use serde::de::value::MapDeserializer;
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

use super::{Dialect, NESTING_MAX};

const EMPTY_LIST: [u8; 1] = [0x90];

/// Reads the value that `bytes` begin with.
pub(super) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    dialect: Dialect,
) -> Result<T, rmp_serde::decode::Error> {
    if !is_nested_within(bytes, NESTING_MAX) {
        return Err(rmp_serde::decode::Error::custom(format_args!(
            "lists and maps are nested more than {NESTING_MAX} deep"
        )));
    }
    let reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let is_empty_list = bytes == EMPTY_LIST;
    match dialect {
        Dialect::Binary => T::deserialize(Outermost {
            inner: &mut reader.with_binary(),
            is_empty_list,
        }),
        Dialect::Readable => T::deserialize(Outermost {
            inner: &mut reader.with_human_readable(),
            is_empty_list,
        }),
    }
}

/// Whether lists and maps are nested at most so deep. This function needs no stack for it. Bytes that
/// are cut short or no MessagePack are left to the reader, which gets no deeper than this function got.
fn is_nested_within(bytes: &[u8], limit: usize) -> bool {
    // Each level has a marker of its own. If there are few markers, there are few levels.
    let like_a_marker = |byte: &&u8| matches!(byte, 0x80..=0x9f | 0xdc..=0xdf);
    if bytes.iter().filter(like_a_marker).count() <= limit {
        return true;
    }
    // How many values are still to come at each level.
    let mut missing: Vec<u64> = vec![1];
    let mut rest = bytes;
    while let Some((marker, after)) = rest.split_first() {
        let number = |size: usize| {
            let digits = after.get(..size)?;
            Some(
                digits
                    .iter()
                    .fold(0, |n: u64, digit| n << 8 | u64::from(*digit)),
            )
        };
        // The bytes behind the marker that are the value's own, and the values in it.
        let (own, values) = match marker {
            0x80..=0x8f => (Some(0), 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (Some(0), u64::from(marker & 0x0f)),
            0xa0..=0xbf => (Some(u64::from(marker & 0x1f)), 0),
            0xc4 | 0xd9 => (number(1).map(|n| n + 1), 0),
            0xc5 | 0xda => (number(2).map(|n| n + 2), 0),
            0xc6 | 0xdb => (number(4).map(|n| n + 4), 0),
            0xc7 => (number(1).map(|n| n + 2), 0),
            0xc8 => (number(2).map(|n| n + 3), 0),
            0xc9 => (number(4).map(|n| n + 5), 0),
            0xcc | 0xd0 => (Some(1), 0),
            0xcd | 0xd1 => (Some(2), 0),
            0xca | 0xce | 0xd2 => (Some(4), 0),
            0xcb | 0xcf | 0xd3 => (Some(8), 0),
            0xd4..=0xd8 => (Some(1 + (1 << (marker - 0xd4))), 0),
            0xdc => (Some(2), number(2).unwrap_or(0)),
            0xdd => (Some(4), number(4).unwrap_or(0)),
            0xde => (Some(2), 2 * number(2).unwrap_or(0)),
            0xdf => (Some(4), 2 * number(4).unwrap_or(0)),
            _ => (Some(0), 0),
        };
        let own = own.and_then(|own| usize::try_from(own).ok());
        let Some(after) = own.and_then(|own| after.get(own..)) else {
            return true;
        };
        rest = after;
        if let Some(left) = missing.last_mut() {
            *left -= 1;
        }
        if values > 0 {
            missing.push(values);
        }
        while missing.last() == Some(&0) {
            missing.pop();
        }
        if missing.is_empty() {
            return true;
        }
        if missing.len() > limit + 1 {
            return false;
        }
    }
    true
}

/// A payload that is a unit struct, and the same with fields later, read each other: both are
/// maps, and version 1 wrote an empty list.
struct Outermost<D> {
    inner: D,
    is_empty_list: bool,
}

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Outermost<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(NoFields)?;
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if self.is_empty_list {
            let nothing = std::iter::empty::<(&str, &str)>();
            return visitor.visit_map(MapDeserializer::new(nothing));
        }
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == rmp_serde::MSGPACK_EXT_STRUCT_NAME {
            return self.inner.deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, length, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}

/// A struct without fields reads a map without fields, or with fields that it does not know.
struct NoFields;

impl<'de> Visitor<'de> for NoFields {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a struct")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom(
                "a list with entries is no struct without fields",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
