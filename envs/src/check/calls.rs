//! The rules of single calls: bad actions, options, rendering, closing.

use super::episodes::Checker;
use super::played::Played;
use crate::action::{Action, ActionChunk};
use crate::env::ResetOptions;
use crate::error::EnvError;

impl Checker<'_> {
    pub(super) fn check_bad_actions(&mut self, baseline: &Played) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let good = self.actions[0].clone();
        let mut long = good.clone();
        long.0.push(0.0);
        let short = Action(good.0[1..].to_vec());
        for action in [short, long] {
            let answer = self.env.step(&action).map(drop);
            let refused = matches!(answer, Err(EnvError::ActionSize { .. }));
            self.rule("an action of the wrong size is an error", refused, || {
                format!("{answer:?}")
            });
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bad = good.clone();
            if let Some(last) = bad.0.last_mut() {
                *last = value;
            }
            let chunk = ActionChunk(vec![good.clone(), bad.clone()]);
            for answer in [self.env.step(&bad).map(drop), self.env.step_chunk(&chunk).map(drop)] {
                let refused = matches!(answer, Err(EnvError::ActionNotFinite { .. }));
                self.rule("an action that is not finite is an error", refused, || {
                    format!("{value}: {answer:?}")
                });
            }
        }
        let answer = self.env.step_chunk(&ActionChunk::default()).map(drop);
        let refused = matches!(answer, Err(EnvError::EmptyChunk { .. }));
        self.rule("an empty chunk is an error", refused, || format!("{answer:?}"));
        let answer = self.env.step(&good);
        if let Some(step) = self.expect_ok("a refused action leaves the env usable", answer) {
            let same = !self.spec.deterministic || baseline.steps.first() == Some(&step);
            self.rule("a refused action changes nothing", same, || {
                "the next step differs".into()
            });
        }
    }

    pub(super) fn check_out_of_bounds(&mut self) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let dimensions = &self.spec.action_space.dimensions;
        let beyond = Action(
            dimensions
                .iter()
                .map(|dimension| dimension.high + (dimension.high - dimension.low))
                .collect(),
        );
        let answer = self.env.step(&beyond);
        if let Some(step) = self.expect_ok("a finite action beyond the bounds is answered", answer) {
            self.check_answer(&step.observation, &step.info, "step beyond the bounds");
        }
    }

    pub(super) fn check_options(&mut self) {
        let options = ResetOptions {
            task: Some("no such task".into()),
            initial: None,
        };
        let answer = self.env.reset(Some(self.seed), &options).map(drop);
        let refused = matches!(answer, Err(EnvError::UnknownName { .. }));
        self.rule("an unknown task is an error", refused, || format!("{answer:?}"));
        let options = ResetOptions {
            task: Some(self.spec.task.clone()),
            initial: None,
        };
        let answer = self.env.reset(Some(self.seed), &options);
        self.expect_ok("the task of the spec can be played", answer);
    }

    pub(super) fn check_render(&mut self, baseline: &Played) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let answer = self.env.render();
        if let Some(image) = self.expect_ok("render works after a reset", answer) {
            self.rule(
                "the rendered picture has pixels",
                image.width() > 0 && image.height() > 0,
                || "none".into(),
            );
        }
        let answer = self.env.step(&self.actions[0]);
        if let Some(step) = self.expect_ok("a valid action is answered", answer) {
            let same = !self.spec.deterministic || baseline.steps.first() == Some(&step);
            self.rule("rendering changes nothing", same, || "the next step differs".into());
        }
    }

    pub(super) fn check_close(&mut self) {
        for _ in 0..2 {
            let answer = self.env.close();
            self.expect_ok("close can be called twice", answer);
        }
        let answer = self.env.reset(Some(self.seed), &ResetOptions::default()).map(drop);
        let refused = matches!(answer, Err(EnvError::Closed { .. }));
        self.rule("a closed env refuses to be reset", refused, || format!("{answer:?}"));
        let answer = self.env.step(&self.actions[0]).map(drop);
        let refused = matches!(answer, Err(EnvError::Closed { .. }));
        self.rule("a closed env refuses to step", refused, || format!("{answer:?}"));
    }
}
