//! The bodies of the fuzz targets on stable Rust: over the corpus, over changed pieces of it, and over
//! fresh random input.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 2000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = std::fs::read_dir(&folder).expect("every target has a corpus");
    let inputs: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.expect("a file").path()).expect("a file")).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

/// One input with a piece cut out, a piece of another put in, and a byte changed.
fn changed(inputs: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let one = prop::sample::select(inputs.to_vec());
    let other = prop::sample::select(inputs.to_vec());
    (one, other, any::<[prop::sample::Index; 5]>(), any::<u8>()).prop_map(|(mut one, other, places, byte)| {
        let at = |index: usize, length: usize| places[index].index(length + 1);
        let (from, to) = (at(0, one.len()), at(1, one.len()));
        let (other_from, other_to) = (at(2, other.len()), at(3, other.len()));
        let piece = other[other_from.min(other_to)..other_from.max(other_to)].to_vec();
        one.splice(from.min(to)..from.max(to), piece);
        if let Some(place) = one.len().checked_sub(1).map(|last| at(4, last)) {
            one[place] = byte;
        }
        one
    })
}

#[test]
fn they_hold_for_the_corpus_and_for_random_input() {
    for (name, body) in fuuffy_fuzz::ALL {
        let inputs = corpus(name);
        inputs.iter().for_each(|input| body(input));
        let random = prop_oneof![changed(&inputs), prop::collection::vec(any::<u8>(), 0..300)];
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        if let Err(failure) = runner.run(&random, |input| {
            body(&input);
            Ok(())
        }) {
            panic!("{name}: {failure}");
        }
    }
}

#[test]
fn every_target_is_among_the_bodies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut targets: Vec<String> = std::fs::read_dir(folder)
        .expect("the targets")
        .map(|file| file.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let mut bodies: Vec<String> = fuuffy_fuzz::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    bodies.sort();
    assert_eq!(targets, bodies);
}
