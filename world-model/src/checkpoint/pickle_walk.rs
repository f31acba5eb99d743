//! A walk over a pickle before it is parsed: what that would cost, and what it must not hold.
//!
//! A pickle can copy what it holds, and copies of copies: a file of a hundred bytes can describe gigabytes. The reader
//! of PyTorch files stops such a file only at a hundred megabytes. It also passes over classes that it does not know, and
//! keeps one of two entries with the same key. This walks the same instructions on sizes and names alone.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead};
use std::rc::Rc;

use super::pickle_classes;
use super::pickle_input::Counted;
use super::pickle_value::{Kind, Value, cost};

/// Bytes that a value costs beside its text.
const VALUE_BYTES: u64 = 128;

/// Bytes that copies may cost for each byte of the pickle. In files of `torch.save` it is below 50.
const COPIES_PER_BYTE: u64 = 256;

/// Bytes that copies may cost in the smallest pickle.
const FREE_COPIES: u64 = 1 << 20;

/// Characters of a name that messages show.
const SHOWN: usize = 100;

/// Why a pickle is not parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many copies in it for its length.
    TooManyCopies {
        /// Bytes that its copies would cost, up to where counting stopped.
        copied: u64,
        /// Bytes that they may cost.
        allowed: u64,
    },
    /// It names a class that has no place in a file of weights.
    Class {
        /// Module and name.
        class: String,
        /// Where it stands.
        place: String,
    },
    /// A dictionary in it has two entries with one key.
    RepeatedKey(String),
}

/// Walks one pickle, up to its end or to the first instruction that makes no sense: the reader says what is wrong there.
pub(super) fn check(pickle: &mut impl BufRead) -> Result<Walk, Refusal> {
    let mut machine = Machine {
        input: Counted { pickle, read: 0 },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        dictionaries: Vec::new(),
        copied: 0,
    };
    loop {
        match machine.step() {
            Ok(true) => {}
            Ok(false) => return Ok(Walk::Whole),
            Err(Stopped::Unreadable) => return Ok(Walk::Unreadable),
            Err(Stopped::Refused(refusal)) => return Err(refusal),
        }
    }
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// To the end of the pickle.
    Whole,
    /// To an instruction that makes no sense.
    Unreadable,
}

enum Stopped {
    Unreadable,
    Refused(Refusal),
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Unreadable
    }
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

struct Machine<'a, R> {
    input: Counted<'a, R>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    /// Keys of every dictionary.
    dictionaries: Vec<BTreeSet<Rc<str>>>,
    copied: u64,
}

impl<R: BufRead> Machine<'_, R> {
    /// Does one instruction; false after the last one.
    fn step(&mut self) -> Result<bool, Stopped> {
        let [instruction] = self.input.bytes()?;
        match instruction {
            b'.' => return Ok(false),
            0x80 => drop(self.input.skip(1)?),
            0x95 => drop(self.input.skip(8)?),
            b'(' => self.marks.push(self.stack.len()),
            // Plain values without an argument.
            b'N' | 0x88 | 0x89 | b')' | b']' | 0x8f => self.push(0, Kind::Other),
            b'}' => {
                let dictionary = self.new_dictionary();
                self.push(0, dictionary);
            }
            b'c' => {
                let (module, name) = (self.input.name()?, self.input.name()?);
                self.push_class(&module, &name)?;
            }
            b'i' => {
                let (module, name) = (self.input.name()?, self.input.name()?);
                self.push_class(&module, &name)?;
                // The reader does not know how to go on.
                return Err(Stopped::Unreadable);
            }
            _ => self.step_on_integers(instruction)?,
        }
        Ok(true)
    }

    /// Does an instruction that brings an integer with it.
    fn step_on_integers(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b'K' => {
                let [number] = self.input.bytes()?;
                self.push(1, Kind::Integer(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.input.bytes()?);
                self.push(2, Kind::Integer(number.into()));
            }
            b'J' => self.push_integer(4)?,
            0x8a => {
                let [len] = self.input.bytes()?;
                self.push_integer(len.into())?;
            }
            b'I' | b'L' => {
                let line = self.input.name()?;
                self.push(line.len() as u64, Kind::decimal(&line));
            }
            _ => self.step_on_data(instruction)?,
        }
        Ok(())
    }

    /// Does an instruction that brings another value with it: fixed, as a line, or with its length before it.
    fn step_on_data(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b'F' | b'P' => {
                let len = self.input.line()?.len();
                self.push(len as u64, Kind::Other);
            }
            b'G' => self.skip_and_push(8)?,
            b'V' => {
                let line = self.input.line()?;
                self.push(line.len() as u64, Kind::line(&line));
            }
            b'C' => {
                let [len] = self.input.bytes()?;
                self.skip_and_push(len.into())?;
            }
            0x8c | b'U' => {
                let [len] = self.input.bytes()?;
                self.push_text(len.into())?;
            }
            0x8b | b'B' => {
                let len = u32::from_le_bytes(self.input.bytes()?);
                self.skip_and_push(len.into())?;
            }
            b'X' | b'T' => {
                let len = u32::from_le_bytes(self.input.bytes()?);
                self.push_text(len.into())?;
            }
            0x8d => {
                let len = u64::from_le_bytes(self.input.bytes()?);
                self.push_text(len)?;
            }
            0x8e | 0x96 => {
                let len = u64::from_le_bytes(self.input.bytes()?);
                self.skip_and_push(len)?;
            }
            _ => self.step_on_values(instruction)?,
        }
        Ok(())
    }

    /// Does an instruction that takes values from the stack or the memo.
    fn step_on_values(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b't' | b'l' | 0x91 => {
                let values = self.take_to_mark()?;
                self.push(cost(&values), Kind::Other);
            }
            b'd' => {
                let entries = self.take_to_mark()?;
                let dictionary = self.new_dictionary();
                self.push(0, dictionary);
                self.add_entries(&entries)?;
            }
            0x85 | b'Q' => self.combine(1)?,
            0x86 | 0x81 => self.combine(2)?,
            0x87 | 0x92 => self.combine(3)?,
            0x93 => self.look_up_class()?,
            b'R' => self.call()?,
            b'a' => {
                let values = self.take(1)?;
                self.extend(cost(&values))?;
            }
            b'e' | 0x90 => {
                let values = self.take_to_mark()?;
                self.extend(cost(&values))?;
            }
            b's' => {
                let entries = self.take(2)?;
                self.add_entries(&entries)?;
            }
            b'u' => {
                let entries = self.take_to_mark()?;
                self.add_entries(&entries)?;
            }
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.take(1)?;
                }
            }
            b'1' => drop(self.take_to_mark()?),
            b'b' => self.build()?,
            _ => self.step_on_copies(instruction)?,
        }
        Ok(())
    }

    /// Does an instruction that copies a value.
    fn step_on_copies(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b'2' => {
                let top = self.stack.last().ok_or(Stopped::Unreadable)?.clone();
                self.charge(top.cost)?;
                self.stack.push(top);
            }
            b'g' => {
                let index = self.index()?;
                self.fetch(index)?;
            }
            b'h' => {
                let [index] = self.input.bytes()?;
                self.fetch(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.input.bytes()?);
                self.fetch(index)?;
            }
            b'p' => {
                let index = self.index()?;
                self.remember(index)?;
            }
            b'q' => {
                let [index] = self.input.bytes()?;
                self.remember(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.input.bytes()?);
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            _ => return Err(Stopped::Unreadable),
        }
        Ok(())
    }

    fn index(&mut self) -> Result<u32, Stopped> {
        let line = self.input.name()?;
        line.trim().parse().ok().ok_or(Stopped::Unreadable)
    }

    fn push(&mut self, payload: u64, kind: Kind) {
        let cost = payload.saturating_add(VALUE_BYTES);
        let memo = None;
        self.stack.push(Value { cost, memo, kind });
    }

    fn skip_and_push(&mut self, len: u64) -> Result<(), Stopped> {
        let len = self.input.skip(len)?;
        self.push(len, Kind::Other);
        Ok(())
    }

    fn push_text(&mut self, len: u64) -> Result<(), Stopped> {
        let bytes = self.input.held(len)?;
        self.push(len, Kind::text(bytes));
        Ok(())
    }

    fn push_integer(&mut self, len: u64) -> Result<(), Stopped> {
        let bytes = self.input.held(len)?;
        self.push(len, Kind::integer(&bytes));
        Ok(())
    }

    /// Pushes a class, unless it has no place in a file of weights.
    fn push_class(&mut self, module: &str, name: &str) -> Result<(), Stopped> {
        if !pickle_classes::is_expected(module, name) {
            return Err(self.refused_class(&format!("{module}.{name}")));
        }
        let kind = match (module, name) {
            ("collections", "OrderedDict") => Kind::OrderedDict,
            _ => Kind::Other,
        };
        self.push((module.len() + name.len()) as u64, kind);
        Ok(())
    }

    /// Pushes the class that two values on the stack name.
    fn look_up_class(&mut self) -> Result<(), Stopped> {
        let names = self.take(2)?;
        match [&names[0].kind, &names[1].kind] {
            [Kind::Text(module), Kind::Text(name)] => self.push_class(module, name),
            _ => Err(self.refused_class("(its name is no plain text)")),
        }
    }

    /// Refuses a class, and says next to which text it stands: in dictionaries, that is its key.
    fn refused_class(&self, class: &str) -> Stopped {
        let near = self.stack.iter().rev().find_map(|value| match &value.kind {
            Kind::Text(text) => Some(format!("near `{}`", shown(text))),
            _ => None,
        });
        Stopped::Refused(Refusal::Class {
            class: shown(class),
            place: near.unwrap_or_else(|| format!("at byte {} of its pickle", self.input.read)),
        })
    }

    fn call(&mut self) -> Result<(), Stopped> {
        let values = self.take(2)?;
        let result = match values[0].kind {
            Kind::OrderedDict => self.new_dictionary(),
            _ => Kind::Other,
        };
        self.push(cost(&values), result);
        Ok(())
    }

    fn new_dictionary(&mut self) -> Kind {
        self.dictionaries.push(BTreeSet::new());
        Kind::Dictionary(self.dictionaries.len() - 1)
    }

    /// Adds keys and values, which take turns, to the dictionary on the stack.
    fn add_entries(&mut self, entries: &[Value]) -> Result<(), Stopped> {
        self.extend(cost(entries))?;
        let keys = entries.iter().step_by(2).filter_map(|entry| entry.kind.key());
        self.add_keys(keys)
    }

    fn add_keys(&mut self, mut keys: impl Iterator<Item = Rc<str>>) -> Result<(), Stopped> {
        let Some(Kind::Dictionary(index)) = self.stack.last().map(|value| &value.kind) else {
            return Ok(());
        };
        let known = &mut self.dictionaries[*index];
        match keys.find(|key| !known.insert(Rc::clone(key))) {
            Some(key) => Err(Stopped::Refused(Refusal::RepeatedKey(shown(&key)))),
            None => Ok(()),
        }
    }

    /// Takes values off the stack, none from below a mark.
    fn take(&mut self, count: usize) -> Result<Vec<Value>, Stopped> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= bottom);
        Ok(self.stack.split_off(start.ok_or(Stopped::Unreadable)?))
    }

    fn take_to_mark(&mut self) -> Result<Vec<Value>, Stopped> {
        let mark = self.marks.pop().ok_or(Stopped::Unreadable)?;
        Ok(self.stack.split_off(mark))
    }

    fn combine(&mut self, count: usize) -> Result<(), Stopped> {
        let values = self.take(count)?;
        self.push(cost(&values), Kind::Other);
        Ok(())
    }

    fn extend(&mut self, cost: u64) -> Result<(), Stopped> {
        let top = self.stack.last_mut().ok_or(Stopped::Unreadable)?;
        top.cost = top.cost.saturating_add(cost);
        Ok(())
    }

    /// Gives an object its state; where the object is remembered, that is done anew.
    fn build(&mut self) -> Result<(), Stopped> {
        let state = self.take(1)?;
        let memo = self.stack.last().ok_or(Stopped::Unreadable)?.memo;
        self.extend(cost(&state))?;
        // The reader takes the state of a dictionary for more entries.
        if let Kind::Dictionary(index) = state[0].kind {
            let keys: Vec<Rc<str>> = self.dictionaries[index].iter().cloned().collect();
            self.add_keys(keys.into_iter())?;
        }
        match memo {
            Some(index) => self.remember(index),
            None => Ok(()),
        }
    }

    fn remember(&mut self, index: u32) -> Result<(), Stopped> {
        let top = self.stack.last_mut().ok_or(Stopped::Unreadable)?;
        top.memo = Some(index);
        let top = top.clone();
        let cost = top.cost;
        self.memo.insert(index, top);
        self.charge(cost)
    }

    fn fetch(&mut self, index: u32) -> Result<(), Stopped> {
        let value = self.memo.get(&index).ok_or(Stopped::Unreadable)?.clone();
        let cost = value.cost;
        self.stack.push(value);
        self.charge(cost)
    }

    fn charge(&mut self, cost: u64) -> Result<(), Stopped> {
        self.copied = self.copied.saturating_add(cost);
        let allowed = FREE_COPIES + COPIES_PER_BYTE * self.input.read;
        if self.copied > allowed {
            let copied = self.copied;
            return Err(Stopped::Refused(Refusal::TooManyCopies { copied, allowed }));
        }
        Ok(())
    }
}
