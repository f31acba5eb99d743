//! The physics world obeys the contract.

use worldloop::envs::check_env;
use worldloop::envs::physics::{PhysicsConfig, PhysicsEnv, PhysicsTask};

#[test]
fn every_task_obeys_the_contract() {
    for task in PhysicsTask::ALL {
        check_env(&mut PhysicsEnv::new(PhysicsConfig::for_task(task)), 3).unwrap();
    }
}

#[test]
fn a_wrist_camera_is_in_the_contract_too() {
    let config = PhysicsConfig {
        image_size: 24,
        wrist_image_size: Some(16),
        ..PhysicsConfig::for_task(PhysicsTask::PickAndPlace)
    };
    check_env(&mut PhysicsEnv::new(config), 4).unwrap();
}
