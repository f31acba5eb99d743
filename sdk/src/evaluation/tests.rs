//! What evaluations promise, on tiny worlds.

use std::ops::ControlFlow;

use super::report::{Report, Summary, choose_showcases, replay_showcases};
use super::{FidelitySuite, Journal, PolicySuccess, Suite, SuiteEvent, WorldComparison};
use crate::fixtures::{learned, learned_parts, physics};
use crate::policy_source::PolicySource;
use crate::rollout::World;

fn suite() -> Suite {
    Suite {
        task: "reach".into(),
        policies: vec!["wander".into(), "random".into()],
        episodes: 3,
        first_seed: 11,
        batch_size: 2,
    }
}

/// Plays until `limit` episodes have ended; returns how many that were.
fn run(world: &World, journal: &mut Journal, limit: usize) -> usize {
    let source = PolicySource::default();
    let mut finished = 0;
    suite()
        .run(world, &|name| source.make(name), journal, &mut |event| {
            finished += usize::from(matches!(event, SuiteEvent::Finished(_)));
            if finished >= limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .expect("the suite can be played");
    finished
}

#[test]
fn a_resumed_evaluation_loses_nothing_and_repeats_nothing() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for world in [physics(), learned()] {
        let mut journal = Journal::resume(whole.path()).unwrap();
        assert_eq!(run(&world, &mut journal, usize::MAX), 6);

        let mut played = 0;
        while played < 6 {
            let more = run(&world, &mut Journal::resume(parts.path()).unwrap(), 1);
            assert!(more > 0);
            played += more;
        }
        assert_eq!(played, 6);
        assert_eq!(run(&world, &mut Journal::resume(parts.path()).unwrap(), 1), 0);
    }
    let records = |folder: &tempfile::TempDir| {
        let mut records = suite().records(&Journal::resume(folder.path()).unwrap());
        records.iter_mut().for_each(|record| record.wall_secs = 0.0);
        records
    };
    assert_eq!(records(&whole).len(), 12);
    assert_eq!(records(&whole), records(&parts));
}

#[test]
fn the_report_is_one_page_with_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path()).unwrap();
    run(&physics(), &mut journal, usize::MAX);
    run(&learned(), &mut journal, usize::MAX);
    let records = suite().records(&journal);
    let table = PolicySuccess::table(&records, &suite().policies);
    assert!(
        table
            .iter()
            .all(|row| row.learned.is_some() && row.physics.is_some() && row.agreement.is_some())
    );
    assert!(WorldComparison::of(&table).is_some());

    let fidelity = FidelitySuite {
        tasks: vec!["reach".into(), "push".into()],
        policies: vec!["wander".into()],
        episodes: 4,
        first_seed: 11,
        chunks: 2,
    };
    let source = PolicySource::default();
    let measure = || {
        let mut calls = 0;
        let fidelity = fidelity.run(&learned_parts(), &|name| source.make(name), folder.path(), &mut |_| {
            calls += 1;
            ControlFlow::Continue(())
        });
        (fidelity.unwrap().unwrap(), calls)
    };
    let (measured, calls) = measure();
    assert!(calls > 0);
    assert_eq!(measured.chunks.len(), 2);
    assert_eq!(measured.chunks[0].frames, 32);
    assert!(measured.shuffled_error_ratio.is_some() && measured.gain_moving_db.is_some());
    // A second run reads what the first one measured.
    let (again, calls) = measure();
    assert_eq!((calls, again.chunks.len(), again.frames.len()), (0, 2, 16));
    assert!((again.chunks[1].psnr - measured.chunks[1].psnr).abs() < 1e-9);

    let shown = choose_showcases(&records, 2);
    let showcases = replay_showcases(&shown, &physics(), Some(&learned())).unwrap();
    for show in &showcases {
        assert_eq!(show.predicted_images().len(), show.record.steps + 1);
        assert!(!show.physics_images().is_empty());
    }
    let report = Report {
        summary: Summary::new(("reach", 11, 3), table, Some((measured, vec!["reach".into()]))),
        showcases,
        frame_rate_hz: 5.0,
        commands: vec!["worldloop evaluate --policy '<a & b>'".into()],
        world_model: String::new(),
    };
    let animations = report.write(folder.path()).unwrap();
    assert_eq!(animations.len(), shown.len());
    assert!(animations.iter().all(|path| path.is_file()));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(page.matches("data:image/gif").count(), shown.len());
    assert!(page.contains("&lt;a &amp; b&gt;") && !page.contains("<a & b>"));
    assert!(
        !page.contains("src=\"http") && !page.contains("href="),
        "the page needs nothing from outside"
    );
}

#[test]
fn a_learned_journal_is_not_resumed_with_another_model() {
    let folder = tempfile::tempdir().unwrap();
    run(&learned(), &mut Journal::create(folder.path()).unwrap(), 1);
    let mut other = learned_parts();
    other.fingerprint = "other".into();
    let source = PolicySource::default();
    let mut journal = Journal::resume(folder.path()).unwrap();
    let error = suite()
        .run(
            &World::Learned(other),
            &|name| source.make(name),
            &mut journal,
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("tiny") && error.contains("other"), "{error}");
}
