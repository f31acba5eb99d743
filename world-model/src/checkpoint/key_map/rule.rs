//! Rewriting of dotted names, in both directions.

/// Translates the key names of a checkpoint into paths of a module, and back.
///
/// A map first drops what surrounds the model's own names (a scope, a wrapper's prefix), then ignores what carries no
/// weights, then applies its rules in order. [`Self::to_stored`] undoes the rules.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    scope: String,
    prefixes: Vec<&'static str>,
    dropped_parts: Vec<&'static str>,
    ignored: Vec<&'static str>,
    rules: Vec<Rule>,
}

impl KeyMap {
    /// Creates a map for checkpoints that use the module's own paths.
    pub fn identity() -> Self {
        Self::default()
    }

    /// Considers only keys that start with `scope`, for files that hold several models; the others are ignored.
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Drops the first of these prefixes that a key starts with.
    pub(super) fn with_prefixes(mut self, prefixes: impl IntoIterator<Item = &'static str>) -> Self {
        self.prefixes.extend(prefixes);
        self
    }

    /// Removes a part wherever it occurs in a name.
    pub(super) fn with_dropped_part(mut self, part: &'static str) -> Self {
        self.dropped_parts.push(part);
        self
    }

    /// Ignores keys that match one of these patterns, in which `*` stands for any characters.
    pub(super) fn with_ignored(mut self, patterns: impl IntoIterator<Item = &'static str>) -> Self {
        self.ignored.extend(patterns);
        self
    }

    /// Adds rules, each from a stored name to the module's.
    pub(super) fn with_rules<'a>(mut self, rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.rules
            .extend(rules.into_iter().map(|(stored, module)| Rule::new(stored, module)));
        self
    }

    /// Returns the module path of a stored key, or `None` if the key is to be ignored.
    pub fn to_module(&self, key: &str) -> Option<String> {
        let key = key.strip_prefix(self.scope.as_str())?;
        let key = self
            .prefixes
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix))
            .unwrap_or(key);
        if self.ignored.iter().any(|pattern| matches(pattern, key)) {
            return None;
        }
        let names = key.split('.').filter(|name| !self.dropped_parts.contains(name));
        let mut names: Vec<String> = names.map(str::to_string).collect();
        for rule in &self.rules {
            replace(&mut names, &rule.stored, &rule.module);
        }
        Some(names.join("."))
    }

    /// Returns the stored key of a module path, with the scope but without a wrapper's prefix.
    pub fn to_stored(&self, path: &str) -> String {
        let mut names: Vec<String> = path.split('.').map(str::to_string).collect();
        for rule in self.rules.iter().rev() {
            replace(&mut names, &rule.module, &rule.stored);
        }
        format!("{}{}", self.scope, names.join("."))
    }
}

/// One rewriting of consecutive name parts; see [`Pattern`].
#[derive(Debug, Clone)]
struct Rule {
    stored: Pattern,
    module: Pattern,
}

impl Rule {
    fn new(stored: &str, module: &str) -> Self {
        Self {
            stored: Pattern::new(stored),
            module: Pattern::new(module),
        }
    }
}

/// Consecutive name parts, in which `#` stands for a number; a leading `^` ties them to the start of the name.
#[derive(Debug, Clone)]
struct Pattern {
    parts: Vec<String>,
    at_start: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let (text, at_start) = text.strip_prefix('^').map_or((text, false), |text| (text, true));
        Self {
            parts: text.split('.').map(str::to_string).collect(),
            at_start,
        }
    }

    fn find(&self, names: &[String]) -> Option<usize> {
        let last = names.len().checked_sub(self.parts.len())?;
        let last = if self.at_start { 0 } else { last };
        (0..=last).find(|start| {
            self.parts
                .iter()
                .zip(&names[*start..])
                .all(|(part, name)| fits(part, name))
        })
    }
}

fn fits(part: &str, name: &str) -> bool {
    if part == "#" {
        name.bytes().all(|byte| byte.is_ascii_digit())
    } else {
        part == name
    }
}

/// Replaces the first occurrence of `from`, carrying the numbers over in order.
fn replace(names: &mut Vec<String>, from: &Pattern, to: &Pattern) {
    let Some(start) = from.find(names) else {
        return;
    };
    let found: Vec<String> = names[start..start + from.parts.len()].to_vec();
    let mut numbers = from
        .parts
        .iter()
        .zip(found)
        .filter(|(part, _)| *part == "#")
        .map(|(_, name)| name);
    let replacement: Vec<String> = to
        .parts
        .iter()
        .map(|part| if part == "#" { numbers.next() } else { None }.unwrap_or_else(|| part.clone()))
        .collect();
    names.splice(start..start + from.parts.len(), replacement);
}

/// Compares a name with a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut remaining) = name.strip_prefix(start) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return remaining.ends_with(piece);
        }
        let Some(position) = remaining.find(piece) else {
            return false;
        };
        remaining = &remaining[position + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> KeyMap {
        KeyMap::identity()
            .with_prefixes(["net."])
            .with_ignored(["accum_*", "*_extra_state"])
            .with_rules([
                ("^layers.#.attn", "blocks.#.self_attention"),
                ("proj.1", "proj"),
                ("^out", "^head"),
            ])
    }

    #[test]
    fn rules_rewrite_parts_and_keep_numbers() {
        assert_eq!(
            map().to_module("net.layers.12.attn.proj.1.weight").unwrap(),
            "blocks.12.self_attention.proj.weight"
        );
        assert_eq!(map().to_module("out.weight").unwrap(), "head.weight");
        assert_eq!(map().to_module("layers.0.out.weight").unwrap(), "layers.0.out.weight");
    }

    #[test]
    fn rules_can_be_undone() {
        for key in ["layers.3.attn.proj.1.weight", "out.bias", "other.weight"] {
            assert_eq!(map().to_stored(&map().to_module(key).unwrap()), key);
        }
    }

    #[test]
    fn ignored_patterns_apply_after_the_prefix() {
        assert_eq!(map().to_module("net.accum_iteration"), None);
        assert_eq!(map().to_module("net.layers.0.attn.q_norm._extra_state"), None);
        assert!(map().to_module("net.accumulator").is_some());
    }

    #[test]
    fn a_scope_hides_other_models() {
        let map = map().with_scope("dit.");
        assert_eq!(map.to_module("vae.out.weight"), None);
        assert_eq!(map.to_module("dit.out.weight").unwrap(), "head.weight");
        assert_eq!(map.to_stored("head.weight"), "dit.out.weight");
    }
}
