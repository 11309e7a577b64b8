//! The index against a naive model, and its size.

use std::collections::HashMap;

use fuuffy_domain::{Entropy, SeededEntropy, Thumbprint};
use proptest::prelude::*;

use super::*;

/// In milliseconds.
const LIFE: i64 = 3_600_000;

fn token(digest: TokenDigest, expires_at: i64) -> IndexedToken {
    IndexedToken {
        digest,
        client: ClientSlot(7),
        generation: 1,
        scope: Arc::new(ScopeSet::parse("a b").unwrap()),
        issued_at: Timestamp::from_unix_millis(expires_at - LIFE),
        expires_at: Timestamp::from_unix_millis(expires_at),
        binding: None,
    }
}

/// Every third is bound to a key that follows from its digest.
fn binding_of(digest: &TokenDigest) -> Option<Binding> {
    digest[1].is_multiple_of(3).then(|| Binding::DpopKey(Thumbprint([digest[1]; 32])))
}

#[test]
fn a_token_takes_at_most_64_bytes_however_many_there_are() {
    let index = TokenIndex::new(Lifetime::HOUR);
    let entropy = SeededEntropy::new(1);
    for number in 1..=400_000_i64 {
        let mut digest = [0; 16];
        entropy.fill(&mut digest).unwrap();
        index.insert(&token(digest, 3_600_000 + number));
        if number >= 100_000 && number % 20_000 == 0 {
            let each = index.memory_bytes() / index.len();
            assert!(each <= 64, "{each} bytes at {number}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u8, i64),
    Find(u8),
    Pass(i64),
}

proptest! {
    /// The model keeps everything. What it knows as live or expired less than an hour ago, the index
    /// knows too, to the millisecond; what expired long ago it has dropped.
    #[test]
    fn it_agrees_with_a_naive_model(steps in prop::collection::vec(prop_oneof![
        (any::<u8>(), 1_i64..3_600_000).prop_map(|(key, life)| Step::Insert(key, life)),
        any::<u8>().prop_map(Step::Find),
        (0_i64..4_000_000).prop_map(Step::Pass),
    ], 1..200)) {
        let index = TokenIndex::new(Lifetime::HOUR);
        let mut model: HashMap<TokenDigest, i64> = HashMap::new();
        let mut now = 1_700_000_000_000_i64;
        let digest = |key: u8| { let mut digest = [key; 16]; digest[0] = key % 3; digest };
        for step in steps {
            match step {
                Step::Insert(key, life) => {
                    if let std::collections::hash_map::Entry::Vacant(place) = model.entry(digest(key)) {
                        place.insert(now + life);
                        let binding = binding_of(&digest(key));
                        index.insert(&IndexedToken { binding, ..token(digest(key), now + life) });
                    }
                }
                Step::Pass(millis) => {
                    now += millis;
                    index.expire(Timestamp::from_unix_millis(now));
                }
                Step::Find(key) => {
                    let found = index.find(&digest(key)).map(|entry| {
                        assert_eq!(entry.expires_at.unix_millis() - entry.issued_at.unix_millis(), LIFE);
                        assert_eq!(entry.binding, binding_of(&digest(key)));
                        entry.expires_at.unix_millis()
                    });
                    match model.get(&digest(key)) {
                        Some(expiry) if expiry + 3_600_000 > now => prop_assert_eq!(found, Some(*expiry)),
                        Some(expiry) if expiry + 2 * 3_600_000 <= now => prop_assert_eq!(found, None),
                        Some(_) => {}
                        None => prop_assert_eq!(found, None),
                    }
                }
            }
        }
    }
}
