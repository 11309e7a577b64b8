//! The life of a token, step by step, without a clock.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn grant(life: Option<u64>) -> Grant {
    let access_token = AccessToken::granted(Zeroizing::new("abc".to_owned())).unwrap();
    Grant { access_token, life: life.map(Duration::from_secs), refresh_after: None, scope: None }
}

fn failure() -> Error {
    Error::timeout("the token request", "there", SECOND)
}

#[test]
fn one_asks_and_the_others_join() {
    let mut state = TokenState::default();
    assert!(matches!(state.ask(SECOND), Ask::Fetch));
    assert!(matches!(state.ask(SECOND), Ask::Join));
    let (token, next) = state.granted((grant(Some(100)), None), SECOND, 0.5);
    assert_eq!((token.expires_at, next), (101 * SECOND, Next::At(81 * SECOND)));
    assert!(matches!(state.ask(2 * SECOND), Ask::Use(_)));
    assert!(matches!(state.ask(90 * SECOND), Ask::UseAndFetch(_)));
    assert!(matches!(state.ask(90 * SECOND), Ask::Use(_)), "one refresh at a time");
}

#[test]
fn a_failed_refresh_keeps_the_token_and_is_backed_off_from() {
    let mut state = TokenState::default();
    state.ask(Duration::ZERO);
    state.granted((grant(Some(100)), None), Duration::ZERO, 0.5);
    assert!(matches!(state.ask(85 * SECOND), Ask::UseAndFetch(_)));
    let Next::At(again) = state.failed(&failure(), 85 * SECOND, 1) else {
        panic!("a token that lives is refreshed again");
    };
    assert!(again > 85 * SECOND && again < 87 * SECOND, "{again:?}");
    assert!(matches!(state.ask(85 * SECOND), Ask::Use(_)));
    assert!(!state.is_due(85 * SECOND) && state.is_due(again));
    assert_eq!(state.failed(&failure(), 100 * SECOND, 1), Next::Rest);
    assert!(matches!(state.ask(100 * SECOND), Ask::Hold(..)));
}

#[test]
fn a_refused_token_is_dropped_only_if_it_is_the_one_held() {
    let mut state = TokenState::default();
    let (first, _) = state.granted((grant(Some(100)), None), Duration::ZERO, 0.5);
    assert!(state.refused(first.serial));
    assert!(!state.refused(first.serial));
    let (second, _) = state.granted((grant(Some(100)), None), Duration::ZERO, 0.5);
    assert!(!state.refused(first.serial));
    assert!(matches!(state.ask(SECOND), Ask::Use(token) if token.serial == second.serial));
}

proptest! {
    /// Whatever happens, a token is never used past its life, and never two requests are under way.
    #[test]
    fn no_history_breaks_the_rules(steps in prop::collection::vec((0_u8..5, 0_u64..2000, any::<u64>()), 1..200)) {
        let mut state = TokenState::default();
        let (mut now, mut under_way, mut serial) = (Duration::ZERO, false, 0);
        for (step, millis, chance) in steps {
            now += Duration::from_millis(millis);
            match step {
                0 | 1 => match state.ask(now) {
                    Ask::Use(token) => prop_assert!(now < token.expires_at),
                    Ask::UseAndFetch(token) => {
                        prop_assert!(now < token.expires_at && !under_way);
                        under_way = true;
                    }
                    Ask::Fetch => {
                        prop_assert!(!under_way);
                        under_way = true;
                    }
                    Ask::Join => prop_assert!(under_way),
                    Ask::Hold(wait, _) => prop_assert!(!wait.is_zero() && !under_way),
                },
                2 if under_way => {
                    let (token, next) = state.granted((grant(Some(chance % 5)), None), now, 0.5);
                    let Next::At(at) = next else { panic!("a token is looked at again") };
                    prop_assert!(at > now && token.serial > serial);
                    (serial, under_way) = (token.serial, false);
                }
                3 if under_way => {
                    state.failed(&failure(), now, chance);
                    under_way = false;
                }
                4 if state.is_due(now) => {
                    prop_assert!(!under_way);
                    under_way = true;
                }
                _ => {
                    state.refused(serial);
                }
            }
        }
    }
}
