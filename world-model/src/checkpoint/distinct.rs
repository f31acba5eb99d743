//! JSON in which no name occurs twice in one object.
//!
//! Parsers keep the last of two equal names without a word. In a header that says where tensors are, that hides a
//! contradiction.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Refuses JSON with a name that occurs twice in one object; nothing of it is kept.
pub(super) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Distinct>(json).map(drop)
}

/// Any JSON value without repeated names.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Distinct, A::Error> {
        while sequence.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Distinct, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<Distinct>()?;
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("the name `{name}` occurs twice")));
            }
            names.insert(name);
        }
        Ok(Distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_found_at_any_depth() {
        assert!(check(br#"{"a":[1,-2,3.5,null,true,"x"],"b":{"a":{}}}"#).is_ok());
        for json in [
            r#"{"a":1,"a":2}"#,
            r#"[{"b":{"a":1,"b":2,"a":1}}]"#,
            r#"{"\u0061":1,"a":1}"#,
        ] {
            let message = check(json.as_bytes()).expect_err(json).to_string();
            assert!(message.contains("the name `a` occurs twice"), "{message}");
        }
    }
}
