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
        (b"Vos\nVsystem\n\x93.", "at byte 12 of its pickle"),
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
