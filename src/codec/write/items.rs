//! The lists and maps of a value that is being written.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Unwritable, Writer};

#[derive(Clone, Copy)]
pub(super) enum Items {
    Listed,
    Mapped,
}

/// A list or a map that is being written.
pub(super) struct Open<'a> {
    writer: &'a mut Writer,
    are: Items,
    /// How many there will be, where that is known before.
    announced: Option<usize>,
    written: usize,
    /// Where its items begin, and its last key.
    start: usize,
    key_start: usize,
    levels: usize,
}

impl Open<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        let at = self.written;
        self.written += 1;
        value
            .serialize(&mut *self.writer)
            .map_err(|error| error.within(|| format!("[{at}]")))
    }

    fn entry<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.written += 1;
        value
            .serialize(&mut *self.writer)
            .map_err(|error| error.within(|| format!(".{key}")))
    }

    /// The key of the entry that is being written, for an error.
    fn key_in_words(&self) -> String {
        let key = &self.writer.out[self.key_start..];
        match rmp_serde::from_slice::<&str>(key) {
            Ok(key) => format!(".{key}"),
            Err(_) => format!("[entry {}]", self.written - 1),
        }
    }

    fn close(self) -> Result<(), Unwritable> {
        self.writer.nesting -= self.levels;
        match self.announced {
            Some(announced) if announced == self.written => Ok(()),
            Some(announced) => Err(Unwritable::custom(format_args!(
                "{announced} entries were announced, and {} came: its `Serialize` is wrong",
                self.written
            ))),
            None => {
                let mut head = Writer {
                    out: Vec::new(),
                    nesting: 0,
                    is_outermost: false,
                    is_doubtful: false,
                };
                head.items(self.written, self.are)?;
                let start = self.start..self.start;
                self.writer.out.splice(start, head.out);
                Ok(())
            }
        }
    }
}

impl Writer {
    pub(super) fn open(
        &mut self,
        length: Option<usize>,
        are: Items,
        variant: Option<&'static str>,
    ) -> Result<Open<'_>, Unwritable> {
        if let Some(name) = variant {
            self.variant(name)?;
        }
        self.enter()?;
        let start = self.out.len();
        if let Some(length) = length {
            self.items(length, are)?;
        }
        Ok(Open {
            announced: length,
            are,
            levels: if variant.is_some() { 2 } else { 1 },
            written: 0,
            start,
            key_start: start,
            writer: self,
        })
    }
}

/// Each of these has one method that adds, and one that ends.
macro_rules! items {
    ($($shape:ident::$add:ident),*) => {$(
        impl $shape for Open<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.item(value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        }
    )*};
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($shape:ident),*) => {$(
        impl $shape for Open<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                self.writer.text(key)?;
                self.entry(key, value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.key_start = self.writer.out.len();
        key.serialize(&mut *self.writer)
            .map_err(|error| error.within(|| "[a key]".to_owned()))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.written += 1;
        let written = value.serialize(&mut *self.writer);
        written.map_err(|error| error.within(|| self.key_in_words()))
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}
