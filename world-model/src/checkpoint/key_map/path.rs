//! Where in a module a walk is.

/// Container of a fully connected layer, whose weight is stored turned.
const LINEAR: &str = "Struct:Linear";

/// The names and containers from the root of a module to the parameter being visited.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct ModulePath {
    steps: Vec<(String, String)>,
}

impl ModulePath {
    pub(in crate::checkpoint) fn enter(&mut self, name: &str, container: &str) {
        self.steps.push((name.to_string(), container.to_string()));
    }

    pub(in crate::checkpoint) fn exit(&mut self) {
        self.steps.pop();
    }

    /// Returns the dotted path; variants of enums are not part of it.
    pub(in crate::checkpoint) fn parameter(&self) -> String {
        let names = self
            .steps
            .iter()
            .filter(|(_, container)| !container.starts_with("Enum:"));
        names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// Returns whether the parameter is the matrix of a fully connected layer.
    pub(in crate::checkpoint) fn is_linear_weight(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|(name, container)| name == "weight" && container == LINEAR)
    }
}
