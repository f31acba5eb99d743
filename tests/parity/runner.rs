//! Finds cases, runs each on its own, and prints how far it is from its tolerance.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use burn::tensor::Device;
use worldloop_tests::{Case, Checks, GoldenRoot, find_root, list_cases};

/// Variable that selects families, separated by commas.
const FAMILIES_VARIABLE: &str = "WORLDLOOP_GOLDEN_FAMILIES";

/// Variable that asks for intermediate values of cases that pass.
const VERBOSE_VARIABLE: &str = "WORLDLOOP_GOLDEN_VERBOSE";

/// Variable that names the device; the CPU without it.
const DEVICE_VARIABLE: &str = "WORLDLOOP_DEVICE";

/// What a case came to, if it could be run.
pub(crate) enum Outcome {
    /// Everything that it asks for was compared.
    Compared,
    /// It needs a part that this project does not have (yet).
    OutOfScope(String),
}

/// How a case can fail other than by its numbers.
pub(crate) type CaseResult = Result<Outcome, Box<dyn Error>>;

/// A family of cases and the function that runs one of them.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Case, &mut Checks<'_>, &Device) -> CaseResult,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs every selected case; fails if one fails, or if a selected family is not there.
pub(crate) fn main(families: &[Family]) -> ExitCode {
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let root = find_root();
    println!("golden cases in {}", root.path.display());
    if root.is_fixtures {
        println!("this is the small set of the repository; set WORLDLOOP_GOLDEN for more");
    }

    let name = std::env::var(DEVICE_VARIABLE).unwrap_or_else(|_unset| "flex".to_string());
    let device = match worldloop::device::select(&name) {
        Ok(device) => device,
        Err(error) => {
            println!("FAIL {DEVICE_VARIABLE}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("device {name}");

    let mut tally = Tally::default();
    for name in selected_families(families, &root) {
        let Some(family) = families.iter().find(|family| family.name == name) else {
            let known: Vec<_> = families.iter().map(|family| family.name).collect();
            println!("FAIL {name}: no such family; there are {}", known.join(", "));
            tally.failed += 1;
            continue;
        };
        run_family(family, &root.path, &filters, &device, &mut tally);
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Names the families to run: those asked for, or all; of the small set, all that it has.
fn selected_families(families: &[Family], root: &GoldenRoot) -> Vec<String> {
    if let Ok(list) = std::env::var(FAMILIES_VARIABLE) {
        return list
            .split(',')
            .map(|name| name.trim().to_string())
            .filter(|name| !name.is_empty())
            .collect();
    }
    let mut names: Vec<String> = families.iter().map(|family| family.name.to_string()).collect();
    if root.is_fixtures {
        names.retain(|name| {
            let has = root.path.join(name).is_dir();
            if !has {
                println!("SKIP {name}: not in the small set");
            }
            has
        });
    }
    names
}

fn run_family(family: &Family, root: &Path, filters: &[String], device: &Device, tally: &mut Tally) {
    let cases = match list_cases(root, family.name) {
        Ok(cases) if !cases.is_empty() => cases,
        Ok(_) => {
            println!("FAIL {}: no cases in {}", family.name, root.join(family.name).display());
            tally.failed += 1;
            return;
        }
        Err(error) => {
            println!("FAIL {}: {error}", family.name);
            tally.failed += 1;
            return;
        }
    };
    for (name, folder) in cases {
        let id = format!("{}/{name}", family.name);
        if filters.is_empty() || filters.iter().any(|filter| id.contains(filter.as_str())) {
            run_case(family, &id, &folder, device, tally);
        }
    }
}

fn run_case(family: &Family, id: &str, folder: &Path, device: &Device, tally: &mut Tally) {
    let case = match Case::read(id, folder) {
        Ok(case) => case,
        Err(error) => {
            println!("FAIL {id}: {error}");
            tally.failed += 1;
            return;
        }
    };
    let mut checks = Checks::new(&case);
    // A network that panics on one case says nothing about the others.
    let result = catch_unwind(AssertUnwindSafe(|| (family.run)(&case, &mut checks, device)));
    let problem = match result {
        Ok(Ok(Outcome::OutOfScope(reason))) => {
            println!("SKIP {id}: not in scope, {reason}");
            tally.skipped += 1;
            return;
        }
        Ok(Ok(Outcome::Compared)) => {
            checks.require_every_output();
            None
        }
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("panicked (see the message above)".to_string()),
    };

    let pass = problem.is_none() && checks.pass();
    println!("{} {id}", if pass { "PASS" } else { "FAIL" });
    if let Some(problem) = problem {
        println!("     {problem}");
    }
    for check in &checks.decisive {
        println!("     {check}");
    }
    if !pass || std::env::var_os(VERBOSE_VARIABLE).is_some() {
        for check in &checks.intermediate {
            println!("     . {check}");
        }
    }
    if pass {
        tally.passed += 1;
    } else {
        tally.failed += 1;
    }
}
