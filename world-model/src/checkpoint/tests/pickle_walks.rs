use pytorch_reader::PytorchReader;

use crate::checkpoint::pickle_walk::{Refusal, Walk, check};

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
    let refusal = check(&mut pickle.as_slice()).expect_err("ten thousand million strings");
    assert!(
        matches!(refusal, Refusal::TooManyCopies { copied, allowed } if copied > allowed && allowed < 2 << 20),
        "{refusal:?}"
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

#[test]
fn classes_are_found_however_they_are_named() {
    for (pickle, expected) in [
        (b"cos\nsystem\n0}.".as_slice(), "at byte 11 of its pickle"),
        (b"cos\r\nsystem\r\n0}.", "at byte 13 of its pickle"),
        (b"}U\x01bcos\nsystem\ns.", "near `b`"),
        (b"U\x02os\x94U\x06system\x940h\x00h\x01\x93.", "near `os`"),
        (b"Vos\nVsystem\n\x93.", "at byte 13 of its pickle"),
        (b"(ios\nsystem\n.", "at byte 12 of its pickle"),
    ] {
        let refusal = check(&mut &pickle[..]).expect_err("no class of weights");
        let (class, place) = ("os.system".to_string(), expected.to_string());
        assert_eq!(refusal, Refusal::Class { class, place });
    }
    // The name is written with an escape, or as a number.
    for pickle in [b"Vo\\u0073\nVsystem\n\x93.".as_slice(), b"K\x01U\x01a\x93."] {
        let refusal = check(&mut &pickle[..]).expect_err("no class of weights");
        assert!(matches!(refusal, Refusal::Class { .. }), "{refusal:?}");
    }
}

#[test]
fn a_key_occurs_once_in_a_dictionary() {
    for pickle in [
        b"}(U\x01aNU\x01aNu.".as_slice(),
        b"}U\x01aNsU\x01aNs.",
        b"(U\x01aNU\x01aNd.",
        b"}(U\x01aNV\x61\nNu.",
        b"ccollections\nOrderedDict\n)R(U\x01aNU\x01aNu.",
        b"}U\x01aNs}U\x01aNsb.",
    ] {
        assert_eq!(check(&mut &pickle[..]), Err(Refusal::RepeatedKey("a".to_string())));
    }
    for pickle in [
        b"}(K\x01NU\x011Nu.".as_slice(),
        b"}(J\x01\0\0\0NM\x01\0Nu.",
        b"}(\x8a\x01\x01NI1\nNu.",
        b"}(L1L\nNK\x01Nu.",
    ] {
        assert_eq!(check(&mut &pickle[..]), Err(Refusal::RepeatedKey("1".to_string())));
    }
    // Two dictionaries may have the same keys, and one the key that is another's value.
    assert_eq!(
        check(&mut b"}(U\x01a}U\x01aNsU\x01bU\x01au.".as_slice()),
        Ok(Walk::Whole)
    );
}

/// Every instruction that the reader knows, each leaving one value.
const INSTRUCTIONS: &[&[u8]] = &[
    b"N",
    b"\x88",
    b"\x89",
    b"I01\n",
    b"I1\n",
    b"L1L\n",
    b"F1.5\n",
    b"Va\n",
    b"K\x01",
    b"M\x01\x01",
    b"J\x01\0\0\0",
    b"G\0\0\0\0\0\0\0\0",
    b"\x8a\x01\x01",
    b"\x8b\x01\0\0\0\x01",
    b"\x8c\x01a",
    b"X\x01\0\0\0a",
    b"\x8d\x01\0\0\0\0\0\0\0a",
    b"U\x01a",
    b"T\x01\0\0\0a",
    b"C\x01a",
    b"B\x01\0\0\0a",
    b"\x8e\x01\0\0\0\0\0\0\0a",
    b"\x96\x01\0\0\0\0\0\0\0a",
    b")",
    b"]",
    b"}",
    b"\x8f",
    b"(NNt",
    b"(NNl",
    b"(K\x01Nd",
    b"(N\x91",
    b"N\x85",
    b"NN\x86",
    b"NNN\x87",
    b"]Na",
    b"](Ne",
    b"\x8f(N\x90",
    b"}K\x01Ns",
    b"}(K\x01Nu",
    b"NN0",
    b"N(0",
    b"N(N1",
    b"N20",
    b"Np9\n0g9\n",
    b"Nq\x090h\x09",
    b"Nr\x09\0\0\x000j\x09\0\0\0",
    b"N\x94",
    b"\x95\0\0\0\0\0\0\0\0N",
    b"ctorch\nSize\n)R",
    b"ctorch\nSize\n)\x81",
    b"ctorch\nSize\n)}\x92",
    b"U\x05torchU\x04Size\x93",
    b"cargparse\nNamespace\n)\x81}b",
];

#[test]
fn every_instruction_of_the_reader_is_followed() {
    let file = tempfile::Builder::new().suffix(".pt").tempfile().unwrap();
    let all = INSTRUCTIONS.concat();
    for instructions in INSTRUCTIONS.iter().copied().chain([&all[..]]) {
        let pickle = [b"\x80\x04](", instructions, b"e."].concat();
        assert_eq!(check(&mut pickle.as_slice()), Ok(Walk::Whole), "{instructions:?}");
        std::fs::write(file.path(), &pickle).unwrap();
        let read = PytorchReader::read_pickle_data(file.path(), None);
        assert!(read.is_ok(), "{instructions:?}: {read:?}");
    }
}
