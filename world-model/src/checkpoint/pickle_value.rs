//! What is known of the values of a pickle without holding them.

use std::rc::Rc;

/// Cost of a value on the stack, where it is remembered, and what is known of it.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) cost: u64,
    pub(super) memo: Option<u32>,
    pub(super) kind: Kind,
}

/// What a value is, as far as keys and classes depend on it.
#[derive(Clone)]
pub(super) enum Kind {
    Other,
    Text(Rc<str>),
    Integer(i64),
    /// The class whose call makes a dictionary.
    OrderedDict,
    /// A dictionary, by its place among all of them.
    Dictionary(usize),
}

impl Kind {
    /// Returns the name that the reader gives an entry with this key.
    pub(super) fn key(&self) -> Option<Rc<str>> {
        match self {
            Self::Text(text) => Some(Rc::clone(text)),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Other | Self::OrderedDict | Self::Dictionary(_) => None,
        }
    }

    /// Returns what bytes are that should be text; others are no keys.
    pub(super) fn text(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or(Self::Other, |text| Self::Text(text.into()))
    }

    /// Returns the text of a line in which each byte is a character, but for escapes; names have none.
    pub(super) fn line(line: &[u8]) -> Self {
        if line.contains(&b'\\') {
            return Self::Other;
        }
        let text: String = line.iter().copied().map(char::from).collect();
        Self::Text(text.into())
    }

    /// Decodes an integer that is stored with its sign, little-endian; longer ones are no keys.
    pub(super) fn integer(bytes: &[u8]) -> Self {
        if bytes.len() > 8 {
            return Self::Other;
        }
        let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = if is_negative { [0xff; 8] } else { [0; 8] };
        whole[..bytes.len()].copy_from_slice(bytes);
        Self::Integer(i64::from_le_bytes(whole))
    }

    /// Decodes an integer that is stored as text. Truth values are stored so too, as numbers with a zero before them.
    pub(super) fn decimal(line: &str) -> Self {
        if line == "00" || line == "01" {
            return Self::Other;
        }
        let number = line.strip_suffix('L').unwrap_or(line);
        number.parse().map_or(Self::Other, Self::Integer)
    }
}

pub(super) fn cost(values: &[Value]) -> u64 {
    values.iter().map(|value| value.cost).fold(0, u64::saturating_add)
}
