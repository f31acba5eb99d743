//! Actions that somebody wrote down: rows of numbers, or the annotation of a recording.

use std::path::Path;

use serde_json::Value;
use worldloop_world_model_data::bridge::{ACTION_DIM, BridgeAnnotation, BridgeError, InferenceParams};

use super::error::ActionRolloutError;

/// Reads the actions of a file, scaled as the network takes them.
///
/// The file is an annotation of Bridge, whose states lead to the actions, or a JSON list with one row of numbers per
/// action. Rows of seven values are metres, radians and the gripper, and are scaled as the parameters say; other rows are
/// what a robot with other joints uses, and stay as they are.
///
/// # Errors
/// [`ActionRolloutError::Annotation`], and [`ActionRolloutError::ActionFile`], which names the entry.
pub(super) fn read_actions(path: &Path, params: &InferenceParams) -> Result<Vec<Vec<f32>>, ActionRolloutError> {
    let text = std::fs::read_to_string(path).map_err(|source| BridgeError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let unexpected = |entry: String, expected: &'static str, found: String| ActionRolloutError::ActionFile {
        path: path.to_path_buf(),
        entry,
        expected,
        found,
    };
    let json: Value = serde_json::from_str(&text).map_err(|error| {
        unexpected(
            "the file".into(),
            "JSON: a list of rows, or an annotation",
            error.to_string(),
        )
    })?;
    let Value::Array(rows) = json else {
        let annotation = BridgeAnnotation::open(path, params)?;
        let actions = annotation.actions(params.selection())?;
        return Ok(actions.into_iter().map(|action| params.scaled(action)).collect());
    };
    if rows.is_empty() {
        return Err(unexpected(
            "the list".into(),
            "at least one action long",
            "it is empty".into(),
        ));
    }
    let mut actions: Vec<Vec<f32>> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let values = row.as_array().and_then(|row| numbers(row));
        let Some(values) = values else {
            return Err(unexpected(
                format!("action {index}"),
                "a row of finite numbers",
                row.to_string(),
            ));
        };
        let dimensions = actions.first().map_or(values.len(), Vec::len);
        if values.len() != dimensions {
            let found = format!("{} values after rows of {dimensions}", values.len());
            return Err(unexpected(
                format!("action {index}"),
                "as many values as the rows before",
                found,
            ));
        }
        actions.push(match <[f64; ACTION_DIM]>::try_from(values.as_slice()) {
            Ok(action) => params.scaled(action),
            Err(_) => values.iter().map(|value| *value as f32).collect(),
        });
    }
    Ok(actions)
}

/// Returns the numbers of a row, if they are all finite numbers and there is one.
fn numbers(row: &[Value]) -> Option<Vec<f64>> {
    let number = |value: &Value| value.as_f64().filter(|value| (*value as f32).is_finite());
    let numbers: Vec<f64> = row.iter().map(number).collect::<Option<_>>()?;
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<f32>>, ActionRolloutError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("actions.json");
        std::fs::write(&path, text).expect("writable");
        read_actions(&path, &InferenceParams::default())
    }

    #[test]
    fn rows_of_seven_are_scaled_and_others_are_not() {
        let actions = read("[[0.01, 0, 0, 0, 0, -0.5, 1], [0, 0, 0, 0, 0, 0, 0.25]]").expect("readable");
        assert_eq!(actions[0], [0.2, 0.0, 0.0, 0.0, 0.0, -10.0, 1.0]);
        assert_eq!(actions[1][6], 0.25);
        assert_eq!(read("[[0.5, 2]]").expect("readable"), [[0.5, 2.0]]);
    }

    #[test]
    fn entries_that_make_no_action_are_named() {
        for (text, words) in [
            ("[]", "at least one action"),
            ("[[1, 2], [1]]", "action 1 "),
            ("[[1, \"a\"]]", "action 0 "),
            ("[[1e300]]", "finite"),
            ("[[]]", "action 0 "),
            ("[[NaN]]", "JSON"),
            ("{}", "`state`"),
        ] {
            let message = read(text).expect_err(text).to_string();
            assert!(
                message.contains(words) && message.contains("actions.json"),
                "{text}: {message}"
            );
        }
    }
}
