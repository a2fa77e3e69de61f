//! Writes a value as MessagePack, and refuses values that a reader would not get back as they were.
//!
//! What is written is what `rmp-serde` writes with named fields and human readable forms, but for
//! a payload that is a unit struct: that is an empty map, so that it can get fields later.

mod items;

use std::any::type_name;
use std::fmt::{self, Display};

use serde::ser::{Error, Serialize, Serializer};

use super::NESTING_MAX;
use items::{Items, Open};

const NIL: u8 = 0xc0;

/// What a value became.
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    /// Whether there is something in it that only some types can read.
    pub(super) is_doubtful: bool,
}

pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Written, Unwritable> {
    let mut writer = Writer {
        out: Vec::with_capacity(128),
        nesting: 0,
        is_outermost: true,
        is_doubtful: false,
    };
    value.serialize(&mut writer)?;
    Ok(Written {
        bytes: writer.out,
        is_doubtful: writer.is_doubtful,
    })
}

/// Why a value cannot be written, and where in it.
#[derive(Debug)]
pub(crate) struct Unwritable(Box<Trouble>);

#[derive(Debug)]
struct Trouble {
    why: String,
    /// From the inside to the outside.
    path: Vec<String>,
}

impl Unwritable {
    fn within(mut self, step: impl FnOnce() -> String) -> Self {
        /// Of a long path only the inner part is shown.
        const STEPS_MAX: usize = 12;
        if self.0.path.len() < STEPS_MAX {
            self.0.path.push(step());
        }
        self
    }
}

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            let path: String = self.0.path.iter().rev().map(String::as_str).collect();
            write!(f, "at `{}`: ", path.trim_start_matches('.'))?;
        }
        f.write_str(&self.0.why)
    }
}

impl std::error::Error for Unwritable {}

impl Error for Unwritable {
    fn custom<T: Display>(why: T) -> Self {
        Self(Box::new(Trouble {
            why: why.to_string(),
            path: Vec::new(),
        }))
    }
}

struct Writer {
    out: Vec<u8>,
    /// Lists and maps around what is written.
    nesting: usize,
    /// Nothing is around what is written, not even a `Some`.
    is_outermost: bool,
    is_doubtful: bool,
}

impl Writer {
    fn marked<const N: usize>(&mut self, marker: u8, number: [u8; N]) {
        self.out.push(marker);
        self.out.extend_from_slice(&number);
    }

    /// A marker with the length in it where it is below `short`, or the first of three that are
    /// followed by it, in one, two or four bytes; the first may be missing.
    fn length(
        &mut self,
        length: usize,
        (short, marker): (usize, u8),
        [one, two, four]: [u8; 3],
    ) -> Result<(), Unwritable> {
        match length {
            _ if length < short => self.out.push(marker | length as u8),
            _ if length < 1 << 8 && one != NIL => self.marked(one, [length as u8]),
            _ if length < 1 << 16 => self.marked(two, (length as u16).to_be_bytes()),
            _ => match u32::try_from(length) {
                Ok(length) => self.marked(four, length.to_be_bytes()),
                Err(_) => return Err(Unwritable::custom("4 GiB are too much")),
            },
        }
        Ok(())
    }

    fn items(&mut self, length: usize, are: Items) -> Result<(), Unwritable> {
        match are {
            Items::Listed => self.length(length, (16, 0x90), [NIL, 0xdc, 0xdd]),
            Items::Mapped => self.length(length, (16, 0x80), [NIL, 0xde, 0xdf]),
        }
    }

    fn unsigned(&mut self, number: u64) {
        match number {
            0..0x80 => self.out.push(number as u8),
            0x80..0x100 => self.marked(0xcc, [number as u8]),
            0x100..0x1_0000 => self.marked(0xcd, (number as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.marked(0xce, (number as u32).to_be_bytes()),
            _ => self.marked(0xcf, number.to_be_bytes()),
        }
    }

    fn signed(&mut self, number: i64) {
        const I8: i64 = i8::MIN as i64;
        const I16: i64 = i16::MIN as i64;
        const I32: i64 = i32::MIN as i64;
        match number {
            0.. => self.unsigned(number.unsigned_abs()),
            -32..0 => self.out.push(number as u8),
            I8..-32 => self.marked(0xd0, [number as u8]),
            I16..I8 => self.marked(0xd1, (number as i16).to_be_bytes()),
            I32..I16 => self.marked(0xd2, (number as i32).to_be_bytes()),
            _ => self.marked(0xd3, number.to_be_bytes()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Unwritable> {
        self.length(text.len(), (32, 0xa0), [0xd9, 0xda, 0xdb])?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Unwritable> {
        self.nesting += 1;
        self.is_outermost = false;
        if self.nesting > NESTING_MAX {
            return Err(Unwritable::custom(format_args!(
                "lists and maps are nested more than {NESTING_MAX} deep, and reading them would \
                 need more stack than a worker has; send a flat list in which one refers to the \
                 other"
            )));
        }
        Ok(())
    }

    /// A map of one entry, whose key is the name of the variant.
    fn variant(&mut self, name: &'static str) -> Result<(), Unwritable> {
        self.enter()?;
        self.items(1, Items::Mapped)?;
        self.text(name)
    }
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(())
    }

    fn serialize_i8(self, number: i8) -> Result<(), Unwritable> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<(), Unwritable> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Unwritable> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Unwritable> {
        self.signed(number);
        Ok(())
    }

    fn serialize_i128(self, number: i128) -> Result<(), Unwritable> {
        // What serde keeps in a buffer has no number of this size.
        self.is_doubtful = true;
        self.serialize_bytes(&number.to_be_bytes())
    }

    fn serialize_u8(self, number: u8) -> Result<(), Unwritable> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<(), Unwritable> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), Unwritable> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), Unwritable> {
        self.unsigned(number);
        Ok(())
    }

    fn serialize_u128(self, number: u128) -> Result<(), Unwritable> {
        self.is_doubtful = true;
        self.serialize_bytes(&number.to_be_bytes())
    }

    fn serialize_f32(self, number: f32) -> Result<(), Unwritable> {
        self.marked(0xca, number.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Unwritable> {
        self.marked(0xcb, number.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, letter: char) -> Result<(), Unwritable> {
        self.text(letter.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Unwritable> {
        self.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Unwritable> {
        self.length(bytes.len(), (0, 0), [0xc4, 0xc5, 0xc6])?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        let start = self.out.len();
        self.is_outermost = false;
        value.serialize(&mut *self)?;
        if self.out[start..] == [NIL] {
            return Err(Unwritable::custom(format_args!(
                "this `Some` of a `{}` is written like `None`, and would be read as that; use an \
                 enum, or a struct around what is inside",
                type_name::<T>()
            )));
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.out.push(NIL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        let like = match self.is_outermost {
            true => Items::Mapped,
            false => Items::Listed,
        };
        self.items(0, like)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unwritable> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        if name == rmp_serde::MSGPACK_EXT_STRUCT_NAME {
            let mut writer = rmp_serde::Serializer::new(&mut self.out);
            let written = writer.serialize_newtype_struct(name, value);
            return written.map_err(Unwritable::custom);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.variant(variant)?;
        value
            .serialize(&mut *self)
            .map_err(|error| error.within(|| format!(".{variant}")))?;
        self.nesting -= 1;
        Ok(())
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Open<'a>, Unwritable> {
        self.open(length, Items::Listed, None)
    }

    fn serialize_tuple(self, length: usize) -> Result<Open<'a>, Unwritable> {
        self.open(Some(length), Items::Listed, None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Open<'a>, Unwritable> {
        self.open(Some(length), Items::Listed, None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Open<'a>, Unwritable> {
        self.open(Some(length), Items::Listed, Some(variant))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Open<'a>, Unwritable> {
        self.open(length, Items::Mapped, None)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Open<'a>, Unwritable> {
        self.open(Some(length), Items::Mapped, None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Open<'a>, Unwritable> {
        self.open(Some(length), Items::Mapped, Some(variant))
    }
}
