//! What parsing a pickle costs, found out before it is parsed.
//!
//! A pickle can copy what it holds, and copies of copies: a file of a hundred bytes can describe gigabytes. The reader
//! of PyTorch files stops such a file only at a hundred megabytes. This walks the same instructions on sizes alone.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

/// Bytes that a value costs beside its text.
const VALUE_BYTES: u64 = 128;

/// Bytes that copies may cost for each byte of the pickle. In files of `torch.save` it is below 50.
const COPIES_PER_BYTE: u64 = 256;

/// Bytes that copies may cost in the smallest pickle.
const FREE_COPIES: u64 = 1 << 20;

/// Bytes of copies in a pickle that are too many for its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyCopies {
    /// Bytes that its copies would cost, up to where counting stopped.
    pub(super) copied: u64,
    /// Bytes that they may cost.
    pub(super) allowed: u64,
}

/// Walks one pickle, up to its end or to the first instruction that makes no sense: the reader says what is wrong there.
pub(super) fn check(pickle: &mut impl BufRead) -> Result<Walk, TooManyCopies> {
    let mut machine = Machine {
        input: Counted { pickle, read: 0 },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    loop {
        match machine.step() {
            Ok(true) => {}
            Ok(false) => return Ok(Walk::Whole),
            Err(Stopped::Unreadable) => return Ok(Walk::Unreadable),
            Err(Stopped::TooManyCopies(too_many)) => return Err(too_many),
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
    TooManyCopies(TooManyCopies),
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Unreadable
    }
}

/// Input that knows how many bytes were read.
struct Counted<'a, R> {
    pickle: &'a mut R,
    read: u64,
}

impl<R: BufRead> Counted<'_, R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.pickle.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    /// Passes over bytes without holding them.
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        let skipped = io::copy(&mut self.pickle.by_ref().take(len), &mut io::sink())?;
        self.read += skipped;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(len)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.read += self.pickle.read_until(b'\n', &mut line)? as u64;
        Ok(line)
    }
}

/// Cost of a value on the stack, and where it is remembered.
#[derive(Clone, Copy)]
struct Value {
    cost: u64,
    memo: Option<u32>,
}

struct Machine<'a, R> {
    input: Counted<'a, R>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, u64>,
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
            // Plain values: without an argument, with a fixed one, with a line, with a length before them.
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f => self.push(0),
            b'K' => self.skip_and_push(1)?,
            b'M' => self.skip_and_push(2)?,
            b'J' => self.skip_and_push(4)?,
            b'G' => self.skip_and_push(8)?,
            b'I' | b'L' | b'F' | b'V' | b'P' => {
                let len = self.input.line()?.len();
                self.push(len as u64);
            }
            b'c' => {
                let len = self.input.line()?.len() + self.input.line()?.len();
                self.push(len as u64);
            }
            0x8a | 0x8c | b'U' | b'C' => {
                let [len] = self.input.bytes()?;
                self.skip_and_push(len.into())?;
            }
            0x8b | b'X' | b'T' | b'B' => {
                let len = u32::from_le_bytes(self.input.bytes()?);
                self.skip_and_push(len.into())?;
            }
            0x8d | 0x8e | 0x96 => {
                let len = u64::from_le_bytes(self.input.bytes()?);
                self.skip_and_push(len)?;
            }
            _ => self.step_on_values(instruction)?,
        }
        Ok(true)
    }

    /// Does an instruction that takes values from the stack or the memo.
    fn step_on_values(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b't' | b'l' | b'd' | 0x91 => {
                let cost = self.pop_to_mark()?;
                self.push(cost);
            }
            0x85 => self.combine(1)?,
            0x86 | 0x93 | b'R' | 0x81 => self.combine(2)?,
            0x87 | 0x92 => self.combine(3)?,
            b'Q' => self.combine(1)?,
            b'a' => {
                let cost = self.pop(1)?;
                self.extend(cost)?;
            }
            b's' => {
                let cost = self.pop(2)?;
                self.extend(cost)?;
            }
            b'e' | b'u' | 0x90 => {
                let cost = self.pop_to_mark()?;
                self.extend(cost)?;
            }
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop(1)?;
                }
            }
            b'1' => drop(self.pop_to_mark()?),
            b'b' => self.build()?,
            _ => self.step_on_copies(instruction)?,
        }
        Ok(())
    }

    /// Does an instruction that copies a value.
    fn step_on_copies(&mut self, instruction: u8) -> Result<(), Stopped> {
        match instruction {
            b'2' => {
                let top = *self.stack.last().ok_or(Stopped::Unreadable)?;
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
        let line = self.input.line()?;
        let text = std::str::from_utf8(&line).ok().map(str::trim);
        text.and_then(|text| text.parse().ok()).ok_or(Stopped::Unreadable)
    }

    fn push(&mut self, payload: u64) {
        let cost = payload.saturating_add(VALUE_BYTES);
        self.stack.push(Value { cost, memo: None });
    }

    fn skip_and_push(&mut self, len: u64) -> Result<(), Stopped> {
        let len = self.input.skip(len)?;
        self.push(len);
        Ok(())
    }

    /// Takes values off the stack, none from below a mark, and returns what they cost together.
    fn pop(&mut self, count: usize) -> Result<u64, Stopped> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= bottom);
        let start = start.ok_or(Stopped::Unreadable)?;
        Ok(self.cut(start))
    }

    fn pop_to_mark(&mut self) -> Result<u64, Stopped> {
        let mark = self.marks.pop().ok_or(Stopped::Unreadable)?;
        Ok(self.cut(mark))
    }

    fn cut(&mut self, start: usize) -> u64 {
        let costs = self.stack.drain(start..).map(|value| value.cost);
        costs.fold(0, u64::saturating_add)
    }

    fn combine(&mut self, count: usize) -> Result<(), Stopped> {
        let cost = self.pop(count)?;
        self.push(cost);
        Ok(())
    }

    fn extend(&mut self, cost: u64) -> Result<(), Stopped> {
        let top = self.stack.last_mut().ok_or(Stopped::Unreadable)?;
        top.cost = top.cost.saturating_add(cost);
        Ok(())
    }

    /// Gives an object its state; where the object is remembered, that is done anew.
    fn build(&mut self) -> Result<(), Stopped> {
        let state = self.pop(1)?;
        let memo = self.stack.last().ok_or(Stopped::Unreadable)?.memo;
        self.extend(state)?;
        match memo {
            Some(index) => self.remember(index),
            None => Ok(()),
        }
    }

    fn remember(&mut self, index: u32) -> Result<(), Stopped> {
        let top = self.stack.last_mut().ok_or(Stopped::Unreadable)?;
        top.memo = Some(index);
        let cost = top.cost;
        self.memo.insert(index, cost);
        self.charge(cost)
    }

    fn fetch(&mut self, index: u32) -> Result<(), Stopped> {
        let cost = *self.memo.get(&index).ok_or(Stopped::Unreadable)?;
        self.stack.push(Value {
            cost,
            memo: Some(index),
        });
        self.charge(cost)
    }

    fn charge(&mut self, cost: u64) -> Result<(), Stopped> {
        self.copied = self.copied.saturating_add(cost);
        let allowed = FREE_COPIES + COPIES_PER_BYTE * self.input.read;
        if self.copied > allowed {
            let copied = self.copied;
            return Err(Stopped::TooManyCopies(TooManyCopies { copied, allowed }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_copies_are_stopped_early() {
        // A list of ten strings, remembered; then again and again a list of ten copies of the one before.
        let mut pickle = b"\x80\x02](".to_vec();
        pickle.extend(b"U\x08aaaaaaaa".repeat(10));
        pickle.extend(b"eq\x00");
        for level in 1..=9 {
            pickle.extend(b"](");
            pickle.extend([b'h', level - 1].repeat(10));
            pickle.extend([b'e', b'q', level]);
        }
        pickle.push(b'.');
        let stopped = check(&mut pickle.as_slice()).expect_err("ten thousand million strings");
        assert!(
            stopped.copied > stopped.allowed && stopped.allowed < 2 << 20,
            "{stopped:?}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_left_to_the_reader() {
        for pickle in [
            b"".as_slice(),
            b"\x80",
            b"t.",
            b"R.",
            b"h\x07.",
            b"X\xff\xff\xff\xff",
            b"\xee",
        ] {
            assert_eq!(check(&mut &pickle[..]), Ok(Walk::Unreadable), "{pickle:?}");
        }
        assert_eq!(check(&mut b"\x80\x02}q\x00.rest".as_slice()), Ok(Walk::Whole));
    }
}
