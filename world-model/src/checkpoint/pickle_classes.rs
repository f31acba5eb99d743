//! The classes that a pickle of weights may name.
//!
//! What `torch.load(weights_only=True)` allows, and what training leaves beside its weights: numbers and arrays of NumPy,
//! options of the command line, buffers of extra states. Nothing of it is called; a name that is not here has no place in
//! a file of weights, wherever in the pickle it stands.

/// Modules, and the names in them.
const EXPECTED: &[(&str, &[&str])] = &[
    ("torch._utils", REBUILD),
    ("torch._tensor", &["_rebuild_from_type_v2"]),
    ("torch", STORAGES),
    ("torch", DTYPES),
    ("torch", &["Size", "Tensor", "device"]),
    ("torch.storage", &["TypedStorage", "UntypedStorage"]),
    ("torch.nn.parameter", &["Buffer", "Parameter"]),
    ("torch.serialization", &["_get_layout"]),
    ("collections", &["Counter", "OrderedDict", "defaultdict"]),
    ("argparse", &["Namespace"]),
    ("builtins", BUILTINS),
    // The names of Python 2, which pickles of protocol 2 have.
    ("__builtin__", BUILTINS),
    ("__builtin__", &["long", "unicode", "xrange"]),
    ("_codecs", &["encode"]),
    ("_io", &["BytesIO"]),
    ("io", &["BytesIO"]),
    ("numpy", &["dtype", "ndarray"]),
    ("numpy", NUMPY_SCALARS),
    ("numpy.core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy._core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("numpy._core.numeric", &["_frombuffer"]),
];

/// What the reader makes tensors of.
const REBUILD: &[&str] = &[
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
];

/// Kinds of storage; the reader says of which it makes no weights.
const STORAGES: &[&str] = &[
    "BFloat16Storage",
    "BoolStorage",
    "ByteStorage",
    "CharStorage",
    "ComplexDoubleStorage",
    "ComplexFloatStorage",
    "DoubleStorage",
    "FloatStorage",
    "HalfStorage",
    "IntStorage",
    "LongStorage",
    "ShortStorage",
    "TypedStorage",
    "UntypedStorage",
];

const DTYPES: &[&str] = &[
    "bfloat16",
    "bool",
    "complex128",
    "complex32",
    "complex64",
    "double",
    "float",
    "float16",
    "float32",
    "float4_e2m1fn_x2",
    "float64",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "half",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "long",
    "short",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
];

const BUILTINS: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
];

const NUMPY_SCALARS: &[&str] = &[
    "bool", "bool_", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint16", "uint32", "uint64",
    "uint8",
];

/// Returns whether a class may be named in a pickle of weights.
pub(super) fn is_expected(module: &str, name: &str) -> bool {
    let mut listed = EXPECTED.iter().filter(|(known, _)| *known == module);
    listed.any(|(_, names)| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_expected_in_their_own_module_alone() {
        assert!(is_expected("torch", "BFloat16Storage") && is_expected("collections", "OrderedDict"));
        for (module, name) in [
            ("os", "FloatStorage"),
            ("torch", "hub.load"),
            ("torch.hub", "load"),
            ("builtins", "eval"),
            ("_io", "open"),
            ("numpy.testing._private.utils", "runstring"),
            ("torch.storage", "_load_from_bytes"),
            ("torch", ""),
        ] {
            assert!(!is_expected(module, name), "{module}.{name}");
        }
    }
}
